"""Files that mean harm, and files that mean nothing: one QdlawsError and no damage."""

from __future__ import annotations

import gzip
import json
import pickle
import sqlite3
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

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
        with suppress(QdlawsError):
            assert isinstance(read(path), RunLog)


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
