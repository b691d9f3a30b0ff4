"""The format of a file, recognised by its content."""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from qdlaws.core.json_lines import parse
from qdlaws.errors import BadLog
from qdlaws.readers.byte_source import Source
from qdlaws.readers.formats import console, parquet
from qdlaws.readers.formats import trackers_sqlite as sqlite
from qdlaws.readers.formats import wandb as wandb_offline
from qdlaws.readers.formats.delimited import read_delimited
from qdlaws.readers.formats.json_document import read_json
from qdlaws.readers.formats.jsonl import read_jsonl
from qdlaws.readers.formats.molecule_tables import (
    is_reinvent,
    is_saturn,
    read_reinvent,
    read_saturn,
)
from qdlaws.readers.formats.tensorboard import is_tensorboard, read_tensorboard
from qdlaws.readers.formats.trainer_console import is_trainer_console, read_trainer_console
from qdlaws.readers.phases import with_phases_apart
from qdlaws.readers.several_runs import one_of_several_runs
from qdlaws.readers.table import Table

__all__ = ["FORMATS", "Options", "detect", "read_file", "read_unchanged"]

TRIES, PAUSE = 3, 0.05
"""How often, and seconds after which, a file is read again that changed while it was read."""


@dataclass(frozen=True)
class Options:
    """Wishes of the caller: which run of several, and columns to keep however long the log is."""

    run: str | None = None
    keep: Collection[str] = ()
    pooled: bool = False
    """Whether several runs in one file are let through, to see whether it is a log at all."""


Reader = Callable[[Source, Options], Table]

FORMATS: dict[str, tuple[str, Reader]] = {
    "tensorboard": ("TensorBoard event files", lambda s, _: read_tensorboard([s])),
    "wandb": ("W&B offline run (.wandb)", lambda s, _: wandb_offline.read_wandb(s)),
    "sqlite": ("MLflow or Trackio database", lambda s, o: sqlite.read_sqlite(s, o.run)),
    "parquet": ("parquet table, W&B history export", lambda s, o: parquet.read_parquet(s, o.keep)),
    "jsonl": (
        "JSON lines: qdtrain metrics.jsonl, verl file logger, prime-rl, ms-swift logging.jsonl",
        lambda s, o: read_jsonl(s, o.keep),
    ),
    "json": ("JSON: trainer_state.json of TRL and transformers, tables", lambda s, _: read_json(s)),
    "verl": ("verl console log", lambda s, _: console.read_verl(s)),
    "openrlhf": ("OpenRLHF log", lambda s, _: console.read_openrlhf(s)),
    "roll": ("ROLL console log", lambda s, _: console.read_roll(s)),
    "reinvent4-log": ("REINVENT4 text log", lambda s, _: console.read_reinvent_log(s)),
    "trainer-console": (
        "console log of TRL, Unsloth and other transformers trainers",
        lambda s, _: read_trainer_console(s),
    ),
    "reinvent4": ("REINVENT4 summary CSV", lambda s, _: read_reinvent(s)),
    "saturn": ("Saturn oracle history", lambda s, _: read_saturn(s)),
    "csv": (
        "CSV, TSV and other tables, W&B export",
        lambda s, o: wandb_offline.unwrap_export(read_delimited(s, o.keep), o.run),
    ),
}
"""The formats of single files: name → (description, reader)."""

CONSOLE = {
    "verl": console.VERL,
    "openrlhf": console.OPENRLHF,
    "roll": console.ROLL,
    "reinvent4-log": console.REINVENT,
}
REFUSED = {
    b"PK\x03\x04": "a zip archive (or NumPy .npz, or a torch checkpoint): unpack it first",
    b"\xfd7zXZ": "an xz file: unpack it first (gzip is read as it is)",
    b"BZh": "a bzip2 file: unpack it first (gzip is read as it is)",
    b"\x28\xb5\x2f\xfd": "a zstandard file: unpack it first (gzip is read as it is)",
    b"\x93NUMPY": "a NumPy array: a log needs named columns, write it as CSV",
    b"\x89HDF": "an HDF5 file: write the table as CSV or parquet",
    b"\x89PNG": "a picture",
    b"%PDF": "a PDF",
}
TIMESTAMP = re.compile(r"\[\d{1,4}[-/:]\d")
"""The beginning of a log line, which is no list of numbers: ``[2026-11-28 10:00:00]``."""
PICKLE = re.compile(rb"\x80[\x02-\x05]")


