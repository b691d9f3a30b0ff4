"""Rewards that are a user's functions: their calls, weights and failures.

A reward is one plain function, in either of two forms:

- with a parameter named ``completions``, or a first one annotated as a list, it is called once a
  batch, by name, as TRL does: ``f(prompts, completions, **columns) -> list[float | None]``;
- otherwise once a completion: the first parameter is the text, the others are filled by name from
  ``prompt`` and the columns: ``f(text, answer) -> float``. For example ::

      def correct(text: str, answer: str) -> float:
          return float(text.strip() == answer)

The score is Σ weight · reward. None means that a reward does not apply to a row: it is left out of
the sum, and a row without any reward is NaN. An exception, ``sys.exit``, NaN or infinity is a
failure: NaN for that row and therefore for its sum, counted, the first message kept and warned
about once. A batch that raises is tried again row by row; one with a wrong number of scores fails
as a whole, because nobody knows whose they are.

Rewards given by name run in a process of their own with a time limit, so one that hangs, dies or
prints harms nothing; functions given as such run in this process, without a limit.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from qdlaws.errors import QdlawsError
from trainer.tasks.scoring.call_by_name import (
    PerCompletion,
    accepted_arguments,
    list_parameter,
    refuse_missing,
    required_parameters,
)
from trainer.tasks.scoring.worker_pool import (
    Failure,
    Pool,
    SameProcess,
    Workers,
    check_workers,
)
from trainer.user_code import error_in_words, find_object

__all__ = ["Reward", "Rewards", "weighted"]

Array = npt.NDArray[np.float64]
Columns = Mapping[str, Sequence[Any]]
SECONDS = 10.0
"""The time limit of a completion where the user names none."""
ENOUGH_FAILURES = 16
"""Rewards of which so many rows failed before any had a score are refused."""


class Outcome(NamedTuple):
    """What a reward gave for a row: a number, that it does not apply, or why it failed."""

    value: float = math.nan
    applies: bool = True
    failure: str = ""


class Row(NamedTuple):
    """A completion to be scored, with its prompt and the columns of its prompt's row."""

    prompt: Any
    completion: str
    columns: Mapping[str, Any]


def weighted(parts: Mapping[str, Array], weights: Mapping[str, float], n: int) -> Array:
    """Σ weight · part, (n,): NaN where any part is."""
    total = np.zeros(n)
    for name, values in parts.items():
        total += weights[name] * values
    return total


class Reward:
    """One reward function; a call tells of each row what came of it, and keeps nothing."""

    def __init__(self, function: str | Callable[..., Any]) -> None:
        function_object = find_object(function, "reward") if isinstance(function, str) else function
        if not callable(function_object):
            raise QdlawsError(f"reward {function!r} is not a function")
        self.function: Callable[..., Any] = function_object
        self.name = str(getattr(function_object, "__name__", type(function_object).__name__))
        self._list = list_parameter(function_object, self.name)
        self.batched = self._list is not None
        self._single = None if self.batched else PerCompletion(function_object, self.name)

    def check(self, columns: Sequence[str]) -> None:
        """Refuses, in one line, a function that needs a column which is not there."""
        if self._single is not None:
            self._single.check(columns)
        else:
            have = ["prompts", "completions", str(self._list), *columns]
            refuse_missing(self.name, required_parameters(self.function, self.name), have)

    def __call__(self, rows: Sequence[Row]) -> list[Outcome]:
        """The outcome of each row."""
        if self._single is None:
            return self._batch(rows)
        return [_caught(self._single, row.prompt, row.completion, row.columns) for row in rows]

    def _batch(self, rows: Sequence[Row]) -> list[Outcome]:
        """All at once; row by row where that raises, so that one bad row costs one row."""
        prompts, completions = [row.prompt for row in rows], [row.completion for row in rows]
        given = {
            **{name: [row.columns[name] for row in rows] for name in rows[0].columns},
            "prompts": prompts,
        }
        given[str(self._list)] = given["completions"] = _in_trl_form(prompts, completions)
        try:
            values = list(self.function(**accepted_arguments(self.function, given)))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a user's function may raise anything, and call sys.exit
            if len(rows) == 1:
                return [Outcome(failure=error_in_words(error))]
            return [self._batch([row])[0] for row in rows]
        if len(values) != len(rows):
            failure = f"it gave {len(values)} numbers for {len(rows)} completions"
            return [Outcome(failure=failure)] * len(rows)
        return [_outcome(value) for value in values]


def _caught(function: Callable[..., Any], *arguments: Any) -> Outcome:
    try:
        return _outcome(function(*arguments))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's function may raise anything, and call sys.exit
        return Outcome(failure=error_in_words(error))


def _outcome(value: Any) -> Outcome:
    """What a reward gave, as a number or the reason why it is none."""
    if value is None:
        return Outcome(applies=False)
    try:
        number = float(value)
    except OverflowError:
        return Outcome(failure="it gave a number that is too large")
    except (TypeError, ValueError):
        what = repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
        return Outcome(failure=f"it gave {what}, not a number")
    return Outcome(number) if math.isfinite(number) else Outcome(failure=f"it gave {number}")


def _score(rewards: Sequence[Reward], rows: Sequence[Row]) -> list[tuple[Outcome, ...]]:
    """The outcomes of each row, one of each reward."""
    return list(zip(*(reward(rows) for reward in rewards), strict=True))


def _make_score(functions: Sequence[str | Callable[..., Any]]) -> Callable[..., Any]:
    """The score function of these rewards, in the process where they are to run."""
    return partial(_score, [Reward(function) for function in functions])


