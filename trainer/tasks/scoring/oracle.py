"""Oracle: a score function with a memory, a budget of unique calls, and worker processes.

A call is for training, for an evaluation or for a plan. The budget, and every figure of sample
efficiency, is of the training calls alone: a run that evaluates more often has learnt from no more
scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qdlaws.errors import BadData, QdlawsError
from trainer.tasks.scoring.sample_efficiency import calls_until, top_auc, yield_count
from trainer.tasks.scoring.worker_pool import (
    Answer,
    Failure,
    Pool,
    Row,
    SameProcess,
    ScoreFunction,
    Workers,
    check_workers,
)

__all__ = ["Answers", "Oracle", "Pending", "Purpose"]

Purpose = Literal["train", "evaluation", "plan"]
"""What a call is for."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """A row of numbers for each item; NaN where scoring failed or the budget was spent."""

    rows: Array  # (n, columns)
    over_budget: npt.NDArray[np.bool_]  # (n,)
    spent: bool
    """The budget is used up: a new item would not be scored."""


@dataclass(frozen=True)
class Pending:
    """Answers that are being worked out; :meth:`result` waits for them."""

    oracle: Oracle
    keys: list[Hashable | None]
    waiting: tuple[_Call, ...]
    refused: frozenset[Hashable] = frozenset()
    """Keys that training asked for beyond the budget."""

    def done(self) -> bool:
        """Whether :meth:`result` would not wait."""
        return all(call.future.done() for call in self.waiting)

    def result(self) -> Answers:
        """The answers, in the order of the items."""
        return self.oracle._collect(self)


@dataclass(frozen=True)
class _Call:
    """A key whose answer is being worked out."""

    key: Hashable
    future: Future[Answer]


class Oracle:
    """Scores each unique key once, and never more than ``budget`` of them for training.

    An item that failed is remembered as NaN and not tried again: it has cost its call. A key that
    an evaluation has asked for costs training its call all the same, when training asks for it,
    so the budget reaches as far as it would without evaluations.

    Parameters
    ----------
    make : makes the score function: a list of items → a row of numbers each
    columns : the names of these numbers, the score first
    workers : processes in which the function is made again (pickled to get there), with the same
        results to the bit; 0 scores in this process
    timeout : seconds an item; it and survival of a crash need at least one worker
    budget : most unique calls for training
    together : the function is faster on long lists
    """

    def __init__(
        self,
        make: Callable[[], ScoreFunction],
        *,
        columns: Sequence[str] = ("score",),
        workers: int = 0,
        timeout: float | None = None,
        budget: int | None = None,
        together: bool = False,
    ) -> None:
        check_workers(workers, timeout)
        _check_budget(budget)
        self.columns = tuple(columns)
        self.budget, self.workers, self.timeout = budget, workers, timeout
        self.capped = self.requests = self.timed_out = 0
        self.failures: dict[str, int] = {}
        self._memory: dict[Hashable, Row | _Call] = {}  # whatever they were for
        self._calls: dict[Purpose, dict[Hashable, None]] = {}  # unique, in their order
        self._proven = False  # a call has succeeded
        self._pool: Pool = (
            Workers(make, workers, timeout=timeout, together=together)
            if workers
            else SameProcess(make)
        )

    def ready(self) -> None:
        """Waits until scoring can begin; raises where a package or a file is missing."""
        self._pool.ready()

    # ------------------------------------------------------------------ scoring

    def submit(
        self,
        items: Sequence[Any],
        keys: Sequence[Hashable | None] | None = None,
        purpose: Purpose = "train",
    ) -> Pending:
        """Starts scoring and returns at once (with workers); an item whose key is None is skipped.

        Which items are new and still in the budget is decided here, in the order of the items, so
        the order in which workers finish changes nothing.
        """
        names: list[Hashable | None] = list(items if keys is None else keys)
        if len(names) != len(items):
            raise BadData(f"found {len(names)} keys for {len(items)} items")
        new: dict[Hashable, Any] = {}
        refused: set[Hashable] = set()
        calls = dict(self._calls.get(purpose, {}))
        limit = self.budget if purpose == "train" else None
        for key, item in zip(names, items, strict=True):
            if key is None:
                continue
            self.requests += purpose == "train"
            if limit is not None and key not in calls and len(calls) >= limit:
                self.capped += 1
                refused.add(key)
                continue
            calls[key] = None
            if key not in self._memory:
                new.setdefault(key, item)
        for key, future in zip(new, self._pool.submit(list(new.values())), strict=True):
            self._memory[key] = _Call(key, future)
        self._calls[purpose] = calls
        entries = (self._memory.get(key) for key in names if key is not None)
        waiting = dict.fromkeys(call for call in entries if isinstance(call, _Call))
        return Pending(self, names, tuple(waiting), frozenset(refused))

    def score(
        self,
        items: Sequence[Any],
        keys: Sequence[Hashable | None] | None = None,
        purpose: Purpose = "train",
    ) -> Answers:
        """The answers at once."""
        return self.submit(items, keys, purpose).result()

    def _collect(self, pending: Pending) -> Answers:
        failed = [answer for answer in map(self._settle, pending.waiting) if answer is not None]
        if failed and not self._proven and all(failure.raised for failure in failed):
            raise QdlawsError(f"not one answer could be scored: {failed[0].reason}")
        nothing = (math.nan,) * len(self.columns)
        unscored = [key is not None and key in pending.refused for key in pending.keys]
        rows = [
            nothing if key is None or beyond else self._memory.get(key, nothing)
            for key, beyond in zip(pending.keys, unscored, strict=True)
        ]
        table = np.array(rows, dtype=float).reshape(len(rows), len(self.columns))
        return Answers(table, np.array(unscored, bool), self.spent)

    def _settle(self, call: _Call) -> Failure | None:
        """Replaces a call in the memory by its answer; the failure, where it failed."""
        answer = call.future.result()
        if self._memory.get(call.key) is not call:
            return None  # settled before
        if isinstance(answer, Failure):
            self._memory[call.key] = (math.nan,) * len(self.columns)
            self.failures[answer.reason] = self.failures.get(answer.reason, 0) + 1
            self.timed_out += answer.late
            return answer
        if len(answer) != len(self.columns):
            raise BadData(f"found {len(answer)} numbers in a row, needed {len(self.columns)}")
        self._proven = True
        self._memory[call.key] = answer
        return None

    # ------------------------------------------------------------------ cost

    @property
    def calls(self) -> int:
        """Unique calls for training so far, including failed and unfinished ones."""
        return len(self._calls.get("train", ()))

    @property
    def spent(self) -> bool:
        """Whether the budget is used up."""
        return self.budget is not None and self.calls >= self.budget

    def history(self, purpose: Purpose = "train") -> tuple[list[Hashable], Array]:
        """The keys in the order of the calls, and their scores; waits for unfinished calls."""
        self._wait()
        keys = list(self._calls.get(purpose, ()))
        rows = [row for key in keys if not isinstance(row := self._memory[key], _Call)]
        return keys, np.array([row[0] for row in rows], float)

    def report(self, threshold: float = 0.8, n: int = 100, k: int = 10) -> dict[str, float | None]:
        """Calls, Yield, OB-n and top-k AUC (over the budget, or over the calls without one).

        All are of training calls; ``oracle_other_calls`` is how many keys were scored for
        evaluations or a plan alone.
        """
        scores = self.history()[1].tolist()
        over = self.budget or max(len(scores), 1)
        return {
            "oracle_calls": self.calls,
            "oracle_other_calls": len(self._memory) - self.calls,
            "oracle_cached": self.requests - self.calls - self.capped,
            "oracle_capped": self.capped,
            "oracle_failed": sum(self.failures.values()),
            "oracle_timed_out": self.timed_out,
            f"yield@{threshold:g}": yield_count(scores, threshold),
            f"ob{n}@{threshold:g}": calls_until(scores, threshold, n),
            f"top{k}_auc": _finite(top_auc(scores, over, k)),
        }

    # ------------------------------------------------------------------ resuming

    def state_dict(self) -> dict[str, Any]:
        """The state that a resumed run needs, as lists and numbers; waits for unfinished calls."""
        self._wait()
        number = {key: i for i, key in enumerate(self._memory)}
        return {
            "columns": list(self.columns),
            "keys": list(self._memory),
            "rows": [list(row) for row in self._memory.values() if not isinstance(row, _Call)],
            "calls": {of: [number[key] for key in keys] for of, keys in self._calls.items()},
            "capped": self.capped,
            "asked": self.requests,
            "failures": dict(self.failures),
            "timed_out": self.timed_out,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores a saved state; the budget stays the one given here.

        A state of a version that did not tell training from evaluations has all its calls counted
        for training, as that version did.
        """
        if tuple(state["columns"]) != self.columns:
            raise BadData(
                f"the saved oracle gave {', '.join(state['columns'])}; this one gives "
                f"{', '.join(self.columns)}: the objective has changed"
            )
        rows = (tuple(row) for row in state["rows"])
        self._memory = dict(zip(state["keys"], rows, strict=True))
        keys = list(self._memory)
        saved = state.get("calls", {"train": range(len(keys))})
        self._calls = {of: {keys[i]: None for i in rows} for of, rows in saved.items()}
        self._proven = any(not math.isnan(row[0]) for row in state["rows"])
        self.capped, self.requests = int(state["capped"]), int(state["asked"])
        self.failures = dict(state["failures"])
        self.timed_out = int(state.get("timed_out", 0))

    def close(self) -> None:
        """Ends the worker processes."""
        self._pool.close()

    def _wait(self) -> None:
        for call in [call for call in self._memory.values() if isinstance(call, _Call)]:
            self._settle(call)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def _check_budget(budget: int | None) -> None:
    if budget is not None and (isinstance(budget, bool) or budget < 1):
        raise BadData(f"found budget={budget!r}: at least 1 call was needed, or none")
