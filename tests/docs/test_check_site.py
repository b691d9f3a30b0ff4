"""docs/check_site.py sees links that lead nowhere, and what is fetched from outside."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("check_site", ROOT / "docs" / "check_site.py")
assert spec is not None
assert spec.loader is not None
check_site = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_site)


def test_a_whole_site_has_no_problems(tmp_path):
    (tmp_path / "a.css").write_text("body {background: url(a.png)}")
    (tmp_path / "index.html").write_text(
        '<link rel="stylesheet" href="a.css"><a href="b.html#part">b</a>'
        '<a href="https://example.org/x">outside</a>'
    )
    (tmp_path / "b.html").write_text('<h1 id="part">b</h1><a href="index.html">a</a>')
    assert check_site.problems(tmp_path) == []


def test_broken_links_and_fetches_are_named(tmp_path):
    (tmp_path / "index.html").write_text(
        '<script src="https://cdn.example.org/x.js"></script><img src="gone.png">'
        '<a href="b.html">b</a><a href="#nowhere">here</a>'
    )
    (tmp_path / "a.css").write_text("@import url(https://fonts.example.org/f.css);")
    lines = check_site.problems(tmp_path)
    assert len(lines) == 5
    assert sum("from another machine" in line for line in lines) == 2
    assert "index.html: gone.png is not there" in lines
    assert "index.html: the link b.html leads nowhere" in lines
    assert "index.html: the link #nowhere leads nowhere" in lines


def test_a_directive_that_is_shown_as_text_is_named(tmp_path):
    (tmp_path / "index.html").write_text("<p>.. currentmodule:: qdlaws</p>")
    assert check_site.problems(tmp_path) == ["index.html: a directive is shown as text"]
