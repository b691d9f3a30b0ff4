"""Only regular files are opened, and no more of them is read than is wanted."""

from __future__ import annotations

import os
import socket

import pytest

from qdlaws.core.regular_file import open_regular, read_regular


def test_a_regular_file_is_read_also_through_a_link(tmp_path):
    (tmp_path / "a").write_bytes(b"text")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert read_regular(tmp_path / "a", 4) == b"text"
    assert read_regular(tmp_path / "link") == b"text"


def test_pipes_devices_sockets_and_folders_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for name in ("pipe", "zero", "socket", "."):
            with pytest.raises(OSError, match="not a regular file"):
                open_regular(tmp_path / name)


def test_a_file_that_is_too_large_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_regular(tmp_path / "a", 4)
