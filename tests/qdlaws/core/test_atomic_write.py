"""A file is replaced as a whole or left as it was."""

from __future__ import annotations

import os
import stat

import pytest

from qdlaws.core import atomic_write
from qdlaws.core.atomic_write import write_atomically
from qdlaws.errors import QdlawsError


def test_content_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "page.html"
    write_atomically(path, "old")
    write_atomically(path, "new é\n")
    assert path.read_bytes() == "new é\n".encode()
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    write_atomically(path, "old")

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(QdlawsError, match=r"cannot write .*: No space left on device"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_link_under_the_temporary_name_is_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (tmp_path / ".a.0000.tmp").symlink_to(victim)
    monkeypatch.setattr(atomic_write.secrets, "token_hex", lambda _: "0000")
    with pytest.raises(QdlawsError, match="cannot write"):
        write_atomically(tmp_path / "a", "text")
    assert victim.read_text() == "untouched"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(QdlawsError, match=r"cannot write .*gone.*No such file"):
        write_atomically(tmp_path / "gone" / "a", "text")


def test_the_file_of_somebody_else_under_the_temporary_name_stays(tmp_path, monkeypatch):
    (tmp_path / ".a.0000.tmp").write_text("somebody else's")
    monkeypatch.setattr(atomic_write.secrets, "token_hex", lambda _: "0000")
    with pytest.raises(QdlawsError, match="cannot write"):
        write_atomically(tmp_path / "a", "text")
    assert (tmp_path / ".a.0000.tmp").read_text() == "somebody else's"


def test_a_link_is_neither_lost_nor_followed(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(QdlawsError, match="a symbolic link stands there: name the file"):
        write_atomically(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "old"


def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(QdlawsError, match="no regular file stands there"):
        write_atomically(tmp_path / "pipe", "new")
    assert stat.S_ISFIFO(os.lstat(tmp_path / "pipe").st_mode)


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a", "new")
    assert os.listdir(tmp_path) == []


def test_the_first_error_is_named_where_the_rest_cannot_be_removed_either(tmp_path, monkeypatch):
    def read_only(*_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "replace", read_only)
    monkeypatch.setattr(os, "unlink", read_only)
    with pytest.raises(QdlawsError, match=r"cannot write .*: Read-only file system"):
        write_atomically(tmp_path / "a", "new")


def test_characters_that_utf8_lacks_are_written_as_escapes(tmp_path):
    write_atomically(tmp_path / "a", "name \udcff")
    assert (tmp_path / "a").read_bytes() == rb"name \udcff"


def test_what_killed_writers_of_the_same_file_have_left_is_removed(tmp_path):
    names = {
        "left": ".advice.json.0123456789abcdef.tmp",
        "young": ".advice.json.fedcba9876543210.tmp",
        "of another file": ".b.json.0123456789abcdef.tmp",
        "of the user": ".advice.json.mine.tmp",
    }
    for name in names.values():
        (tmp_path / name).write_text("half")
        if name != names["young"]:
            os.utime(tmp_path / name, (0, 0))
    write_atomically(tmp_path / "advice.json", "{}")
    del names["left"]
    assert set(os.listdir(tmp_path)) == {"advice.json", *names.values()}