class Rewards:
    """Several rewards with weights, the number of their failures and the first message of each.

    Parameters
    ----------
    functions : functions, or ``package.module:function`` of each
    weights : one for each; 1 where left out
    workers : processes in which they run; by default 1 where all are given by name, else 0, which
        is this process. With more than one, a reward of batches sees a part of the batch at a time
    timeout : seconds for each completion, by default 10; a batch may take so many times as long
        as it has completions
    """

    def __init__(
        self,
        functions: Sequence[str | Callable[..., Any]],
        weights: Sequence[float] | None = None,
        workers: int | None = None,
        timeout: float | None = None,
    ) -> None:
        if isinstance(functions, str) or not functions:
            raise QdlawsError(
                f"rewards={functions!r}: a list of 'package.module:function' was needed"
            )
        self.rewards = [Reward(function) for function in functions]
        given = [1.0] * len(self.rewards) if weights is None else [float(w) for w in weights]
        if len(given) != len(self.rewards):
            raise QdlawsError(f"found {len(given)} weights for {len(self.rewards)} rewards")
        if not all(math.isfinite(w) for w in given):
            raise QdlawsError(f"weights={given}: finite numbers were needed")
        names = _numbered([reward.name for reward in self.rewards])
        for reward, name in zip(self.rewards, names, strict=True):
            reward.name = name
        self.weights = dict(zip(names, given, strict=True))
        self.failures = dict.fromkeys(names, 0)
        self.timed_out = 0
        """Rows whose rewards were out of time."""
        self.messages: dict[str, str] = {}
        self._has_worked = False
        named = all(isinstance(function, str) for function in functions)
        self._pool = self._made_pool(functions, int(named) if workers is None else workers, timeout)

    def check(self, columns: Sequence[str]) -> None:
        """Refuses, in one line, a function that needs a column which is not there."""
        for reward in self.rewards:
            reward.check(columns)

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[str], columns: Columns
    ) -> tuple[Array, dict[str, Array]]:
        """(score, the value of each reward): NaN where one failed or none applies.

        Raises
        ------
        QdlawsError
            Where no row has a score and at least 16 have failed: nothing can be learnt from that.
        """
        n = len(completions)
        rows = [
            Row(prompts[i], completions[i], {name: values[i] for name, values in columns.items()})
            for i in range(n)
        ]
        answers = [future.result() for future in self._pool.submit(rows)]
        self.timed_out += sum(isinstance(answer, Failure) and answer.late for answer in answers)
        parts, used = {}, {}
        any_applies = np.zeros(n, bool)
        for i, name in enumerate(self.weights):
            outcomes = [
                Outcome(failure=answer.reason) if isinstance(answer, Failure) else answer[i]
                for answer in answers
            ]
            self._count(name, outcomes)
            applies = np.array([outcome.applies for outcome in outcomes], bool)
            parts[name] = np.array([outcome.value for outcome in outcomes], float)
            used[name] = np.where(applies, parts[name], 0.0)
            any_applies |= applies
        score = np.where(any_applies, weighted(used, self.weights, n), np.nan)
        self._has_worked |= bool(np.isfinite(score).any())
        if not self._has_worked and sum(self.failures.values()) >= ENOUGH_FAILURES:
            raise QdlawsError(f"not one completion could be scored: {self.first_failure}")
        return score, parts

    @property
    def first_failure(self) -> str:
        """The message of the first failure of each reward, in one line; "" where none failed."""
        return "; ".join(f"reward {name} failed: {why}" for name, why in self.messages.items())

    def close(self) -> None:
        """Ends the processes."""
        self._pool.close()

    # ------------------------------------------------------------------ helpers

    def _made_pool(
        self,
        functions: Sequence[str | Callable[..., Any]],
        workers: int,
        timeout: float | None,
    ) -> Pool:
        check_workers(workers, timeout)
        if not workers:
            return SameProcess(lambda: partial(_score, self.rewards))
        together = any(reward.batched for reward in self.rewards)
        seconds = SECONDS if timeout is None else timeout
        make = partial(_make_score, tuple(functions))
        return Workers(make, workers, timeout=seconds, together=together)

    def _count(self, name: str, outcomes: Sequence[Outcome]) -> None:
        """Counts the failures of a reward, and warns of the first."""
        failed = [outcome.failure for outcome in outcomes if outcome.failure]
        self.failures[name] += len(failed)
        if failed and name not in self.messages:
            self.messages[name] = failed[0]
            warnings.warn(
                f"reward {name} failed: {failed[0]}; such rows score NaN, are dropped and "
                "counted, and are not reported one by one",
                stacklevel=3,
            )


# ---------------------------------------------------------------------- helpers


def _in_trl_form(prompts: Sequence[Any], completions: Sequence[str]) -> list[Any]:
    """Completions as TRL passes them: messages where the prompt was messages."""
    return [
        [{"role": "assistant", "content": text}] if isinstance(prompt, list) else text
        for prompt, text in zip(prompts, completions, strict=True)
    ]


def _numbered(names: Sequence[str]) -> list[str]:
    """The names with 2, 3, … behind those that come again."""
    totals: dict[str, int] = {}
    for name in names:
        totals[name] = totals.get(name, 0) + 1
    count = dict.fromkeys(totals, 0)
    distinct = []
    for name in names:
        count[name] += 1
        distinct.append(name if count[name] == 1 else f"{name}_{count[name]}")
    return distinct
