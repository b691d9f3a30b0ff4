"""docs/reading.md states the limits that the readers have."""

from __future__ import annotations

from pathlib import Path

import pytest

from qdlaws.core import json_lines
from qdlaws.readers import byte_source, folder, merge_files, table
from qdlaws.readers.formats import (
    delimited,
    json_document,
    molecule_diversity,
    molecule_tables,
    parquet,
    tensorboard,
    trackers_sqlite,
    wandb,
)

PAGE = (Path(__file__).parents[2] / "docs" / "reading.md").read_text(encoding="utf-8")
MIB = 1 << 20
LIMITS = [
    (table.MAX_CELLS, 2**23, "2²³ numbers (64 MiB)"),
    (table.MAX_COLUMNS, 10_000, "10,000 columns"),
    (byte_source.MAX_LINE, 32 * MIB, "32 MiB a line"),
    (json_lines.MAX_VALUES, 20_000, "20,000 values an object"),
    (json_lines.MAX_DEPTH, 6, "six levels"),
    (byte_source.MAX_WHOLE, 128 * MIB, "| JSON document | 128 MiB"),
    (json_document.MAX_VALUES, 2**23, "128 MiB, 2²³ values"),
    (delimited.BLOCK, 2**16, "2¹⁶ cells, or 128 rows, are held as text"),
    (molecule_tables.MOST_STEPS, 100_000, "100,000 steps"),
    (molecule_diversity.MOST_MOLECULES, 2_000, "2,000 molecules"),
    (parquet.MAX_VALUES, 2**26, "| parquet | 2²⁶ values"),
    (tensorboard.MAX_POINTS, 2**24, "2²⁴ points"),
    (tensorboard.MAX_RECORD, 256 * MIB, "256 MiB a record"),
    (wandb.MAX_RECORD, 64 * MIB, "64 MiB a record"),
    (trackers_sqlite.MAX_TEXT, 16 * MIB, "16 MiB a text"),
    (trackers_sqlite.MAX_SECONDS, 120, "two minutes"),
    (byte_source.BOMB_RATIO, 200, "200 times its size"),
    (byte_source.BOMB_SIZE, 16 * MIB, "from 16 MiB on"),
    (folder.DEEPEST, 6, "| folder | six levels"),
    (folder.MOST_ENTRIES, 200_000, "200,000 entries"),
    (folder.MOST_FILES, 20_000, "20,000 files that could be logs"),
    (merge_files.MOST_CELLS, 2**25, "2²⁵ values in the files of one run"),
]


@pytest.mark.parametrize(("limit", "value", "words"), LIMITS, ids=lambda value: str(value))
def test_the_page_states_the_limit_of_the_code(limit, value, words):
    assert limit == value
    assert words in PAGE
