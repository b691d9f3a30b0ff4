"""Summary and Result: how every result shows itself, in a terminal and in a notebook."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from html import escape

from qdlaws.core.serialize import printable

__all__ = ["Result", "Summary"]

WIDTH = 88
"""Columns of a terminal that remarks are wrapped to."""

SHORT = 160
"""Characters of a ``repr``; a longer one is cut."""


@dataclass(frozen=True)
class Summary:
    """A heading, the verdict, rows of (label, value), and remarks; sections may follow."""

    heading: str
    verdict: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    sections: tuple[Summary, ...] = ()

    def __str__(self) -> str:
        label = max([15, *(len(name) for name, _ in self.rows)])
        lines = [self.heading]
        if self.verdict:
            lines.append(f"  {'verdict':<{label}}  {self.verdict}")
        lines += [f"  {name:<{label}}  {value}" for name, value in self.rows]
        for remark in self.remarks:
            lines += textwrap.wrap(remark, WIDTH, initial_indent="  · ", subsequent_indent="    ")
        return "\n\n".join([printable("\n".join(lines)), *map(str, self.sections)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left;font-weight:normal;opacity:.7'>{escape(name)}</th>"
            f"<td style='text-align:left'>{escape(value)}</td></tr>"
            for name, value in self.rows
        )
        remarks = "".join(f"<li>{escape(remark)}</li>" for remark in self.remarks)
        verdict = f" — {escape(self.verdict)}" if self.verdict else ""
        html = f"<p style='margin:.6em 0 .2em'><b>{escape(self.heading)}</b>{verdict}</p>"
        html += f"<table>{rows}</table>" if rows else ""
        html += f"<ul style='margin:.2em 0'>{remarks}</ul>" if remarks else ""
        return html + "".join(section._repr_html_() for section in self.sections)


class Result:
    """A result that prints and renders as its summary and has a short ``repr``.

    A result also answers ``to_dict()`` (strict JSON values), ``to_frame()`` (a pandas table) and,
    where a picture makes sense, ``plot()``.
    """

    def summary(self) -> Summary:
        """The result in words and numbers."""
        raise NotImplementedError

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        summary = self.summary()
        name = type(self).__name__
        words = ": ".join(part for part in (summary.heading, summary.verdict) if part)
        words = words.removeprefix(name).lstrip()
        return printable(f"<{name} {textwrap.shorten(words, SHORT, placeholder=' …')}>")

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
