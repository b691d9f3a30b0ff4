"""RunLog: the checkpoints of one run, an immutable table with named columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.types import Array, Rows
from qdlaws.errors import BadData, MissingColumn, NotEnoughData

__all__ = ["COLUMNS", "NUMBERED", "RunLog"]

NUMBERED = "no step column: the rows are numbered from 0"
"""The note of a log that states no step."""
CLOCK = "the step is column "
"""How the note begins that names the column which counts the steps of a log without ``step``."""

Duplicates = Literal["error", "first", "last", "mean"]

HUGE = 1e140
COLUMNS = ("quality", "diversity", "entropy")
"""The measured columns; each may have a standard error beside it, named ``<column>_se``."""


@dataclass(frozen=True, eq=False)
class RunLog:
    """Quality, diversity and entropy of the checkpoints of one run, ordered by step.

    A log is read from files by :func:`qdlaws.read`, or made with :meth:`from_frame`,
    :meth:`from_records` or :meth:`from_arrays`. Unknown values are NaN. A column that the run never
    had is None, and so is a standard error.

    Attributes
    ----------
    step : array (n,)
        Strictly increasing.
    quality, diversity, entropy : array (n,) or None
    quality_se, diversity_se, entropy_se : array (n,) or None
        Standard errors of the measurements, from the evaluation's own sample.
    extra : DataFrame
        The other logged columns, aligned with ``step`` (KL, knobs in force, …).
    kinds : mapping
        Column → the quantity that was measured, e.g. ``{"entropy": "token_entropy"}``.
    names : mapping
        Column → its name in the source.
    marks : tuple of float
        The first step of each new regime (curriculum, data, reward).
    source, tool : str
        The path of the log and the tool that wrote it.
    dropped : int
        Rows without a usable step.
    notes : tuple of str
        The decisions made while reading, in words.

    Examples
    --------
    >>> log = RunLog.from_arrays([0, 10, 20], quality=[.2, .4, .5], entropy=[2, 1.5, 1.2])
    >>> log
    RunLog(3 rows, steps 0…20, quality, entropy)
    >>> len(log[10:]), log.columns
    (2, ('quality', 'entropy'))
    """

    step: Array
    quality: Array | None = None
    diversity: Array | None = None
    entropy: Array | None = None
    quality_se: Array | None = None
    diversity_se: Array | None = None
    entropy_se: Array | None = None
    extra: pd.DataFrame = field(default_factory=pd.DataFrame)
    kinds: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    marks: tuple[float, ...] = ()
    source: str = ""
    tool: str = ""
    dropped: int = 0
    notes: tuple[str, ...] = ()

    # ------------------------------------------------------------------ construction

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        step: str = "step",
        quality: str | None = "quality",
        diversity: str | None = "diversity",
        entropy: str | None = "entropy",
        quality_se: str | None = None,
        diversity_se: str | None = None,
        entropy_se: str | None = None,
        *,
        duplicates: Duplicates = "error",
        marks: Iterable[float] = (),
        kinds: Mapping[str, str] | None = None,
        source: str = "",
        tool: str = "frame",
        notes: Iterable[str] = (),
    ) -> RunLog:
        """A log from the columns of a frame, sorted by step.

        A default column that the frame lacks is left out; a column that is named and missing is an
        error. A standard error that is not named is taken from ``<column>_se`` where that exists.
        Steps may stand in any order; a step that stands twice is an error unless ``duplicates``
        says which of them counts.
        """
        if step not in frame.columns:
            raise MissingColumn(f"no step column {step!r}; found {_listed(frame.columns)}")
        sources = {"quality": quality, "diversity": diversity, "entropy": entropy}
        sources |= {
            "quality_se": quality_se,
            "diversity_se": diversity_se,
            "entropy_se": entropy_se,
        }
        names: dict[str, str] = {}
        for column, name in sources.items():
            if name is None:
                guess = f"{sources[column[:-3]]}_se" if column.endswith("_se") else None
                if guess in frame.columns and column[:-3] in names:
                    names[column] = str(guess)
            elif name in frame.columns:
                names[column] = name
            elif name != column:
                raise MissingColumn(
                    f"no column {name!r} for {column}; found {_listed(frame.columns)}"
                )
        if not any(column in names for column in COLUMNS):
            raise MissingColumn(
                "no quality, diversity or entropy column; "
                f"found {_listed(frame.columns)}: name them, e.g. quality='reward'"
            )
        for name in (step, *names.values()):
            if isinstance(frame[name], pd.DataFrame):
                raise BadData(f"{frame[name].shape[1]} columns are named {name!r}; one was needed")
        values = {column: _numbers(frame[name], name) for column, name in names.items()}
        steps = _numbers(frame[step], step)
        rest = [c for c in frame.columns if c != step and c not in names.values()]
        return _build(
            steps,
            values,
            frame[rest],
            duplicates=duplicates,
            kinds=dict(kinds or {}),
            names=names,
            marks=tuple(sorted(float(m) for m in marks)),
            source=source,
            tool=tool,
            notes=tuple(notes),
        )

    @classmethod
    def from_records(cls, records: Iterable[Mapping[str, Any]], **options: Any) -> RunLog:
        """A log from an iterable of dicts, one a checkpoint; options as in :meth:`from_frame`."""
        rows = list(records)
        if not rows:
            raise NotEnoughData("no records: a log needs at least one row")
        return cls.from_frame(pd.DataFrame.from_records(rows), **options)

    @classmethod
    def from_arrays(
        cls,
        step: npt.ArrayLike,
        *,
        quality: npt.ArrayLike | None = None,
        diversity: npt.ArrayLike | None = None,
        entropy: npt.ArrayLike | None = None,
        quality_se: npt.ArrayLike | None = None,
        diversity_se: npt.ArrayLike | None = None,
        entropy_se: npt.ArrayLike | None = None,
        **options: Any,
    ) -> RunLog:
        """A log from arrays of equal length; options as in :meth:`from_frame`."""
        given = {
            "step": step,
            "quality": quality,
            "diversity": diversity,
            "entropy": entropy,
            "quality_se": quality_se,
            "diversity_se": diversity_se,
            "entropy_se": entropy_se,
        }
        columns = {name: np.ravel(np.asarray(v)) for name, v in given.items() if v is not None}
        lengths = {name: len(v) for name, v in columns.items()}
        if len(set(lengths.values())) > 1:
            raise BadData(f"columns of unequal length: {lengths}")
        return cls.from_frame(pd.DataFrame(columns), **options)

    # ------------------------------------------------------------------ contents

    def __len__(self) -> int:
        return len(self.step)

    @property
    def columns(self) -> tuple[str, ...]:
        """The measured columns that this run has."""
        return tuple(c for c in COLUMNS if getattr(self, c) is not None)

    def column(self, name: str) -> Array:
        """The named column; MissingColumn where the run has none."""
        values: Array | None = getattr(self, name, None) if name in COLUMNS else None
        if values is None:
            raise MissingColumn(f"this log has no {name}; it has {_listed(self.columns)}")
        return values

    def to_frame(self) -> pd.DataFrame:
        """A DataFrame with step, the measured columns, their errors and the extra columns."""
        data: dict[str, Any] = {"step": self.step}
        for column in COLUMNS:
            for name in (column, f"{column}_se"):
                values = getattr(self, name)
                if values is not None:
                    data[name] = values
        frame = pd.DataFrame(data)
        extra = self.extra.drop(columns=[c for c in self.extra.columns if c in data])
        return pd.concat([frame, extra.reset_index(drop=True)], axis=1) if len(extra) else frame

    @property
    def is_numbered(self) -> bool:
        """Whether ``step`` is the number of the row, since the log states no step."""
        return NUMBERED in self.notes

    @property
    def clock(self) -> str:
        """What a value of ``step`` is called: "step", or "epoch" where the log counts in epochs."""
        named = next((note for note in self.notes if note.startswith(CLOCK)), "")
        whole = bool((self.step % 1 == 0).all())
        return "step" if whole or "epoch" not in named.lower() else "epoch"

    def __repr__(self) -> str:
        unit = "row numbers" if self.is_numbered else "steps"
        span = f"{unit} {self.step[0]:g}…{self.step[-1]:g}" if len(self) else "empty"
        what = ", ".join(f"{c} ({self.kinds[c]})" if c in self.kinds else c for c in self.columns)
        where = f", {self.tool}: {self.source}" if self.source else ""
        return f"RunLog({len(self)} rows, {span}, {what}{where})"

    # ------------------------------------------------------------------ parts

    def take(self, rows: npt.NDArray[Any] | slice) -> RunLog:
        """The rows of a boolean mask, an index array or a slice of positions."""
        changed: dict[str, Any] = {"step": self.step[rows]}
        for column in COLUMNS:
            for name in (column, f"{column}_se"):
                values = getattr(self, name)
                if values is not None:
                    changed[name] = values[rows]
        if len(self.extra):
            changed["extra"] = self.extra.iloc[rows].reset_index(drop=True)
        return replace(self, **changed)

    def between(self, start: float | None = None, stop: float | None = None) -> RunLog:
        """The rows with start ≤ step < stop."""
        low = -np.inf if start is None else start
        high = np.inf if stop is None else stop
        return self.take((self.step >= low) & (self.step < high))

    def __getitem__(self, steps: slice) -> RunLog:
        """``log[100:200]``: the rows with 100 ≤ step < 200."""
        if not isinstance(steps, slice) or steps.step is not None:
            raise BadData("a log is sliced by step: log[100:200]")
        return self.between(steps.start, steps.stop)

    def with_marks(self, *steps: float) -> RunLog:
        """The same log with these steps marked as the start of a new regime."""
        return replace(self, marks=tuple(sorted({*self.marks, *map(float, steps)})))

    def in_blocks(self, most: int, ends: npt.ArrayLike = ()) -> RunLog:
        """At most ``most`` means of blocks of consecutive rows, or a few more with marks.

        The same log where it is short. A block has the step of its last row and the extra columns
        of its first; a mark begins a new block, and a step among ``ends`` ends one.
        """
        size = int(np.ceil(len(self) / most))
        if size < 2:
            return self
        regime = self.regime()
        position = np.arange(len(self)) - np.searchsorted(regime, regime)
        last = np.append(np.diff(regime) > 0, True) | (position % size == size - 1)
        last |= np.isin(self.step, ends)
        block = np.append(0, np.cumsum(last)[:-1])
        names = [n for c in self.columns for n in (c, f"{c}_se") if getattr(self, n) is not None]
        values = {name: getattr(self, name) for name in names}
        extra = self.extra if len(self.extra) else pd.DataFrame(index=range(len(self)))
        steps, values, extra = _merge(self.step[last][block], values, extra, "mean")
        for array in (steps, *values.values()):
            array.setflags(write=False)
        changed: dict[str, Any] = {"step": steps, "extra": extra, **values}
        return replace(self, **changed)

    def pieces(self) -> tuple[RunLog, ...]:
        """The stretches between marks, empty ones left out."""
        edges = [None, *self.marks, None]
        cut = (self.between(a, b) for a, b in pairwise(edges))
        return tuple(replace(piece, marks=()) for piece in cut if len(piece))

    def regime(self) -> Rows:
        """For each row the number of the regime it belongs to: 0 before the first mark."""
        return np.searchsorted(np.asarray(self.marks, float), self.step, side="right")


# ---------------------------------------------------------------------- helpers


def _build(
    steps: Array,
    values: dict[str, Array],
    extra: pd.DataFrame,
    *,
    duplicates: Duplicates,
    notes: tuple[str, ...],
    **rest: Any,
) -> RunLog:
    usable = np.isfinite(steps)
    dropped = int((~usable).sum())
    order = np.flatnonzero(usable)[np.argsort(steps[usable], kind="stable")]
    steps, extra = steps[order], extra.iloc[order].reset_index(drop=True)
    values = {name: v[order] for name, v in values.items()}
    for name in [n for n in values if n.endswith("_se")]:
        if np.any(values[name] < 0):
            raise BadData(f"column {name!r} holds negative standard errors")
    if not len(steps):
        raise NotEnoughData("no rows with a usable step: a log needs at least one")
    repeated = np.flatnonzero(np.diff(steps) == 0)
    if len(repeated):
        if duplicates == "error":
            which = _listed(f"{s:g}" for s in np.unique(steps[repeated]))
            raise BadData(
                f"duplicate steps: {which}; say duplicates='first', 'last' or 'mean' to keep one"
            )
        steps, values, extra = _merge(steps, values, extra, duplicates)
        notes = (*notes, f"{len(repeated)} rows of duplicate steps merged ({duplicates})")
    for array in (steps, *values.values()):
        array.setflags(write=False)
    fields: dict[str, Any] = {**values, **rest}
    return RunLog(step=steps, extra=extra, dropped=dropped, notes=notes, **fields)


def _merge(
    steps: Array, values: dict[str, Array], extra: pd.DataFrame, how: Duplicates
) -> tuple[Array, dict[str, Array], pd.DataFrame]:
    unique, first, counts = np.unique(steps, return_index=True, return_counts=True)
    if how in ("first", "last"):
        rows = first if how == "first" else first + counts - 1
        picked = {n: v[rows] for n, v in values.items()}
        return unique, picked, extra.iloc[rows].reset_index(drop=True)
    group = np.repeat(np.arange(len(unique)), counts)

    def mean(v: Array, power: int = 1) -> Array:
        finite = np.isfinite(v)
        total = np.bincount(group, np.where(finite, v**power, 0.0), len(unique))
        n = np.bincount(group, finite, len(unique)).astype(float)
        with np.errstate(invalid="ignore", divide="ignore"):
            return total / n if power == 1 else np.asarray(np.sqrt(total) / n)

    merged = {n: mean(v, 2 if n.endswith("_se") else 1) for n, v in values.items()}
    return unique, merged, extra.iloc[first].reset_index(drop=True)


def _numbers(column: pd.Series[Any], name: str) -> Array:
    """The column as floats, ±inf as NaN; text that is no number is an error with its row."""
    if pd.api.types.is_bool_dtype(column):
        return column.to_numpy(float)
    if pd.api.types.is_complex_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        raise BadData(f"column {name!r} holds {column.dtype}, a number was needed")
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan).copy()
    if not pd.api.types.is_numeric_dtype(column):
        for row in np.flatnonzero(np.isnan(numbers)):
            value = column.iloc[row]
            if value is None or value is pd.NA or value is pd.NaT:
                continue
            if isinstance(value, str) and value.strip().lower() in _UNKNOWN:
                continue
            if isinstance(value, float) and np.isnan(value):
                continue
            raise BadData(f"column {name!r} holds {value!r} in row {row}, a number was needed")
    numbers[np.isinf(numbers)] = np.nan
    huge = np.abs(numbers) > HUGE
    if huge.any():
        first = int(np.flatnonzero(huge)[0])
        value = f"{numbers[first]:g}"
        raise BadData(f"column {name!r} holds {value} in row {first}: too large to be squared")
    return numbers


_UNKNOWN = {"", "nan", "na", "n/a", "null", "none", "inf", "-inf", "+inf", "infinity", "-infinity"}


def _listed(names: Iterable[Any] | Sequence[Any], most: int = 12) -> str:
    names = [str(n) for n in names]
    shown = ", ".join(names[:most])
    return (shown + f", … ({len(names)} in all)" if len(names) > most else shown) or "none"
