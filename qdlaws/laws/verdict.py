"""The verdict on a law: what it is, how probable that is, and why, in plain words.

A trade-off is *clear* where P(the law falls over the observed range of x) ≥ .975 and *likely* from
.9, whichever way time runs. It is **concave** where P(κ > 0) ≥ .93, **convex** where that is ≤ .1,
**linear** where P(|κ| < 1) ≥ .9, and **falling** where the bend is not known; one whose P(|κ| < 1)
is above .3 (convex: .4; .7 from P = .995) has no bend to speak of. Quality that is best inside the
range is **peaked**. Everything else is **unsupported**; so is a law that does not describe its run
(:mod:`qdlaws.laws.adequacy`) or that a change in step explains better
(:mod:`qdlaws.laws.alternatives`). Where x moves one way all along, a drift in step may explain
quality as well as x does: such a ``rival`` is named. The thresholds were chosen on simulated runs
(``benchmarks/verdicts.py``).
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np

from qdlaws.core.interval import Interval, median, quantiles, show, unknown
from qdlaws.core.law import Law
from qdlaws.core.types import Array
from qdlaws.laws.adequacy import (
    BlockMeans,
    block_means,
    calibration_slope,
    explained,
    least_squares,
    most_influential_row,
    share_inside,
)
from qdlaws.laws.alternatives import STRONG, RivalForms
from qdlaws.laws.evidence import Evidence

__all__ = [
    "CLEAR",
    "LIKELY",
    "NO_LAW",
    "SUPPORTED",
    "WORDS",
    "Strength",
    "Verdict",
    "Word",
    "line_verdict",
    "probability_text",
    "verdict",
]

Word = Literal["concave", "convex", "linear", "falling", "peaked", "unsupported"]

WORDS: tuple[Word, ...] = get_args(Word)
"""The verdicts that there are."""

SUPPORTED: tuple[Word, ...] = ("concave", "convex", "linear", "falling")
"""The verdicts that say that there is a law: quality falls as x rises (hd: a line)."""

NO_LAW: tuple[Word, ...] = ("peaked", "unsupported")
"""The other verdicts, whose curves are drawn dotted."""

Strength = Literal["clear", "likely", ""]

CLEAR, LIKELY = 0.975, 0.9
"""The posterior probabilities from which a statement is clear, and likely."""

BENT = {"concave": (0.93, 0.3), "convex": (0.9, 0.4)}
"""The posterior probability from which a law is bent one way, and the P(|κ| < 1) above which it has
no bend to speak of, though its sign may be known: errors that last make a straight law bend by that
much, and mostly to look concave, since x falls fast at first. On simulated lines whose errors are
short of memory it says so in 4 % of runs."""

SLIGHTLY_BENT = (0.995, 0.7)
"""The same for a bend whose sign is beyond doubt: it may be slight."""

BENT_BESIDE_DRIFT = 0.96
"""The probability from which a bend stands beside a drift in step that fits better."""

STRAIGHT = 0.9
"""P(|κ| < 1) from which a law is linear."""

LEAST_R2 = {"clear": 0.1, "likely": 0.25}
"""R² of the block means below which the curve does not describe the run; the readings themselves
need the smaller one."""

CALIBRATION = (0.25, 4.0)
"""The change of the readings over that of the law by least squares: its allowed range."""

MOST_MISSED = 0.15
"""R² of the block means that the same formula by least squares may gain on the law, where the two
disagree on the change, before the shape of the law counts as unknown."""

SAME_BEND = 0.2
"""κ by least squares over that of the law, below which the readings do not bend as the law does."""

LEAST_INSIDE = 0.8
"""The share of readings that the 95 % observation band has to hold."""

LEAST_WITHOUT_A_ROW = 0.05
"""Squared correlation of readings and law that has to be left when any one row is left out."""


class Verdict(NamedTuple):
    """A verdict in one word, its probability and strength, and the reasons in sentences.

    ``probability`` is that of a trade-off; of a peak where the word is "peaked"; of a rise for
    entropy on diversity; NaN where the law does not describe the run. ``best`` is the x at which
    peaked quality is best, ``rival`` a change in step that explains quality as well as x does.
    """

    word: Word
    reasons: tuple[str, ...]
    probability: float = np.nan
    best: Interval = unknown()
    rival: str = ""

    @property
    def strength(self) -> Strength:
        """ "clear" or "likely"; empty for an unsupported law."""
        return "" if self.word == "unsupported" else strength(self.probability)


def strength(probability: float) -> Strength:
    """The word for a probability."""
    return "clear" if probability >= CLEAR else "likely" if probability >= LIKELY else ""


def probability_text(probability: float) -> str:
    """A probability with three digits, rounded so that it never looks stronger than its word."""
    text = f"{probability:.3f}"
    stronger = strength(float(text)) != strength(probability) and float(text) > probability
    return f"{probability - 0.0005:.3f}" if stronger else text


def verdict(e: Evidence) -> Verdict:
    """The verdict on a law of quality, and why."""
    cautions = _cautions(e)
    blocks = block_means(e.step, e.x, e.y, e.curve, e.weight)
    forms = RivalForms(blocks, (e.law.x_lo, e.law.x_hi))
    peak = forms.peak
    if peak.probability >= LIKELY and forms.delta("two lines") < 0:
        why = (
            f"{e.y_name} is best inside the range, at {e.x_name} = {show(peak.place)}, and falls "
            f"to both sides (P = {peak.probability:.2f})"
        )
        return Verdict("peaked", (why, *cautions), peak.probability, peak.place)
    falls = p_falls(e)
    if falls < LIKELY:
        return Verdict("unsupported", (_no_trade_off(e, falls), *cautions), falls)
    misfits = _misfits(e, strength(falls), blocks)
    if misfits:
        return Verdict("unsupported", (*misfits, *cautions))
    rivals = _changes_in_step(e, forms, strength(falls))
    if refusals := [rival.why for rival in rivals if rival.refuses]:
        return Verdict("unsupported", (*refusals, *cautions))
    word, reasons = _shape(e, forms, falls, _unsettled(e, blocks))
    whys, names = [rival.why for rival in rivals], " or ".join(rival.name for rival in rivals)
    rival = f"{names} in step" if names else ""
    return Verdict(word, (*reasons, *whys, *cautions), falls, rival=rival)


def p_falls(e: Evidence) -> float:
    """P(the law falls): where it is ``CLEAR``, the 95 % interval of the change excludes 0."""
    return min(e.p_falls, float(np.mean(e.law.q < 0)))


def _no_trade_off(e: Evidence, falls: float) -> str:
    """Why no trade-off is seen, where the posterior itself does not show one."""
    if falls <= 1 - LIKELY:
        sure = "" if falls <= 1 - CLEAR else "probably "
        return (
            f"{e.x_name} and {e.y_name} {sure}rise together: nothing is traded for {e.y_name} "
            f"(P(it falls) = {falls:.2f})"
        )
    low, high = quantiles(e.law.q, (0.025, 0.975))
    return (
        f"no trade-off can be seen: from low to high {e.x_name}, {e.y_name} changes by "
        f"{low:+.3g} to {high:+.3g} (P(it falls) = {falls:.2f})"
    )


def _misfits(e: Evidence, size: Strength, blocks: BlockMeans) -> list[str]:
    """The ways in which the law does not describe its run."""
    misfits = []
    r2, least = explained(blocks.y, blocks.curve), LEAST_R2[size]
    slope = calibration_slope(blocks.y, blocks.curve)
    if slope < 0:
        misfits.append(
            f"the readings go the other way: by least squares {e.y_name} rises with {e.x_name}"
        )
    plain = explained(e.y, e.curve)
    if r2 < least:
        misfits.append(
            f"the curve does not describe this run: R² of its block means is {r2:.2f}, "
            f"a {size} law needs {least:g}"
        )
    elif plain < LEAST_R2["clear"]:
        misfits.append(f"the curve says little of the single readings: R² is {plain:.2f}")
    elif not CALIBRATION[0] <= slope <= CALIBRATION[1]:
        misfits.append(f"by least squares the change is {slope:.2g} times that of the law")
    inside = share_inside(e.y, e.curve, _observation_error(e))
    if inside < LEAST_INSIDE:
        misfits.append(f"only {inside:.0%} of the readings lie in the 95 % band of readings")
    row, left = most_influential_row(e.y, e.curve, e.weight)
    if left < LEAST_WITHOUT_A_ROW and not misfits:
        misfits.append(f"it rests on step {e.step[row]:g}: without that row nothing is left of it")
    return misfits


def _observation_error(e: Evidence) -> Array:
    """The standard deviation of a reading about the law, at every row."""
    variance = median(e.sigma) ** 2 * (
        np.ones(len(e.y)) if e.weight is None else (1 + e.weight) / 2
    )
    law = Law(
        e.law.x_lo, e.law.x_hi, *(np.asarray(median(v)) for v in (e.law.kappa, e.law.p, e.law.q))
    )
    return np.asarray(np.sqrt(variance + (law.slope(e.x) * e.path_error) ** 2))


def _bend(e: Evidence, sure: float = 0.0) -> str:
    """ "concave" or "convex" where the posterior is sure of the bend, else empty."""
    for word, p in (("concave", e.p_concave), ("convex", 1 - e.p_concave)):
        for least, most_straight in (BENT[word], SLIGHTLY_BENT):
            if p >= max(least, sure) and e.p_straight <= most_straight:
                return word
    return ""


class _ChangeInStep(NamedTuple):
    """A change in step that explains quality as well as x does, with no fall beside it."""

    name: str
    why: str
    refuses: bool  # it explains quality so much better that there is no law


def _changes_in_step(e: Evidence, forms: RivalForms, size: Strength) -> list[_ChangeInStep]:
    """The changes in step that stand against the law."""
    changes = []
    for form, (words, gains, least_left) in CHANGES_IN_STEP.items():
        gain = -forms.delta(form)
        if gain < -AS_WELL or (left := forms.p_falls_beside(form)) >= least_left:
            continue
        better = gain >= gains[size == "likely"]
        how, end = ("better than", "") if better else ("as well as", ": one run cannot tell which")
        why = (
            f"{words} in step explains {e.y_name} {how} {e.x_name} does (ΔBIC {-gain:+.0f}; "
            f"beside it P(it falls) = {left:.2f}){end}"
        )
        bent = form == "line in step" and bool(_bend(e, BENT_BESIDE_DRIFT))
        changes.append(_ChangeInStep(words, why, better and not bent))
    return changes


CHANGES_IN_STEP = {
    "line in step": ("a steady drift", (2.5, 2.0), LIKELY),
    "jump in step": ("one jump", (STRONG, 4.0), CLEAR),
}
"""Changes in step in words, the gains of BIC from which they count against a clear and against a
likely law, and the P(it falls) beside them that leaves the law standing. Lower gains would refuse
too many true laws, whose x drifts as well.
"""

AS_WELL = 2.0
"""A difference of BIC not worth more than a bare mention (Kass and Raftery 1995)."""


def _unsettled(e: Evidence, blocks: BlockMeans) -> tuple[str, ...]:
    """Says so where the same formula by least squares describes the run clearly better.

    Where the two disagree on the size or on the bend, that quality falls is known, the shape is
    not: the law takes much of what is seen for errors that last.
    """
    r2 = explained(blocks.y, blocks.curve)
    best, kappa = least_squares(blocks.x, blocks.y) if r2 < 1 - MOST_MISSED else (r2, 0.0)
    if best - r2 < MOST_MISSED:
        return ()
    slope, low = calibration_slope(blocks.y, blocks.curve), quantiles(e.law.q, (0.025,))[0]
    if slope * median(e.law.q) < low:  # the readings fall more than the law may
        return (
            f"its size and shape are not settled: by least squares {e.y_name} changes {slope:.1f} "
            "times as much as the law says, which takes the rest for errors that last",
        )
    bend = median(e.law.kappa)
    if kappa * np.sign(bend) < SAME_BEND * abs(bend):
        return (
            "its shape is not settled: by least squares the curve does not bend that way, the law "
            "takes that for errors that last",
        )
    return ()


def _shape(
    e: Evidence, forms: RivalForms, p: float, unsettled: tuple[str, ...]
) -> tuple[Word, tuple[str, ...]]:
    """The word for the shape of a law that falls, and the reasons."""
    falls, bend = (
        f"{strength(p)} trade-off with {e.x_name}, P(it falls) = {probability_text(p)}",
        _bend(e),
    )
    if unsettled:
        return "falling", (falls, *unsettled)
    kinked = _kinked_form(e, forms)
    if bend == "concave":
        why = f"{e.y_name} saturates: the last units of {e.x_name} given up bring the least"
        return "concave", (f"{why} {e.y_name} (P(c > 0) = {e.p_concave:.3f})", falls, *kinked)
    if bend == "convex":
        why = f"{e.y_name} accelerates: the last units of {e.x_name} given up bring the most"
        return "convex", (f"{why} {e.y_name} (P(c < 0) = {1 - e.p_concave:.3f})", falls, *kinked)
    if kinked:
        return "falling", (falls, *kinked)
    if e.p_straight >= STRAIGHT:
        return "linear", (f"nearly straight (P(|κ| < 1) = {e.p_straight:.2f})", falls)
    low, high = (v / e.law.width for v in quantiles(e.law.kappa, (0.025, 0.975)))
    steplike = ("step-like: the curvature is not identified",) if e.p_steplike > 0.05 else ()
    known = "not known" if low * high < 0 else "slight"
    return "falling", (f"{falls}; bend {known}: c between {low:.3g} and {high:.3g}", *steplike)


def _kinked_form(e: Evidence, forms: RivalForms) -> tuple[str, ...]:
    """A form that bends at one place and fits clearly better than the law, in words."""
    best = min(KINKED, key=forms.delta)
    if forms.delta(best) > -STRONG:
        return ()
    form = KINKED[best].format(x=e.x_name, y=e.y_name)
    return (f"{form} fits clearly better than the law (ΔBIC {forms.delta(best):.0f})",)


KINKED = {
    "level below a break": "a line that is level at low {x}",
    "level above a break": "a line that is level at high {x}",
    "two lines": "a line with a kink",
}
"""Forms that fall as well but bend at one place, in words."""


def line_verdict(line: Evidence, curve_law: Law, p_straight: float, p_curved: float) -> Verdict:
    """The verdict on H = k·D + m: a rising line, or none (P(|κ| < 1) < .1 is no line).

    ``line`` is the evidence of the line; ``curve_law``, ``p_straight`` and ``p_curved`` are those
    of a curve fitted to the same readings.
    """
    x_name, y_name, cautions = line.x_name, line.y_name, _cautions(line)
    rises = min(1 - line.p_falls, float(np.mean(line.law.q > 0)))
    if rises < LIKELY:
        if line.p_falls >= LIKELY:
            why = f"{y_name} falls as {x_name} rises: they do not measure the same collapse"
        else:
            why = f"{y_name} does not follow {x_name} (P(it rises) = {rises:.2f})"
        return Verdict("unsupported", (why, *cautions), rises)
    if p_straight < 0.1:
        kappa = median(curve_law.kappa)
        steeper = "high" if kappa > 0 else "low"
        why = (
            f"not a line: {y_name} changes {np.exp(abs(kappa)):.1f} times faster at {steeper} "
            f"{x_name} than at the other end"
        )
        return Verdict("unsupported", (why, *cautions), rises)
    blocks = block_means(line.step, line.x, line.y, line.curve, line.weight)
    r2, least = explained(blocks.y, blocks.curve), LEAST_R2[strength(rises)]
    if r2 < least:
        why = (
            f"the line does not describe this run: R² of its block means is {r2:.2f}, "
            f"a {strength(rises)} line needs {least:g}"
        )
        return Verdict("unsupported", (why, *cautions))
    how = "on a slightly bent line" if p_curved > 0.95 else "nearly on a line"
    why = f"{y_name} rises with {x_name}, {how} (P(it rises) = {rises:.3f})"
    return Verdict("linear", (why, *cautions), rises)


def _cautions(e: Evidence) -> tuple[str, ...]:
    """Reasons to doubt a law: a range of x within its noise, and errors that last."""
    cautions = []
    if e.law.width < 3 * e.noise:
        cautions.append(
            f"range of {e.x_name} too small: {e.law.width:.3g}, its noise is {e.noise:.2g}"
        )
    if float(np.mean(e.slow > 0.3)) > 0.5:
        cautions.append("the curve misses slow drifts of a third of the run: treat it as rough")
    return tuple(cautions)
