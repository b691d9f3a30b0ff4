"""Which checkpoints to evaluate again, so that the choice among them is less often wrong.

Preposterior analysis (Raiffa & Schlaifer 1961): every joint draw of the true values is one way the
world may be; new readings are drawn from it, the choice is made anew and scored by that draw.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from qdlaws.core.advice import NextMeasurement
from qdlaws.core.run_rows import extra_column
from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array, Flags, Rows

__all__ = ["P_WRONG_WORTH_A_WORD", "next_measurement"]

CONTENDERS = 24
"""Checkpoints, the best by their mean, that may be measured again."""
RIVALS = 6
"""Of these the ones that are most often the best."""
P_WRONG_WORTH_A_WORD = 0.05
"""A chance of choosing wrongly that is worth a word, and a measurement."""


def next_measurement(
    log: RunLog,
    rows: Rows,
    worth: Array,
    values: Array,
    noise: Array,
    among: Flags,
    margin: float,
) -> NextMeasurement | None:
    """The cheapest repeat of up to three evaluations that halves P(wrong), or the best of them.

    Expected P(wrong) after the new readings: for each joint draw of the true values the readings
    are drawn, the posterior means are updated, the choice is made anew and scored by that draw.

    Parameters
    ----------
    rows : rows of the log that are candidates
    worth, values : draws of what is maximised and of the column that is measured (draws, rows)
    noise : standard deviation of one reading of each
    among : candidates that hold the goal
    margin : a loss that counts as wrong
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
    if before < P_WRONG_WORTH_A_WORD:
        return None
    p_best = np.bincount(worth.argmax(1), minlength=len(index))
    rivals = [int(i) for i in np.argsort(-p_best)[:RIVALS]]
    rivals = list(dict.fromkeys([chosen, *rivals]))[:RIVALS]
    normals = np.random.default_rng(1).standard_normal(worth.shape)
    off_values, off_worth = values - values.mean(0), worth - worth.mean(0)
    repeats: list[tuple[float, int, tuple[int, ...]]] = []  # P(wrong) after it, times, which
    for size in (1, 2, 3):
        for which in combinations(rivals, size):
            measured = list(which)
            cross = off_worth.T @ off_values[:, measured] / len(worth)
            spread = off_values[:, measured].T @ off_values[:, measured] / len(worth)
            for times in (1, 2, 4):
                variance = noise[measured] ** 2 / times
                news = off_values[:, measured] + np.sqrt(variance) * normals[:, measured]
                pull = np.linalg.pinv(spread + np.diag(variance), hermitian=True) @ cross.T
                choice = (worth.mean(0) + news @ pull).argmax(1)
                lost = best - np.take_along_axis(worth, choice[:, None], 1)[:, 0]
                repeats.append((float((lost > margin).mean()), times, which))
    halving = [repeat for repeat in repeats if repeat[0] <= 0.5 * before]
    if halving:
        after, times, which = min(halving, key=lambda r: (r[1] * len(r[2]), r[0]))
    else:
        after, times, which = min(repeats, key=lambda r: r[0] + 0.02 * before * r[1] * len(r[2]))
    if after > 0.9 * before:
        return None
    again = rows[index[list(which)]]
    steps = tuple(sorted(float(step) for step in log.step[again]))
    return NextMeasurement(steps, times, _samples(log, again, times), after, before)


def _samples(log: RunLog, rows: Rows, times: int) -> int | None:
    """How many samples such a repeat takes, where the log says how many an evaluation has."""
    n_samples = extra_column(log, "n_samples")
    if n_samples is None:
        return None
    count = n_samples[rows]
    return round(times * float(np.mean(count))) if np.all(np.isfinite(count)) else None
