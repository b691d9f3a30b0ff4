"""The summaries of a law and of all laws of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qdlaws.core.interval import Interval, show
from qdlaws.core.runlog import NUMBERED, RunLog
from qdlaws.core.summary import Summary
from qdlaws.laws.adequacy import block_means
from qdlaws.laws.alternatives import SMOOTH, STRONG, RivalForms
from qdlaws.laws.composition import Composition
from qdlaws.laws.fitted import EQUATIONS, FittedLaw
from qdlaws.laws.user_model import UserFit

__all__ = ["fits_summary", "law_summary"]

NONE = "–"
"""The cell of a number that there is not."""


def law_summary(law: FittedLaw, classical: bool = False) -> Summary:
    """One law in words and numbers, with the cautions about it.

    ``classical`` adds lmfit's (for hd: the HAC line's) estimates and the residual diagnostics.
    """
    heading = f"{law.y_name} on {law.x_name}:  {EQUATIONS[law.kind]}"
    if law.posterior is None:
        return Summary(heading, law.headline, (("checkpoints", str(law.n)),), law.reasons)
    low, high = law.range
    rows = [
        ("checkpoints", _checkpoints(law)),
        (f"{law.x_name} range", f"{low:.4g} to {high:.4g}; {law.direction}"),
        (f"{law.level:.0%} intervals", "mid [low, high]"),
    ]
    if law.kind == "hd":
        rows += [(name, show(value)) for name, value in law.params.items()]
    elif law.supported:
        rows += [(name, show(value)) for name, value in law.params.items() if value.known]
        if missing := [name for name, value in law.params.items() if not value.known]:
            rows.append((", ".join(missing), "left out: this run does not determine them"))
        rows.append(("change", f"{show(law.change)} in {law.y_name} from low to high {law.x_name}"))
        price = show(law.exchange_rate(low))
        rows.append(("price", f"{price} per unit of {law.x_name}, at its low end"))
        rows.append(("ceiling", _ceiling(law)))
    rows.append(
        ("fit", f"R² {law.r2:.3f}, error {law.sigma:.2g}, correlation of errors {law.rho:.2f}")
    )
    remarks = list(law.reasons)
    if law.kind != "hd" and law.supported:
        remarks += _better_form(law)
    if classical:
        rows += _classical(law)
    return Summary(heading, law.headline, tuple(rows), tuple(remarks))


def _checkpoints(law: FittedLaw) -> str:
    """The number of checkpoints of the fit, and of those that are not in it."""
    left_out = 0 if law.left_out is None else len(law.left_out.step)
    without = {"dropped": law.dropped, "left out": left_out}
    counts = ", ".join(f"{count} {word}" for word, count in without.items() if count)
    return f"{law.n}" + f" ({counts})" * bool(counts)


def _ceiling(law: FittedLaw) -> str:
    """The ceiling, or why it is left out."""
    ranges = law.extrapolation(0.0)
    beyond = f" ({ranges:.1f} ranges beyond the data)" if ranges >= 0.1 else ""
    place = f"{law.x_name} = 0{beyond}"
    if not law.ceiling().known:
        return f"left out: at {place} it would be mostly prior"
    return f"{show(law.ceiling())} at {place}"


def _better_form(law: FittedLaw) -> list[str]:
    """A form of x, none of those that the verdict looks at, that fits clearly better."""
    post = law.required_posterior
    blocks = block_means(law.step, law.path.mean, law.y, law.fitted, law.weight)
    forms = RivalForms(blocks, (post.law.x_lo, post.law.x_hi))
    best = min(SMOOTH, key=forms.delta)
    if forms.delta(best) > -STRONG:
        return []
    return [f"another form fits clearly better: {best} (ΔBIC {forms.delta(best):.0f})"]


def _classical(law: FittedLaw) -> list[tuple[str, str]]:
    from qdlaws.laws.classical import diagnostics, hac_line, lmfit_law

    if law.kind == "hd":
        line = hac_line(law.x, law.y, law.level)
        rows = [(f"HAC {name}", show(value)) for name, value in line.items()]
    else:
        result = lmfit_law(law.x, law.y)
        rows = [
            (
                f"lmfit {name}",
                f"{p.value:.4g} ± {np.nan if p.stderr is None else p.stderr:.2g} (1 se)",
            )
            for name, p in result.params.items()
        ]
    d = diagnostics(law.residuals, law.path.mean)
    tests = f"Ljung–Box p {d['ljung_box_p']:.2g}, Breusch–Pagan p {d['breusch_pagan_p']:.2g}"
    return [*rows, ("residuals", f"{tests}, Durbin–Watson {d['durbin_watson']:.2f}")]


def fits_summary(
    log: RunLog,
    laws: Sequence[FittedLaw | UserFit],
    composition: Composition | None,
    regimes: Sequence[object] = (),
    details: bool = False,
    classical: bool = False,
) -> Summary:
    """All laws of a run: facts, one table of the laws, and one line in plain words.

    ``details`` adds each law by itself and whether the laws compose; ``classical``, which implies
    it, lmfit's estimates and the residual diagnostics.
    """
    sections = []
    for law in laws:
        if isinstance(law, UserFit):  # its parameters are what the user wants to know
            sections.append(law.summary())
        elif details or classical:
            sections.append(law_summary(law, classical))
    if (details or classical) and composition is not None and composition.verdict != "cannot tell":
        sections.append(composition.summary())
    rows: list[tuple[str, str]] = []
    if len(log):
        unit = "row numbers" if log.is_numbered else "steps"
        span = f"{len(log)} checkpoints, {unit} {log.step[0]:g} to {log.step[-1]:g}"
        rows = [("run", span), *((c, _course(log, c)) for c in log.columns)]
    if len(regimes) > 1:
        rows.append(("regimes", f"{len(regimes)}, fitted one by one; this is the last"))
    remarks = [*log.notes, *(words for law in laws for words in _cautions(law))]
    heading = f"{log.tool} {log.source}".strip() or "run"
    heading += f" ({NUMBERED})" * log.is_numbered
    return Summary(
        heading,
        "",
        tuple(rows),
        tuple(remarks),
        tuple(sections),
        table=(_head(laws), *map(_row, laws)) if laws else (),
        conclusion=_conclusion(laws) if laws or len(log.columns) != 1 else _lone(log.columns[0]),
    )


def _lone(column: str) -> str:
    """Why a log of one column has no law, and what else takes it."""
    return (
        f"A law needs two of quality, diversity and entropy, and this log has only {column}. "
        "forecast, advise, backtest and report take it as it is."
    )


def _course(log: RunLog, column: str) -> str:
    """The first and the last reading of a column, and the name that it has in the log."""
    values = log.column(column)
    values = values[np.isfinite(values)]
    name = log.names.get(column, column)
    source = f" ({name})" if name and name != column else ""
    return f"{values[0]:.4g} at first, {values[-1]:.4g} at last{source}" if len(values) else source


def _head(laws: Sequence[FittedLaw | UserFit]) -> tuple[str, ...]:
    levels = " and ".join(sorted({f"{law.level:.0%}" for law in laws}))
    change = f"change over range\n[{levels}]"
    return ("law", "verdict", "P", change, "price of a\nunit of x", "R²", "n")


def _row(law: FittedLaw | UserFit) -> tuple[str, ...]:
    """The row of a law in the table; the price is that at the low end of x."""
    name = f"{law.y_name} on\n{law.x_name}"
    if isinstance(law, UserFit):
        return (name, law.verdict, NONE, NONE, NONE, f"{law.to_dict()['r2']:.3f}", str(law.n))
    change = price = NONE
    if law.supported:
        change = _broken(law.change)
        price = NONE if law.kind == "hd" else _broken(law.exchange_rate(law.range[0]))
    return (
        name,
        f"{law.strength}\n{law.verdict}".strip(),
        f"{law.probability:.3f}" if np.isfinite(law.probability) else NONE,
        change,
        price,
        f"{law.r2:.3f}" if np.isfinite(law.r2) else NONE,
        str(law.n),
    )


def _broken(value: Interval) -> str:
    """An interval that may be broken before its brackets."""
    return show(value).replace(" [", "\n[") if value.known else NONE


def _cautions(law: FittedLaw | UserFit) -> list[str]:
    """Why a law is not supported, or the reasons to doubt it: those beside its probabilities."""
    if isinstance(law, UserFit) or not law.reasons:
        return []
    doubts = [why for why in law.reasons if "P(" not in why]
    left_out = () if law.left_out is None else (law.left_out.why,)
    reasons = doubts if law.supported else [*law.reasons[:1], *left_out]
    return [f"{law.y_name} on {law.x_name}: {why}" for why in reasons]


def _conclusion(laws: Sequence[FittedLaw | UserFit]) -> str:
    """The laws of quality in one sentence."""
    fitted = [law for law in laws if isinstance(law, FittedLaw) and law.kind != "hd"]
    for law in fitted:
        if law.supported:
            x, low = law.x_name, law.range[0]
            rate = law.exchange_rate(low)
            size = f"{abs(law.change.mid):.2g} over the range of {x} that was read"
            cost = f"; at its low end one more unit costs {rate.mid:.2g}" if rate.known else ""
            if law.verdict == "falling":  # where it is steep is not known
                mean = abs(law.change.mid) / (law.range[1] - low)
                cost = f", {mean:.2g} for one more unit on average; how it bends is not known"
            others = [other.x_name for other in fitted if not other.supported]
            only = f" No trade-off with {others[0]}." if others else ""
            words = f"The more {x}, the less {law.y_name} ({law.strength}): {size}{cost}.{only}"
            return f"{words} An association over this run, not a cause."
    for law in fitted:
        if law.verdict == "peaked":
            best = f"{law.x_name} of about {law.best.mid:.2g}"
            return f"{law.y_name.capitalize()} is best at a {best} ({law.strength})."
    if fitted:
        names = " or ".join(law.x_name for law in fitted)
        if any(np.isnan(law.probability) for law in fitted):
            return f"No law of quality with {names} holds for this run; the reasons stand above."
        return f"This run supports no trade-off of quality with {names}."
    return "There is no law of quality here."
