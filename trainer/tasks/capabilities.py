"""The optional members of a task, beyond :class:`trainer.tasks.task.Task`, and their defaults.

Each capability is a protocol with a function beside it. The trainer calls the function, which uses
the task's own method where there is one and the stated default where there is none, so a task
implements what it has and nothing else.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from qdlaws.errors import BadData

if TYPE_CHECKING:
    from trainer.tasks.scoring.oracle import Purpose
    from trainer.tasks.task import Prompt, Scores, Task
    from trainer.types import FilterPlan

__all__ = [
    "HasBuckets",
    "HasCentralScoring",
    "HasCorpus",
    "HasDistances",
    "HasFilters",
    "HasReport",
    "HasResources",
    "HasSampleFiles",
    "HasState",
    "Samples",
    "ScoresByPurpose",
    "buckets",
    "check_filter",
    "close",
    "distances",
    "filter_buckets",
    "key_distances",
    "load_state",
    "report",
    "sample_files",
    "saved_state",
    "score_for",
    "scores_centrally",
    "write_samples",
]


@runtime_checkable
class HasBuckets(Protocol):
    """The task sorts answers into the buckets of a diversity filter, such as scaffolds."""

    def buckets(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """The bucket of each answer; None: it falls into none."""
        ...


def buckets(task: Task, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
    """The bucket of each answer; by default the answers of one meaning share a bucket."""
    if isinstance(task, HasBuckets):
        return task.buckets(prompts, texts)
    return task.keys(prompts, texts)


@runtime_checkable
class HasFilters(Protocol):
    """The task can sort its answers into the buckets of a diversity filter in several ways."""

    filters: tuple[str, ...]
    """Their names, the usual one first."""

    def filter_buckets(
        self,
        prompts: Sequence[Prompt],
        texts: Sequence[str],
        by: str,
        known: Iterable[Hashable],
        similarity: float,
    ) -> list[Hashable | None]:
        """The bucket of each answer; ``known`` are the buckets so far, in their order."""
        ...


def check_filter(task: Task, plan: FilterPlan) -> None:
    """Refuses a filter by buckets that the task cannot tell apart."""
    have = ("usual", "same", *(task.filters if isinstance(task, HasFilters) else ()))
    if plan.by not in have:
        raise BadData(f"filter = {plan.by!r}: {task.name} has {', '.join(have)}")


def filter_buckets(
    task: Task,
    prompts: Sequence[Prompt],
    texts: Sequence[str],
    plan: FilterPlan,
    known: Iterable[Hashable] = (),
) -> tuple[list[Hashable | None], list[Hashable | None] | None]:
    """The bucket of each answer under a filter, and its canonical form.

    The second is None where a bucket is one meaning: there is nothing to tell apart in it.
    """
    if plan.by == "same":
        answers = task.keys(prompts, texts)
        return answers, answers
    if isinstance(task, HasFilters):
        by = task.filters[0] if plan.by == "usual" else plan.by
        names = task.filter_buckets(prompts, texts, by, known, plan.similarity)
        return names, task.keys(prompts, texts)
    if isinstance(task, HasBuckets):
        return task.buckets(prompts, texts), task.keys(prompts, texts)
    return task.keys(prompts, texts), None


@runtime_checkable
class HasDistances(Protocol):
    """The task knows how far two answers are apart."""

    def distances(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> npt.NDArray[Any]:
        """The distances (n, n) of the answers; NaN where one of the two is invalid."""
        ...


def distances(
    task: Task, prompts: Sequence[Prompt], texts: Sequence[str]
) -> npt.NDArray[np.float64]:
    """The distances (n, n) of the answers; by default 0 for one meaning and 1 for two."""
    if isinstance(task, HasDistances):
        return np.array(task.distances(prompts, texts), float)
    return key_distances(task.keys(prompts, texts))


def key_distances(keys: Sequence[Hashable | None]) -> npt.NDArray[np.float64]:
    """The distances (n, n) by keys: 0 for one meaning and 1 for two, NaN where one has no key."""
    number: dict[Hashable, int] = {}
    label = np.array([-1 if key is None else number.setdefault(key, len(number)) for key in keys])
    apart: npt.NDArray[np.float64] = (label[:, None] != label[None, :]).astype(float)
    apart[label < 0] = apart[:, label < 0] = np.nan  # an invalid answer is at no distance
    return apart


@runtime_checkable
class HasCentralScoring(Protocol):
    """One process may have to score for all, as where a budget of calls is counted."""

    @property
    def central(self) -> bool:
        """Whether one process scores for all."""
        ...


def scores_centrally(task: Task) -> bool:
    """Whether one process scores for all; by default each scores its share."""
    return isinstance(task, HasCentralScoring) and task.central


@runtime_checkable
class ScoresByPurpose(Protocol):
    """The task counts scores for training apart from others, as where a call has its price."""

    def score_for(
        self, purpose: Purpose, prompts: Sequence[Prompt], texts: Sequence[str]
    ) -> Scores:
        """Each text scored as an answer to its prompt, for training or something else."""
        ...


def score_for(
    task: Task, purpose: Purpose, prompts: Sequence[Prompt], texts: Sequence[str]
) -> Scores:
    """Each text scored as an answer to its prompt; by default the purpose does not matter."""
    if isinstance(task, ScoresByPurpose):
        return task.score_for(purpose, prompts, texts)
    return task.score(prompts, texts)


@runtime_checkable
class HasReport(Protocol):
    """The task has figures of the run as a whole, such as the calls of an oracle so far."""

    def report(self) -> dict[str, float | None]:
        """The figures, for the log of an evaluation."""
        ...


def report(task: Task) -> dict[str, float | None]:
    """The task's figures of the run as a whole; by default none."""
    return task.report() if isinstance(task, HasReport) else {}


