"""The fits of many runs, computed together or in parallel."""

from __future__ import annotations

from collections.abc import Sequence

from qdlaws.core.runlog import RunLog
from qdlaws.errors import QdlawsError
from qdlaws.laws.fit import FitOptions, fit_with
from qdlaws.laws.result import LawFits
from qdlaws.readers.reading import Where, as_log

__all__ = ["fit_many"]

Item = RunLog | LawFits | Where


def fit_many(
    items: Sequence[Item], *, n_jobs: int | None = None, level: float = 0.95
) -> list[LawFits | QdlawsError]:
    """The laws of every run, in order; a run that cannot be fitted gives its error instead.

    Parameters
    ----------
    items : sequence of RunLog, LawFits or paths
        The runs; one that is fitted already is passed through.
    n_jobs : int, optional
        Processes of joblib (−1: one for each core), or of any backend that joblib is set to::

            from dask.distributed import Client; Client("scheduler:8786")
            with joblib.parallel_config(backend="dask"):
                qd.fleet(logs, n_jobs=-1)
    level : float
        The level of the intervals.

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
    if n_jobs in (None, 1):
        return _fit_serially(logs, level)
    try:
        import joblib
    except ImportError:
        raise QdlawsError("n_jobs needs joblib: pip install joblib, or leave n_jobs out") from None
    size = max(1, len(logs) // 200)  # a fit takes a few milliseconds: send them in batches
    parts = [logs[i : i + size] for i in range(0, len(logs), size)]
    tasks = (joblib.delayed(_fit_serially)(part, level) for part in parts)
    return [fits for part in joblib.Parallel(n_jobs=n_jobs)(tasks) for fits in part]


def _fit_serially(items: list[Item], level: float) -> list[LawFits | QdlawsError]:
    return [_fit_or_error(item, level) for item in items]


def _fit_or_error(item: Item, level: float) -> LawFits | QdlawsError:
    if isinstance(item, LawFits):
        return item
    try:
        return fit_with(as_log(item), FitOptions(level))
    except QdlawsError as error:
        return error
