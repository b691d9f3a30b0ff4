"""Files that mean harm, and files that mean nothing: one QdlawsError and no damage."""

from __future__ import annotations

import gzip
import json
import pickle
import sqlite3
import string
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qdlaws import BadLog, QdlawsError, RunLog
from qdlaws.readers import read
from qdlaws.readers.formats.crc32c import masked_crc32c
from tests.helpers.make_fixtures import FIXTURES


class Bomb:
    """A pickle of this would leave a file behind when it is opened."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return open, (str(self.trace), "w")


def refused(path: Path, match: str) -> None:
    with pytest.raises(BadLog, match=match) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_pickle_is_never_opened(tmp_path: Path):
    trace = tmp_path / "trace"
    (tmp_path / "log.csv").write_bytes(pickle.dumps(Bomb(trace)))
    refused(tmp_path / "log.csv", "a pickle: it can run code")
    assert not trace.exists()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        '{"a":' * 200_000,
        '{"step": 1, "a": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"log_history": ' + "[" * 100_000,
        '{"step": 1}\n' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "\n",
    ],
    ids=["list", "object", "value", "trainer state", "second line"],
)
def test_deep_json(tmp_path: Path, text: str):
    (tmp_path / "log").write_text(text)
    try:
        log = read(tmp_path / "log")
    except QdlawsError:
        return
    assert len(log) <= 1


def test_huge_numbers_of_columns(tmp_path: Path):
    path = tmp_path / "log"
    names = [f"c{i}" for i in range(50_000)]
    path.write_text(",".join(names) + "\n" + ",".join("1" * 50_000) + "\n")
    refused(path, "50,000 columns")
    path.write_text(json.dumps({f"c{i}": i for i in range(50_000)}) + "\n")
    refused(path, "20,000 values")
    rows = ({f"c{i}": i for i in range(n, n + 3000)} for n in range(0, 30_000, 3000))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    refused(path, "line 4: more than 10,000 columns")


def test_a_gzip_bomb_is_stopped_early(tmp_path: Path):
    path = tmp_path / "log.gz"
    with gzip.open(path, "wb", compresslevel=9) as out:
        out.write(b"step,reward\n")
        for _ in range(40):
            out.write((b"1," + b"0" * 997 + b"\n") * 1200)  # 48 MB
    refused(path, "unpacks to more than 200 times its size")


def test_one_endless_line_is_refused(tmp_path: Path):
    (tmp_path / "log").write_bytes(b'{"step": 1, "a": "' + b"x" * (40 << 20))
    refused(tmp_path / "log", "longer than 32 MiB|no JSON|no log")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x93NUMPY\x01\x00", "NumPy array"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\x00\x01\x02\x03" * 100, "binary file"),
        (b"\x1f\x8b\x08\x00broken", "gzip|empty"),
        (b"PAR1" + b"\x00" * 100 + b"PAR1", "parquet"),
        (b"SQLite format 3\x00" + b"\xff" * 4000, "database"),
        (b":W&B" + b"\x00" * 100, "no history"),
        (b":W&B\xe1\xbe\x00" + b"\x00" * 4 + b"\x04\x00\x01\xff\xff\xff\xff", "damaged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: bytes, match: str):
    (tmp_path / "log").write_bytes(content)
    refused(tmp_path / "log", match)


def test_a_record_that_claims_to_be_huge(tmp_path: Path):
    length = struct.pack("<Q", 1 << 60)
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(length + struct.pack("<I", masked_crc32c(length)) + b"x" * 50)
    refused(path, "no event is that long")


def test_a_database_of_something_else(tmp_path: Path):
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as base:
        base.execute("CREATE TABLE metrics (a TEXT)")
    refused(path, "neither MLflow's nor Trackio's")


def test_a_database_with_damaged_texts_does_not_crash(tmp_path: Path):
    """sqlite3 decodes texts by itself, and strictly (a case of the fuzz test)."""
    whole = (FIXTURES / "trackio/fixtures.db").read_bytes()
    place = whole.index(b"metrics")
    for start in (place, place + 3, 3711, whole.index(b'"reward"') + 2):
        path = tmp_path / "damaged.db"
        path.write_bytes(whole[:start] + b"\x80\xff" + whole[start + 2 :])
        survives(path)


def test_paths_that_are_no_logs(tmp_path: Path):
    refused(tmp_path / "nothing", "no such file")
    refused(tmp_path, "no log of a supported tool in this folder")
    with pytest.raises(BadLog, match="no files given"):
        read([])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("log.csv", "step,reward\n1,2\n")
    refused(tmp_path / "a.zip", "unpack it first")


def test_a_sqlite_url_in_a_name_is_only_a_name(tmp_path: Path):
    path = tmp_path / "a?mode=rwc&b.db"
    path.write_bytes((FIXTURES / "trackio/fixtures.db").read_bytes())
    assert len(read(path)) == 40
    assert path.read_bytes() == (FIXTURES / "trackio/fixtures.db").read_bytes()


# ---------------------------------------------------------------------- fuzzing

QUIET = settings(
    deadline=None, max_examples=100, suppress_health_check=list(HealthCheck), derandomize=True
)
SEEDS = [
    path.read_bytes()
    for name in (
        "verl/console.log", "verl/experiment.jsonl", "wandb/run-fixture.wandb",
        "trl/checkpoint-10/trainer_state.json", "tensorboard-restarted/events.out.tfevents.0.host",
        "trackio/fixtures.db", "mlruns/0/run0/metrics/reward",
    )
    for path in [FIXTURES / name]
] + [
    b"step,reward,entropy\n" + b"".join(b"%d,0.%d,1.5\n" % (i, i) for i in range(20)),
    b"oracle_calls,smiles,reward\n" + b"3,CCO,0.5\n3,CCN,0.1\n6,CCC,0.2\n" * 3,
    b"Agent,Prior,Target,Score,SMILES,SMILES_state,A,A (raw),step\n"
    + b"".join(b"2.5,3.5,9.1,0.%d,CC%s,1,0.5,0.5,%d\n" % (i, b"C" * i, i // 4) for i in range(16)),
    b"9:00:00 <INFO> Score: 0.32 Agent NLL: 14.01 Valid:  89% Step: 1\n" * 3,
    b"x Global step 3: {'reward': 0.5, 'kl': 0.1, 'entropy_loss': 1.0}\n" * 3,
]  # fmt: skip


def survives(path: Path) -> None:
    """Whatever is in the file: a log, or one QdlawsError."""
    with suppress(QdlawsError):
        log = read(path)
        assert isinstance(log, RunLog)
        assert np.all(np.isfinite(log.step))


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
