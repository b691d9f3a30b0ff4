"""Parquet: W&B's exported history, or any table of numbers. Needs pyarrow (the extra ``logs``)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd

from qdlaws.core.types import Array
from qdlaws.errors import BadLog
from qdlaws.readers.byte_source import Source
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.table import MAX_CELLS, MAX_COLUMNS, Columns, Table

__all__ = ["MAGIC", "read_parquet"]

MAGIC = b"PAR1"
MAX_VALUES = 1 << 26
"""Values that are read at all: a column of one value repeated packs to nothing."""
BATCH = 1 << 20  # values that are read at a time


def read_parquet(source: Source, keep: Collection[str] = ()) -> Table:
    """The number columns of a parquet file, batch by batch."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise BadLog(
            f"{source.name}: reading parquet needs pyarrow: pip install 'qdlaws[logs]'"
        ) from error
    columns = Columns(lambda name: name in keep or is_wanted(name))
    try:
        with source.unchanged(), parquet.ParquetFile(source.path) as file:
            names = _columns(source, file, pa, keep)
            size = max(BATCH // len(names), 1)
            for batch in file.iter_batches(batch_size=size, columns=names, use_threads=False):
                columns.extend({name: _numbers(batch.column(name)) for name in names})
    except BadLog:
        raise
    except (pa.ArrowException, OSError, ValueError, MemoryError, RecursionError) as error:
        raise source.bad(f"a damaged parquet file ({str(error)[:120]})") from error
    return Table("parquet", columns.frame(), notes=columns.notes())


def _numbers(column: Any) -> Array:
    values = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(float)
    return np.where(np.isfinite(values), values, np.nan)


def _columns(source: Source, file: Any, pa: Any, keep: Collection[str]) -> list[str]:
    """The number columns; of a very long file only those that a law could use."""
    schema, rows = file.schema_arrow, file.metadata.num_rows
    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    times = Counter(schema.names)
    fields = (schema.field(i) for i in range(len(schema)))
    names = [f.name for f in fields if times[f.name] == 1 and any(is_(f.type) for is_ in kinds)]
    if len(names) > MAX_COLUMNS:
        raise source.bad(f"{len(names):,} columns, at most {MAX_COLUMNS:,} are read")
    if rows * len(names) > MAX_CELLS:
        names = [n for n in names if n in keep or is_wanted(n)]
    if rows * len(names) > MAX_VALUES:
        raise source.bad(f"{rows:,} rows of {len(names):,} columns: more than are read")
    if not names or not rows:
        raise source.bad("no column of numbers in it")
    return names
