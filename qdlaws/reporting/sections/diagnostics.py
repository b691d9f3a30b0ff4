"""How far the fits can be believed: residuals, certificates, composition."""

from __future__ import annotations

from collections.abc import Sequence

from qdlaws.core.summary import show
from qdlaws.laws.fit import LAWS
from qdlaws.laws.result import LawFit
from qdlaws.reporting.html import number, p_value, section, table
from qdlaws.reporting.run_data import RunView

__all__ = ["checks_section"]

HEAD = (
    "run",
    "law",
    "checkpoints",
    "R²",
    "error",
    "correlation of errors",
    "Ljung–Box p",
    "Durbin–Watson",
    "Breusch–Pagan p",
)


def checks_section(views: Sequence[RunView]) -> str:
    """Residual diagnostics of every law, certificates and the composition check."""
    rows = [row for view in views for row in _residuals(view)]
    told = (
        "The errors of one run persist, so a Ljung–Box p near 0 (Durbin–Watson below 2) is what to "
        "expect; the intervals here allow for it, ordinary least squares would not. A "
        "Breusch–Pagan p near 0 says that the size of the errors changes along the law."
    )
    body = table(HEAD, rows, "Residuals of the fitted laws") + f'<p class="soft">{told}</p>'
    if any(view.certificates for view in views):
        body += _certificates(views)
    body += _compositions(views)
    return section("Diagnostics", body if rows else "", "checks")


def _residuals(view: RunView) -> list[list[str]]:
    rows = []
    for kind in LAWS:
        law = view.law(kind)
        if not isinstance(law, LawFit) or law.posterior is None:
            continue
        found = law.diagnostics()
        name = f"{law.y_name} on {law.x_name}"
        cells = [number(value) for value in (law.r2, law.sigma, law.rho)]
        cells += [p_value(found["ljung_box_p"]), number(found["durbin_watson"])]
        rows.append([view.name, name, str(law.n), *cells, p_value(found["breusch_pagan_p"])])
    return rows


def _certificates(views: Sequence[RunView]) -> str:
    rows = [[v.name, law, text] for v in views for law, text in v.certificates.items()]
    told = (
        "A certificate simulates runs from the fit, refits them, and counts how often the "
        "intervals held the truth."
    )
    return table(("run", "law", "certificate"), rows, "Certificates of the intervals") + (
        f'<p class="soft">{told}</p>'
    )


def _compositions(views: Sequence[RunView]) -> str:
    rows = []
    for view in views:
        found = view.fits.composition
        if found is not None:
            gaps = [show(found.c_difference), show(found.b_difference)]
            rows.append([view.name, found.verdict, *gaps, "; ".join(found.reasons)])
    if not rows:
        return ""
    head = ("run", "verdict", "c − c0·k", "b − b0", "why")
    return table(head, rows, "Do the three laws compose? H = k·D + m gives c = c0·k and b = b0")
