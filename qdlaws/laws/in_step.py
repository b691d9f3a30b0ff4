"""Fits that ask for posteriors, run side by side so that their questions are answered together.

A fit is a generator: it yields the problems whose posteriors it needs, is sent the answers, and
returns its result. One fit asks for a few problems at a time; many fits in step ask for many, and
:func:`law_posteriors` works on those of one shape at once.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from qdlaws.inference.law_posterior import LawPosterior, law_posteriors
from qdlaws.inference.law_problem import LawProblem

__all__ = ["Asking", "answered", "in_step"]

T = TypeVar("T")

Asking = Generator[list[LawProblem], list[LawPosterior], T]


def answered(fit: Asking[T]) -> T:
    """The result of a fit."""
    try:
        asked = next(fit)
        while True:
            asked = fit.send(law_posteriors(asked))
    except StopIteration as done:
        result: T = done.value
        return result


def in_step(fits: Sequence[Asking[T]]) -> Asking[list[T]]:
    """Many fits as one: each round asks for what all of them ask for."""
    results: list[Any] = [None] * len(fits)
    asked: dict[int, list[LawProblem]] = {}
    answers: dict[int, list[LawPosterior] | None] = dict.fromkeys(range(len(fits)))
    while answers:
        asked.clear()
        for i, answer in answers.items():
            try:
                asked[i] = next(fits[i]) if answer is None else fits[i].send(answer)
            except StopIteration as done:
                results[i] = done.value
        if not asked:
            break
        found = iter((yield [p for problems in asked.values() for p in problems]))
        answers = {i: [next(found) for _ in problems] for i, problems in asked.items()}
    return results
