"""The equivalence of a data set where a user's function states it: equal keys, equal meaning.

Like a reward (:mod:`trainer.tasks.scoring.user_rewards`), one that is given by name runs in a
process of its own with a time limit, so that one which hangs, dies or prints harms nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Any

from trainer.tasks.scoring.call_by_name import PerCompletion
from trainer.tasks.scoring.user_rewards import SECONDS, Row
from trainer.tasks.scoring.worker_pool import Failure, Pool, SameProcess, Workers
from trainer.user_code import find_object

__all__ = ["UserKeys"]


class UserKeys:
    """The keys of completions by a function of the user's, called as a reward is.

    A completion for which the function raises, gives what cannot be compared, or is out of time has
    no key: it is counted as dropped, and the first such failure is warned about.
    """

    def __init__(
        self,
        function: str | Callable[..., Any],
        workers: int | None = None,
        timeout: float | None = None,
    ) -> None:
        """``workers``, ``timeout``: as of :class:`trainer.tasks.scoring.user_rewards.Rewards`."""
        is_name = isinstance(function, str)
        self._function = _per_completion(function)
        self._failure = ""
        make = partial(_make_keys, function)
        number = min(int(is_name) if workers is None else workers, 1)
        seconds = SECONDS if timeout is None else timeout
        self._pool: Pool = Workers(make, 1, timeout=seconds) if number else SameProcess(make)

    def check(self, columns: Sequence[str]) -> None:
        """Refuses, in one line, a parameter that no column fills."""
        self._function.check(columns)

    def __call__(self, rows: Sequence[Row]) -> list[Hashable | None]:
        """The key of each row; None where there is none."""
        answers = [future.result() for future in self._pool.submit(rows)]
        for answer in answers:
            if isinstance(answer, Failure) and not self._failure:
                self._failure = answer.reason
                warnings.warn(
                    f"equivalence {self._function.name} failed: {self._failure}; such a completion "
                    "has no key and is counted as dropped",
                    stacklevel=3,
                )
        return [None if isinstance(answer, Failure) else answer[0] for answer in answers]

    def close(self) -> None:
        """Ends the process."""
        self._pool.close()


def _per_completion(function: str | Callable[..., Any]) -> PerCompletion:
    value = find_object(function, "equivalence") if isinstance(function, str) else function
    return PerCompletion(value, str(getattr(value, "__name__", "equivalence")))


def _make_keys(function: str | Callable[..., Any]) -> Callable[..., Any]:
    """The score function of the equivalence, in the process where it is to run."""
    return partial(_keys, _per_completion(function))


def _keys(function: PerCompletion, rows: Sequence[Row]) -> list[tuple[Hashable]]:
    keys = [(function(row.prompt, row.completion, row.columns),) for row in rows]
    hash(tuple(keys))  # what cannot be compared raises here
    return keys
