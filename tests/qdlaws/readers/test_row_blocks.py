"""Rows that are read in blocks give the table that they give one by one."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdlaws.readers import table
from qdlaws.readers.byte_source import Line, Source
from qdlaws.readers.formats import jsonl
from qdlaws.readers.formats.jsonl import read_jsonl
from qdlaws.readers.row_blocks import line_blocks, parse_block

VALUES = st.one_of(
    st.floats(),
    st.integers(),
    st.just(10**400),
    st.none(),
    st.booleans(),
    st.sampled_from(["train", "eval", "0.5", "nan", "a word", "x" * 40]),
    st.dictionaries(st.sampled_from(["a", "b"]), st.floats(), max_size=2),
    st.lists(st.integers(), max_size=2),
)
NAMES = ["step", "phase", "run", "kind", "reward", "eval/x", "knobs", "data", "z" * 301]
ROWS = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5)


def one_by_one(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(jsonl, "FIRST_ROWS", 1 << 30)
        return read_jsonl(Source(Path(path)))


def assert_equal(left, right):
    pd.testing.assert_frame_equal(left.frame, right.frame)
    assert (left.tool, left.kinds, left.notes) == (right.tool, right.kinds, right.notes)
    assert left.labels == right.labels


@settings(max_examples=25, deadline=None)
@given(shapes=st.lists(ROWS, min_size=1, max_size=6), pick=st.randoms(use_true_random=False))
def test_blocks_of_any_rows_give_the_table_of_single_rows(shapes, pick, tmp_path_factory):
    rows = [shapes[i % len(shapes)] for i in range(jsonl.FIRST_ROWS)]
    rows += [pick.choice(shapes) for _ in range(60)]
    path = tmp_path_factory.mktemp("rows") / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    patch = pytest.MonkeyPatch()
    assert_equal(read_jsonl(Source(path)), one_by_one(path, patch))


def test_a_row_of_our_runs_keeps_its_kinds_and_nested_knobs(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    with path.open("w") as file:
        for step in range(300):
            row = {"step": step, "phase": "train", "reward": step / 300, "broken": None}
            file.write(json.dumps(row) + "\n")
            if step % 3 == 0:
                row = {"step": step, "phase": "eval", "quality": step / 300}
                row |= {"knobs": {"kl": 0.1}, "kinds": {"entropy": "sequence_entropy"}}
                row |= {"diversity_kind": "internal"} if step > 200 else {}
                file.write(json.dumps(row) + "\n")
    table_of_blocks = read_jsonl(Source(path))
    assert_equal(table_of_blocks, one_by_one(path, monkeypatch))
    assert table_of_blocks.kinds["eval/diversity"] == "internal"
    assert table_of_blocks.frame["eval/knobs/kl"].notna().sum() == 100


def test_a_very_long_log_is_averaged_alike_whatever_rows_wait(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    rows = [
        {"step": s, "reward": s / 2, **({"late": 1.0} if s % 7 == 0 else {})} for s in range(9000)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(table, "MAX_CELLS", 5_000)
    frame = read_jsonl(Source(path)).frame
    assert len(frame) > 500
    assert frame.size <= 2 * 5_000
    pd.testing.assert_series_equal(frame["reward"], frame["step"] / 2, check_names=False)
    assert (frame["step"].diff().dropna() == frame["step"].diff().iloc[1]).all()


@pytest.mark.parametrize(
    "texts",
    [
        ['{"a": 1}', '{"b": 2'],
        ['{"a": 1}', "[1]"],
        ['{"a": [{"b": 1}', '{"c": 2}]}', '{"d": 3}, {"e": 4}'],
        ['{"a": 1}', ""],
    ],
)
def test_a_block_with_a_line_that_is_no_object_is_read_line_by_line(texts):
    assert parse_block([Line(i, text, True) for i, text in enumerate(texts)]) is None


def test_blocks_are_bounded_in_rows_and_characters():
    short = [Line(i, "{}", True) for i in range(1, 10_001)]
    assert [len(block) for block in line_blocks(short, 100)] == [100, 4096, 4096, 1708]
    wide = [Line(i, " " * (3 << 20), True) for i in range(1, 5)]
    assert [len(block) for block in line_blocks(wide, 0)] == [2, 2]
