"""report(): from logs or fits to one HTML file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from qdlaws.advice.advise import advise
from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.goal import Goal
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData, NotEnoughData, QdlawsError
from qdlaws.forecasting.forecast import forecast
from qdlaws.laws.fit import LawFits, fit
from qdlaws.laws.result import LawFit
from qdlaws.readers import read
from qdlaws.reporting.page import page
from qdlaws.reporting.run_data import RunView, short_names

__all__ = ["MOST_RUNS", "RunLeftOut", "report"]

Source = RunLog | LawFits | str | PathLike  # type: ignore[type-arg]

MOST_RUNS = 40
"""Runs that are drawn and told of one by one; further ones stand in the tables only."""

CERTIFIED = 4
"""Up to so many runs get certificates without being asked for: they take a second a law."""


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
    cannot be read or fitted is listed with the reason, unless it is the only one.

    Parameters
    ----------
    runs : logs, fits or paths, one or many
    path : where to write; the file is complete or not there at all
    goal : what is wanted of the runs; none means the highest quality
    horizon : steps to forecast; by default up to the goal's budget of steps, else half as many as
        there were
    level : level of the intervals, for runs that are fitted here
    certificates : simulate from each fit what its intervals are worth; by default for up to four
        runs
    reader : how to read paths
    """
    several: Sequence[Source] = [runs] if isinstance(runs, Source) else runs
    if not several:
        raise BadData("a report needs at least one run")
    fits, left_out = _fit_all(several, level, reader)
    for source, reason in left_out:
        warnings.warn(RunLeftOut(f"{source} is left out: {reason}"), stacklevel=2)
    if len(fits) == 1 and goal is not None:
        goal.check(fits[0].log)
    names = short_names([f.log.source for f in fits])
    wanted = len(fits) <= CERTIFIED if certificates is None else certificates
    views = [
        _view(name, found, goal, horizon, wanted, drawn=i < MOST_RUNS)
        for i, (name, found) in enumerate(zip(names, fits, strict=True))
    ]
    target = Path(path)
    write_atomically(target, page(views, goal, left_out, most=MOST_RUNS))
    return target


def _fit_all(
    runs: Sequence[Source], level: float, reader: Callable[[Path], RunLog]
) -> tuple[list[LawFits], list[tuple[str, str]]]:
    """The fits, and (run, reason) of those that could not be had."""
    fits, left_out = [], []
    for run in runs:
        try:
            fits.append(_fits(run, level, reader))
        except QdlawsError as error:
            if len(runs) == 1:
                raise
            where = run.source if isinstance(run, RunLog) else str(run)
            left_out.append((where, " ".join(str(error).split())))
    if not fits:
        raise NotEnoughData(
            f"none of {len(runs)} runs can be fitted; the first: {left_out[0][0]}: {left_out[0][1]}"
        )
    return fits, left_out


def _fits(run: Source, level: float, reader: Callable[[Path], RunLog]) -> LawFits:
    if isinstance(run, LawFits):
        return run
    if isinstance(run, str | PathLike):
        run = reader(Path(run))
    return fit(run, level=level)


def _view(
    name: str,
    fits: LawFits,
    goal: Goal | None,
    horizon: float | None,
    certified: bool,
    drawn: bool,
) -> RunView:
    """One run with all that is told of it; what cannot be told has its reason."""
    troubles = {}
    said = ahead = None
    try:
        said = advise(fits, goal)
    except QdlawsError as error:
        troubles["advice"] = " ".join(str(error).split())
    if drawn:
        try:
            ahead = forecast(fits, horizon or _horizon(fits, goal))
        except QdlawsError as error:
            troubles["forecast"] = " ".join(str(error).split())
    certificates = _certificates(fits) if certified and drawn else {}
    return RunView(name, fits, said, ahead, certificates, troubles)


def _horizon(fits: LawFits, goal: Goal | None) -> float:
    step = fits.log.step
    if goal is not None and goal.budget_steps is not None and goal.budget_steps > step[-1]:
        return float(goal.budget_steps - step[-1])
    return float(max(step[-1] - step[0], 2)) / 2


def _certificates(fits: LawFits) -> dict[str, str]:
    return {
        f"{law.y_name} on {law.x_name}": str(law.certificate())
        for law in fits.laws()
        if isinstance(law, LawFit) and law.supported
    }
