"""The summaries of a law and of all laws of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qdlaws.core.interval import show
from qdlaws.core.runlog import NUMBERED, RunLog
from qdlaws.core.summary import Result, Summary
from qdlaws.laws.adequacy import block_means
from qdlaws.laws.alternatives import SMOOTH, STRONG, RivalForms
from qdlaws.laws.composition import Composition
from qdlaws.laws.fitted import FittedLaw

__all__ = ["EQUATIONS", "fits_summary", "law_summary"]

EQUATIONS = {
    "rd": "R = b − a·exp(c·D)",
    "rh": "R = b0 − a0·exp(c0·H)",
    "hd": "H = slope·D + intercept",
}


def law_summary(law: FittedLaw, classical: bool = False) -> Summary:
    """One law in words and numbers, with the cautions about it.

    ``classical`` adds lmfit's (for hd: the HAC line's) estimates and the residual diagnostics.
    """
    heading = f"{law.y_name} on {law.x_name}:  {EQUATIONS[law.kind]}"
    if law.posterior is None:
        return Summary(heading, law.headline, (("checkpoints", str(law.n)),), law.reasons)
    low, high = law.range
    rows = [
        ("checkpoints", f"{law.n}" + (f" ({law.dropped} dropped)" if law.dropped else "")),
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
    laws: Sequence[FittedLaw | Result],
    composition: Composition | None,
    regimes: Sequence[object] = (),
    classical: bool = False,
) -> Summary:
    """All laws of a run, and whether they compose."""
    sections = [
        law_summary(law, classical) if isinstance(law, FittedLaw) else law.summary() for law in laws
    ]
    if composition is not None and composition.verdict != "cannot tell":
        sections.append(composition.summary())
    rows: tuple[tuple[str, str], ...] = ()
    if len(log):
        unit = "row numbers" if log.is_numbered else "steps"
        span = f"{len(log)} checkpoints, {unit} {log.step[0]:g} to {log.step[-1]:g}"
        rows = (("run", span),)
    if len(regimes) > 1:
        rows += (("regimes", f"{len(regimes)}, fitted one by one; this is the last"),)
    heading = f"{log.tool} {log.source}".strip() or "run"
    heading += f" ({NUMBERED})" * log.is_numbered
    remarks = ("a law is an association over this run, not a cause",)
    return Summary(heading, "", rows, (*log.notes, *remarks), tuple(sections))
