"""A report as its tests read it: its elements, its words, and the data that its script gets."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np

from qdlaws import RunLog

VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """Elements of a page, each with its attributes and text; complains about bad nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"repeated attribute in {tag}: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self) -> str:
        """The text that a reader sees."""
        return " ".join(text for tag, text in self.texts if tag not in ("script", "style"))


def data_of(text: str) -> Any:
    """What the script in the page gets."""
    return json.loads(re.search(r"id='data'>(.*?)</script>", text, re.S).group(1))


def short_run(n: int = 40, seed: int = 3, **options: Any) -> RunLog:
    """A short run on a concave law."""
    rng = np.random.default_rng(seed)
    diversity = np.linspace(0.9, 0.3, n) + 0.004 * rng.standard_normal(n)
    quality = 1 - 0.1 * np.exp(2 * diversity) + 0.01 * rng.standard_normal(n)
    return RunLog.from_arrays(np.arange(n) * 10, quality=quality, diversity=diversity, **options)
