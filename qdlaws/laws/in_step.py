"""Fits as generators, so that the posteriors which many fits need are computed in one batch.

A fit is a generator: it yields the problems whose posteriors it needs, is sent these posteriors,
and returns its result. One fit yields a few problems at a time; many fits in step yield many, and
:func:`~qdlaws.inference.law_posterior.law_posteriors` computes those of equal shape together, in
about half the time.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, TypeVar

from qdlaws.inference.law_posterior import LawPosterior, law_posteriors
from qdlaws.inference.law_problem import LawProblem

__all__ = ["Asking", "answered", "in_step"]

T = TypeVar("T")

Asking = Generator[list[LawProblem], list[LawPosterior], T]
"""A fit that yields problems, receives their posteriors and returns a T."""


def answered(fit: Asking[T]) -> T:
    """The result of a fit, after computing the posteriors that it needs."""
    try:
        problems = next(fit)
        while True:
            problems = fit.send(law_posteriors(problems))
    except StopIteration as done:
        result: T = done.value
        return result


def in_step(fits: Sequence[Asking[T]]) -> Asking[list[T]]:
    """Many fits as one, which yields the problems of all of them in each round."""
    results: list[Any] = [None] * len(fits)
    problems: dict[int, list[LawProblem]] = {}
    posteriors: dict[int, list[LawPosterior] | None] = dict.fromkeys(range(len(fits)))
    while posteriors:
        problems.clear()
        for i, received in posteriors.items():
            try:
                problems[i] = next(fits[i]) if received is None else fits[i].send(received)
            except StopIteration as done:
                results[i] = done.value
        if not problems:
            break
        batch = iter((yield [problem for group in problems.values() for problem in group]))
        posteriors = {i: [next(batch) for _ in group] for i, group in problems.items()}
    return results
