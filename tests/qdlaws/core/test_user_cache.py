"""Where the package keeps what is slow to work out again."""

from __future__ import annotations

import sys

import pytest

from qdlaws.core.user_cache import VARIABLE, cache_folder


@pytest.mark.parametrize("word", ["off", "OFF", "0", "no"])
def test_nothing_is_kept_where_the_cache_is_off(monkeypatch, word):
    monkeypatch.setenv(VARIABLE, word)
    assert cache_folder() is None


def test_the_folder_may_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "a" / "b"))
    assert cache_folder() == tmp_path / "a" / "b"
    assert (tmp_path / "a" / "b").is_dir()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the rule of Linux")
def test_the_default_is_the_cache_folder_of_the_system(monkeypatch, tmp_path):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "qdlaws"
    monkeypatch.setenv(VARIABLE, "")
    assert cache_folder() == tmp_path / "qdlaws"


def test_a_folder_that_cannot_be_made_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "below"))
    assert cache_folder() is None
