"""Verdict, forecast band and advice as live series in W&B, Trackio, MLflow or TensorBoard.

    qdlaws watch runs/grpo-3 --to tensorboard

Each run of the watched ones gets a run of its own beside it, named ``NAME-qdlaws``, whose steps
are those of the log, so that a tracker draws both over the same axis. Where it goes is set as that
tracker has it (``WANDB_PROJECT``, ``WANDB_MODE``, ``TRACKIO_DIR``, ``MLFLOW_TRACKING_URI``, …); a
project that is not named is ``qdlaws``. TensorBoard's files are written beside the log, in the
folder ``NAME-qdlaws``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

from qdlaws.core.advice import Advice
from qdlaws.errors import BadData, QdlawsError
from qdlaws.forecasting.forecast import forecast
from qdlaws.integrations.series import PREFIX, advice_series, forecast_series, law_series
from qdlaws.integrations.watch import Update

__all__ = ["TRACKERS", "Poster", "Tracker", "TrackerName"]

TrackerName = Literal["wandb", "trackio", "mlflow", "tensorboard"]
PROJECT = "qdlaws"


class Tracker(Protocol):
    """One run of a tracker."""

    def post(self, step: int, numbers: Mapping[str, float], words: Mapping[str, str]) -> None: ...

    def close(self) -> None: ...


class Poster:
    """Posts the updates of many runs, each to its own run of one tracker."""

    def __init__(self, name: TrackerName) -> None:
        self._open = TRACKERS[name]
        self._runs: dict[str, Tracker] = {}

    def post(self, updates: Iterable[Update]) -> None:
        """Posts what the updates say; nothing of a run that has no advice yet."""
        for update in updates:
            if update.advice is None or update.step is None:
                continue
            if update.source not in self._runs:
                self._runs[update.source] = self._open(Path(update.source))
            numbers = _series(update, update.advice)
            self._runs[update.source].post(round(update.step), numbers, _words(update))

    def __enter__(self) -> Poster:
        return self

    def __exit__(self, *error: object) -> None:
        for run in self._runs.values():
            run.close()


def _series(update: Update, advice: Advice) -> dict[str, float]:
    """Advice, laws and the forecast to half as many steps again, as numbers."""
    out = advice_series(advice)
    if update.fits is not None:
        out |= law_series(update.fits)
    run = update.fits or update.log
    if run is None or update.log is None:
        return out
    try:
        ahead = forecast(run)
    except QdlawsError:  # too short for one
        return out
    return (
        out
        | forecast_series(ahead)
        | {f"{PREFIX}forecast/step": float(update.log.step[-1]) + ahead.horizon}
    )


def _words(update: Update) -> dict[str, str]:
    """The advice in a sentence, and the verdict of each law."""
    words = {f"{PREFIX}advice": str(update)}
    for law in update.fits.laws() if update.fits is not None else ():
        words[f"{PREFIX}verdict/{law.y_name}_on_{law.x_name}"] = str(law.verdict)
    return words


def _name(source: Path) -> str:
    """The name of the run beside: that of the log, or of its folder where the file's is usual."""
    whole = source.resolve()
    named = whole.parent if whole.stem in ("metrics", "trainer_state", "output") else whole
    return f"{named.name}-qdlaws"


def _module(name: str, package: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise BadData(
            f"this needs the package {package}: pip install {package} ({error})"
        ) from None


# ---------------------------------------------------------------------- one class a tracker


class _TensorBoard:
    """An event file in a folder beside the log, which a TensorBoard of the folder above shows."""

    def __init__(self, source: Path) -> None:
        writer = _module("tensorboard.summary.writer.event_file_writer", "tensorboard")
        self._event = _module("tensorboard.compat.proto.event_pb2", "tensorboard").Event
        self._text = _module("tensorboard.plugins.text.summary_v2", "tensorboard").text_pb
        named = Path(source).resolve()
        above = named.parent if named.is_dir() else named.parent.parent
        self._file = writer.EventFileWriter(str(above / _name(source)))

    def post(self, step: int, numbers: Mapping[str, float], words: Mapping[str, str]) -> None:
        event = self._event(step=step, wall_time=time.time())
        for tag, value in numbers.items():
            event.summary.value.add(tag=tag, simple_value=value)
        for tag, text in words.items():
            event.summary.value.extend(self._text(tag, text).value)
        self._file.add_event(event)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class _Wandb:
    """A run of W&B; offline where ``WANDB_MODE`` says so."""

    def __init__(self, source: Path) -> None:
        wandb = _module("wandb", "wandb")
        project = os.environ.get("WANDB_PROJECT", PROJECT)
        self._run = wandb.init(
            project=project,
            name=_name(source),
            config={"log": str(source)},
            settings=wandb.Settings(console="off", silent=True),
            reinit="create_new",
        )
        self._run.define_metric("*", step_metric="train/global_step")

    def post(self, step: int, numbers: Mapping[str, float], words: Mapping[str, str]) -> None:
        self._run.log({"train/global_step": step, **numbers})
        self._run.summary.update(dict(words))

    def close(self) -> None:
        self._run.finish()


class _Trackio:
    """A run in Trackio's own store."""

    def __init__(self, source: Path) -> None:
        self._trackio = _module("trackio", "trackio")
        project = os.environ.get("TRACKIO_PROJECT", PROJECT)
        self._run = self._trackio.init(
            project=project, name=_name(source), config={"log": str(source)}, resume="allow"
        )

    def post(self, step: int, numbers: Mapping[str, float], words: Mapping[str, str]) -> None:
        self._run.log({**numbers, **words}, step=step)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    """A run of MLflow; the words are its tags."""

    def __init__(self, source: Path) -> None:
        mlflow = _module("mlflow", "mlflow-skinny")
        client = mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        experiment = client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else client.create_experiment(name)
        self._client = client
        self._id = client.create_run(number, run_name=_name(source)).info.run_id
        client.set_tag(self._id, "log", str(source))

    def post(self, step: int, numbers: Mapping[str, float], words: Mapping[str, str]) -> None:
        for key, value in numbers.items():
            self._client.log_metric(self._id, key, value, step=step)
        for key, text in words.items():
            self._client.set_tag(self._id, key, text[:5000])

    def close(self) -> None:
        self._client.set_terminated(self._id)


TRACKERS: dict[str, Callable[[Path], Tracker]] = {
    "wandb": _Wandb,
    "trackio": _Trackio,
    "mlflow": _MLflow,
    "tensorboard": _TensorBoard,
}
