"""The fits of many runs, computed together or in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qdlaws.core.parallel import run_tasks
from qdlaws.core.runlog import RunLog
from qdlaws.errors import QdlawsError, WorkerLost
from qdlaws.laws.fit import FitOptions, fit_with
from qdlaws.laws.result import LawFits
from qdlaws.readers.reading import Where, as_log

__all__ = ["fit_many"]

Item = RunLog | LawFits | Where


def fit_many(
    items: Sequence[Item],
    *,
    n_jobs: int | None = None,
    level: float = 0.95,
    on: str = "local",
) -> list[LawFits | QdlawsError]:
    """The laws of every run, in order; a run that cannot be fitted gives its error instead.

    Parameters
    ----------
    items : sequence of RunLog, LawFits or paths
        The runs; one that is fitted already is passed through.
    n_jobs : int, optional
        Processes of joblib; −1: one for each core. By default, none but this one.
    level : float
        The level of the intervals.
    on : str
        Where the processes are: ``local``, ``ray[:ADDRESS]``, ``dask[:ADDRESS]`` or ``slurm``
        (:func:`qdlaws.core.parallel.parse_place`), such as ``dask:scheduler:8786``.

    Returns
    -------
    list of LawFits or QdlawsError

    Examples
    --------
    >>> import numpy as np
    >>> import qdlaws as qd
    >>> diversity = np.linspace(0.9, 0.3, 40)
    >>> quality = 1 - diversity + 0.01 * np.sin(7.0 * np.arange(40))
    >>> log = qd.RunLog.from_arrays(np.arange(40), quality=quality, diversity=diversity)
    >>> [type(fits).__name__ for fits in qd.fit_many([log, log[:3]])]
    ['LawFits', 'NotEnoughData']
    """
    logs = list(items)
    if on == "local" and n_jobs in (None, 1):
        return [_fit_or_error(item, level) for item in logs]
    size = max(1, len(logs) // 200)  # a fit takes a few milliseconds: send them in batches
    parts = [logs[i : i + size] for i in range(0, len(logs), size)]
    fitted: dict[int, list[LawFits | QdlawsError]] = {}
    for number, result in run_tasks(partial(_fit_part, level), parts, on=on, jobs=n_jobs):
        if isinstance(result, WorkerLost):
            fitted[number] = [result] * len(parts[number])
        else:
            fitted[number] = result
    return [fits for number in sorted(fitted) for fits in fitted[number]]


def _fit_part(level: float, items: list[Item]) -> list[LawFits | QdlawsError]:
    return [_fit_or_error(item, level) for item in items]


def _fit_or_error(item: Item, level: float) -> LawFits | QdlawsError:
    if isinstance(item, LawFits):
        return item
    try:
        return fit_with(as_log(item), FitOptions(level))
    except QdlawsError as error:
        return error
