"""JSON lines that a kill has cut, and nested objects as numbers."""

from __future__ import annotations

import json
import math
import os

import pytest

from qdlaws.core.json_lines import flat, parse, parse_lines, read_json_lines


def test_a_cut_last_line_is_skipped_and_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n\n{"step": 2}\n{"step": 3, "qua', encoding="utf-8")
    lines = read_json_lines(path)
    assert [row["step"] for row in lines.rows] == [1, 2]
    assert lines.skipped == (4,)
    assert lines.note == "unreadable, left out: line 4"


def test_a_whole_file_has_no_note(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n', encoding="utf-8")
    assert read_json_lines(path).note == ""


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path):
    row = {"step": 1, "completion": "one\u2028two\x85three"}
    path = tmp_path / "advice.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    assert read_json_lines(path).rows == (row,)


def test_a_value_that_is_no_object_comes_with_its_problem():
    whole, number, broken = parse_lines([(1, '{"a": 1}'), (2, "3"), (3, "{")])
    assert whole.row == {"a": 1}
    assert (number.row, number.problem) == (None, "no JSON object")
    assert broken.row is None
    assert broken.problem


def test_nested_numbers_have_joined_names():
    row = {"a": {"b": 1, "c": {"d": 0.5}}, "e": [1, 2], "f": "text", "g": "3", "h": True}
    assert flat(row) == {"a/b": 1.0, "a/c/d": 0.5, "g": 3.0, "h": 1.0}


def test_unknown_values_are_nan():
    numbers = flat({"none": None, "inf": math.inf, "huge": 10**400})
    assert all(math.isnan(v) for v in numbers.values())
    assert list(numbers) == ["none", "inf", "huge"]


def test_hostile_objects_are_bounded():
    with pytest.raises(ValueError, match="20,000 values"):
        flat({str(i): 1 for i in range(20_001)})
    with pytest.raises(ValueError, match="too deeply"):
        parse("[" * 100_000)
    assert flat({"x" * 301: 1.0, "y": 1.0}) == {"y": 1.0}


def test_half_a_surrogate_pair_comes_as_a_character_that_files_can_hold():
    value = parse(r'{"rewards/\ud800/mean": ["\udfff", {"a": "\ud83d\ude00"}]}')
    assert value == {"rewards/\ufffd/mean": ["\ufffd", {"a": "\U0001f600"}]}


def test_only_the_first_of_many_skipped_lines_are_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("{\n" * 500, encoding="utf-8")
    note = read_json_lines(tmp_path / "metrics.jsonl").note
    assert note.endswith("19, 20 and 480 more")


def test_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(OSError, match="not a regular file"):
        read_json_lines(tmp_path / "metrics.jsonl")
