"""Pruners from the forecast: a trial ends whose forecast does not reach the best trial any more.

    study = optuna.create_study(direction="maximize", pruner=ForecastPruner(last_step=500))

    tune.RunConfig(stop=ForecastStopper("reward", last_step=500))

A trial reports a quality now and then; its forecast (:func:`qdlaws.forecast`) to ``last_step`` has
a band, and where the better end of it is worse than the best value of another trial the trial is
ended. It needs at least 12 reports. Importing this imports neither Optuna nor Ray.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.forecasting.forecast import forecast

if TYPE_CHECKING:
    ForecastPruner: Any
    ForecastStopper: Any

__all__ = ["ForecastPruner", "ForecastStopper", "out_of_reach"]

FEWEST = 12
"""Reports that a forecast needs before it may end a trial."""


def out_of_reach(
    steps: npt.ArrayLike,
    values: npt.ArrayLike,
    best: float,
    *,
    last_step: float,
    higher_is_better: bool = True,
    level: float = 0.9,
) -> bool:
    """Whether the forecast to ``last_step`` says that a run will not reach ``best``.

    True where the better end of its band at that level is worse; False before there are enough
    reports, and at the last step.

    Examples
    --------
    >>> rise = 1 - np.exp(-np.arange(30) / 5)
    >>> out_of_reach(range(30), .6 * rise, best=.9, last_step=60)
    True
    >>> out_of_reach(range(30), .6 * rise, best=.5, last_step=60)
    False
    """
    at, quality = np.asarray(steps, float), np.asarray(values, float)
    known = np.isfinite(quality)
    at, quality = at[known], quality[known]
    if len(at) < FEWEST or at[-1] >= last_step or not np.isfinite(best):
        return False
    sign = 1.0 if higher_is_better else -1.0
    try:
        log = RunLog.from_arrays(at, quality=sign * quality)
        band = forecast(log, last_step - at[-1], level=level).final["quality"]
    except NotEnoughData:
        return False
    return bool(max(band.high, (sign * quality).max()) < sign * best)


def _checked(last_step: float, level: float) -> None:
    if not last_step > 0:
        raise BadData(f"last_step={last_step!r}: the last step of a trial, above 0, was needed")
    if not 0 < level < 1:
        raise BadData(f"level={level!r}: a share between 0 and 1 was needed")


class _ForecastPruner:
    """A pruner of Optuna: ``trial.should_prune()`` where the best trial is out of reach.

    Parameters
    ----------
    last_step : the step at which a trial that is not pruned ends
    level : level of the band; a higher one prunes later

    Examples
    --------
    >>> from qdlaws.integrations.tuning import ForecastPruner
    >>> pruner = ForecastPruner(last_step=500)  # for optuna.create_study(pruner=pruner)
    """

    def __init__(self, last_step: float, *, level: float = 0.9) -> None:
        _checked(last_step, level)
        self.last_step, self.level = last_step, level

    def prune(self, study: Any, trial: Any) -> bool:
        """Whether the trial should end, by the values that it has reported."""
        complete = import_module("optuna").trial.TrialState.COMPLETE
        ended = study.get_trials(deepcopy=False, states=(complete,))
        values = [other.value for other in ended if other.value is not None]
        if not values or not trial.intermediate_values:
            return False
        higher = study.direction.name == "MAXIMIZE"
        steps, reported = zip(*sorted(trial.intermediate_values.items()), strict=True)
        return out_of_reach(
            steps,
            reported,
            max(values) if higher else min(values),
            last_step=self.last_step,
            higher_is_better=higher,
            level=self.level,
        )


class _ForecastStopper:
    """A stopper of Ray Tune: ends a trial where the best other trial is out of its reach.

    Parameters
    ----------
    metric : the name of the reported quality
    last_step : the step at which a trial that is not stopped ends
    mode : ``"max"`` or ``"min"``
    level : level of the band; a higher one stops later
    step : the name of the reported step

    Examples
    --------
    With Ray Tune, which is not part of this project's extras:

    >>> from qdlaws.integrations.tuning import ForecastStopper  # doctest: +SKIP
    >>> tune.RunConfig(stop=ForecastStopper("reward", last_step=500))  # doctest: +SKIP
    """

    def __init__(
        self,
        metric: str,
        last_step: float,
        *,
        mode: Literal["max", "min"] = "max",
        level: float = 0.9,
        step: str = "training_iteration",
    ) -> None:
        _checked(last_step, level)
        if mode not in ("max", "min"):
            raise BadData(f"mode={mode!r}: one of max, min was needed")
        self.metric, self.last_step, self.mode = metric, last_step, mode
        self.level, self.step = level, step
        self.reports: dict[str, list[tuple[float, float]]] = {}

    def __call__(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Takes up a report; whether the trial should end."""
        if self.metric not in result or self.step not in result:
            return False
        report = (float(result[self.step]), float(result[self.metric]))
        self.reports.setdefault(trial_id, []).append(report)
        if report[0] >= self.last_step:
            return True
        others = [rows[-1][1] for name, rows in self.reports.items() if name != trial_id]
        if not others:
            return False
        steps, values = zip(*self.reports[trial_id], strict=True)
        higher = self.mode == "max"
        best = max(others) if higher else min(others)
        return out_of_reach(
            steps,
            values,
            best,
            last_step=self.last_step,
            higher_is_better=higher,
            level=self.level,
        )

    def stop_all(self) -> bool:
        """Never ends the other trials."""
        return False


@cache
def _made(name: str) -> Any:
    """The class on top of that of the package, which is imported at its first use."""
    module, base, ours = {
        "ForecastPruner": ("optuna.pruners", "BasePruner", _ForecastPruner),
        "ForecastStopper": ("ray.tune.stopper", "Stopper", _ForecastStopper),
    }[name]
    parent = getattr(import_module(module), base)
    return type(name, (ours, parent), {"__doc__": ours.__doc__, "__module__": __name__})


def __getattr__(name: str) -> Any:
    if name in ("ForecastPruner", "ForecastStopper"):
        return _made(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