class Samples(Protocol):
    """The answers of an evaluation, as a task sees them that writes files of its own."""

    @property
    def texts(self) -> list[str]: ...
    @property
    def scores(self) -> Scores | None: ...
    @property
    def logp(self) -> Any:
        """log π of each whole answer, (n,)."""

    @property
    def ref_logp(self) -> Any:
        """log π_ref of each whole answer, (n,)."""


@runtime_checkable
class HasSampleFiles(Protocol):
    """The task writes the answers of evaluations to a file of its own format."""

    def write_samples(self, folder: Path, step: int, samples: Samples) -> None:
        """Writes or appends the answers of one evaluation; files that grow end in ``.csv``."""
        ...


def write_samples(task: Task, folder: Path, step: int, samples: Samples) -> None:
    """Lets the task write its own file; by default there is none."""
    if isinstance(task, HasSampleFiles):
        task.write_samples(folder, step, samples)


def sample_files(task: Task) -> tuple[str, ...]:
    """The names of the files that the task appends to, where it has a ``sample_files``.

    A run that was killed between two checkpoints and resumed removes what the killed process wrote
    into a file of such a name that no checkpoint holds yet; a file of another name is the user's.
    """
    names: tuple[str, ...] = getattr(task, "sample_files", ())
    return names


@runtime_checkable
class HasState(Protocol):
    """The task remembers something that a resumed run needs, such as an oracle's answers."""

    def state_dict(self) -> dict[str, Any]:
        """The memory as JSON values."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores the memory."""
        ...


def saved_state(task: Task) -> dict[str, Any] | None:
    """The task's memory as JSON values; by default it has none."""
    return task.state_dict() if isinstance(task, HasState) else None


def load_state(task: Task, state: dict[str, Any] | None) -> None:
    """Restores the task's memory, where there is one and it was saved."""
    if isinstance(task, HasState) and state is not None:
        task.load_state(state)


@runtime_checkable
class HasCorpus(Protocol):
    """The task can make examples that a prior is pre-trained on."""

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        """Pairs of prompt and completion."""
        ...


@runtime_checkable
class HasResources(Protocol):
    """The task holds processes or files until it is closed."""

    def close(self) -> None:
        """Gives them back."""
        ...


def close(task: Task) -> None:
    """Gives back what the task holds; by default nothing."""
    if isinstance(task, HasResources):
        task.close()
