"""Tables of results, and how far a share may be off by chance."""

from __future__ import annotations

import numpy as np

__all__ = ["markdown", "slack"]


def slack(level: float, reps: int) -> float:
    """Two Monte Carlo standard errors."""
    return 2 * float(np.sqrt(level * (1 - level) / reps))


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table whose columns line up in a terminal too."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [
        " | ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)) for row in [head, *rows]
    ]
    lines.insert(1, " | ".join("-" * w for w in widths))
    return "\n".join(f"| {line} |" for line in lines)
