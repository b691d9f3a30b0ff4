"""Before the first step: diversity along the frontier, and a ratio to start from on the tight side.

From reference samples, their rewards and their distances d alone, for η = reward scale/KL:

    D(η) = Σ_{i≠j} w_i w_j d_ij / (1 − Σ w_i²),   w_i ∝ exp(ηR_i)

the expected distance of two different samples of the tilted reference, duplicates kept. The weights
support it as far as the frontier itself; below that nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Array
from qdlaws.errors import BadData
from qdlaws.kl_frontier.frontier import Frontier

__all__ = ["Start", "diversity_along", "start_ratio"]


@dataclass(frozen=True)
class Start:
    """Where to start: η = reward scale/KL, the diversity foretold there, and the plant's gain."""

    ratio: float
    diversity: float
    gain: float
    """−dD/du at the start, u = log η; NaN where the samples do not say."""
    supported: bool
    """Whether the samples reach the floor; else the ratio is the last that they support."""
    reason: str


def diversity_along(
    frontier: Frontier, distances: Array | Sequence[Array], etas: npt.ArrayLike
) -> Array:
    """D(η), the mean over prompts; NaN beyond the frontier's honest end.

    ``distances`` is (n, n), or one such matrix for each prompt of the frontier; a sample without
    distances (an invalid molecule) has NaN in its row and is left out.
    """
    matrices = _matrices(frontier, distances)
    asked = np.asarray(etas, float)
    out = np.full(asked.shape, np.nan)
    for index, eta in np.ndenumerate(asked):
        if not np.isfinite(frontier.at(float(eta))["ess"]):
            continue
        weights = frontier.weights(float(eta))
        out[index] = np.mean([_expected(w, d) for w, d in zip(weights, matrices, strict=True)])
    return out


def start_ratio(
    frontier: Frontier,
    floor: float,
    distances: Array | Sequence[Array],
    *,
    margin: float = 0.02,
) -> Start:
    """The largest η whose foretold diversity is still ``floor + margin``: the tight side.

    Where the samples do not reach down to it, the η at which a quarter of the KL that they reach
    is spent: trained policies lose more diversity than the tilt (a molecular prior at η = 33 ended
    at D = .79 and 4.2 nats, the tilt has .855 and 2.2), so the last η is no tight start.
    """
    etas = frontier.table["eta"].to_numpy(float)
    etas = etas[(etas > 0) & frontier.table["quality"].notna().to_numpy()]
    curve = diversity_along(frontier, distances, etas)
    etas, curve = etas[np.isfinite(curve)], curve[np.isfinite(curve)]
    if not len(etas):
        raise BadData("the frontier supports no ratio above 0: more reference samples are needed")
    wanted = floor + margin
    prior = float(diversity_along(frontier, distances, [0.0])[0])
    if prior < wanted:
        raise BadData(
            f"the reference itself has a diversity of {prior:.3g}, below the floor of {floor:g} "
            f"and its margin of {margin:g}: no ratio holds it; lower the floor"
        )
    below = np.flatnonzero(curve < wanted)
    last = int(below[0]) if len(below) else len(curve)
    supported = len(below) > 0
    if last == 0:  # already below at the smallest η of the table: between 0 and it
        eta = float(etas[0] * (prior - wanted) / max(prior - curve[0], 1e-12))
    elif supported:
        part = (curve[last - 1] - wanted) / max(curve[last - 1] - curve[last], 1e-12)
        eta = float(etas[last - 1] * (etas[last] / etas[last - 1]) ** part)
    else:
        eta = float(frontier.eta(kl=frontier.kl_end / 4))
    there = float(diversity_along(frontier, distances, [eta])[0])
    # the slope on the tight side, where the samples are many
    before = float(diversity_along(frontier, distances, [eta * np.exp(-0.5)])[0])
    gain = (before - there) / 0.5 if supported else float("nan")
    words = (
        f"diversity {there:.3g} is foretold at a ratio of {eta:.3g}"
        if supported
        else f"the samples do not reach down to the floor of {floor:g}: it starts at a ratio of "
        f"{eta:.3g}, a quarter of the KL that they reach, where the tilt has {there:.3g}"
    )
    return Start(eta, there, gain if gain > 0 else float("nan"), supported, words)


def _expected(weights: Array, distances: Array) -> float:
    """The expected distance of two different samples, of those that have distances."""
    known = np.isfinite(np.diag(distances))
    weights, distances = weights[known], distances[np.ix_(known, known)]
    total = float(weights.sum())
    if not total > 0:
        return float("nan")
    weights = weights / total
    same = float(weights @ weights)
    together = float(weights @ distances @ weights) - float(weights**2 @ np.diag(distances))
    return together / (1 - same) if same < 1 else float("nan")


def _matrices(frontier: Frontier, distances: Array | Sequence[Array]) -> list[Array]:
    prompts, n = frontier.rewards.shape
    matrices = [np.asarray(d, float) for d in distances] if np.ndim(distances) != 2 else []
    matrices = matrices or [np.asarray(distances, float)]
    if len(matrices) != prompts or any(d.shape != (n, n) for d in matrices):
        shapes = ", ".join(str(d.shape) for d in matrices[:3])
        raise BadData(f"distances of shape {shapes}: {prompts} of ({n}, {n}) were needed")
    return matrices
