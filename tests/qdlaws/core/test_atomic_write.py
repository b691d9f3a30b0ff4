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
