"""The verdict on a law, computed from its posterior alone, and the reasons in plain words.

There is a trade-off where P(the law falls over the observed range of x) ≥ .975, whichever way time
runs. It is concave where P(κ > 0) ≥ .96, convex where that is ≤ .04, else linear.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from qdlaws.core.interval import median, quantiles
from qdlaws.inference.law_posterior import LawPosterior

__all__ = ["SURE", "Verdict", "line_verdict", "verdict"]

Word = Literal["concave", "convex", "linear", "unsupported"]

SURE = 0.975
"""The posterior probability from which a statement is made."""


BENT = 0.96
"""The posterior probability from which a law is bent one way: on simulated lines of six kinds of
errors it says so in 7.5 % of runs, as often as .975 did under the earlier prior of the memory."""


class Verdict(NamedTuple):
    """A verdict in one word, and the reasons for it in sentences."""

    word: Word
    reasons: tuple[str, ...]


def verdict(post: LawPosterior, x_name: str, y_name: str, span: float, noise: float) -> Verdict:
    """The verdict on a law of quality, and why.

    ``span`` is the length of the run in steps, ``noise`` the typical error of x.
    """
    cautions = _cautions(post, x_name, span, noise)
    width = post.law.width
    if post.p_steplike > 0.05 and post.p_falls >= SURE:
        cautions = ("step-like: the curvature is not identified", *cautions)
    if post.p_falls < SURE:
        if post.p_falls <= 1 - SURE:
            why = f"{x_name} and {y_name} rise together: nothing is traded for {y_name}"
        else:
            change = quantiles(post.law.q, (0.025, 0.975))
            why = (
                f"no trade-off can be seen: from low to high {x_name}, {y_name} changes by "
                f"{change[0]:+.3g} to {change[1]:+.3g} (P(it falls) = {post.p_falls:.2f})"
            )
        return Verdict("unsupported", (why, *cautions))
    if post.p_concave >= BENT:
        why = f"{y_name} saturates: the last units of {x_name} given up bring the least {y_name}"
        return Verdict("concave", (f"{why} (P(c > 0) = {post.p_concave:.3f})", *cautions))
    if post.p_concave <= 1 - BENT:
        why = f"{y_name} accelerates: the last units of {x_name} given up bring the most {y_name}"
        return Verdict("convex", (f"{why} (P(c < 0) = {1 - post.p_concave:.3f})", *cautions))
    if post.p_straight >= 0.9:
        return Verdict(
            "linear", (f"nearly straight (P(|κ| < 1) = {post.p_straight:.2f})", *cautions)
        )
    low, high = quantiles(post.law.kappa, (0.025, 0.975))
    why = f"curvature unknown: c between {low / width:.3g} and {high / width:.3g}"
    return Verdict("linear", (why, *cautions))


def line_verdict(
    line: LawPosterior, curve: LawPosterior, x_name: str, y_name: str, span: float, noise: float
) -> Verdict:
    """The verdict on H = k·D + m: a rising line, or none (P(|κ| < 1) < .1 is no line)."""
    cautions = _cautions(line, x_name, span, noise)
    rises = 1 - line.p_falls
    if rises < SURE:
        if line.p_falls >= SURE:
            why = f"{y_name} falls as {x_name} rises: they do not measure the same collapse"
        else:
            why = f"{y_name} does not follow {x_name} (P(it rises) = {rises:.2f})"
        return Verdict("unsupported", (why, *cautions))
    if curve.p_straight < 0.1:
        kappa = median(curve.law.kappa)
        steeper = "high" if kappa > 0 else "low"
        why = (
            f"not a line: {y_name} changes {np.exp(abs(kappa)):.1f} times faster at {steeper} "
            f"{x_name} than at the other end"
        )
        return Verdict("unsupported", (why, *cautions))
    why = f"{y_name} rises with {x_name}, nearly on a line"
    if curve.p_curved > 0.95:
        why = f"{y_name} rises with {x_name} on a slightly bent line"
    return Verdict("linear", (why, *cautions))


def _cautions(post: LawPosterior, x_name: str, span: float, noise: float) -> tuple[str, ...]:
    """Reasons to doubt a law: a range of x within its noise, and errors that last."""
    cautions = []
    if post.law.width < 3 * noise:
        cautions.append(
            f"range of {x_name} too small: {post.law.width:.3g}, its noise is {noise:.2g}"
        )
    slow = (1 - post.white) * (post.memory > span / 3)
    if float(np.mean(slow > 0.3)) > 0.5:
        cautions.append("the curve misses slow drifts of a third of the run: treat it as rough")
    return tuple(cautions)
