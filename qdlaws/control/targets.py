"""The diversity and entropy to aim for with a goal, and how far the run is from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from qdlaws.control.knobs import InForce
from qdlaws.control.steering import PRIOR_GAIN, Steering, steer, steer_by_plant
from qdlaws.core.goal import Goal
from qdlaws.core.interval import Interval, interval, show
from qdlaws.core.law import Law, shape_slope
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import chance
from qdlaws.core.types import Array
from qdlaws.laws.result import LawFit, LawFits

__all__ = ["GainSource", "PriceAnswer", "Targets", "law_of", "targets"]

LEVEL = 0.9

GRID = 201
"""Places in the range among which the best point for a price is sought."""

EDGE = 0.02
"""Nearer to an end of the range than this share of it the best point is said to be at the end."""

GainSource = Literal["given", "line H–D", "other runs", "this run"]
"""Where the gain comes from: the caller, the fitted line H–D with that of other runs, other runs
alone, or the turns of this run."""
OTHER_RUNS: GainSource = "other runs"


@dataclass(frozen=True, eq=False)
class PriceAnswer:
    """What the law of this run says to a price, whatever the shape of the law.

    Attributes
    ----------
    column, price : what is priced, and the quality that one unit of it is worth
    here : where the run is, in that column
    rate : the exchange rate here, the quality that one more unit costs
    p_rate_below : P(exchange rate here < price): one more unit is worth more than it costs
    best : where in the range of the data R + price·x is largest
    inside : whether that is inside the range; at an end of it the law only shows the direction
    supported : whether the readings support a trade-off between quality and this column
    """

    column: str
    price: float
    here: float
    rate: Interval
    p_rate_below: float
    best: Interval
    inside: bool
    supported: bool

    def rate_words(self) -> str:
        """The rate here against the price."""
        p = self.p_rate_below
        side, p = ("below", p) if p >= 0.5 else ("above", 1 - p)
        return (
            f"at {self.column} {self.here:.3g} a unit of it costs {show(self.rate)} quality, "
            f"{side} your price of {self.price:g} with probability {chance(p)}"
        )

    def best_words(self) -> str:
        """Where the best point is."""
        best = self.best
        if self.inside:
            return (
                f"at a price of {self.price:g} the best {self.column} is {best.mid:.3g} "
                f"[{best.low:.3g}, {best.high:.3g}]"
            )
        return (
            f"at a price of {self.price:g} the best {self.column} in the range of this run is at "
            f"its end, {best.mid:.3g}"
        )


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
    price : what the law says to the price; None where there is no price or no law
    price_problem : why the price cannot be steered by yet; empty where it can, or there is none
    """

    diversity: Interval | None = None
    entropy: Interval | None = None
    floors: Mapping[str, float] = field(default_factory=dict)
    steering: Mapping[str, Steering] = field(default_factory=dict)
    steered: str | None = None
    gain: float = np.nan
    gain_source: GainSource = OTHER_RUNS
    from_price: bool = False
    price: PriceAnswer | None = None
    price_problem: str = ""
    reasons: tuple[str, ...] = ()


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
    price, problem = _price_answer(log, laws, goal)
    priced = goal.priced(log)
    from_price = False
    if price is not None and priced is not None:
        if price.supported:
            reasons.append(price.best_words())
        if price.supported and price.inside and price.best.mid > floors.get(priced, -np.inf):
            floors[priced], from_price = price.best.mid, True
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
            intervals[c] = None if price is None else price.best
        elif np.isfinite(s.target):
            intervals[c] = Interval(floors[c], s.target, 2 * s.target - floors[c], LEVEL)
    diversity, entropy = intervals["diversity"], intervals["entropy"]
    if entropy is None and diversity is not None:
        entropy, words = _entropy_for(log, laws, diversity.mid)
        reasons += words
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
        price=price,
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


def _price_answer(log: RunLog, laws: LawFits | None, goal: Goal) -> tuple[PriceAnswer | None, str]:
    """The answer of the law to the price, and why it cannot be steered by, where that is so."""
    column = goal.priced(log)
    if goal.price is None or column is None:
        return None, ""
    law = law_of(laws, column)
    if law is None or law.posterior is None:
        need = f"a price needs a law of quality on {column}"
        return None, f"{need}, and none could be fitted yet"
    draws = law.draws
    now, doubt = law.present_x, float(np.sqrt((law.path.cov_factor[-1] ** 2).sum()))
    count = len(draws.kappa)
    present = now + doubt * np.random.default_rng(0).standard_normal(count)
    # a law has no slope to be relied on outside of the range that it was fitted in
    places = np.clip(present, draws.x_lo, draws.x_hi)
    rate = -_slope_at(draws, places)
    best = _best_in_range(draws, goal.price)
    margin = EDGE * (draws.x_hi - draws.x_lo)
    inside = (best > draws.x_lo + margin) & (best < draws.x_hi - margin)
    answer = PriceAnswer(
        column=column,
        price=goal.price,
        here=now,
        rate=interval(rate, LEVEL),
        p_rate_below=float((rate < goal.price).mean()),
        best=interval(best, LEVEL),
        inside=bool(inside.mean() > 0.5),
        supported=law.supported,
    )
    if not law.supported:
        why = f" ({law.reasons[0]})" if law.reasons else ""
        return answer, f"no trade-off between quality and {column} is supported{why}"
    if answer.inside:
        return answer, ""
    return answer, f"{answer.best_words()}: where the best one is cannot be told yet"


def _slope_at(law: Law, x: Array) -> Array:
    """dR/dx of each draw at an x for each."""
    return np.asarray(law.q * shape_slope(law.kappa, (x - law.x_lo) / law.width) / law.width)


def _best_in_range(law: Law, price: float) -> Array:
    """The x in the range at which R + price·x is largest, for each draw."""
    grid = np.linspace(law.x_lo, law.x_hi, GRID)
    return np.asarray(grid[np.argmax(law.value(grid) + price * grid, axis=1)])


def _entropy_for(
    log: RunLog, laws: LawFits | None, diversity: float
) -> tuple[Interval | None, list[str]]:
    """The entropy that corresponds to a diversity on the line H–D, and the sentence about it.

    A line has no say far from its readings: further from their range of entropy than this range is
    wide, or below 0 where no reading is, there is no target.
    """
    line = None if laws is None else laws.hd
    if not isinstance(line, LawFit) or not line.supported:
        return None, []
    entropy = interval(line.draws.value(np.array([diversity]))[:, 0], LEVEL)
    low, high = float(np.nanmin(log.column("entropy"))), float(np.nanmax(log.column("entropy")))
    least, most = low - (high - low), high + (high - low)
    if low >= 0:
        least = max(least, 0.0)
    if not least <= entropy.mid <= most:
        return None, [
            f"no entropy to aim for: the fitted H–D line does not reach to a diversity of "
            f"{diversity:.3g}, too far from the entropies of this run, {low:.3g} to {high:.3g}"
        ]
    return entropy, [
        f"a diversity of {diversity:.3g} corresponds to an entropy of "
        f"{entropy.mid:.3g} [{entropy.low:.3g}, {entropy.high:.3g}] (fitted H–D line)"
    ]
