"""Writes the comment on a pull request: a row for each run with its law, advice and last values.

    python comment.py LOG [LOG …] [--min-diversity D] --out comment.md

A log that cannot be read or fitted is a row that says why: one bad log does not hide the others.
"""

from __future__ import annotations

import argparse
import html
from collections.abc import Sequence
from pathlib import Path

import qdlaws as qd

HEAD = ("run", "rows", "quality", "diversity", "quality on diversity", "advice")
MARK = "<!-- qdlaws report -->"
MOST = 50
"""Rows of a comment; the report has all runs."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="+")
    parser.add_argument("--min-diversity", type=float)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    goal = qd.Goal(min_diversity=options.min_diversity) if options.min_diversity else None
    options.out.write_text(comment(options.logs, goal), encoding="utf-8")


def comment(paths: Sequence[str], goal: qd.Goal | None = None) -> str:
    """The comment as Markdown."""
    rows = [row for path in paths for row in rows_of(path, goal)]
    lines = [MARK, "### Quality, diversity and entropy of these runs", ""]
    lines += [f"| {' | '.join(HEAD)} |", "|---" * len(HEAD) + "|"]
    lines += [f"| {' | '.join(map(cell, row))} |" for row in rows[:MOST]]
    if len(rows) > MOST:
        lines += ["", f"and {len(rows) - MOST} more runs"]
    floor = "" if goal is None else f" Goal: diversity of at least {goal.min_diversity:g}."
    lines += ["", f"Laws and intervals are in the report, an artifact of this job.{floor}"]
    return "\n".join(lines) + "\n"


def rows_of(path: str, goal: qd.Goal | None) -> list[tuple[str, ...]]:
    """A row for each run at a path."""
    try:
        return [row_of(log, goal) for log in qd.read_many(path)]
    except qd.QdlawsError as error:
        return [(path, "–", "–", "–", "–", f"cannot be read: {error}")]


def row_of(log: qd.RunLog, goal: qd.Goal | None) -> tuple[str, ...]:
    """The cells of a run."""
    frame = log.to_frame()
    ends = [span(frame[name].dropna()) if name in frame else "–" for name in HEAD[2:4]]
    start = (Path(log.source).name or log.source, str(len(log)), *ends)
    try:
        fits = qd.fit(log)
        advice = qd.advise(fits, goal) if goal is not None else qd.advise(fits)
    except qd.QdlawsError as error:
        return (*start, "–", f"no advice: {error}")
    law = "–" if fits.rd is None else f"{fits.rd.verdict}: {fits.rd.reasons[0]}"
    keep = (
        "" if advice.checkpoint is None else f"; keep the checkpoint of step {advice.checkpoint:g}"
    )
    alarms = "".join(f"; ALARM: {alarm}" for alarm in advice.alarms)
    return (*start, law, f"**{advice.action}**{keep}{alarms}")


def span(values: Sequence[float]) -> str:
    """The first and the last value."""
    numbers = list(values)
    return f"{numbers[0]:.3g} → {numbers[-1]:.3g}" if numbers else "–"


def cell(text: str) -> str:
    """Text that stays within its cell and is no HTML, whatever a log is called."""
    words = html.escape(" ".join(text.split()), quote=False)
    for sign in "|`[]@":
        words = words.replace(sign, f"&#{ord(sign)};")
    return words


if __name__ == "__main__":
    main()
