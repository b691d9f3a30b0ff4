"""Which answers to one prompt mean the same: by the task's keys, or by a relation of pairs.

A key is a canonical form and makes classes by itself. Where an answer has none, pairs are compared:

    [task]
    equivalence = "similarity:0.5"        # as alike as that: Tanimoto, or words in common
    equivalence = "learned:FOLDER"        # a classifier that ``qdtrain partition`` trained
    equivalence = "my_module:same"        # your function of two texts
    equivalence_threshold = 0.32          # of a classifier; by default its own
    equivalence_short_words = 5           # at most so many words: words in common decide (DARLING)

Other values are keys: "exact", "normalised", "canonical" or "scaffold" (of molecules), or what the
task itself takes; "task", the default, leaves it to the task.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qdlaws.errors import QdlawsError
from trainer.tasks import capabilities, make_task, task_options
from trainer.tasks.scoring.user_function import UserFunction
from trainer.tasks.task import Prompt, Task, nearest
from trainer.user_code import find_object, is_reference

if TYPE_CHECKING:
    from qdlaws.measure import Equivalence

__all__ = ["LEARNED", "Relation", "task_with_relation"]

log = logging.getLogger(__name__)

LEARNED, SIMILARITY = "learned:", "similarity:"
KEYS = {
    "exact": "exact",
    "normalised": "normalised",
    "canonical": "canonical",
    "scaffold": "same_scaffold",
}
"""Name of a key → the equivalence of ``qdlaws.measure``."""


@dataclass(frozen=True)
class Relation:
    """A rule by which two answers to a prompt mean the same, and its name in the configuration."""

    name: str
    compare: Callable[[Sequence[Prompt], list[str]], npt.NDArray[np.bool_]]
    close: Callable[[], None] = lambda: None
    """Ends the process in which it is worked out, where there is one."""

    def matrix(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """(n, n) for the answers to one prompt: symmetric; equal texts mean the same."""
        different = list(dict.fromkeys(texts))
        place = {text: i for i, text in enumerate(different)}
        rows = np.array([place[text] for text in texts], np.intp)
        table = np.array(self.compare([prompts[0]] * len(different), different), bool)
        table |= table.T
        np.fill_diagonal(table, True)
        full: npt.NDArray[np.bool_] = table[np.ix_(rows, rows)]
        return full


def task_with_relation(
    name: str, options: Mapping[str, Any], make: Callable[..., Task] = make_task
) -> tuple[Task, Relation | None]:
    """The task of a configuration, and the relation that takes the place of its keys, if any.

    ``make`` takes the name of the task and its options.
    """
    plain = {
        key: value
        for key, value in options.items()
        if key not in ("equivalence", "equivalence_threshold", "equivalence_short_words")
    }
    text = options.get("equivalence", "task")
    threshold, words = (
        options.get("equivalence_threshold"),
        options.get("equivalence_short_words", 0),
    )
    _check_numbers(text, threshold, words)
    if not isinstance(text, str) or text == "task":
        given = {} if text == "task" else {"equivalence": text}
        return make(name, **plain, **given), None
    if text.startswith(SIMILARITY):
        task = make(name, **plain)
        return task, _short(_by_similarity(task, text), words)
    if text.startswith(LEARNED):
        return make(name, **plain), _short(_learned(text, threshold), words)
    has_keys = "equivalence" in task_options(name)
    if is_reference(text):
        function = find_object(text, "equivalence")
        second = _second_parameter(function)
        if second is not None:
            task = make(name, **plain)
            columns = {"prompt", *(task.prompts()[0].data if has_keys else ())}
            if second not in columns:
                return task, _short(_by_function(text), words)
            capabilities.close(task)
    elif text in KEYS and not has_keys:
        return make(name, **plain), _short(_by_key(text), words)
    if not has_keys:
        raise QdlawsError(
            f"task.equivalence = {text!r}{nearest(text, ['task', *KEYS])}: 'similarity:0.5', "
            f"'learned:FOLDER', 'package.module:function' of two texts, task, {', '.join(KEYS)}"
        )
    return make(name, **plain, equivalence=text), None


# ---------------------------------------------------------------------- the relations


def _by_similarity(task: Task, text: str) -> Relation:
    """At least so similar: by the task's distances, or by the words that two texts share."""
    from qdlaws.measure import word_overlap

    try:
        least = float(text.removeprefix(SIMILARITY))
    except ValueError:
        least = -1.0
    if not 0 < least <= 1:
        raise QdlawsError(f"task.equivalence = {text!r}: a similarity above 0, up to 1, was needed")

    def compare(prompts: Sequence[Prompt], texts: list[str]) -> npt.NDArray[np.bool_]:
        if not isinstance(task, capabilities.HasDistances):
            return np.asarray(word_overlap(least).matrix(texts))
        # an invalid answer is at no distance of any (NaN), and NaN is not small; rounding aside
        return np.asarray(capabilities.distances(task, prompts, texts) <= 1 - least + 1e-12)

    return Relation(text, compare)


