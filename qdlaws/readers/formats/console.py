"""Logs meant for eyes: the console lines of verl, OpenRLHF and ROLL, REINVENT4's text log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from qdlaws.core.json_lines import MAX_NAME, flat, parse
from qdlaws.core.kinds import EntropyKind
from qdlaws.core.number_text import number
from qdlaws.readers.byte_source import Line, Source, listed
from qdlaws.readers.columns.tool_names import is_wanted
from qdlaws.readers.table import Columns, Table

__all__ = [
    "OPENRLHF", "REINVENT", "ROLL", "VERL", "read_openrlhf", "read_reinvent_log", "read_roll",
    "read_verl",
]  # fmt: skip

NUMBER = r"[-+]?(?:\d[\d_]*\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|nan|inf)"
WRAPPED = rf"(?:np\.\w+\(|array\(|tensor\()?({NUMBER})\)?"

VERL = re.compile(r"(?:^|[\s)\]])step:(\d+) - (?=\S+:)")
VALUE = re.compile(WRAPPED)
OPENRLHF = re.compile(r"Global step (\d+)(?: \[\w+\])?: (\{.*)")
OPENRLHF_PAIR = re.compile(rf"['\"]([^'\"]{{1,300}})['\"]: {WRAPPED}(?=[,}}])")
ROLL = re.compile(r"metrics_tag: (\{\"step\": \d+, \"metrics\": \{.*)")
REINVENT = re.compile(
    rf"Score: *({NUMBER}) +Agent NLL: *({NUMBER}) +Valid: *({NUMBER})% +Step: *(\d+)"
)
REINVENT_STAGE = re.compile(r"Starting stage (\d{1,9})(?!\d)")


def read_verl(source: Source) -> Table:
    """verl's console log: ``step:N - key:value - …``, one line a step.

    Ray's line prefixes and NumPy's number wrappers are taken off. The last pair of a line may have
    been cut by the logger, and a line that breaks off keeps what stands before the break.
    """
    return _gather(source, "verl", _verl_row)


def read_openrlhf(source: Source) -> Table:
    """OpenRLHF's log line ``✨ Global step N: {…}``."""
    return _gather(source, "openrlhf", _openrlhf_row)


def read_roll(source: Source) -> Table:
    """The lines of ROLL's tracker "stdout": ``metrics_tag: {"step": N, "metrics": {…}}``."""
    return _gather(source, "roll", _roll_row)


def _verl_row(text: str, whole: bool) -> dict[str, float] | None:
    if (start := VERL.search(text)) is None:
        return None
    pairs = text[start.end() :].split(" - ")
    row = {"step": number(start[1])}
    for place, pair in enumerate(pairs, 1):
        name, _, value = pair.strip().rpartition(":")
        match = VALUE.fullmatch(value)
        closed = value.endswith(")") or "(" not in value
        if match and 0 < len(name) <= MAX_NAME and ((closed and whole) or place < len(pairs)):
            row[name] = number(match[1])
    return row


def _openrlhf_row(text: str, whole: bool) -> dict[str, float] | None:
    if (start := OPENRLHF.search(text)) is None:
        return None
    return {"step": number(start[1])} | {
        name: number(value) for name, value in OPENRLHF_PAIR.findall(start[2])
    }


def _roll_row(text: str, whole: bool) -> dict[str, float] | None:
    if (start := ROLL.search(text)) is None:
        return None
    try:
        row = parse(start[1].rstrip())
        return {**flat(row["metrics"]), **flat({"step": row["step"]})}
    except (ValueError, TypeError, KeyError):  # cut by the logger
        return None


Parser = Callable[[str, bool], Mapping[str, float] | None]


def _gather(source: Source, tool: str, parse: Parser) -> Table:
    columns, cut = Columns(is_wanted), 0
    for line in _whole_lines(source):
        # a logger that cuts lines at 4,096 characters leaves no other trace than their length
        whole = line.ended and len(line.text) not in (4095, 4096)
        row = parse(line.text, whole)
        if row is None:
            continue
        cut += not whole
        try:
            columns.add(row)
        except OverflowError as error:
            raise source.bad(str(error), line.number) from error
    if not len(columns):
        raise source.bad(f"no line of {tool} with a step in it")
    note = f"{source.name}: {cut} lines were cut by the logger, what stood before the cut is kept"
    return Table(tool, columns.frame(), notes=columns.notes()).with_notes(note if cut else "")


def _whole_lines(source: Source) -> Iterator[Line]:
    """The lines without those that zero bytes tear; these are named in a remark."""
    holes = []
    for line in source.lines():
        if line.has_hole:
            holes.append(line.number)
        else:
            yield line
    if holes:
        source.remark(f"damaged (zero bytes), left out: line {listed(holes)}")


def read_reinvent_log(source: Source) -> Table:
    """REINVENT4's text log: score, agent NLL and validity of each step, rounded as printed.

    The molecules under each line are the first ten of the batch: too few for a diversity.
    Stages count their steps anew; they are joined, with a mark where each begins.
    """
    columns = Columns()
    marks: list[float] = []
    offset = last = 0.0
    for line in _whole_lines(source):
        if (match := REINVENT.search(line.text)) is not None:
            if not line.ended and match.end() == len(line.text):
                source.remark(f"half-written last line {line.number} left out (no line end)")
                continue
            score, nll, valid, step = (number(match[i]) for i in range(1, 5))
            last = offset + step
            row = {"quality": score, "entropy": nll, "valid_fraction": valid / 100}
            columns.add({"step": last, **row})
        elif (stage := REINVENT_STAGE.search(line.text)) is not None:
            if int(stage[1]) > 1 and last > offset:
                offset = last
                marks.append(offset + 1)
            elif int(stage[1]) == 1:
                offset = 0.0  # the run was started again
    if not len(columns):
        raise source.bad("no line with score, agent NLL and step in it")
    kinds = {"quality": "mean_score", "entropy": str(EntropyKind.SEQUENCE_NLL)}
    note = "only the first molecules of a step are printed: diversity and errors are not known"
    return Table("reinvent4-log", columns.frame(), kinds, marks=tuple(marks), notes=(note,))
