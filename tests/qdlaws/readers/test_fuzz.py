"""Damaged, cut, changing and made-up logs: right numbers or one QdlawsError, in bounded time and
memory."""

from __future__ import annotations

import gzip
import json
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qdlaws import QdlawsError, RunLog
from qdlaws.core.atomic_write import write_atomically
from qdlaws.readers import read
from qdlaws.readers.byte_source import Source
from tests.helpers.bounded import bounded
from tests.helpers.make_fixtures import FIXTURES
from tests.helpers.tracker_files import event_file, scalar_event
from tests.helpers.whole_logs import quality, whole_logs

QUIET = settings(
    deadline=None, max_examples=100, suppress_health_check=list(HealthCheck), derandomize=True
)
FEWER = settings(QUIET, max_examples=40)
MORE = settings(QUIET, max_examples=120)

LOGS = whole_logs()
TEXT_LOGS = sorted(set(LOGS) - {"tensorboard", "wandb", "trackio", "mlflow"})
CHECKED_LOGS = ["tensorboard", "wandb", "csv, gzip", "jsonl, gzip"]
"""Formats with checksums: whatever happens to them, no wrong number comes out."""


def survives(path: Path) -> RunLog | None:
    """Whatever is in the file: a log, or one QdlawsError of one line."""
    with bounded():
        try:
            log = read(path)
        except QdlawsError as error:
            str(error).encode()
            return None
        assert isinstance(log, RunLog)
        assert np.all(np.isfinite(log.step))
        return log


def shows_no_wrong_number(path: Path) -> None:
    """Every quality that is read is that of its step."""
    log = survives(path)
    if log is not None and log.quality is not None:
        known = np.isfinite(log.quality)
        np.testing.assert_allclose(log.quality[known], quality(log.step[known]), atol=1e-6)


def test_the_whole_logs_are_read_whole(tmp_path: Path):
    for content in LOGS.values():
        (tmp_path / "log").write_bytes(content)
        log = read(tmp_path / "log")
        assert len(log) == 150
        np.testing.assert_allclose(log.quality, quality(log.step), atol=1e-6)


# ---------------------------------------------------------------------- damage


@MORE
@given(st.sampled_from(sorted(LOGS)), st.floats(0, 1))
def test_a_cut_log_shows_no_wrong_number(tmp_path_factory, name, share):
    path = tmp_path_factory.getbasetemp() / "cut"
    path.write_bytes(LOGS[name][: int(share * len(LOGS[name]))])
    shows_no_wrong_number(path)


@MORE
@given(st.sampled_from([*TEXT_LOGS, *CHECKED_LOGS]), st.floats(0, 1), st.integers(1, 400))
def test_a_hole_of_zero_bytes_makes_no_wrong_number(tmp_path_factory, name, share, length):
    path, content = tmp_path_factory.getbasetemp() / "hole", LOGS[name]
    start = int(share * len(content))
    length = min(length, len(content) - start)
    path.write_bytes(content[:start] + bytes(length) + content[start + length :])
    shows_no_wrong_number(path)


@MORE
@given(
    st.sampled_from(CHECKED_LOGS),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 7)), min_size=1, max_size=4),
)
def test_flipped_bits_make_no_wrong_number_where_there_are_checksums(tmp_path_factory, name, flips):
    path, content = tmp_path_factory.getbasetemp() / "flipped", bytearray(LOGS[name])
    for share, bit in flips:
        content[int(share * len(content))] ^= 1 << bit
    path.write_bytes(content)
    shows_no_wrong_number(path)


OTHER = {
    name: content for name, content in LOGS.items() if name in ("csv", "jsonl", "verl console")
}


@FEWER
@given(
    st.sampled_from(sorted(OTHER)),
    st.sampled_from(sorted(OTHER)),
    st.integers(0, 5),
    st.sampled_from(["replace", "rewrite", "cut", "empty", "grow", "remove"]),
)
def test_a_log_that_changes_while_it_is_read_is_one_of_its_states(
    tmp_path_factory, first, second, opens, change
):
    """Each state's quality is a function of the step, and they differ by 5."""
    path = tmp_path_factory.getbasetemp() / "changing"
    path.write_bytes(OTHER[first])
    later = OTHER[second].replace(b"0.", b"5.")
    count, opened = 0, Source.open

    def changing(self):
        nonlocal count
        count += 1
        if count == opens:
            if change == "replace":
                write_atomically(path, later)
            elif change in ("rewrite", "cut", "empty"):
                path.write_bytes(
                    later if change == "rewrite" else OTHER[first][:700] * (change == "cut")
                )
            elif change == "grow":
                path.open("ab").write(OTHER[first].splitlines(keepends=True)[-1])
            else:
                path.unlink()
        return opened(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Source, "open", changing)
        log = survives(path)
    path.unlink(missing_ok=True)
    if log is not None:
        states = [log.quality - quality(log.step), log.quality - 5 - quality(log.step)]
        assert any(np.allclose(state, 0, atol=1e-9) for state in states)


SEEDS = [
    *LOGS.values(),
    (FIXTURES / "trl/checkpoint-10/trainer_state.json").read_bytes(),
    (FIXTURES / "tensorboard-restarted/events.out.tfevents.0.host").read_bytes(),
    (FIXTURES / "wandb/run-fixture.wandb").read_bytes(),
    (FIXTURES / "trackio/fixtures.db").read_bytes(),
    (FIXTURES / "mlflow/mlflow.db").read_bytes(),
    (FIXTURES / "mlruns/0/run0/metrics/reward").read_bytes(),
]


