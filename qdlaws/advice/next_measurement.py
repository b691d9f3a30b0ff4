"""What to measure next, so that the choice among checkpoints is less often wrong.

Preposterior analysis (Raiffa & Schlaifer 1961): every joint draw of the true values is one way the
world may be; new readings are drawn from it, the choice is made anew and judged by that draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from qdlaws.core.run_rows import extra_column
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import chance

__all__ = ["DOUBTFUL", "NextMeasurement", "what_next"]

Array = npt.NDArray[np.float64]

CONTENDERS = 24
DOUBTFUL = 0.05
"""A chance of choosing wrongly that is worth a word, and a measurement."""


@dataclass(frozen=True)
class NextMeasurement:
    """What to measure next: evaluate ``steps`` again ``times`` over (``samples`` each).

    ``p_wrong`` is the chance of choosing wrongly that would remain, on average.
    """

    steps: tuple[float, ...]
    times: int
    samples: int | None
    p_wrong: float
    before: float

    def __str__(self) -> str:
        *first, last = (f"{s:g}" for s in self.steps)
        where = f"{', '.join(first)} and {last}" if first else last
        what = (
            f"{self.samples} more evaluation samples at checkpoint{'s' * (len(self.steps) > 1)}"
            if self.samples is not None
            else f"{self.times} more evaluation{'s' * (self.times > 1)} of checkpoint"
            f"{'s' * (len(self.steps) > 1)}"
        )
        cut = self.p_wrong / self.before
        effect = "halve" if 0.45 <= cut <= 0.55 else f"lower by {1 - cut:.0%}"
        return (
            f"{what} {where} would {effect} the chance of choosing wrongly "
            f"({chance(self.before)} → {chance(self.p_wrong)})"
        )


def what_next(
    log: RunLog,
    kept: npt.NDArray[np.intp],
    worth: Array,
    values: Array,
    noise: Array,
    among: npt.NDArray[np.bool_],
    margin: float,
) -> NextMeasurement | None:
    """The cheapest repeat of up to three evaluations that halves P(wrong), or the best of them.

    Expected P(wrong) after the new readings: for each joint draw of the true values the readings
    are drawn, the posterior means are updated, the choice is made anew and judged by that draw.
    """
    index = np.flatnonzero(among)
    if len(index) < 2 or not np.all(np.isfinite(noise)):
        return None
    best = worth[:, index].max(1)
    # who is hardly ever the best stays in the running by ``best`` alone
    index = index[np.argsort(-worth[:, index].mean(0))[:CONTENDERS]]
    worth, values, noise = worth[:, index], values[:, index], noise[index]
    chosen = int(worth.mean(0).argmax())
    before = float((best - worth[:, chosen] > margin).mean())
    if before < DOUBTFUL:
        return None
    p_best = np.bincount(worth.argmax(1), minlength=len(index))
    rivals = [int(i) for i in np.argsort(-p_best)[:6]]
    rivals = list(dict.fromkeys([chosen, *rivals]))[:6]
    normals = np.random.default_rng(1).standard_normal(worth.shape)
    off_values, off_worth = values - values.mean(0), worth - worth.mean(0)
    found: list[tuple[float, int, tuple[int, ...]]] = []
    for size in (1, 2, 3):
        for which in combinations(rivals, size):
            s = list(which)
            cross = off_worth.T @ off_values[:, s] / len(worth)
            own = off_values[:, s].T @ off_values[:, s] / len(worth)
            for times in (1, 2, 4):
                variance = noise[s] ** 2 / times
                news = off_values[:, s] + np.sqrt(variance) * normals[:, s]
                gain = np.linalg.pinv(own + np.diag(variance), hermitian=True) @ cross.T
                anew = (worth.mean(0) + news @ gain).argmax(1)
                lost = best - np.take_along_axis(worth, anew[:, None], 1)[:, 0]
                found.append((float((lost > margin).mean()), times, which))
    halving = [f for f in found if f[0] <= 0.5 * before]
    if halving:
        after, times, which = min(halving, key=lambda f: (f[1] * len(f[2]), f[0]))
    else:
        after, times, which = min(found, key=lambda f: f[0] + 0.02 * before * f[1] * len(f[2]))
    if after > 0.9 * before:
        return None
    where = index[list(which)]
    steps = tuple(sorted(float(log.step[kept[i]]) for i in where))
    return NextMeasurement(steps, times, _samples(log, kept[where], times), after, before)


def _samples(log: RunLog, rows: npt.NDArray[np.intp], times: int) -> int | None:
    """How many samples such a repeat takes, where the log says how many an evaluation has."""
    n_samples = extra_column(log, "n_samples")
    if n_samples is None:
        return None
    count = n_samples[rows]
    return round(times * float(np.mean(count))) if np.all(np.isfinite(count)) else None
