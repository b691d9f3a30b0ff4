"""The lines that trainers of the transformers family print: TRL, Unsloth, ms-swift, LLaMA-Factory.

Each is a Python dictionary, ``{'loss': 0.01, 'reward': '0.52', 'entropy': 0.4, 'epoch': 0.02}``,
somewhere in the output of a terminal: behind a progress bar, wrapped over lines, in a fenced block
of a Markdown page. It is parsed as a literal of bounded length; nothing is ever run.
"""

from __future__ import annotations

import ast
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.json_lines import flat
from qdlaws.core.number_text import number
from qdlaws.core.types import Array
from qdlaws.readers.byte_source import Line, Source, listed
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.formats.json_document import END_OF_RUN
from qdlaws.readers.table import Columns, Table

__all__ = ["is_trainer_console", "read_trainer_console"]

LONGEST, MOST_LINES = 1 << 14, 40
"""Characters and lines of the longest dictionary: real ones have some hundred characters."""
FIRST_DICTIONARIES = 200
"""Dictionaries by which the format is recognised."""
STANDING = 0.05
"""Share of the rows whose progress bar may stand where it stood a row before."""
MOST_BARS, MOST_REDRAWN = 8, 1 << 20
"""Progress bars, told apart by their length, and the counts of each that are kept."""

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BAR = (  # 12%|█▎ | 5/400 [00:10<…   ·   [ 5/400 00:10 < 27:35, Epoch …   ·   5/400 {'loss': …
    r"(?:\||\[|\A|(?<=[\r\n]))[ \t]*(?P<done>\d{1,9})/(?P<all>\d{1,9})[ \t]*"
    r"(?=\[|\d+:\d\d|\{|\||\Z|[\r\n])"
)
_OPENS = r"(?P<open>\{)(?=\s*['\"][^'\"\n]{1,300}['\"]\s*:|\s*\Z)"
_TOKEN = re.compile(f"{_BAR}|{_OPENS}")
_QUOTE = re.compile(r"\A\s*>\s?")  # of Markdown
_STARTS = re.compile(r"\{\s*['\"]")
_PIECE = re.compile(r"'(?:\\.|[^'\\])*(?:'|\Z)|\"(?:\\.|[^\"\\])*(?:\"|\Z)|[{}\[\]()]", re.DOTALL)
_BARE = re.compile(
    r"(:\s*)(?:[\w.]+\()?([-+]?(?:\d[\w.+-]*|\.\d[\w.+-]*|nan|inf))(?:[^(){}'\"]*\))?(?=\s*[,}])"
)
"""A number that Python's literals do not know: ``nan``, ``np.float64(0.5)``, ``tensor(0.5)``."""

_MARKS = re.compile(
    r"loss|grad_norm|learning_rate|epoch|reward(?:s/.+|_std)?|entropy|kl|"
    r"completions?(?:/.+|_length)|objective/.+|policy/.+|eval_.+|train_(?:loss|runtime)"
)
_MEASURES = re.compile(r"loss|rewards?(?:/.+|_std)?|entropy|kl|objective/.+|eval_.+|train_loss")
_STEPS = ("step", "global_step", "global_step/max_steps")


class PrintedRow(NamedTuple):
    """One dictionary: its numbers, the line it began in, and the progress bars seen before it."""

    numbers: Mapping[str, float]
    line: int
    bars: Mapping[int, int]
    """Steps done by the steps in all of each bar, the bar seen last at the end."""


def is_trainer_console(text: str) -> bool:
    """Whether a dictionary in the text holds two names that such a trainer logs."""
    if "{" not in text:
        return False
    lines = (Line(i, t, True) for i, t in enumerate(text.split("\n"), 1))
    return any(True for _ in _Dictionaries(most=FIRST_DICTIONARIES).rows(lines))


def read_trainer_console(source: Source) -> Table:
    """The dictionaries of a console log as rows.

    The step is the row's, where it has one, else that of the progress bar before it. Where the bars
    do not move with the rows, as in output that was buffered, the counts that a bar drew twice are
    the steps, if there are as many as rows: it is drawn anew behind every row. Else the epoch or
    the number of the row has to serve. Evaluations stand at the step that training had come to.
    """
    columns, dictionaries = Columns(is_wanted), _Dictionaries()
    training, rows_of_training, last = list[float](), list[bool](), 0.0
    main, stated = -1, None
    for row in dictionaries.rows(source.lines()):
        numbers = dict(row.numbers)
        if any(key in numbers for key in END_OF_RUN):  # sums up the run, measures nothing
            continue
        stated = next((numbers.pop(name) for name in _STEPS if name in numbers), None)
        evaluation = any(name.startswith("eval_") for name in numbers)
        if not evaluation and row.bars:
            main = next(reversed(row.bars))
        last = stated if stated is not None else float(row.bars.get(main, 0))
        if not evaluation:
            training.append(last)
        rows_of_training.append(not evaluation)
        try:
            columns.add({"step": last, **numbers})
        except OverflowError as error:
            raise source.bad(str(error), row.line) from error
    if not len(columns):
        raise source.bad("no line with the numbers of a trainer in it")
    redrawn = dictionaries.redrawn.values()
    steps = next((np.array(r, float) for r in redrawn if len(r) == len(training)), None)
    frame, note = _with_usable_step(
        columns.frame(), np.array(training), np.array(rows_of_training), stated is not None, steps
    )
    table = Table("trainer", frame, notes=columns.notes()).with_notes(note)
    cut = dictionaries.broken
    return table.with_notes(f"{source.name}: unreadable, left out: line {listed(cut)}" * bool(cut))


