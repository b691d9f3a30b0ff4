"""The quality of an answer to an open prompt, by rules that can be read: a number in [0, 1].

Three kinds of prompt, each with columns of its own (``prompts.jsonl``, ``held_out.jsonl``):

- ``use``: an unusual use for ``subject``. A use names the thing, says that it serves *as* or *to*
  something, and none of the words of its ``ordinary`` use is in it.
- ``story``: one sentence with the words ``asked``, and at least four others beside articles and
  the like, so that a list of them is no story; words about writing ("story", "tale") halve it.
- ``name``: a name for ``subject``: capitalised words, none of them in ``ordinary``.

    quality = form · content
    form    = finished (1, else ¼) · brief · distinct
    brief   = 1 within the right number of words, falling to 0 at twice the most
    distinct = the share of words of four letters and more that are not said again

No classifier and no model judges: a policy can gain by nothing but what stands here. What the rules
cannot see is sense; a page of a study therefore shows samples.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["KINDS", "brief", "content", "distinct", "finished", "quality"]

KINDS = ("use", "story", "name")
FEWEST = {"use": 4, "story": 6, "name": 1}
MOST = {"use": 12, "story": 12, "name": 4}
"""Words of a good answer."""
UNFINISHED = 0.25
A_USE = re.compile(r"\b(?:as|into) (?:an?|the|your|makeshift)\b|\bto [a-z]+\b|\bfor [a-z]+ing\b")
ABOUT_WRITING = frozenset(
    re.findall(
        "[a-z]+",
        "story stories tale tales sentence sentences poem poems poetry narrative word words title "
        "phrase classic novel book reader",
    )
)
SMALL = frozenset(
    re.findall("[a-z]+", "a an the and or of in on at to by with for from its his her is was")
)
OTHERS = 4
"""Words of a story beside those asked for and the small ones."""


def quality(
    text: str, kind: str, subject: str, asked: Sequence[str], ordinary: Sequence[str]
) -> float:
    """form · content."""
    form = finished(text, kind) * brief(text, kind) * distinct(text)
    return form * content(text, kind, subject, asked, ordinary)


def finished(text: str, kind: str) -> float:
    """One sentence with its full stop; of a name, one line. Else ¼."""
    text = text.strip()
    if kind == "name":
        return 1.0 if text and "\n" not in text else UNFINISHED
    whole = re.fullmatch(r"[\"'“]?[A-Z][^.!?\n]*[.!?][\"'”]?", text)
    return 1.0 if whole else UNFINISHED


def brief(text: str, kind: str) -> float:
    """1 within the right number of words, falling to 0 at twice the most and at no word."""
    n = len(_words(text))
    if n < FEWEST[kind]:
        return n / FEWEST[kind]
    return max(0.0, 1 - max(n - MOST[kind], 0) / MOST[kind])


def distinct(text: str) -> float:
    """The share of words of four letters and more that are not said again."""
    long = [word for word in _words(text) if len(word) > 3]
    return len(set(long)) / len(long) if long else 1.0


def content(
    text: str, kind: str, subject: str, asked: Sequence[str], ordinary: Sequence[str]
) -> float:
    """What the prompt wanted, by kind."""
    words = _words(text)
    if not words:
        return 0.0
    if kind == "use":
        named = _names(words, subject.split()[-1])
        use = A_USE.search(" ".join(words)) is not None
        unusual = use and not any(_names(words, word) for word in ordinary)
        return (named + use + unusual) / 3
    if kind == "story":
        share = sum(_names(words, word) for word in asked) / len(asked)
        others = [w for w in words if w not in SMALL and not any(_names([w], a) for a in asked)]
        told = min(1.0, len(set(others)) / OTHERS)
        return share * told * (0.5 if ABOUT_WRITING & set(words) else 1.0)
    capital = [word[0].isupper() for word in text.split() if word[0].isalpha()]
    fresh = not any(_names(words, word) for word in ordinary)
    return (sum(capital) / max(len(capital), 1) + fresh) / 2


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())


def _names(words: Sequence[str], word: str) -> bool:
    """Whether a word is among them, in the plural or with another ending too."""
    return any(w == word or (w.startswith(word) and len(w) <= len(word) + 2) for w in words)
