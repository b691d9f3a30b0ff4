"""Goal: the aims of a run. Contradictions and impossible values are refused with the reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array
from qdlaws.errors import BadData, MissingColumn

__all__ = ["Goal"]


@dataclass(frozen=True)
class Goal:
    """The goal of a run; fields may be combined, none means the highest quality.

    Attributes
    ----------
    min_diversity, min_entropy : floors that the kept checkpoint must hold
    price : the quality that one unit of diversity is worth (of entropy, where the log has no
        diversity): the goal is the largest R + price·D
    min_gain_per_step : stop when a step brings less quality than this
    target_quality : enough; of the checkpoints that reach it the most diverse is kept
    budget_steps : the last step that may be run

    Examples
    --------
    >>> import qdlaws as qd
    >>> qd.Goal(min_diversity=0.7, budget_steps=2000).words()
    'diversity ≥ 0.7, 2000 steps at most'
    """

    min_diversity: float | None = None
    min_entropy: float | None = None
    price: float | None = None
    min_gain_per_step: float | None = None
    target_quality: float | None = None
    budget_steps: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not (
                isinstance(value, int | float | np.number) and np.isfinite(value)
            ):
                raise BadData(f"goal {name} is {value!r}, a finite number was needed")
        for name in ("price", "min_gain_per_step", "budget_steps"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise BadData(f"goal {name} is {value:g}, it must be positive")
        if self.price is not None and self.target_quality is not None:
            raise BadData(
                "contradictory goals: a price says how much quality is worth having, a target "
                "quality says how much is enough; give one of the two"
            )

    def check(self, log: RunLog) -> None:
        """MissingColumn where the log lacks a column that the goal needs."""
        needs = {
            "min_diversity": "diversity",
            "min_entropy": "entropy",
            "min_gain_per_step": "quality",
            "target_quality": "quality",
        }
        for name, column in needs.items():
            if getattr(self, name) is not None and column not in log.columns:
                article, have = "an" if column == "entropy" else "a", ", ".join(log.columns)
                raise MissingColumn(
                    f"goal {name} needs {article} {column} column; this log has {have}"
                )
        for column, floor in self.floors().items():
            _refuse_impossible(column, floor, log.column(column))
        if self.price is not None and self.priced(log) is None:
            raise MissingColumn(
                "a price needs quality and a diversity or entropy column; "
                f"this log has {', '.join(log.columns)}"
            )

    def priced(self, log: RunLog) -> str | None:
        """The column that the price is for."""
        if self.price is None or "quality" not in log.columns:
            return None
        return next((c for c in ("diversity", "entropy") if c in log.columns), None)

    def floors(self) -> dict[str, float]:
        """The floors by column."""
        given = {"diversity": self.min_diversity, "entropy": self.min_entropy}
        return {column: float(v) for column, v in given.items() if v is not None}

    def words(self, clock: str = "step") -> str:
        """The goal in words; ``clock`` is what the log calls a step."""
        parts = [f"{column} ≥ {floor:g}" for column, floor in self.floors().items()]
        if self.target_quality is not None:
            parts.append(f"quality ≥ {self.target_quality:g}")
        if self.price is not None:
            parts.append(f"a price of {self.price:g} quality for a unit of diversity")
        if self.min_gain_per_step is not None:
            parts.append(f"a gain of at least {self.min_gain_per_step:g} per {clock}")
        if self.budget_steps is not None:
            parts.append(f"{self.budget_steps:g} {clock}s at most")
        return ", ".join(parts) or "the highest quality"


def _refuse_impossible(column: str, floor: float, readings: Array) -> None:
    """Raises for a floor that the column cannot have, such as 80 for a diversity of .80."""
    readings = readings[np.isfinite(readings)]
    if not len(readings):
        return
    low, high = float(readings.min()), float(readings.max())
    if column == "diversity" and low >= 0 and high <= 1 < floor:
        hint = f" (did you mean {floor / 100:g}?)" if floor <= 100 else ""
        raise BadData(f"min_diversity is {floor:g}, but diversity lies between 0 and 1{hint}")
    if low >= 0 > floor:
        raise BadData(f"min_{column} is {floor:g}, but {column} is never below 0")
