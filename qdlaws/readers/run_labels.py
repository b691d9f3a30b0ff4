"""The names of runs and of phases in a column of a table, carried as numbers.

Tables hold numbers only. A column ``model`` of words gets a companion that numbers the words, so
that :mod:`qdlaws.readers.several_runs` can tell the runs of a file apart, and
:mod:`qdlaws.readers.phases` the evaluations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from qdlaws.core.number_text import is_unknown
from qdlaws.core.types import Array
from qdlaws.readers.columns.generic_names import RUN_CODE, is_phase_name, is_run_name

__all__ = ["RunLabels"]

MOST_LABELS = 10_000


class RunLabels:
    """The words in the columns ``run``, ``seed``, ``phase`` …, as numbers for a table."""

    def __init__(self) -> None:
        self._codes: dict[str, dict[str, int]] = {}

    def codes(self, name: str, labels: Iterable[object]) -> Array:
        """A number for each label of a column; NaN where it is none."""
        codes = self._codes.setdefault(name, {})
        return np.array([self._code(codes, label) for label in labels])

    def of_row(self, row: Mapping[str, Any]) -> dict[str, float]:
        """The labels of a row as columns of numbers."""
        named = [n for n in row if is_run_name(n) or (is_phase_name(n) and isinstance(row[n], str))]
        return {RUN_CODE + n: self._code(self._codes.setdefault(n, {}), row[n]) for n in named}

    def labels(self) -> dict[str, tuple[str, ...]]:
        """The labels of each column in the order of their numbers."""
        return {name: tuple(codes) for name, codes in self._codes.items()}

    def _code(self, codes: dict[str, int], label: object) -> float:
        if isinstance(label, str) and label in codes:
            return codes[label]
        if not isinstance(label, str | int | float) or is_unknown(str(label)):
            return np.nan
        text = str(label).strip()[:100]
        if text not in codes and len(codes) >= MOST_LABELS:
            return np.nan
        return codes.setdefault(text, len(codes))