def _learned(text: str, threshold: float | None) -> Relation:
    from qdlaws.measure.equivalence.learned import LearnedPartition

    learned = LearnedPartition.load(Path(text.removeprefix(LEARNED)))
    if not learned.report.beats_constant:
        log.warning("task.equivalence: %s is no better than a constant answer", text)
    return _by_texts(text, learned.equivalence(threshold))


def _by_key(text: str) -> Relation:
    from qdlaws import measure

    return _by_texts(text, getattr(measure, KEYS[text])())


def _by_texts(text: str, same: Equivalence) -> Relation:
    return Relation(text, lambda prompts, texts: np.asarray(same.matrix(texts)))


def _by_function(text: str) -> Relation:
    """The user's function, in a process of its own, sees each pair of different texts once."""
    function = UserFunction(text, "equivalence")

    def compare(prompts: Sequence[Prompt], texts: list[str]) -> npt.NDArray[np.bool_]:
        table = np.zeros((len(texts), len(texts)), bool)
        pairs = [(i, j) for i in range(len(texts)) for j in range(i)]
        answers = function.each([(texts[i], texts[j]) for i, j in pairs])
        for (i, j), answer in zip(pairs, answers, strict=True):
            table[i, j] = bool(answer)
        return table

    return Relation(text, compare, function.close)


def _short(relation: Relation, words: int) -> Relation:
    """The relation, but words in common decide between two texts of at most so many words."""
    if not words:
        return relation
    from qdlaws.measure import Equivalence, short_texts

    def compare(prompts: Sequence[Prompt], texts: list[str]) -> npt.NDArray[np.bool_]:
        same = Equivalence(relation.name, lambda few: relation.compare(prompts, list(few)))
        return np.asarray(short_texts(same, words).matrix(texts))

    return Relation(relation.name, compare, relation.close)


# ---------------------------------------------------------------------- helpers


def _second_parameter(function: Callable[..., Any]) -> str | None:
    """The name of the second parameter of a function that needs exactly two; else None."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.default is inspect.Parameter.empty]
    pair = len(needed) == 2 and all(p.kind in positional for p in needed)
    return needed[1].name if pair else None


def _check_numbers(text: Any, threshold: Any, words: Any) -> None:
    """Refuses a threshold without a classifier, and numbers out of range."""
    if threshold is not None:
        if not (isinstance(text, str) and text.startswith(LEARNED)):
            raise QdlawsError("task.equivalence_threshold is of 'learned:FOLDER' alone")
        if not isinstance(threshold, int | float) or not 0 < threshold < 1:
            raise QdlawsError(
                f"task.equivalence_threshold = {threshold!r}: a number between 0 and 1 was needed"
            )
    if not isinstance(words, int) or isinstance(words, bool) or words < 0:
        raise QdlawsError(
            f"task.equivalence_short_words = {words!r}: a whole number of at least 0 was needed"
        )