def read_file(source: Source, options: Options) -> Table:
    """The table of one file of any format; read again where it changed meanwhile."""

    def by_format(sources: Sequence[Source]) -> Table:
        kind = detect(sources[0])
        table = with_phases_apart(FORMATS[kind][1](sources[0], options))
        if options.pooled or table.tool == "wandb-export":  # its reader has chosen the run
            return table
        return one_of_several_runs(sources[0], kind, table, options.run)

    return read_unchanged([source], by_format)


def read_unchanged(sources: Sequence[Source], reader: Callable[[Sequence[Source]], Table]) -> Table:
    """What the reader makes of the sources, with their remarks.

    A source that is cut, replaced or rewritten meanwhile is read again, three times in all. An
    error may come of such a change too: it counts only where the sources stood still.
    """
    tries = 1
    while True:
        try:
            table = reader(sources)
            return table.with_notes(*(remark for s in sources for remark in s.remarks))
        except BadLog:
            if tries == TRIES or not any(s.has_changed() for s in sources):
                raise
        tries += 1
        time.sleep(PAUSE)
        sources = [Source(s.path) for s in sources]


def detect(source: Source) -> str:
    """The name of the format, a key of ``FORMATS``; BadLog where it is none."""
    head = source.head
    if not head.strip():
        raise source.bad("the file is empty")
    if head.startswith(sqlite.MAGIC):
        return "sqlite"
    if head.startswith(parquet.MAGIC):
        return "parquet"
    if head.startswith(wandb_offline.MAGIC):
        return "wandb"
    if is_tensorboard(head):
        return "tensorboard"
    for magic, advice in REFUSED.items():
        if head.startswith(magic):
            raise source.bad(advice)
    if PICKLE.match(head):
        raise source.bad("a pickle: it can run code when it is opened, so it is not read")
    if b"\0" in head[:4096]:
        raise source.bad("a binary file of no known format")
    return _detect_text(source)


def _detect_text(source: Source) -> str:
    text = source.head_text.lstrip()
    if text[:1] in "{[" and not TIMESTAMP.match(text) and (kind := _detect_json(source, text)):
        return kind
    for name, pattern in CONSOLE.items():
        if pattern.search(text):
            return name
    if is_trainer_console(text):
        return "trainer-console"
    header = next((t for t in text.splitlines() if t.strip() and t[0] != "#"), "")
    for separator in ",\t;":
        try:
            columns = [c.strip() for c in next(csv.reader([header], delimiter=separator))]
        except (csv.Error, StopIteration):
            continue
        if is_reinvent(columns):
            return "reinvent4"
        if is_saturn(columns):
            return "saturn"
    return "csv"


def _detect_json(source: Source, text: str) -> str | None:
    """One object a line, or one document; None where it is neither."""
    first = text.partition("\n")[0]
    try:
        value = parse(first)
    except ValueError as error:
        if "deeply" in str(error):
            raise source.bad(str(error), 1) from error
        # a pretty-printed document opens with a bracket alone; a cut first line is longer
        opens = re.match(r"[{\[]\s*(?:$|[\"{\[\d\]}-])", first.strip()) is not None
        second = text.partition("\n")[2].lstrip()[:1]
        if opens and second == "{" and first.strip() not in ("[", "[{"):
            return "jsonl"
        return "json" if opens else None
    rest = text.partition("\n")[2].strip()
    if isinstance(value, dict) and (rest or not any(isinstance(v, list) for v in value.values())):
        return "jsonl"
    return "json"
