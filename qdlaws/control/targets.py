"""Where diversity and entropy should be for a goal, and how far the run is from there."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from qdlaws.control.knobs import InForce
from qdlaws.control.steering import PRIOR_GAIN, Steering, steer, steer_by_plant
from qdlaws.core.goal import Goal
from qdlaws.core.interval import Interval, interval
from qdlaws.core.runlog import RunLog
from qdlaws.laws.result import LawFit, LawFits

__all__ = ["Targets", "law_of", "targets"]

Array = npt.NDArray[np.float64]

LEVEL = 0.9


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of a goal, and the step of the log ratio that leads to the binding one."""

    diversity: Interval | None = None
    entropy: Interval | None = None
    steering: dict[str, Steering] = field(default_factory=dict)
    steered: str | None = None  # the column that asks for the lowest ratio
    gain: float = np.nan
    gain_known: bool = False
    from_law: bool = False  # the target comes from the law of quality
    p_price_met: float | None = None
    reasons: tuple[str, ...] = ()

    @property
    def du(self) -> float:
        return np.nan if self.steered is None else self.steering[self.steered].du


def law_of(laws: LawFits | None, column: str) -> LawFit | None:
    """The law of quality on a column."""
    law = None if laws is None else laws.rd if column == "diversity" else laws.rh
    return law if isinstance(law, LawFit) else None


def targets(
    log: RunLog,
    laws: LawFits | None,
    goal: Goal,
    plant_gain: float | None = None,
    knobs: InForce | None = None,
) -> Targets:
    """The targets of diversity and entropy for a goal.

    ``knobs`` are those in force at each row, where the log has them, as a controller's has.
    """
    aims: dict[str, float] = dict(goal.floors())
    reasons: list[str] = []
    point, p_met = _priced(log, laws, goal)
    column = goal.priced(log)
    from_law = False
    if point is not None and column is not None:
        reasons.append(
            f"at a price of {goal.price:g} the best {column} is {point.mid:.3g} "
            f"[{point.low:.3g}, {point.high:.3g}]"
        )
        if point.mid > aims.get(column, -np.inf):
            aims[column], from_law = point.mid, True
    gains = {c: _gain(c, laws, plant_gain if len(aims) == 1 else None) for c in aims}
    steering: dict[str, Steering] = {}
    for c, floor in aims.items():
        y, se = log.column(c), getattr(log, f"{c}_se")
        if knobs is None:
            steering[c] = steer(log.step, y, floor, gains[c], se)
        else:
            steering[c] = steer_by_plant(log.step, y, knobs, floor, gains[c], se)
    steered = _binding(steering)
    out: dict[str, Interval | None] = {"diversity": None, "entropy": None}
    for c, s in steering.items():
        if from_law and c == column:
            out[c] = point
        elif np.isfinite(s.target):
            out[c] = Interval(aims[c], s.target, 2 * s.target - aims[c], LEVEL)
    if out["entropy"] is None and out["diversity"] is not None:
        out["entropy"] = _entropy_at(laws, out["diversity"].mid)
        if out["entropy"] is not None:
            reasons.append(
                f"that is an entropy of {out['entropy'].mid:.3g} "
                f"[{out['entropy'].low:.3g}, {out['entropy'].high:.3g}] by the line of this run"
            )
    return Targets(
        diversity=out["diversity"],
        entropy=out["entropy"],
        steering=steering,
        steered=steered,
        gain=gains[steered] if steered is not None else np.nan,
        gain_known=plant_gain is not None and len(aims) == 1,
        from_law=from_law and steered == column,
        p_price_met=p_met,
        reasons=tuple(reasons),
    )


def _binding(steering: dict[str, Steering]) -> str | None:
    """The column whose target asks for the lowest ratio; one without an answer comes first."""
    if not steering:
        return None
    return min(steering, key=lambda c: -np.inf if np.isnan(steering[c].du) else steering[c].du)


def _gain(column: str, laws: LawFits | None, given: float | None) -> float:
    """−d(column)/du: as given, else from the prior, for entropy through the line H–D."""
    if given is not None:
        return max(float(given), 1e-9)
    line = None if laws is None else laws.hd
    if column == "entropy" and isinstance(line, LawFit) and line.supported:
        slope = float(np.median(line.draws.q / line.draws.width))
        if slope > 0:
            return slope * PRIOR_GAIN["diversity"]
    return PRIOR_GAIN[column]


def _priced(log: RunLog, laws: LawFits | None, goal: Goal) -> tuple[Interval | None, float | None]:
    """The operating point of the price and P(the run is past it); None without a concave law."""
    column = goal.priced(log)
    law = law_of(laws, column) if column is not None else None
    if law is None or goal.price is None or law.verdict != "concave":
        return None, None
    point = law.operating_point(goal.price, LEVEL)
    if not point.known:
        return None, None
    draws = law.draws.operating_point(goal.price)
    now, doubt = float(law.path.mean[-1]), float(np.sqrt((law.path.cov_factor[-1] ** 2).sum()))
    present = now + doubt * np.random.default_rng(0).standard_normal(len(draws))
    # a draw without an operating point (a convex one) never says stop
    return point, float(np.mean(present <= np.where(np.isfinite(draws), draws, -np.inf)))


def _entropy_at(laws: LawFits | None, diversity: float) -> Interval | None:
    """The entropy that belongs to a diversity, by the line H–D."""
    line = None if laws is None else laws.hd
    if not isinstance(line, LawFit) or not line.supported:
        return None
    return interval(line.draws.value(np.array([diversity]))[:, 0], LEVEL)
