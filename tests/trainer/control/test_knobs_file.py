"""A turn of the knobs is taken once and kept with its step; what is no turn never ends a run."""

import json
import os

import pytest

from qdlaws.errors import BadData
from trainer.control import knobs_file
from trainer.control.knobs_file import HalfWritten, KnobsFile, read_turn
from trainer.knobs import Knobs

NOW = Knobs(kl=0.1)


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    time = [0.0]
    monkeypatch.setattr(knobs_file.time, "monotonic", lambda: time[0])
    return time


def put(run, content):
    (run / "knobs.json").write_bytes(content if isinstance(content, bytes) else content.encode())


def test_a_turn_is_taken_and_stands_with_its_step(tmp_path):
    put(tmp_path, '{"kl": 0.7}')
    file = KnobsFile(tmp_path)
    assert file.read(5, NOW) == Knobs(kl=0.7)
    assert not (tmp_path / "knobs.json").exists()
    assert json.loads((tmp_path / "knobs" / "step-000005.json").read_text()) == {"kl": 0.7}
    assert file.read(6, NOW) == NOW


def test_a_resumed_run_turns_again_at_the_same_step(tmp_path):
    put(tmp_path, '{"kl": 0.7}')
    KnobsFile(tmp_path).read(5, NOW)
    resumed = KnobsFile(tmp_path)
    assert [resumed.read(step, NOW).kl for step in (4, 5, 6)] == [0.1, 0.7, 0.1]


def test_a_new_turn_waits_for_a_step_that_has_none(tmp_path):
    put(tmp_path, '{"kl": 0.7}')
    KnobsFile(tmp_path).read(5, NOW)
    put(tmp_path, '{"kl": 0.9}')
    resumed = KnobsFile(tmp_path)
    assert [resumed.read(step, NOW).kl for step in (5, 6)] == [0.7, 0.9]


def test_turns_before_every_checkpoint_are_removed(tmp_path):
    file = KnobsFile(tmp_path)
    for step in (3, 5, 7):
        put(tmp_path, "{}")
        file.read(step, NOW)
    (tmp_path / "knobs" / "step-mine.json").write_text("")
    file.forget(before=5)
    names = sorted(path.name for path in (tmp_path / "knobs").iterdir())
    assert names == ["step-000005.json", "step-000007.json", "step-mine.json"]


@pytest.mark.parametrize(
    "content",
    [
        '{"nope": 1}',
        '{"kl": -5}',
        '{"entropy": -1e10}',
        '{"kl": NaN}',
        '{"kl": Infinity}',
        '{"kl": 1e308}',
        '{"kl": 1' + "0" * 400 + "}",
        '{"kl": true}',
        '{"kl": "0.1"}',
        '{"kl": null}',
        '{"kl": [0.1]}',
        "[0.1]",
        "0.1",
        '"abc"',
        "null",
        "[" * 50_000,
        '{"kl": 0.1}' + " " * 70_000,
    ],
)
def test_what_is_no_turn_is_set_aside_at_once_in_one_line(content, tmp_path, caplog):
    put(tmp_path, content)
    file = KnobsFile(tmp_path)
    assert [file.read(step, NOW) for step in (1, 2)] == [NOW, NOW]
    assert len(caplog.records) == 1
    assert "knobs.rejected.json" in caplog.text
    assert (tmp_path / "knobs.rejected.json").read_text() == content
    assert not (tmp_path / "knobs.json").exists()


@pytest.mark.parametrize("content", ["", '{"kl": ', "kl = 0.1", b"\xff\xfe\x00", "9" * 5000])
def test_what_is_no_json_is_read_again_for_two_seconds(content, tmp_path, clock, caplog):
    put(tmp_path, content)
    file = KnobsFile(tmp_path)
    for step, clock[0] in enumerate((0.0, 1.0, 1.9)):
        assert file.read(step, NOW) == NOW
        assert not caplog.records
    clock[0] = 2.1
    assert file.read(3, NOW) == NOW
    assert len(caplog.records) == 1
    assert (tmp_path / "knobs.rejected.json").exists()
    put(tmp_path, '{"kl": 0.7}')
    assert file.read(4, NOW) == Knobs(kl=0.7)


def test_a_half_written_file_is_taken_when_it_is_whole(tmp_path, clock):
    writer = (tmp_path / "knobs.json").open("w")
    file = KnobsFile(tmp_path)
    assert file.read(1, NOW) == NOW
    writer.write('{"kl": 0.7}')
    writer.close()
    assert file.read(2, NOW) == Knobs(kl=0.7)
    assert [path.name for path in (tmp_path / "knobs").iterdir()] == ["step-000002.json"]


def test_the_encodings_of_a_shell_are_read():
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le"):
        assert read_turn('{"kl": 0.1}\r\n'.encode(encoding)) == {"kl": 0.1}
    with pytest.raises(HalfWritten):
        read_turn(b"")
    with pytest.raises(BadData, match="kl must be a number from 0 to 10000"):
        read_turn(b'{"kl": -1}')


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_a_link_a_folder_or_a_pipe_is_set_aside(kind, tmp_path, caplog):
    path = tmp_path / "knobs.json"
    secret = tmp_path / "secret"
    secret.write_text('{"kl": 9}')
    if kind == "link":
        path.symlink_to(secret)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    file = KnobsFile(tmp_path)
    assert [file.read(step, NOW) for step in (1, 2)] == [NOW, NOW]
    assert len(caplog.records) == 1


def test_a_file_that_cannot_be_moved_is_named_once(tmp_path, caplog):
    (tmp_path / "knobs.rejected.json").mkdir()
    (tmp_path / "knobs.json").symlink_to(tmp_path)
    file = KnobsFile(tmp_path)
    assert [file.read(step, NOW) for step in (1, 2, 3)] == [NOW] * 3
    assert len(caplog.records) == 1
