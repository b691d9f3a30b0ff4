"""The composition check: if H = k·D + m, then the three laws agree in c = c0·k and b = b0.

The laws share the noise of one run, so their errors are correlated and the differences are taken
from joint draws. The correlation of the estimates follows from their generalised least-squares
weights on the common residuals; each coefficient keeps its marginal posterior (a Gaussian copula).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from qdlaws.core.interval import Interval, Params, interval, show, unknown
from qdlaws.core.law import Law, shape
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.inference.error_model import grams
from qdlaws.laws.fitted import FittedLaw

__all__ = ["Composition", "compose"]

MIN_COMMON = 5
"""Checkpoints that all three columns need to have in common."""


@dataclass(frozen=True, repr=False)
class Composition(Result):
    """Whether the three laws of a run agree.

    Attributes
    ----------
    c_difference, b_difference : c − c0·k and b − b0 with their intervals
    verdict : "agrees", "differs" or "cannot tell"
    reasons : why, in words
    """

    c_difference: Interval
    b_difference: Interval
    verdict: str
    reasons: tuple[str, ...]

    def summary(self) -> Summary:
        """Both differences with their intervals, and the verdict."""
        heading = "composition:  H = k·D + m gives c = c0·k and b = b0"
        rows = (("c − c0·k", show(self.c_difference)), ("b − b0", show(self.b_difference)))
        return Summary(heading, self.verdict, rows, self.reasons)

    def to_frame(self) -> pd.DataFrame:
        """One row for each difference: its name, low, mid, high, level."""
        return Params({"c − c0·k": self.c_difference, "b − b0": self.b_difference}).to_frame()

    def to_dict(self) -> dict[str, Any]:
        """The verdict, its reasons and both differences as JSON values."""
        values: dict[str, Any] = plain(
            {
                "verdict": self.verdict,
                "reasons": list(self.reasons),
                "c_minus_c0k": self.c_difference,
                "b_minus_b0": self.b_difference,
            }
        )
        return values


def compose(rd: FittedLaw, rh: FittedLaw, hd: FittedLaw) -> Composition:
    """The composition check of three laws of one run."""
    level = rd.level
    unsupported = [law for law in (rd, rh, hd) if not law.supported or law.posterior is None]
    steps = np.intersect1d(np.intersect1d(rd.step, rh.step), hd.step)
    obstacle = ""
    if unsupported:
        names = ", ".join(f"{law.y_name} on {law.x_name}" for law in unsupported)
        obstacle = f"unsupported: {names}"
    elif len(steps) < MIN_COMMON:
        obstacle = f"{len(steps)} common checkpoints"
    if obstacle:
        return Composition(unknown(level), unknown(level), "cannot tell", (obstacle,))
    d, h, line = _joint_draws([rd, rh, hd], steps)
    k = line.q / line.width
    c_gap, b_gap = d.c - h.c * k, d.b - h.b
    c_difference, b_difference = interval(c_gap, level), interval(b_gap, level)
    size = max(abs(float(np.median(d.c))), abs(float(np.median(h.c * k))))
    return _verdict(c_difference, b_difference, size, rd.change)


def _verdict(c: Interval, b: Interval, size: float, change: Interval) -> Composition:
    reasons = []
    if c.low > 0 or c.high < 0:
        reasons.append("the curvatures do not match through the line")
    if b.low > 0 or b.high < 0:
        reasons.append("the asymptotes do not match")
    if reasons:
        return Composition(c, b, "differs", tuple(reasons))
    if c.high - c.low > 2 * size or b.high - b.low > 4 * abs(change.mid):
        return Composition(c, b, "cannot tell", ("the differences are too uncertain",))
    return Composition(c, b, "agrees", ("c = c0·k and b = b0 within their errors",))


def _joint_draws(laws: list[FittedLaw], steps: Array) -> list[Law]:
    """Draws of the three laws with the correlation of their estimates."""
    designs, models = zip(*(_linearised(law, steps) for law in laws), strict=True)
    residuals = [law.residuals[np.isin(law.step, steps)] for law in laws]
    shifts = [
        _path_shifts(law, design, model, steps)
        for law, design, model in zip(laws, designs, models, strict=True)
    ]
    sizes = [x.shape[1] for x in designs]
    edges = np.concatenate([[0], np.cumsum(sizes)])
    covariance = np.zeros((edges[-1], edges[-1]))
    for i in range(3):
        for j in range(i, 3):
            r = 1.0 if i == j else float(np.corrcoef(residuals[i], residuals[j])[0, 1])
            block = r * _cross_covariance(designs[i], designs[j], models[i], models[j], steps)
            if laws[i].x_name == laws[j].x_name:  # an error of the path shifts both
                block = block + shifts[i] @ shifts[j].T
            covariance[edges[i] : edges[i + 1], edges[j] : edges[j + 1]] = block
            covariance[edges[j] : edges[j + 1], edges[i] : edges[i + 1]] = block.T
    scale = np.sqrt(np.diag(covariance))
    scale[scale == 0] = 1.0  # not identified, such as κ where x has two values
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    count = len(laws[0].draws.kappa)
    normal = np.random.default_rng(7).standard_normal((count, edges[-1])) @ root.T
    out = []
    for law, start in zip(laws, edges, strict=False):
        d = law.draws
        p, q = (_ranked(v, normal[:, start + i]) for i, v in enumerate((d.p, d.q)))
        kappa = d.kappa if law.kind == "hd" else _ranked(d.kappa, normal[:, start + 2])
        out.append(Law(d.x_lo, d.x_hi, kappa, p, q))
    return out


def _linearised(law: FittedLaw, steps: Array) -> tuple[Array, tuple[float, float, float]]:
    """Derivatives of the law by (p, q, κ) at its median, and its error model (σ, ℓ, ν)."""
    keep = np.isin(law.step, steps)
    u = (law.path.mean[keep] - law.draws.x_lo) / law.draws.width
    kappa, q = float(np.median(law.draws.kappa)), float(np.median(law.draws.q))
    columns = [np.ones_like(u), shape(kappa, u)]
    if law.kind != "hd":
        columns.append(q * (shape(kappa + 1e-3, u) - shape(kappa - 1e-3, u)) / 2e-3)
    post = law.posterior
    assert post is not None
    slow = post.memory > 0
    memory = float(np.median(post.memory[slow])) if slow.mean() > 0.5 else 0.0
    return np.column_stack(columns), (law.sigma, memory, float(np.median(post.white)))


def _path_shifts(
    law: FittedLaw, design: Array, model: tuple[float, float, float], steps: Array
) -> Array:
    """The shift of the estimate for each component of the error of the path of x: A·f'·U."""
    keep = np.isin(law.step, steps)
    x, d = law.path.mean[keep], law.draws
    middle = Law(d.x_lo, d.x_hi, *(np.asarray(np.median(v)) for v in (d.kappa, d.p, d.q)))
    effect = middle.slope(x)[:, None] * law.path.cov_factor[keep]
    both = np.hstack([design, effect])
    gram = grams(both, steps, np.array([model[1]]), np.array([model[2]])).gram[0]
    k = design.shape[1]
    return np.asarray(np.linalg.pinv(gram[:k, :k]) @ gram[:k, k:])


def _cross_covariance(
    left: Array,
    right: Array,
    model_left: tuple[float, float, float],
    model_right: tuple[float, float, float],
    steps: Array,
) -> Array:
    """Covariance of two generalised least-squares estimates on the same errors.

    A_l Σ A_rᵀ with A = (XᵀΣ⁻¹X)⁻¹XᵀΣ⁻¹; Σ is the mean of the two error models.
    """
    a, b = left.shape[1], right.shape[1]
    both = np.hstack([left, right])
    total = np.zeros((a, b))
    grams_ = [
        grams(both, steps, np.array([m[1]]), np.array([m[2]])).gram[0]
        for m in (model_left, model_right)
    ]
    inverse_left = np.linalg.pinv(grams_[0][:a, :a])
    inverse_right = np.linalg.pinv(grams_[1][a:, a:])
    for gram in grams_:
        total += inverse_left @ gram[:a, a:] @ inverse_right / 2
    return np.asarray(model_left[0] * model_right[0] * total)


def _ranked(draws: Array, normal: Array) -> Array:
    """The draws, put in the order of the normals: same distribution, their correlation."""
    out = np.empty_like(draws)
    out[np.argsort(normal)] = np.sort(draws)
    return out
