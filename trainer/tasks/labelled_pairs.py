"""Pairs of texts and whether they say the same, to train a classifier of equivalence on.

They come from a table of the user's, or from a task: its corpus says one thing in many wordings,
and its keys say which answers to a prompt mean the same. The classifier then reads answers of
another source, or answers that the key cannot read, as the key would.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

from qdlaws.errors import BadData, NotEnoughData
from trainer.tasks.capabilities import HasCorpus
from trainer.tasks.dataset.tables import read_rows
from trainer.tasks.task import Prompt, Task, nearest

__all__ = ["LabelledPairs", "pairs_of_file", "pairs_of_task"]

FEWEST = 40  # pairs of a label, below which nothing can be held out to measure with
MOST = 2000  # pairs of a label from a task: about a minute of training on a CPU
YES = {"1", "1.0", "true", "yes", "same"}
NO = {"0", "0.0", "false", "no", "different"}


@dataclass(frozen=True)
class LabelledPairs:
    """Pairs of texts, whether each says the same, and the group that it is held out with."""

    pairs: list[tuple[str, str]]
    same: list[bool]
    groups: list[Hashable] | None = None

    @property
    def spelled(self) -> bool:
        """Whether the texts are strings of characters, such as SMILES, and have no words."""
        return not any(" " in text.strip() for pair in self.pairs for text in pair)


def pairs_of_file(
    path: str | Path,
    first: str = "a",
    second: str = "b",
    same: str = "same",
    group: str = "group",
) -> LabelledPairs:
    """The pairs in a table (.csv, .jsonl, .parquet …) with two texts and a label in each row.

    A column ``group`` (a prompt, say) keeps pairs together when some are held out.
    """
    rows = read_rows(path)
    if not rows:
        raise NotEnoughData(f"{path} has no row")
    for column in (first, second, same):
        if column not in rows[0][1]:
            hint = nearest(column, rows[0][1])
            raise BadData(f"{path} has no column {column!r}{hint}: {', '.join(rows[0][1])}")
    pairs = [(str(row[first]), str(row[second])) for _, row in rows]
    labels = [_label(path, number, row[same]) for number, row in rows]
    groups = [row[group] for _, row in rows] if group in rows[0][1] else None
    return LabelledPairs(pairs, labels, groups)


def pairs_of_task(task: Task, examples: int = 20_000, seed: int = 0) -> LabelledPairs:
    """Pairs of answers of the task's corpus to one prompt; the same where their keys are.

    As many pairs say the same, in another wording, as say something else. An answer without a key
    (it is invalid) is left out.
    """
    if not isinstance(task, HasCorpus):
        raise BadData(f"task {task.name} has no corpus to take answers from: give --pairs")
    by_text = {prompt.text: prompt for prompt in task.prompts("train")}
    drawn = [(by_text[q], a) for q, a in task.corpus(examples, seed) if q in by_text]
    drawn = list({(prompt.number, text): (prompt, text) for prompt, text in drawn}.values())
    keys = task.keys([prompt for prompt, _ in drawn], [text for _, text in drawn])
    rng = Random(f"pairs {seed}")
    alike, apart = _alike(drawn, keys), _apart(drawn, keys, rng)
    size = min(len(alike), len(apart), MOST)
    if size < FEWEST:
        raise NotEnoughData(
            f"{examples} examples of task {task.name} give {len(alike)} pairs that say the same in "
            f"other words and {len(apart)} that do not; {FEWEST} of each were needed: more "
            "--examples may help"
        )
    chosen = [(pair, True) for pair in rng.sample(alike, size)]
    chosen += [(pair, False) for pair in rng.sample(apart, size)]
    rng.shuffle(chosen)
    prompts = {drawn[i][0].number for (i, _), _ in chosen}
    groups: list[Hashable] = [drawn[i][0].number for (i, _), _ in chosen]
    return LabelledPairs(
        [(drawn[i][1], drawn[j][1]) for (i, j), _ in chosen],
        [same for _, same in chosen],
        groups if len(prompts) >= 10 else None,
    )


# ---------------------------------------------------------------------- helpers

Drawn = Sequence[tuple[Prompt, str]]


def _alike(drawn: Drawn, keys: Sequence[Hashable | None]) -> list[tuple[int, int]]:
    """Pairs of answers to one prompt with one key, at most ten of each key."""
    classes: dict[Hashable, list[int]] = {}
    for i, ((prompt, _), key) in enumerate(zip(drawn, keys, strict=True)):
        if key is not None:
            classes.setdefault((prompt.number, key), []).append(i)
    return [pair for rows in classes.values() for pair in combinations(rows[:5], 2)]


def _apart(drawn: Drawn, keys: Sequence[Hashable | None], rng: Random) -> list[tuple[int, int]]:
    """Random pairs of answers to one prompt with two keys, two for each answer."""
    of_prompt: dict[int, list[int]] = {}
    for i, ((prompt, _), key) in enumerate(zip(drawn, keys, strict=True)):
        if key is not None:
            of_prompt.setdefault(prompt.number, []).append(i)
    pairs: dict[tuple[int, int], None] = {}
    for rows in of_prompt.values():
        for i in rows:
            for j in rng.choices(rows, k=2):
                if keys[i] != keys[j]:
                    pairs[min(i, j), max(i, j)] = None
    return list(pairs)


def _label(path: str | Path, number: int, value: Any) -> bool:
    text = str(value).strip().lower()
    if text not in YES | NO:
        raise BadData(f"{path}, row {number}: same={value!r}; 0 or 1 was needed")
    return text in YES