def _with_usable_step(
    frame: pd.DataFrame,
    training: Array,
    is_training: npt.NDArray[np.bool_],
    stated: bool,
    redrawn: Array | None,
) -> tuple[pd.DataFrame, str]:
    """The frame with steps that move with its rows, and where they are from.

    ``redrawn`` are the counts that a progress bar drew twice, where they are as many as the rows.
    """
    moves = np.mean(np.diff(training) == 0) <= STANDING if len(training) > 1 else training.any()
    if moves:
        return frame, "" if stated else "the step is that of the progress bar before each row"
    if redrawn is not None and len(redrawn) > 1 and len(is_training) == len(frame):
        before = np.maximum(np.cumsum(is_training) - 1, 0)
        frame = frame.assign(step=redrawn[before])
        return frame, "the steps are those at which the progress bar was drawn anew, one a row"
    frame = frame.drop(columns="step")
    if "epoch" in frame and _stands(frame["epoch"].to_numpy()):
        frame = frame.drop(columns="epoch")  # rounded to two digits
    return frame, "no progress bar moves with the printed rows: they state no step"


def _stands(values: Array) -> bool:
    return bool(np.isnan(values).any() or np.mean(np.diff(values) == 0) > STANDING)


class _Dictionaries:
    """The dictionaries of a text; ``broken`` lists the lines of those that cannot be read.

    ``redrawn`` holds, by the length of a progress bar, the counts that it drew twice in a row.
    """

    def __init__(self, most: int = sys.maxsize) -> None:
        self.broken: list[int] = []
        self.redrawn: dict[int, list[int]] = {}
        self._left = most  # dictionaries that are still looked at
        self._bars: dict[int, int] = {}
        self._parts: list[str] = []  # of the dictionary that is open
        self._line = 0

    def rows(self, lines: Iterable[Line]) -> Iterator[PrintedRow]:
        """The rows in the order in which they were printed."""
        for line in lines:
            if self._left <= 0:
                return
            text = _QUOTE.sub("", _ESCAPES.sub("", line.text))
            if self._parts and self._ends_before(text):
                self._give_up()
            yield from self._of_line(text, line.number)
        self._give_up()

    def _ends_before(self, text: str) -> bool:
        """Whether the dictionary that is open cannot go on with this line."""
        if self._parts[-1].strip() == "{" and not re.match(r"\s*['\"]", text):
            return True
        return bool(_STARTS.search(text)) or text[:3] == "```" or len(self._parts) >= MOST_LINES

    def _of_line(self, text: str, number: int) -> Iterator[PrintedRow]:
        place = 0
        while True:
            if not self._parts:
                if (token := _TOKEN.search(text, place)) is None:
                    return
                if token["open"] is None:
                    self._see_bar(int(token["done"]), int(token["all"]))
                    place = token.end()
                    continue
                self._line, place = number, token.start()
            self._parts.append(text[place : place + LONGEST])
            before = sum(map(len, self._parts[:-1])) + len(self._parts) - 1
            whole = "\n".join(self._parts)
            end = _end_of_braces(whole)
            if end is None:
                if len(whole) >= LONGEST:
                    self._give_up()
                return
            place += end - before
            if row := self._row(whole[:end]):
                yield PrintedRow(row, self._line, dict(self._bars))
            self._parts.clear()

    def _see_bar(self, done: int, steps: int) -> None:
        if done > steps:
            return
        redrawn = self.redrawn.setdefault(steps, [])
        again = done == self._bars.pop(steps, None) and done not in redrawn[-1:]
        if again and done and len(redrawn) < MOST_REDRAWN:
            redrawn.append(done)
        self._bars[steps] = done
        if len(self._bars) > MOST_BARS:
            oldest = next(iter(self._bars))
            del self._bars[oldest], self.redrawn[oldest]

    def _row(self, text: str) -> dict[str, float] | None:
        """The numbers of a dictionary that a trainer printed; None for any other."""
        self._left -= 1
        value = _literal(text)
        if value is None:
            self._note_broken(text)
            return None
        steps = {"global_step/max_steps": str(value.get("global_step/max_steps")).partition("/")[0]}
        try:
            numbers = flat({**value, **{k: v for k, v in steps.items() if k in value}})
        except ValueError:
            return None
        marked = [name for name in value if isinstance(name, str) and _MARKS.fullmatch(name)]
        measured = any(_MEASURES.fullmatch(name) for name in marked)
        return numbers if len(marked) >= 2 and measured else None

    def _give_up(self) -> None:
        if self._parts:
            self._left -= 1
            self._note_broken("\n".join(self._parts))
            self._parts.clear()

    def _note_broken(self, text: str) -> None:
        names = re.findall(r"['\"]([^'\"\n]{1,300})['\"]\s*:", text)
        if sum(_MARKS.fullmatch(name) is not None for name in names) >= 2:
            self.broken.append(self._line)


def _end_of_braces(text: str) -> int | None:
    """The place behind the bracket that closes the first one; None where it is not there yet."""
    depth = 0
    for piece in _PIECE.finditer(text):
        if piece[0] in "{[(":
            depth += 1
        elif piece[0] in "}])":
            depth -= 1
            if depth == 0:
                return piece.end()
    return None


def _literal(text: str) -> dict[Any, Any] | None:
    """The dictionary that a text states; a line may have been wrapped inside a word or number."""
    wrapped = "".join(text.split("\n"))
    stripped = "".join(line.strip() for line in text.split("\n"))
    for candidate in dict.fromkeys((text, wrapped, stripped)):
        for words in dict.fromkeys((candidate, _BARE.sub(_quoted, candidate))):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # a backslash in a text
                    value = ast.literal_eval(words)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                continue
            return value if isinstance(value, dict) else None
    return None


def _quoted(match: re.Match[str]) -> str:
    value = number(match[2])
    return f"{match[1]}{value!r}" if np.isfinite(value) else f"{match[1]}None"
