"""A ratio reward scale/KL to start a run from, by the diversity predicted along the frontier.

From reference samples, their rewards and their distances d alone, for η = reward scale/KL:

    D(η) = Σ_{i≠j} w_i w_j d_ij / (1 − Σ w_i²),   w_i ∝ exp(ηR_i)

the expected distance of two different samples of the tilted reference, duplicates kept; it is as
far supported by the samples as the frontier itself, and NaN beyond.
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
    """A ratio η = reward scale/KL to start from, its predicted diversity, and the plant's gain."""

    ratio: float
    diversity: float
    gain: float
    """−dD/du at the start, u = log η; NaN where the samples do not support it."""
    supported: bool
    """Whether the samples reach the floor; else the ratio is the last that they support."""
    reason: str


def diversity_along(
    frontier: Frontier, distances: Array | Sequence[Array], etas: npt.ArrayLike
) -> Array:
    """D(η), the mean over prompts; NaN beyond the largest KL of the frontier.

    ``distances`` is (n, n), or one such matrix for each prompt of the frontier; a sample without
    distances (an invalid molecule) has NaN in its row and is left out.
    """
    matrices = _matrices(frontier, distances)
    etas = np.asarray(etas, float)
    out = np.full(etas.shape, np.nan)
    for index, eta in np.ndenumerate(etas):
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
    """The largest η whose predicted diversity is still ``floor + margin``.

    Where the samples cannot predict so low a diversity, the η at a quarter of the largest KL that
    they support: trained policies lose more diversity than the tilt (a molecular prior at η = 33
    ended at D = .79 and 4.2 nats, the tilt has .855 and 2.2), so the last η would be no safe start.
    """
    etas = frontier.table["eta"].to_numpy(float)
    etas = etas[(etas > 0) & frontier.table["quality"].notna().to_numpy()]
    curve = diversity_along(frontier, distances, etas)
    etas, curve = etas[np.isfinite(curve)], curve[np.isfinite(curve)]
    if not len(etas):
        raise BadData("the frontier supports no ratio above 0: more reference samples are needed")
    target = floor + margin
    prior = float(diversity_along(frontier, distances, [0.0])[0])
    if prior < target:
        raise BadData(
            f"the reference itself has a diversity of {prior:.3g}, below the floor of {floor:g} "
            f"and its margin of {margin:g}: no ratio holds it; lower the floor"
        )
    below = np.flatnonzero(curve < target)
    last = int(below[0]) if len(below) else len(curve)
    supported = len(below) > 0
    if last == 0:  # already below at the smallest η of the table: between 0 and it
        eta = float(etas[0] * (prior - target) / max(prior - curve[0], 1e-12))
    elif supported:
        part = (curve[last - 1] - target) / max(curve[last - 1] - curve[last], 1e-12)
        eta = float(etas[last - 1] * (etas[last] / etas[last - 1]) ** part)
    else:
        eta = float(frontier.eta(kl=frontier.kl_end / 4))
    diversity = float(diversity_along(frontier, distances, [eta])[0])
    # the slope towards smaller η, where the effective samples are many
    before = float(diversity_along(frontier, distances, [eta * np.exp(-0.5)])[0])
    gain = (before - diversity) / 0.5 if supported else float("nan")
    start = f"start at a reward scale/KL of {eta:.3g} (predicted diversity {diversity:.3g})"
    if not supported:
        start = f"{frontier.n} samples cannot predict a diversity of {floor:g}; {start} and adjust"
    return Start(eta, diversity, gain if gain > 0 else float("nan"), supported, start)


def _expected(weights: Array, distances: Array) -> float:
    """The expected distance of two different samples, of those that have distances."""
    valid = np.isfinite(np.diag(distances))
    weights, distances = weights[valid], distances[np.ix_(valid, valid)]
    total = float(weights.sum())
    if not total > 0:
        return float("nan")
    weights = weights / total
    same = float(weights @ weights)
    different = float(weights @ distances @ weights) - float(weights**2 @ np.diag(distances))
    return different / (1 - same) if same < 1 else float("nan")


def _matrices(frontier: Frontier, distances: Array | Sequence[Array]) -> list[Array]:
    prompts, n = frontier.rewards.shape
    matrices = [np.asarray(d, float) for d in distances] if np.ndim(distances) != 2 else []
    matrices = matrices or [np.asarray(distances, float)]
    if len(matrices) != prompts or any(d.shape != (n, n) for d in matrices):
        shapes = ", ".join(str(d.shape) for d in matrices[:3])
        raise BadData(f"distances of shape {shapes}: {prompts} of ({n}, {n}) were needed")
    return matrices
