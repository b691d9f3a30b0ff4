"""How far the fits can be believed: residuals, certificates, composition."""

from __future__ import annotations

from collections.abc import Sequence

from qdlaws.core.interval import show
from qdlaws.laws.fitted import LAWS
from qdlaws.laws.result import LawFit
from qdlaws.reporting.html import fold, folded, note, number, p_value, table
from qdlaws.reporting.run_data import RunView

__all__ = ["checks_section"]


def checks_section(views: Sequence[RunView]) -> str:
    """Certificates, tests of the residuals and the composition check, each folded."""
    body = _certificates(views) + _residuals(views) + _compositions(views)
    return folded("How far to trust the fits", body, "checks")


def _certificates(views: Sequence[RunView]) -> str:
    rows = [[v.name, law, text] for v in views for law, text in v.certificates.items()]
    if not rows:
        return ""
    intro = note(
        "Runs like this one are simulated, with errors as fitted, with a slow wander and with a "
        "jump, and fitted again; counted is how often the intervals hold the truth."
    )
    return fold("Do the intervals hold?", intro + table(("run", "law", "certificate"), rows))


def _residuals(views: Sequence[RunView]) -> str:
    rows = [row for view in views for row in _residual_rows(view)]
    if not rows:
        return ""
    head = ["run", "law", "checkpoints", "R²", "error", "correlation of errors"]
    head += ["Ljung–Box p", "Durbin–Watson", "Breusch–Pagan p"]
    intro = note(
        "The errors of one run persist, so a Ljung–Box p near 0 (Durbin–Watson below 2) is what to "
        "expect; the intervals here allow for it, ordinary least squares would not. A "
        "Breusch–Pagan p near 0 says that the size of the errors changes along the law."
    )
    return fold("Tests of the residuals", intro + table(head, rows, numbers=2))


def _residual_rows(view: RunView) -> list[list[str]]:
    rows = []
    for kind in LAWS:
        law = view.law(kind)
        if not isinstance(law, LawFit) or law.posterior is None:
            continue
        tests = law.diagnostics()
        cells = [number(value) for value in (law.r2, law.sigma, law.rho)]
        cells += [p_value(tests["ljung_box_p"]), number(tests["durbin_watson"])]
        cells.append(p_value(tests["breusch_pagan_p"]))
        rows.append([view.name, f"{law.y_name} on {law.x_name}", str(law.n), *cells])
    return rows


def _compositions(views: Sequence[RunView]) -> str:
    rows = []
    for view in views:
        check = view.fits.composition
        if check is not None and check.verdict != "cannot tell":
            gaps = [show(check.c_difference), show(check.b_difference)]
            rows.append([view.name, check.verdict, *gaps, "; ".join(check.reasons)])
    if not rows:
        return ""
    intro = note("If H = k·D + m, then c = c0·k and b = b0: two of the laws give the third.")
    head = ("run", "verdict", "c − c0·k", "b − b0", "why")
    return fold("Do the three laws agree with each other?", intro + table(head, rows))