@QUIET
@given(st.data())
def test_damaged_logs(tmp_path_factory, data: st.DataObject):
    content = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(0, 4))):
        start = data.draw(st.integers(0, len(content)))
        piece = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from(TOKENS)))
        length = data.draw(st.integers(0, 40))
        how = data.draw(st.sampled_from(["insert", "replace", "delete", "cut", "repeat"]))
        if how == "insert":
            content[start:start] = piece
        elif how == "replace":
            content[start : start + len(piece)] = piece
        elif how == "delete":
            del content[start : start + length]
        elif how == "cut":
            del content[start:]
        else:
            content[start:start] = content[start : start + length] * 20
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(bytes(content))
    survives(path)


TOKENS = [
    b"\n", b"\r\n", b"\0", b'"', b"{", b"}", b"[", b"]", b",", b"nan", b"1e999", b"-1", b"1" * 400,
    b"null", b"true", b"\xff\xfe", b"\xef\xbb\xbf", b"step", b"\x1f\x8b", b"NaN", b"- ", b":", b"'",
]  # fmt: skip


HEADS = [
    b"", b"PAR1", b":W&B\0\0\0", b"SQLite format 3\0", b"\x1f\x8b", b"\xff\xfe", b"step:1 - ",
    b"Global step 1: {", b"step,reward\n", b"[",
]  # fmt: skip


@QUIET
@given(st.binary(max_size=400), st.sampled_from(HEADS))
def test_noise(tmp_path_factory, noise: bytes, head: bytes):
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(head + noise)
    survives(path)


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
    st.sampled_from(["step", "reward", "nan", "1,234", "12/20", "Infinity"]),
)  # fmt: skip
LOGGED_NAMES = [
    "step", "reward", "entropy", "quality", "kl", "phase",
    "data", "log_history", "reward_std", "global_step/max_steps", "eval_reward", "kinds",
    "n_samples", "_step", "reward_se", "epoch", "entropy_kind", "actor/entropy",
    "critic/score/mean", "val-core/a/b/mean@1", "smiles", "SMILES", "oracle_calls", "Score",
    "Agent", "Prior", "Target",
]  # fmt: skip
NAMES = st.one_of(st.text(max_size=6), st.sampled_from(LOGGED_NAMES))
JSON = st.recursive(
    VALUES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=8,
)
FEWER = settings(QUIET, max_examples=40)


@FEWER
@given(st.one_of(JSON, st.lists(st.dictionaries(NAMES, JSON, max_size=4), max_size=6)))
def test_any_json_document(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(document))
    survives(path)


@FEWER
@given(st.lists(st.dictionaries(NAMES, JSON, max_size=4), max_size=6))
def test_any_json_lines(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    survives(path)


CELLS = st.one_of(VALUES.map(str), st.text(string.printable, max_size=6))


@QUIET
@given(
    st.lists(NAMES, min_size=1, max_size=6),
    st.lists(st.lists(CELLS, max_size=7), max_size=12),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
)
def test_any_table(tmp_path_factory, header, rows, separator, end):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    lines = [separator.join(header), *(separator.join(row) for row in rows)]
    path.write_text(end.join(lines), encoding="utf-8", errors="replace", newline="")
    survives(path)


# ---------------------------------------------------------------------- bombs


def wide_last_row(path: Path) -> None:
    """Rows of two names, and then one of 9,900 new ones."""
    row = {f"new{i}": 1.0 for i in range(9900)} | {"step": 1e6}
    text = "".join(f'{{"step": {s}, "reward": 1}}\n' for s in range(60_000))
    path.write_text(text + json.dumps(row) + "\n")


def tags_without_shared_steps(path: Path) -> None:
    """9,990 tags, each of four steps of its own."""
    events = (scalar_event(s, {f"tag{s % 9990}": 1.0, "reward": s}) for s in range(39_960))
    path.write_bytes(event_file(events))


def wide_packed_table(path: Path) -> None:
    """4,002 columns of 2,200 rows, less than a tenth of its size as gzip."""
    cells = [f",0.{digits:03}" for digits in range(1000)]
    row = "".join(cells * 4)
    header = "step,reward" + "".join(f",c{i}" for i in range(4000)) + "\n"
    rows = (f"{s},{s % 7}{row[6 * s % 4000 :]}{row[: 6 * s % 4000]}\n" for s in range(2200))
    path.write_bytes(gzip.compress((header + "".join(rows)).encode(), 1))


def long_column(path: Path) -> None:
    """Six million rows of three columns that parquet packs to nothing."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    schema = pa.schema([("step", pa.float64()), ("reward", pa.float64()), ("more", pa.float64())])
    with parquet.ParquetWriter(path, schema) as writer:
        for k in range(6):
            steps = pa.array(np.arange(1e6) + k * 1e6)
            ones = pa.array(np.ones(1_000_000))
            writer.write_table(pa.table([steps, ones, ones], schema=schema))


def empty_objects(path: Path) -> None:
    """A document of 20 million empty objects."""
    path.write_bytes(b"[" + b"{}," * 20_000_000 + b"{}]")


BOMBS = [wide_last_row, tags_without_shared_steps, wide_packed_table, long_column, empty_objects]


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb.__name__)
def test_what_fills_the_memory_is_averaged_or_refused(tmp_path: Path, bomb):
    bomb(tmp_path / "log")
    log = survives(tmp_path / "log")
    if log is not None:
        assert any("a very long log" in note for note in log.notes)
