"""A function of the user's that is called in a process of its own, within a time limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from qdlaws.errors import QdlawsError
from trainer.tasks.scoring.worker_pool import Answer, Failure, Workers
from trainer.user_code import find_object

__all__ = ["UserFunction"]

SECONDS = 10.0
"""The time limit of a call where none is given."""
FEWEST = 60
"""A list of fewer items has the time of so many: a model may have to be loaded first."""


class UserFunction:
    """``package.module:function``; one that hangs, exits, dies or prints harms nothing."""

    def __init__(
        self, reference: str, what: str, timeout: float = SECONDS, of_list: bool = False
    ) -> None:
        """``what``: the word for it in messages, such as "embedding"; ``of_list``: it takes a list,
        and so many times as long as that has items."""
        self._name = f"{what} {reference}"
        self._timeout, self._of_list = timeout, of_list
        self._pool = Workers(partial(_make, reference, what), 1, timeout=timeout)

    def __call__(self, *arguments: Any) -> Any:
        """The value; QdlawsError where it fails."""
        many = max(len(arguments[0]), FEWEST) if self._of_list else 1
        (future,) = self._pool.submit([arguments], self._timeout * many)
        return self._value(future.result())

    def each(self, calls: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The values of many calls, each with the time of one."""
        return [self._value(future.result()) for future in self._pool.submit(calls)]

    def _value(self, answer: Answer) -> Any:
        if isinstance(answer, Failure):
            raise QdlawsError(f"{self._name}: {answer.reason}")
        return answer[0]

    def close(self) -> None:
        """Ends the process."""
        self._pool.close()


def _make(reference: str, what: str) -> Callable[[Sequence[Any]], list[Any]]:
    return partial(_values, find_object(reference, what))


def _values(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    return [(_sendable(function(*arguments)),) for arguments in calls]


def _sendable(value: Any) -> Any:
    """A tensor as an array: that of a GPU cannot go to another process."""
    return value.detach().cpu().double().numpy() if hasattr(value, "detach") else value
