"""One JSON document: TRL / HF ``trainer_state.json``, a list of rows, or named columns."""

from __future__ import annotations

from typing import Any

from qdlaws.core.json_lines import flat, parse
from qdlaws.readers.byte_source import Source
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.run_labels import RunLabels
from qdlaws.readers.table import MAX_CELLS, Columns, Table

__all__ = ["read_json"]

END_OF_RUN = ("train_runtime", "total_flos")  # keys of the last row, which holds no metrics
WRAPPERS = ("log_history", "history", "rows", "data", "records", "metrics", "steps")


MAX_VALUES = MAX_CELLS  # of a document: in memory each takes some hundred bytes


def read_json(source: Source) -> Table:
    """The rows of a JSON document."""
    content = source.whole()
    if sum(map(content.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise source.bad(f"more than {MAX_VALUES:,} values in one document: write JSON lines")
    try:
        document = parse(content)
    except (ValueError, UnicodeError) as error:
        raise source.bad(f"no JSON ({error})") from error
    if isinstance(document, dict) and isinstance(document.get("log_history"), list):
        return _trainer_state(source, document)
    return _table(source, "json", _rows(source, document))


def _trainer_state(source: Source, state: dict[str, Any]) -> Table:
    """The log history of the transformers Trainer.

    Each row is the mean over ``logging_steps`` steps; evaluation rows stand apart, with ``eval_``
    before their names; the last row sums up the run and measures nothing.
    """
    rows = [r for r in state["log_history"] if isinstance(r, dict)]
    rows = [r for r in rows if not any(key in r for key in END_OF_RUN)]
    every = state.get("logging_steps")
    averaged = isinstance(every, int) and every > 1
    note = f"each row is a mean over {every} steps (logging_steps)" if averaged else ""
    return _table(source, "trainer", rows).with_notes(note)


def _rows(source: Source, document: Any) -> list[Any]:
    if isinstance(document, list):
        return document
    if isinstance(document, dict):
        lists = {k: v for k, v in document.items() if isinstance(v, list)}
        for wrapper in WRAPPERS:
            if lists.get(wrapper) and isinstance(lists[wrapper][0], dict):
                return lists[wrapper]
        if lists and len({len(v) for v in lists.values()}) == 1:  # columns
            return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
        columns = {k: v for k, v in document.items() if isinstance(v, dict)}
        if columns and set(columns) == set(document):  # pandas' orient="columns"
            rows: dict[str, dict[str, Any]] = {}
            for name, column in columns.items():
                for row, value in column.items():
                    rows.setdefault(row, {})[name] = value
            return list(rows.values())
    raise source.bad("JSON, but neither a list of rows, nor columns, nor a trainer state")


def _table(source: Source, tool: str, rows: list[Any]) -> Table:
    columns, runs = Columns(is_wanted), RunLabels()
    for place, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise source.bad(f"row {place} is {type(row).__name__}, an object was needed")
        try:
            columns.add(flat(row) | runs.of_row(row))
        except (ValueError, OverflowError) as error:
            raise source.bad(f"row {place}: {error}") from error
    if not len(columns):
        raise source.bad("no logged rows in it")
    return Table(tool, columns.frame(), notes=columns.notes(), labels=runs.labels())
