"""report(): from logs or fits to one HTML file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from qdlaws.advice.advise import advise
from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.goal import Goal
from qdlaws.core.run_names import run_name, short_names
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData, NotEnoughData, QdlawsError
from qdlaws.forecasting.forecast import forecast
from qdlaws.laws.fit import fit
from qdlaws.laws.result import LawFit, LawFits
from qdlaws.readers import read
from qdlaws.reporting.page import page
from qdlaws.reporting.run_data import RunView, without_laws

__all__ = ["MOST_RUNS", "RunLeftOut", "report"]

Source = RunLog | LawFits | str | PathLike  # type: ignore[type-arg]

MOST_RUNS = 40
"""Runs that are drawn; further ones stand in the tables only."""

CERTIFIED = 4
"""Up to so many runs get certificates by default: they take a second a law."""


class RunLeftOut(UserWarning):
    """A run that the report leaves out, with the reason."""


def report(
    runs: Source | Sequence[Source],
    path: str | PathLike[str] = "report.html",
    goal: Goal | None = None,
    *,
    horizon: float | None = None,
    level: float = 0.95,
    certificates: bool | None = None,
    reader: Callable[[Path], RunLog] = read,
) -> Path:
    """The path of a self-contained HTML page about one or many runs: verdict first.

    The page needs no network, follows the reader's light or dark theme and prints. A run that
    cannot be read or fitted is left out: the page and a RunLeftOut warning give the reason.
    Where no run is left that is an error.

    Parameters
    ----------
    runs : logs, fits or paths, one or many
    path : where to write; the file is complete or not there at all
    goal : the goal of the runs; none means the highest quality
    horizon : steps to forecast; by default up to the goal's budget of steps, else half as many as
        there were
    level : level of the intervals, for runs that are fitted here
    certificates : check the intervals on runs simulated from each fit; by default for up to four
        runs
    reader : how to read paths

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import qdlaws as qd
    >>> with TemporaryDirectory() as folder:
    ...     page = qd.report(qd.example_log(), Path(folder) / "report.html", certificates=False)
    ...     page.stat().st_size > 10_000
    True
    """
    if horizon is not None and not horizon > 0:
        raise BadData(f"the horizon is a positive number of steps, got {horizon!r}")
    several: Sequence[Source] = [runs] if isinstance(runs, Source) else runs
    if not several:
        raise BadData("a report needs at least one run")
    fits, left_out = _fit_all(several, level, reader)
    for source, reason in left_out:
        warnings.warn(RunLeftOut(f"{source} is left out: {reason}"), stacklevel=2)
    if goal is not None:
        _check(goal, [f.log for f in fits])
    sources = [f.log.source for f in fits]
    names = [run_name(sources[0])] if len(fits) == 1 else short_names(sources)
    certify = len(fits) <= CERTIFIED if certificates is None else certificates
    views = [
        _view(name, one, goal, horizon, certify, drawn=i < MOST_RUNS)
        for i, (name, one) in enumerate(zip(names, fits, strict=True))
    ]
    target = Path(path)
    write_atomically(target, page(views, goal, left_out, MOST_RUNS))
    return target


def _check(goal: Goal, logs: Sequence[RunLog]) -> None:
    """Raises where no run can have the goal; where some can, the others say so on the page."""
    errors = []
    for log in logs:
        try:
            goal.check(log)
        except QdlawsError as error:
            errors.append(error)
    if len(errors) == len(logs):
        raise errors[0]


def _fit_all(
    runs: Sequence[Source], level: float, reader: Callable[[Path], RunLog]
) -> tuple[list[LawFits], list[tuple[str, str]]]:
    """The fits, and (run, reason) of those that cannot be read or fitted."""
    fits, left_out = [], []
    for run in runs:
        try:
            fits.append(_fits(run, level, reader))
        except QdlawsError as error:
            if len(runs) == 1:
                raise
            source = run.source if isinstance(run, RunLog) else str(run)
            left_out.append((source, _one_line(error)))
    if not fits:
        source, reason = left_out[0]
        raise NotEnoughData(
            f"none of {len(runs)} runs can be fitted; the first: {source}: {reason}"
        )
    return fits, left_out


def _fits(run: Source, level: float, reader: Callable[[Path], RunLog]) -> LawFits:
    if isinstance(run, LawFits):
        return run
    log = run if isinstance(run, RunLog) else reader(Path(run))
    return without_laws(log) or fit(log, level=level)


def _one_line(error: QdlawsError) -> str:
    return " ".join(str(error).split())


def _view(
    name: str,
    fits: LawFits,
    goal: Goal | None,
    horizon: float | None,
    certify: bool,
    drawn: bool,
) -> RunView:
    """One run with its advice, forecast and certificates, or the reason why there is none."""
    problems = {}
    advice = outlook = None
    try:
        advice = advise(fits, goal)
    except QdlawsError as error:
        problems["advice"] = _one_line(error)
    if drawn:
        try:
            outlook = forecast(fits, horizon or _to_budget(fits, goal))
        except QdlawsError as error:
            problems["forecast"] = _one_line(error)
    certificates = _certificates(fits) if certify and drawn else {}
    return RunView(name, fits, advice, outlook, certificates, problems)


def _to_budget(fits: LawFits, goal: Goal | None) -> float | None:
    """The steps that the goal's budget leaves, where it has one and leaves some."""
    last = fits.log.step[-1]
    if goal is None or goal.budget_steps is None or goal.budget_steps <= last:
        return None
    return float(goal.budget_steps - last)


def _certificates(fits: LawFits) -> dict[str, str]:
    return {
        f"{law.y_name} on {law.x_name}": str(law.certificate())
        for law in fits.laws()
        if isinstance(law, LawFit) and law.supported
    }
