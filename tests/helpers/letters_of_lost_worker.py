"""A task of a run whose worker is killed in its midst, once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.helpers.letters import Letters
from tests.helpers.lost_worker import die_once
from trainer.tasks.task import Prompt, Scores


class LettersOfLostWorker(Letters):
    """In the fourth batch of scores the worker dies, once."""

    def __init__(self, marker: str) -> None:
        super().__init__()
        self.marker, self.batches = Path(marker), 0

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        self.batches += 1
        if self.batches == 4:
            die_once(self.marker)
        return super().score(prompts, texts)


def make(marker: str) -> Letters:
    return LettersOfLostWorker(marker)
