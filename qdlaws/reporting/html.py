"""Small pieces of HTML; everything that comes from a log goes through ``escape`` here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from qdlaws.core.summary import Summary

__all__ = [
    "Raw",
    "badge",
    "bullets",
    "facts",
    "fold",
    "folded",
    "note",
    "number",
    "of_run",
    "p_value",
    "picture",
    "section",
    "table",
]


class Raw(str):
    """HTML of our own, not to be escaped again."""

    __slots__ = ()


def _escaped(text: str) -> str:
    return text if isinstance(text, Raw) else escape(text)


def section(title: str, body: str, name: str) -> str:
    """A titled part of the page; nothing where there is nothing to say."""
    if not body:
        return ""
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(title)}</h2>{body}</section>'


def folded(title: str, body: str, name: str) -> str:
    """A part of the page behind its title; open on paper."""
    if not body:
        return ""
    return (
        f'<details class="printed part" id="{name}"><summary>{escape(title)}</summary>'
        f"{body}</details>"
    )


def of_run(run: int, body: str) -> str:
    """A part that is only shown while its run is chosen."""
    return f'<div data-of="{run}">{body}</div>'


def fold(title: str, body: str, *, printed: bool = True) -> str:
    """A part behind its title; on paper it is open, or left out."""
    kind = ' class="printed"' if printed else ""
    return f"<details{kind}><summary>{_escaped(title)}</summary>{body}</details>" if body else ""


def note(words: str) -> str:
    """An explanation in small print."""
    return f'<p class="soft">{_escaped(words)}</p>'


def badge(words: str, kind: str = "") -> str:
    """A verdict or an action, set apart; ``kind`` colours it, by default its first word."""
    return f'<span class="badge {escape(kind or words.split()[0])}">{escape(words)}</span>'


def bullets(lines: Iterable[str]) -> str:
    items = "".join(f"<li>{_escaped(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def picture(title: str, svg: str, caption: str) -> str:
    """A picture that the script leaves as it is."""
    return (
        f'<figure class="card"><h3>{escape(title)}</h3><div class="still">{svg}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    caption: str = "",
    numbers: int | None = None,
) -> str:
    """A table that scrolls by itself on a narrow screen; columns from ``numbers`` on are numbers.

    Cells are escaped unless they are Raw.
    """
    first = len(head) if numbers is None else numbers
    kinds = [' class="number"' if i >= first else "" for i in range(len(head))]
    titles = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(head, kinds, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{k}>{_escaped(cell)}</td>" for cell, k in zip(row, kinds, strict=True))
        + "</tr>"
        for row in rows
    )
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption or "table")}">'
        f"<table>{above}<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def facts(summary: Summary) -> str:
    """The rows of a summary as a table of labels and values."""
    rows = "".join(
        f'<tr><th scope="row">{escape(label)}</th><td>{escape(value)}</td></tr>'
        for label, value in summary.rows
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>' if rows else ""


def number(value: float, digits: int = 3) -> str:
    """The number, or a dash where it is not known."""
    return f"{value:.{digits}g}" if np.isfinite(value) else "–"


def p_value(value: float) -> str:
    """A p-value; how small a tiny one is means nothing."""
    return "< 0.0001" if value < 1e-4 else number(value, 2)
