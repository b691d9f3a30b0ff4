"""Standard errors: of clustered means, of pairwise means, and of measures that depend on n."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Array, Rows
from qdlaws.errors import BadData
from qdlaws.measure.estimate import Estimate

__all__ = [
    "clustered_mean",
    "codes",
    "mean_of_units",
    "pairwise_mean",
    "rarefied",
    "weighted_sums",
]


ONE_UNIT = "one unit only: no spread to take a standard error from"


def codes(labels: Sequence[Hashable] | npt.NDArray[Any]) -> Rows:
    """0, 1, 2, … for the labels, in the order in which they first appear."""
    seen: dict[Hashable, int] = {}
    values = labels.tolist() if isinstance(labels, np.ndarray) else labels
    return np.fromiter((seen.setdefault(v, len(seen)) for v in values), np.intp, len(values))


def clustered_mean(
    totals: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    clusters: Sequence[Hashable] | npt.NDArray[Any] | None = None,
    *,
    kind: str,
    **fields: Any,
) -> Estimate:
    """Σ totals / Σ weights, with the standard error over clusters of rows.

    se² = G/(G−1) · Σ_g (t_g − mean·w_g)² / (Σ w)², t_g and w_g being sums over cluster g: the
    ratio estimator, equal to the cluster-robust error of a regression on a constant. Rows of one
    and the same cluster are taken as independent draws given that cluster.
    """
    total = np.asarray(totals, float)
    weight = np.ones(len(total)) if weights is None else np.asarray(weights, float)
    if clusters is not None:
        group = codes(clusters)
        if len(group) != len(total):
            raise BadData(f"{len(total)} values but {len(group)} prompts: one prompt a value")
        if len(group) and group.max() > 0:
            total, weight = np.bincount(group, total), np.bincount(group, weight)
    total, weight = total[weight > 0], weight[weight > 0]
    units = len(total)
    if not units:
        return Estimate(math.nan, math.nan, 0, kind, reason="nothing to average", **fields)
    mean = float(total.sum() / weight.sum())
    if units == 1:
        return Estimate(mean, math.nan, 1, kind, reason=ONE_UNIT, **fields)
    if (
        fields.get("share")
        and np.all(weight == weight[0])
        and np.isin(total / weight, (0, 1)).all()
    ):
        # whole hits and misses: the spread follows from the share, there is nothing to estimate
        return Estimate(mean, math.sqrt(mean * (1 - mean) / units), units, kind, **fields)
    spread = np.sum((total - mean * weight) ** 2) * units / (units - 1)
    se = float(np.sqrt(spread) / weight.sum())
    return Estimate(mean, se, units, kind, df=units - 1, **fields)


def mean_of_units(values: npt.ArrayLike, *, kind: str, **fields: Any) -> Estimate:
    """The mean of independent units and s/√n."""
    return clustered_mean(values, kind=kind, **fields)


def pairwise_mean(
    row_sums: npt.ArrayLike, square_sum: float, *, kind: str, **fields: Any
) -> Estimate:
    """The mean over pairs i < j of d(i, j), with the standard error of a U-statistic.

    ``row_sums[i]`` = Σ_{j≠i} d(i, j) and ``square_sum`` = Σ_{i≠j} d(i, j)² (both orders): no matrix
    is needed. Var U = E U² − θ², and θ² is estimated without bias by the mean of d(i,j)·d(k,l) over
    pairs that share no member, (T² − 4 Σ R_i² + 2 Q) / n(n−1)(n−2)(n−3) (Wang & Lindsay 2014 for
    degree 2). Never below half of the jackknife of the row means, which is at most twice too large.

    >>> import numpy as np
    >>> d = np.array([[0, 1, 1], [1, 0, 0], [1, 0, 0]])  # distances of three samples
    >>> round(pairwise_mean(d.sum(1), float((d**2).sum() / 2), kind="mine").value, 3)
    0.667
    """
    rows = np.asarray(row_sums, float)
    n = len(rows)
    if n < 2:
        why = "fewer than two samples: no pair"
        return Estimate(math.nan, math.nan, n, kind, reason=why, **fields)
    total = float(rows.sum())
    value = total / (n * (n - 1))
    if n < 4:
        why = "fewer than four samples: no two pairs without a common member"
        return Estimate(value, math.nan, n, kind, reason=why, **fields)
    # centred at the value: T becomes 0, and a difference of two large numbers is avoided
    centred = rows - (n - 1) * value
    squares = square_sum - n * (n - 1) * value**2
    apart = (-4 * float(np.sum(centred**2)) + 2 * squares) / (n * (n - 1) * (n - 2) * (n - 3))
    # the jackknife counts the second-order part twice: half of it is a lower bound
    jackknife = (n - 1) / n * 4 / (n - 2) ** 2 * float(np.sum((centred / (n - 1)) ** 2))
    variance = max(-apart, jackknife / 2)
    # rounding only: identical distances leave ~1e-32 · value² of nothing
    se = math.sqrt(variance) if variance > (1e-14 * value) ** 2 else 0.0
    return Estimate(value, se, n, kind, df=n - 1, **fields)


def weighted_sums(blocks: Iterable[tuple[int, Array]], weight: Array) -> tuple[Array, float]:
    """(Σ_j w_j x_ij for each i, Σ_ij w_i w_j x_ij²) of a symmetric matrix seen in blocks.

    A block (low, x) holds rows low, low + 1, … from column ``low`` on: the upper triangle. The
    weights say how often each row stands for a sample. Blocks are overwritten.
    """
    sums, squares = np.zeros(len(weight)), 0.0
    for low, block in blocks:
        width = len(block)
        here, beyond = weight[low : low + width], weight[low + width :]
        sums[low : low + width] += block @ weight[low:]
        sums[low + width :] += here @ block[:, width:]
        np.multiply(block, block, out=block)
        column = here @ block
        squares += float(column[:width] @ here + 2 * column[width:] @ beyond)
    return sums, squares


def rarefied(
    statistic: Callable[[Rows], float],
    n: int,
    m: int | None,
    *,
    kind: str,
    repeats: int = 100,
    seed: int = 0,
    value: float | None = None,
    **fields: Any,
) -> Estimate:
    """The expected value of a statistic on m of the n samples, for measures that depend on n.

    ``statistic`` maps the indices of a subset to a number. With m = n (or None) it is the plain
    value, which estimates its own expectation but has no valid error: one sample of size n does not
    show how such samples differ. With m ≤ n/2 the value is the mean over random subsets and

        Var = Var over disjoint subsets − Var over all subsets,

    without bias (Wang & Lindsay 2014), never below a quarter of what it would be for a linear
    statistic, so that noise in the difference cannot make the interval vanish. ``value`` replaces
    the mean over subsets where it is known in closed form.

    >>> labels = [0, 0, 1, 2]
    >>> different = lambda rows: len({labels[i] for i in rows})
    >>> rarefied(different, n=4, m=4, kind="classes").value
    3.0
    """
    if n == 0:
        return Estimate(math.nan, math.nan, 0, kind, m=m, reason="no samples", **fields)
    m = n if m is None else int(m)
    if not 1 <= m <= n:
        raise BadData(f"m={m} with {n} samples: m between 1 and {n} was needed")
    if 2 * m > n:
        if value is None:
            value = statistic(np.arange(n)) if m == n else _average(statistic, n, m, repeats, seed)
        why = f"no valid error at m={m} from n={n}: it needs m ≤ {n // 2}"
        return Estimate(float(value), math.nan, n, kind, m=m, reason=why, **fields)
    blocks, draws = _disjoint(statistic, n, m, repeats, seed)
    inside, all_draws = float(draws.var()), float(blocks)
    share = bool(fields.get("share", False))
    if all_draws == inside == 0 and not share:
        why = "every subset gave the same value"
        return Estimate(float(draws[0, 0]), math.nan, n, kind, m=m, reason=why, **fields)
    # of a linear statistic Var would be inside · m/(n − m); a quarter of that is the least taken
    variance = max(all_draws - inside, inside * m / (n - m) / 4)
    if value is None:
        value = float(draws.mean())
        variance += inside / draws.size  # the subsets were a sample of all subsets
    return Estimate(value, math.sqrt(variance), n, kind, m=m, df=n - 1, **fields)


def _disjoint(
    statistic: Callable[[Rows], float], n: int, m: int, repeats: int, seed: int
) -> tuple[float, Array]:
    """The mean variance between disjoint subsets, and the values of all subsets drawn."""
    rng = np.random.default_rng(seed)
    parts = n // m
    rows = max(2, math.ceil(repeats / parts))
    values = np.empty((rows, parts))
    for row in range(rows):
        order = rng.permutation(n)
        for part in range(parts):
            # sorted: a statistic may depend on the order in which samples came
            values[row, part] = statistic(np.sort(order[part * m : (part + 1) * m]))
    return float(values.var(axis=1, ddof=1).mean()), values


def _average(statistic: Callable[[Rows], float], n: int, m: int, repeats: int, seed: int) -> float:
    rng = np.random.default_rng(seed)
    draws = [statistic(np.sort(rng.permutation(n)[:m])) for _ in range(repeats)]
    return float(np.mean(draws))
