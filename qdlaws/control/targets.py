"""The diversity and entropy to aim for with a goal, and how far the run is from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from qdlaws.control.knobs import InForce
from qdlaws.control.steering import PRIOR_GAIN, Steering, steer, steer_by_plant
from qdlaws.core.goal import Goal
from qdlaws.core.interval import Interval, interval
from qdlaws.core.runlog import RunLog
from qdlaws.laws.result import LawFit, LawFits

__all__ = ["GainSource", "Targets", "law_of", "targets"]

LEVEL = 0.9

GainSource = Literal["given", "line H–D", "other runs", "this run"]
"""Where the gain comes from: the caller, the fitted line H–D with that of other runs, other runs
alone, or the turns of this run."""
OTHER_RUNS: GainSource = "other runs"


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of a goal, and the step of the log ratio that leads to the binding one.

    Attributes
    ----------
    diversity, entropy : Interval from the floor up, its middle the target
    floors : the level that each column is to stay above: the goal's floor or the price's optimum
    steering : where each of these columns stands and goes
    steered : the column whose target needs the lowest ratio
    gain, gain_source : −d(steered column)/du and where it comes from
    from_price : whether the target of the steered column is the optimum of the price
    p_price_met : probability that the run is past that optimum; None without a concave law
    price_problem : why the price cannot be acted on yet; empty where it can, or where there is none
    """

    diversity: Interval | None = None
    entropy: Interval | None = None
    floors: Mapping[str, float] = field(default_factory=dict)
    steering: Mapping[str, Steering] = field(default_factory=dict)
    steered: str | None = None
    gain: float = np.nan
    gain_source: GainSource = OTHER_RUNS
    from_price: bool = False
    p_price_met: float | None = None
    price_problem: str = ""
    reasons: tuple[str, ...] = ()

    @property
    def du(self) -> float:
        """The step of u for the binding target; NaN where nothing can be said."""
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
    floors: dict[str, float] = dict(goal.floors())
    reasons: list[str] = []
    optimum, p_met, problem = _optimum(log, laws, goal)
    priced = goal.priced(log)
    from_price = False
    if optimum is not None and priced is not None:
        reasons.append(
            f"at a price of {goal.price:g} the best {priced} is {optimum.mid:.3g} "
            f"[{optimum.low:.3g}, {optimum.high:.3g}]"
        )
        if optimum.mid > floors.get(priced, -np.inf):
            floors[priced], from_price = optimum.mid, True
    gains = {c: _gain(c, laws, plant_gain if len(floors) == 1 else None) for c in floors}
    steering: dict[str, Steering] = {}
    for c, floor in floors.items():
        y, se = log.column(c), getattr(log, f"{c}_se")
        if knobs is None:
            steering[c] = steer(log.step, y, floor, gains[c][0], se)
        else:
            steering[c] = steer_by_plant(log.step, y, knobs, floor, gains[c][0], se)
    steered = _binding(steering)
    intervals: dict[str, Interval | None] = {"diversity": None, "entropy": None}
    for c, s in steering.items():
        if from_price and c == priced:
            intervals[c] = optimum
        elif np.isfinite(s.target):
            intervals[c] = Interval(floors[c], s.target, 2 * s.target - floors[c], LEVEL)
    diversity, entropy = intervals["diversity"], intervals["entropy"]
    if entropy is None and diversity is not None:
        entropy = _entropy_for(laws, diversity.mid)
        if entropy is not None:
            reasons.append(
                f"a diversity of {diversity.mid:.3g} corresponds to an entropy of "
                f"{entropy.mid:.3g} [{entropy.low:.3g}, {entropy.high:.3g}] (fitted H–D line)"
            )
    gain, source = gains[steered] if steered is not None else (np.nan, OTHER_RUNS)
    if steered is not None and steering[steered].plant is not None and _has_turns(knobs):
        source = "this run"
    return Targets(
        diversity=diversity,
        entropy=entropy,
        floors=floors,
        steering=steering,
        steered=steered,
        gain=gain,
        gain_source=source,
        from_price=from_price and steered == priced,
        p_price_met=p_met,
        price_problem=problem,
        reasons=tuple(reasons),
    )


def _binding(steering: Mapping[str, Steering]) -> str | None:
    """The column whose target needs the lowest ratio; one without an answer comes first."""
    if not steering:
        return None
    return min(steering, key=lambda c: -np.inf if np.isnan(steering[c].du) else steering[c].du)


def _gain(column: str, laws: LawFits | None, given: float | None) -> tuple[float, GainSource]:
    """−d(column)/du: as given, else from other runs, for entropy through the line H–D."""
    if given is not None:
        return max(float(given), 1e-9), "given"
    line = None if laws is None else laws.hd
    if column == "entropy" and isinstance(line, LawFit) and line.supported:
        slope = float(np.median(line.draws.q / line.draws.width))
        if slope > 0:
            return slope * PRIOR_GAIN["diversity"], "line H–D"
    return PRIOR_GAIN[column], OTHER_RUNS


def _has_turns(knobs: InForce | None) -> bool:
    """Whether the ratio was turned between the rows of a log."""
    ratio = np.array([]) if knobs is None else knobs.ratio[np.isfinite(knobs.ratio)]
    return len(ratio) > 1 and bool(np.ptp(ratio) > 0)


def _optimum(
    log: RunLog, laws: LawFits | None, goal: Goal
) -> tuple[Interval | None, float | None, str]:
    """The operating point of the price, P(the run is past it), and the problem where neither is."""
    column = goal.priced(log)
    if goal.price is None or column is None:
        return None, None, ""
    law = law_of(laws, column)
    if law is None:
        need = f"a price needs a law of quality on {column}"
        return None, None, f"{need}, and none could be fitted yet"
    if law.verdict != "concave":
        verdict = f"{law.verdict}: {law.reasons[0]}" if law.reasons else law.verdict
        need = f"a price needs a concave law of quality on {column}"
        return None, None, f"{need}; this one is {verdict}"
    point = law.operating_point(goal.price, LEVEL)
    if not point.known:
        return None, None, f"the law of quality on {column} has no optimum at this price"
    draws = law.draws.operating_point(goal.price)
    now, doubt = float(law.path.mean[-1]), float(np.sqrt((law.path.cov_factor[-1] ** 2).sum()))
    present = now + doubt * np.random.default_rng(0).standard_normal(len(draws))
    # a draw without an operating point (a convex one) never says stop
    met = float(np.mean(present <= np.where(np.isfinite(draws), draws, -np.inf)))
    return point, met, ""


def _entropy_for(laws: LawFits | None, diversity: float) -> Interval | None:
    """The entropy that corresponds to a diversity on the line H–D."""
    line = None if laws is None else laws.hd
    if not isinstance(line, LawFit) or not line.supported:
        return None
    return interval(line.draws.value(np.array([diversity]))[:, 0], LEVEL)
