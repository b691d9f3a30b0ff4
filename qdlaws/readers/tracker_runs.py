"""Runs of trackers by their names, read through the tracker's own client where it is installed.

    wandb:ENTITY/PROJECT/RUN      W&B's public API, every row of the run's history
    trackio:PROJECT/RUN           Trackio's store on this machine
    mlflow:RUN, mlflow:EXPERIMENT/RUN   MLflow at MLFLOW_TRACKING_URI; RUN is an id or a name

Without its RUN the address stands for a project's only run; where there are several they are
listed. Nothing is asked of a server unless the address is given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from qdlaws.core.json_lines import flat
from qdlaws.core.serialize import printable
from qdlaws.errors import BadLog, QdlawsError
from qdlaws.readers.byte_source import MAX_MESSAGE, Source
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.formats.trackers_sqlite import only_run, read_sqlite, table_of_values
from qdlaws.readers.table import Columns, Table

__all__ = ["is_tracker_run", "read_tracker_run"]

ADDRESS = re.compile(r"(wandb|trackio|mlflow):(.+)", re.DOTALL)


def is_tracker_run(where: str) -> bool:
    """Whether the text is the address of a tracker's run, and no path of that name exists."""
    return ADDRESS.fullmatch(where) is not None and not Path(where).exists()


def read_tracker_run(where: str, run: str | None = None) -> Table:
    """The table of the run at an address; BadLog with what the client says where it has none."""
    address = ADDRESS.fullmatch(where)
    if address is None:
        raise BadLog(f"{where[:200]!r}: wandb:…, trackio:… or mlflow:… was needed")
    tracker, name = address[1], address[2].strip("/")
    try:
        client = import_module(tracker)
    except ImportError as error:
        package = "mlflow-skinny" if tracker == "mlflow" else tracker
        problem = f"{where}: needs {tracker}: pip install {package} ({error})"
        raise BadLog(printable(problem)) from error
    try:
        return READERS[tracker](client, name, run, Source(Path(where)))
    except QdlawsError:
        raise
    except Exception as error:  # of the client: no network, no such project, not logged in …
        message = " ".join(str(error).split())[:MAX_MESSAGE] or type(error).__name__
        raise BadLog(printable(f"{where}: {tracker} says: {message}")) from error


def _wandb(client: Any, name: str, run: str | None, source: Source) -> Table:
    api = client.Api()
    if name.count("/") < 2:
        runs = [(r.id, str(r.name), int(r.lastHistoryStep) + 1) for r in api.runs(name)]
        name = f"{name}/{only_run(source, runs, run)}"
    columns = Columns(is_wanted)
    for row in api.run(name).scan_history():
        columns.add(flat(row))
    if not len(columns):
        raise source.bad("this run logged no history")
    return Table("wandb", columns.frame(), notes=columns.notes())


def _trackio(client: Any, name: str, run: str | None, source: Source) -> Table:
    project, _, wanted = name.partition("/")
    client.Api().runs(project)  # says so where there is no such project
    store = import_module("trackio.sqlite_storage").SQLiteStorage
    return read_sqlite(Source(Path(store.get_project_db_path(project))), wanted or run)


def _mlflow(client: Any, name: str, run: str | None, source: Source) -> Table:
    api = client.MlflowClient()
    experiment, _, wanted = name.rpartition("/")
    if not experiment and re.fullmatch("[0-9a-f]{32}", name):
        chosen = name
    else:
        experiment, wanted = (experiment, wanted) if experiment else (name, run or "")
        record = api.get_experiment_by_name(experiment)
        if record is None:
            raise source.bad(f"no experiment {experiment!r}")
        runs = api.search_runs([record.experiment_id])
        listed = [(r.info.run_id, r.info.run_name, len(r.data.metrics)) for r in runs]
        chosen = only_run(source, listed, wanted or None)
    keys = sorted(api.get_run(chosen).data.metrics)
    values = [m for key in keys for m in api.get_metric_history(chosen, key)]
    values.sort(key=lambda m: (m.step, m.timestamp))
    return table_of_values(source, "mlflow", _triples(values))


def _triples(values: Iterable[Any]) -> Iterator[tuple[Any, Any, Any]]:
    return ((value.step, value.key, value.value) for value in values)


READERS: dict[str, Callable[[Any, str, str | None, Source], Table]] = {
    "wandb": _wandb,
    "trackio": _trackio,
    "mlflow": _mlflow,
}
