"""Rewards that are a user's functions: their calls, weights and failures.

A reward is one plain function, in either of two forms:

- with a parameter named ``completions`` it is called once a batch, by name, as TRL does:
  ``f(prompts, completions, **columns) -> list[float | None]``;
- otherwise once a completion: the first parameter is the text, the others are filled by name from
  ``prompt`` and the columns: ``f(text, answer) -> float``. For example ::

      def correct(text: str, answer: str) -> float:
          return float(text.strip() == answer)

The score is Σ weight · reward. None means that a reward does not apply to a row: it is left out of
the sum, and a row without any reward is NaN. An exception, NaN or infinity is a failure: NaN for
that row and therefore for its sum, counted, the first message kept and warned about once.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.errors import QdlawsError
from trainer.tasks.scoring.call_by_name import (
    PerCompletion,
    accepted_arguments,
    parameters,
    refuse_missing,
    required_parameters,
)
from trainer.user_code import find_object

__all__ = ["Reward", "Rewards", "weighted"]

Array = npt.NDArray[np.float64]
Columns = Mapping[str, Sequence[Any]]
FAILED = object()  # unlike None, which means that a reward does not apply


def weighted(parts: Mapping[str, Array], weights: Mapping[str, float], n: int) -> Array:
    """Σ weight · part, (n,): NaN where any part is."""
    total = np.zeros(n)
    for name, values in parts.items():
        total += weights[name] * values
    return total


class Reward:
    """One reward function, the number of its failures and the first message of them."""

    def __init__(self, function: str | Callable[..., Any]) -> None:
        function_object = find_object(function, "reward") if isinstance(function, str) else function
        if not callable(function_object):
            raise QdlawsError(f"reward {function!r} is not a function")
        self.function: Callable[..., Any] = function_object
        self.name = str(getattr(function_object, "__name__", type(function_object).__name__))
        self.batched = "completions" in parameters(function_object, self.name)
        self._single = None if self.batched else PerCompletion(function_object, self.name)
        self.failures = 0
        self.message = ""

    def check(self, columns: Sequence[str]) -> None:
        """Refuses, in one line, a function that needs a column which is not there."""
        if self._single is not None:
            self._single.check(columns)
        else:
            have = ["prompts", "completions", *columns]
            refuse_missing(self.name, required_parameters(self.function, self.name), have)

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[str], columns: Columns
    ) -> tuple[Array, npt.NDArray[np.bool_]]:
        """(values, where the reward applies); NaN where it failed."""
        if self.batched:
            values = self._batch(prompts, completions, columns)
        else:
            rows = range(len(completions))
            values = [self._caught(self._one, prompts, completions, columns, i) for i in rows]
        numbers = [self._number(value) for value in values]
        applies = np.array([value is not None for value in values], bool)
        return np.array(numbers, float), applies

    # ------------------------------------------------------------------ helpers

    def _batch(
        self, prompts: Sequence[Any], completions: Sequence[str], columns: Columns
    ) -> list[Any]:
        """All at once; row by row where that raises, so that one bad row costs one row."""
        try:
            return self._listed(prompts, completions, columns)
        except QdlawsError:
            raise
        except Exception:  # a user's function may raise anything
            rows = range(len(completions))
            return [self._caught(self._single_row, prompts, completions, columns, i) for i in rows]

    def _single_row(
        self, prompts: Sequence[Any], completions: Sequence[str], columns: Columns, i: int
    ) -> Any:
        row = {name: [values[i]] for name, values in columns.items()}
        return self._listed([prompts[i]], [completions[i]], row)[0]

    def _listed(
        self, prompts: Sequence[Any], completions: Sequence[str], columns: Columns
    ) -> list[Any]:
        given = {
            **columns,
            "prompts": list(prompts),
            "completions": _in_trl_form(prompts, completions),
        }
        values = list(self.function(**accepted_arguments(self.function, given)))
        if len(values) != len(completions):
            raise QdlawsError(
                f"reward {self.name} gave {len(values)} numbers for {len(completions)} completions"
            )
        return values

    def _one(
        self, prompts: Sequence[Any], completions: Sequence[str], columns: Columns, i: int
    ) -> Any:
        assert self._single is not None
        return self._single(prompts[i], completions[i], {k: v[i] for k, v in columns.items()})

    def _caught(self, call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except QdlawsError:
            raise
        except Exception as error:  # a user's function may raise anything
            self._fail(f"{type(error).__name__}: {error}")
            return FAILED

    def _number(self, value: Any) -> float:
        if value is None or value is FAILED:
            return math.nan
        try:
            number = float(value)
        except (TypeError, ValueError):
            self._fail(f"it gave {value!r}, not a number")
            return math.nan
        if not math.isfinite(number):
            self._fail(f"it gave {number}")
            return math.nan
        return number

    def _fail(self, message: str) -> None:
        self.failures += 1
        if not self.message:
            self.message = message
            warnings.warn(
                f"reward {self.name} failed: {message}; such rows score NaN, are dropped and "
                "counted, and are not reported one by one",
                stacklevel=2,
            )


class Rewards:
    """Several rewards with weights."""

    def __init__(
        self,
        functions: Sequence[str | Callable[..., Any]],
        weights: Sequence[float] | None = None,
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

    def check(self, columns: Sequence[str]) -> None:
        """Refuses, in one line, a function that needs a column which is not there."""
        for reward in self.rewards:
            reward.check(columns)

    @property
    def failures(self) -> dict[str, int]:
        """Rows that failed so far, by reward."""
        return {reward.name: reward.failures for reward in self.rewards}

    @property
    def messages(self) -> dict[str, str]:
        """The message of the first failure of each reward."""
        return {reward.name: reward.message for reward in self.rewards if reward.message}

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[str], columns: Columns
    ) -> tuple[Array, dict[str, Array]]:
        """(score, the value of each reward): NaN where one failed or none applies."""
        n = len(completions)
        parts, used = {}, {}
        any_applies = np.zeros(n, bool)
        for reward in self.rewards:
            values, applies = reward(prompts, completions, columns)
            parts[reward.name] = values
            used[reward.name] = np.where(applies, values, 0.0)
            any_applies |= applies
        return np.where(any_applies, weighted(used, self.weights, n), np.nan), parts


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
