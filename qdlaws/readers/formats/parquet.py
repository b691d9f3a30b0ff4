"""Parquet: W&B's exported history, or any table of numbers. Needs pyarrow (the extra ``logs``)."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from qdlaws.errors import BadLog
from qdlaws.readers.byte_source import Source
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.table import MAX_CELLS, MAX_COLUMNS, Table

__all__ = ["MAGIC", "read_parquet"]

MAGIC = b"PAR1"
MAX_ROWS = 1 << 24


def read_parquet(source: Source, keep: Collection[str] = ()) -> Table:
    """The number columns of a parquet file."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise BadLog(
            f"{source.name}: reading parquet needs pyarrow: pip install 'qdlaws[logs]'"
        ) from error
    try:
        with parquet.ParquetFile(source.path) as file:
            names = _columns(source, file, pa, keep)
            table = file.read(columns=names)
    except (pa.ArrowException, OSError, ValueError, MemoryError, RecursionError) as error:
        raise source.bad(f"a damaged parquet file ({str(error)[:120]})") from error
    columns = {}
    for name in names:
        values = pd.to_numeric(table.column(name).to_pandas(), errors="coerce").to_numpy(float)
        columns[name] = np.where(np.isfinite(values), values, np.nan)
    return Table("parquet", pd.DataFrame(columns))


def _columns(source: Source, file: object, pa: object, keep: Collection[str]) -> list[str]:
    """The number columns; of a very long file only those that a law could use."""
    schema, rows = file.schema_arrow, file.metadata.num_rows  # type: ignore[attr-defined]
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)  # type: ignore[attr-defined]
    names = [f.name for f in schema if any(is_kind(f.type) for is_kind in numeric)]
    names = [n for n in names if schema.names.count(n) == 1]
    if len(names) > MAX_COLUMNS or rows > MAX_ROWS:
        raise source.bad(f"{rows:,} rows of {len(names):,} columns: more than are read")
    if rows * len(names) > MAX_CELLS:
        names = [n for n in names if n in keep or is_wanted(n)]
    if rows * len(names) > 4 * MAX_CELLS:
        raise source.bad(f"{rows:,} rows of {len(names):,} columns: more than are read")
    if not names or not rows:
        raise source.bad("no column of numbers in it")
    return names
