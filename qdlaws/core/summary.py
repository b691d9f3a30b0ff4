"""Summary and Result: how every result shows itself, in a terminal and in a notebook."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from qdlaws.core.serialize import printable

__all__ = ["Result", "Summary", "latex_table", "sentence"]

WIDTH = 88
"""Columns that a summary is made for where no terminal says how many it has; remarks are wrapped
to no more."""

SHORT = 160
"""Characters of a ``repr``; a longer one is cut."""


@dataclass(frozen=True)
class Summary:
    """A heading, the verdict, rows of (label, value), remarks, and a table; sections may follow.

    Attributes
    ----------
    table : the head and the rows of one table. A line break in a cell is where it is broken if the
        terminal is too narrow for the cell on one line
    conclusion : the last line, in plain words
    """

    heading: str
    verdict: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    sections: tuple[Summary, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    conclusion: str = ""

    def __str__(self) -> str:
        return self.text(shutil.get_terminal_size((WIDTH, 24)).columns)

    def text(self, width: int = WIDTH) -> str:
        """The summary for a terminal of ``width`` columns."""
        label = max([15, *(len(name) for name, _ in self.rows)])
        lines = [self.heading]
        verdict = [("verdict", self.verdict)] if self.verdict else []
        for name, value in [*verdict, *self.rows]:
            first, rest = f"  {name:<{label}}  ", " " * (label + 4)
            lines += textwrap.wrap(
                value,
                max(width, label + 44),
                initial_indent=first,
                subsequent_indent=rest,
                break_long_words=False,
                break_on_hyphens=False,
            ) or [first.rstrip()]
        wrap = max(min(width, WIDTH), 40)
        for remark in self.remarks:
            lines += textwrap.wrap(remark, wrap, initial_indent="  · ", subsequent_indent="    ")
        if self.table:
            lines += ["", *_aligned(self.table, width)]
        blocks = ["\n".join(lines), *(section.text(width) for section in self.sections)]
        if self.conclusion:
            blocks.append(textwrap.fill(self.conclusion, wrap))
        return "\n\n".join(map(printable, blocks))

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
        if self.table:
            head, *body = (
                "".join(f"<td style='text-align:left'>{escape(_flat(cell))}</td>" for cell in row)
                for row in self.table
            )
            lines = "".join(f"<tr>{line}</tr>" for line in body)
            html += f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"
        html += f"<ul style='margin:.2em 0'>{remarks}</ul>" if remarks else ""
        html += "".join(section._repr_html_() for section in self.sections)
        return html + (f"<p>{escape(self.conclusion)}</p>" if self.conclusion else "")


def sentence(words: str) -> str:
    """The words with a capital at their start and a full stop at their end."""
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "–": "--",
        "−": "$-$",
        "²": "$^2$",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)
"""Signs that LaTeX reads as commands, or that its fonts may lack."""


MINUS = re.compile(r"(?<!\w)-(?=\d)")
"""The hyphen that stands for the sign of a number."""


def latex_table(table: Sequence[Sequence[str]]) -> str:
    """A table as a LaTeX ``tabular`` with the rules of the package booktabs."""
    head, *rows = (
        " & ".join(MINUS.sub("−", _flat(cell)).translate(LATEX) for cell in row) + r" \\"
        for row in table
    )
    begin, end = rf"\begin{{tabular}}{{{'l' * len(table[0])}}}", r"\end{tabular}"
    lines = [begin, r"\toprule", head, r"\midrule", *rows, r"\bottomrule", end]
    return "\n".join(lines) + "\n"


def _flat(cell: str) -> str:
    """A cell on one line."""
    return " ".join(cell.split("\n"))


def _aligned(table: Sequence[Sequence[str]], width: int) -> list[str]:
    """The lines of a table with aligned columns, its cells broken only if it is too wide else."""
    rows = [[[_flat(cell)] for cell in row] for row in table]
    if max(map(len, lines := _lines(rows))) > width:
        lines = _lines([[cell.split("\n") for cell in row] for row in table])
    return lines


def _lines(rows: Sequence[Sequence[Sequence[str]]]) -> list[str]:
    """The lines of a table of cells of lines."""
    widths = [
        max(len(line) for cell in column for line in cell) for column in zip(*rows, strict=True)
    ]
    lines = []
    for row in rows:
        for i in range(max(map(len, row))):
            cells = [
                (cell[i] if i < len(cell) else "").ljust(size)
                for cell, size in zip(row, widths, strict=True)
            ]
            lines.append(f"  {'  '.join(cells)}".rstrip())
    return lines


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
        words = ": ".join(
            part for part in (summary.heading, summary.verdict or summary.conclusion) if part
        )
        words = words.removeprefix(name).lstrip()
        return printable(f"<{name} {textwrap.shorten(words, SHORT, placeholder=' …')}>")

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()
