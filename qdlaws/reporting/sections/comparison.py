"""Several runs beside each other: do they follow one law?"""

from __future__ import annotations

from collections.abc import Sequence

from qdlaws.comparison.coefficients import COEFFICIENTS, coefficient_words
from qdlaws.comparison.compare import Comparison, compare
from qdlaws.errors import QdlawsError
from qdlaws.reporting.html import bullets, folded, note, number, p_value, table
from qdlaws.reporting.run_data import RunView

__all__ = ["compared", "comparison_section"]


def compared(views: Sequence[RunView]) -> Comparison | str:
    """The comparison of the runs, or why there is none."""
    try:
        return compare([v.fits for v in views], names=[v.name for v in views])
    except QdlawsError as error:
        return " ".join(str(error).split())


def comparison_section(comparison: Comparison | str) -> str:
    """Coefficients beside each other, and whether they differ."""
    body = bullets([comparison]) if isinstance(comparison, str) else _coefficients(comparison)
    return folded("The laws of the runs beside each other", body, "comparison")


def _coefficients(comparison: Comparison) -> str:
    x = comparison.runs[0].law.x_name
    words = coefficient_words(x)
    rows = []
    for row in comparison.table.to_dict("records"):
        pairs = [f"{number(row[k])} ± {number(row[f'{k}_sd'], 2)}" for k in COEFFICIENTS]
        span = f"{number(row['x_low'])} to {number(row['x_high'])}"
        rows.append([row["run"], row["verdict"], *pairs, span])
    p_values = [p_value(comparison.p_values[k]) for k in COEFFICIENTS]
    rows.append(["p, all the same", "", *p_values, ""])
    head = ("run", "verdict", *(words[k] for k in COEFFICIENTS), f"range of {x}")
    caption = f"the law of quality on {x}, compared at {x} = {comparison.reference:.4g}"
    left = [f"{name} is not compared: {why}" for name, why in comparison.left_out.items()]
    intro = note("Estimate ± standard error. A small p says that the runs differ in the column.")
    return intro + bullets(left) + table(head, rows, caption)
