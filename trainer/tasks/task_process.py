"""A task of the user's in a process of its own: what hangs, exits, dies or prints there ends there.

:class:`TaskProcess` is a :class:`~trainer.tasks.task.Task` whose members ask the task in the other
process. A call has a time limit; where it is exceeded, or the process dies, the run ends in one
line, because what the task remembered is gone with it, and goes on from its last checkpoint. All
that the task has started ends with its process. ``task.in_process = true`` does without.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdlaws.errors import QdlawsError
from trainer.errors import TaskFailed
from trainer.tasks import TASKS, capabilities, make_task
from trainer.tasks.scoring.worker_pool import Failure, Workers
from trainer.tasks.task import Prompt, Scores, Task
from trainer.user_code import error_in_words

if TYPE_CHECKING:
    from qdlaws.measure import Estimate
    from trainer.types import Traits

__all__ = ["SECONDS", "TaskProcess", "open_task"]

SECONDS = 10.0
"""The time limit for each completion where the user names none."""
FEWEST = 60
"""A call about fewer completions has the time of so many."""
OPTIONAL = (
    "score_for",
    "buckets",
    "filter_buckets",
    "distances",
    "report",
    "state_dict",
    "load_state",
    "corpus",
)
"""Members that a task may have and that are asked for as they are."""
FIGURES = ("name", "traits", "central", "filters", "sample_files")
"""Members that are values, sent once."""


@dataclass(frozen=True)
class SampledTexts:
    """What a task may see of an evaluation (:class:`trainer.tasks.capabilities.Samples`)."""

    texts: list[str]
    scores: Scores | None
    logp: Any
    ref_logp: Any


def open_task(
    name: str, options: Mapping[str, Any] | None = None, seconds: float = SECONDS
) -> Task:
    """A task that is closed after its use; one of the user's in a process of its own."""
    if name in TASKS:
        return make_task(name, **(options or {}))
    return TaskProcess(name, options or {}, seconds)


class TaskProcess:
    """The task that a function of the user's makes, in a process of its own."""

    name: str
    traits: Traits

    def __init__(
        self, reference: str, options: Mapping[str, Any], seconds: float = SECONDS
    ) -> None:
        """``seconds``: the time limit for each completion."""
        self._reference = reference
        self._seconds = seconds
        self._prompts: dict[str, Sequence[Prompt]] = {}
        self._pool = Workers(partial(_serve, reference, dict(options)), 1)
        self._pool.ready()
        values, members = self._ask("members")
        for name, value in values.items():
            setattr(self, name, value)
        for name in members:  # in the instance, so that capabilities sees what there is
            setattr(self, name, partial(self._ask, name))
        if "write_samples" in members:
            self.write_samples = self._write_samples
        self._closes = "close" in members
        self.close = self._close

    def prompts(self, split: str = "train") -> Sequence[Prompt]:
        """The prompts of a split, asked for once."""
        if split not in self._prompts:
            self._prompts[split] = self._ask("prompts", split)
        return self._prompts[split]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """Each text scored as an answer to its prompt."""
        scores: Scores = self._ask("score", prompts, texts)
        return scores

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """The canonical meaning of each text."""
        return list(self._ask("keys", prompts, texts))

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, Estimate]:
        """Diversity and whatever else the task measures."""
        return dict(self._ask("measure", prompts, texts))

    # ------------------------------------------------------------------ helpers

    def _write_samples(self, folder: Path, step: int, samples: capabilities.Samples) -> None:
        plain = SampledTexts(samples.texts, samples.scores, samples.logp, samples.ref_logp)
        self.sample_files = self._ask("write_samples", folder.absolute(), step, plain)

    def _close(self) -> None:
        """Lets the task close what it holds, and ends its process."""
        if self._closes:
            with suppress(QdlawsError):
                self._ask("close")
        self._pool.close()

    def _ask(self, member: str, *given: Any) -> Any:
        """What the task answers; TaskFailed where it raises, is out of time or has died."""
        many = max((len(g) for g in given if isinstance(g, Sequence)), default=0)
        limit = self._seconds * max(many, FEWEST)
        (future,) = self._pool.submit([(member, tuple(map(_sendable, given)))], limit)
        answer = future.result()
        where = f"task {self._reference}: {member}"
        if isinstance(answer, Failure):
            hint = "" if answer.raised else f" (task.answer_seconds = {self._seconds:g} each)"
            raise TaskFailed(f"{where}: {answer.reason}{hint}")
        kind, value = answer
        if kind == "refused":  # by the task itself, in its words
            raise QdlawsError(value)
        if kind == "raised":
            raise TaskFailed(f"{where}: {value}")
        return value


def _sendable(value: Any) -> Any:
    """An argument for another process: what can be gone through once, or is a view, as a list."""
    is_whole = isinstance(value, str | Sequence | Mapping) or not isinstance(value, Iterable)
    return value if is_whole else list(value)


# ---------------------------------------------------------------------- in the other process


def _serve(reference: str, options: dict[str, Any]) -> Callable[[Sequence[Any]], list[Any]]:
    """The function that answers calls of the task's members."""
    task = make_task(reference, **options)
    return lambda calls: [_answer(task, member, given) for member, given in calls]


def _answer(task: Task, member: str, given: tuple[Any, ...]) -> tuple[str, Any]:
    try:
        if member == "members":
            return "value", _members(task)
        value = getattr(task, member)(*given)
        return "value", capabilities.sample_files(task) if member == "write_samples" else value
    except KeyboardInterrupt:
        raise
    except QdlawsError as error:
        return "refused", str(error)
    except SystemExit as error:
        return "raised", f"code of the task ended the program: {error_in_words(error)}"
    except BaseException as error:  # a user's task may raise anything
        return "raised", error_in_words(error)


def _members(task: Task) -> tuple[dict[str, Any], list[str]]:
    """The values of a task's members that are values, and the names of its optional members."""
    values = {name: getattr(task, name) for name in FIGURES if hasattr(task, name)}
    names = (*OPTIONAL, "write_samples", "close")
    return values, [name for name in names if hasattr(task, name)]
