"""A task from the user's rows: a prompt column, rewards that are plain functions, any columns.

    [task]
    name = "dataset"
    path = "questions.jsonl"            # or .csv, .parquet, .json; or hub = "owner/name"
    rewards = ["my_rewards:correct", "my_rewards:short"]
    weights = [1.0, 0.2]

A prompt is text, or a list of messages ``{"role", "content"}``; messages stand in
``Prompt.data["messages"]`` too, and ``Prompt.text`` is then the user's words. How a reward is
called: :mod:`trainer.tasks.scoring.user_rewards`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from qdlaws.errors import QdlawsError
from trainer.tasks.capabilities import key_distances
from trainer.tasks.dataset.tables import Numbered, hub_rows, read_prompts, read_rows
from trainer.tasks.scoring.text_diversity import (
    MEASURES,
    Embedding,
    Measure,
    text_distances,
    text_diversity,
)
from trainer.tasks.scoring.text_diversity import embedding as find_embedding
from trainer.tasks.scoring.user_function import UserFunction
from trainer.tasks.scoring.user_keys import UserKeys
from trainer.tasks.scoring.user_rewards import Rewards, Row
from trainer.tasks.splits import check_share, hash_fraction
from trainer.tasks.task import Prompt, Scores, nearest

if TYPE_CHECKING:
    from qdlaws.measure import Estimate
    from trainer.types import Traits

__all__ = ["Dataset", "make"]


def make(
    path: str | None = None,
    hub: str | None = None,
    rewards: Sequence[str | Callable[..., Any]] = (),
    weights: Sequence[float] | None = None,
    prompt: str = "prompt",
    completion: str = "completion",
    equivalence: str | Callable[..., Any] | None = None,
    diversity: Literal["ngrams", "equivalence", "embedding"] | None = None,
    embedding: str | Embedding | None = None,
    eval_share: float = 0.1,
    eval_path: str | None = None,
    hub_config: str | None = None,
    hub_split: str = "train",
    limit: int | None = None,
    binary: bool | None = None,
    lowest: float | None = None,
    highest: float | None = None,
    workers: int | None = None,
    timeout: float | None = None,
) -> Dataset:
    """The task of a file or of a data set of the hub.

    Parameters
    ----------
    path : a file of rows: .jsonl, .json, .csv or .parquet
    hub : the name of a data set of the hub, in place of a file
    rewards : functions, or ``package.module:function`` of each
    weights : one for each reward; 1 where left out
    prompt : the column of prompts
    completion : the column of completions, which is needed only to pre-train
    equivalence : which completions mean the same: "exact", "normalised" (case, punctuation and
        blanks aside; the default) or "package.module:function", the key of a completion
    diversity : what D is: "ngrams" (mean distance of words and pairs of words), "equivalence" (the
        chance that two answers differ in meaning) or "embedding"; None: by the embedding where one
        is named, by the equivalence where one is, else by n-grams. The others are recorded too
    embedding : "package.module:function" (texts → array), or the folder or hub id of a sentence
        encoder
    eval_share : the share of prompts that is held out, by a hash of the prompt
    eval_path : a file of held-out rows, in place of a share
    hub_config : the configuration of the data set of the hub
    hub_split : the split of the data set of the hub
    limit : at most so many of the first rows
    binary : whether rewards are 0 or 1, for recipes that need that; adds pass@k to the metrics
    lowest : the lowest possible reward, for recipes that need it
    highest : the highest possible reward
    workers : processes in which the rewards run, and one for an equivalence of the user's; 0 for
        this one (:class:`trainer.tasks.scoring.user_rewards.Rewards`)
    timeout : seconds for the reward of a completion
    """
    if (path is None) == (hub is None):
        raise QdlawsError("task dataset: one of path= and hub= was needed")
    rows = read_rows(path, limit) if path else hub_rows(str(hub), hub_config, hub_split, limit)
    return Dataset(
        rows,
        read_rows(eval_path, limit) if eval_path else None,
        Rewards(rewards, weights, workers, timeout),
        _key_function(equivalence or "normalised", workers, timeout),
        source=str(path or hub),
        prompt=prompt,
        completion=completion,
        diversity=_chosen_measure(diversity, equivalence, embedding),
        embedding=embedding,
        eval_share=eval_share,
        bounds=(binary, lowest, highest),
    )


class Dataset:
    """Prompts from rows, scored by the rewards of the user."""

    name = "dataset"

    def __init__(
        self,
        rows: Sequence[Numbered],
        eval_rows: Sequence[Numbered] | None,
        rewards: Rewards,
        key: Callable[[str], Hashable] | UserKeys,
        *,
        source: str = "rows",
        prompt: str = "prompt",
        completion: str = "completion",
        diversity: Measure = "equivalence",
        embedding: str | Embedding | None = None,
        eval_share: float = 0.1,
        bounds: tuple[bool | None, float | None, float | None] = (None, None, None),
    ) -> None:
        self.rewards, self._bounds, self._completion = rewards, bounds, completion
        self._source = source
        self._prompts = read_prompts(rows, prompt, source, 0)
        # in the order of their first row: keyword arguments that every row can be asked for
        self._columns = list(dict.fromkeys(c for p in self._prompts for c in _columns(p)))
        rewards.check(self._columns)
        self._key = key
        if isinstance(key, UserKeys):
            key.check(self._columns)
        self._embed = find_embedding(embedding)
        self._diversity = diversity
        if eval_rows is None:
            self._train, self._eval = _split(self._prompts, check_share("eval_share", eval_share))
        else:
            self._train = self._prompts
            self._eval = read_prompts(eval_rows, prompt, "eval_path", len(self._prompts))
        self._last: tuple[list[tuple[int, str]], Scores] | None = None

    @cached_property
    def traits(self) -> Traits:
        from trainer.types import Traits  # torch is loaded here, when a recipe asks

        binary, lowest, highest = self._bounds
        if binary:
            lowest, highest = 0.0, 1.0
        return Traits(self.name, len(self._train) > 1, binary, lowest, highest, True)

    def prompts(self, split: str = "train") -> list[Prompt]:
        """The rows to train on, or those held out ("eval"; all where none are)."""
        if split not in ("train", "eval"):
            raise QdlawsError(f"dataset has the splits train and eval, not {split!r}")
        return self._train if split == "train" else self._eval

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """Σ weight · reward of each row, and the rewards in ``parts``; any text is valid."""
        contents = [_content(prompt) for prompt in prompts]
        columns = {c: [prompt.data.get(c) for prompt in prompts] for c in self._columns}
        score, parts = self.rewards(contents, list(texts), columns)
        scores = Scores(score, np.ones(len(texts), bool), parts, failure=self.rewards.first_failure)
        self._last = (_rows(prompts, texts), scores)
        return scores

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """The key of each completion under the equivalence; None where the user's raises."""
        if not isinstance(self._key, UserKeys):
            return [self._key(text) for text in texts]
        rows = [
            Row(_content(prompt), text, {c: prompt.data.get(c) for c in self._columns})
            for prompt, text in zip(prompts, texts, strict=True)
        ]
        return self._key(rows)

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, Estimate]:
        """Diversity within a prompt, by every measure that can be taken; pass@k where binary."""
        from trainer.tasks.scoring.answer_metrics import (
            key_diversity,
            pass_metrics,
            unique_keys,
            wording_diversity,
        )

        numbers = [prompt.number for prompt in prompts]
        keys = self.keys(prompts, texts)
        every = {
            "equivalence": key_diversity(keys, numbers),
            "ngrams": text_diversity(texts, numbers),
        }
        if self._embed is not None:
            every["embedding"] = text_diversity(texts, numbers, self._embed)
        metrics = {
            "diversity": every[self._diversity],
            **{f"diversity_{name}": estimate for name, estimate in every.items()},
            "unique_share": unique_keys(keys, numbers),
            "diversity_wording": wording_diversity(texts, numbers),
            "diversity_wording_unique": wording_diversity(texts, numbers, unique=True),
        }
        if self._bounds[0]:
            metrics |= pass_metrics(self._scored(prompts, texts).score, numbers)
        return metrics

    def distances(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> npt.NDArray[Any]:
        """How far two completions are apart, by the measure of D."""
        if self._diversity == "equivalence":
            return key_distances(self.keys(prompts, texts))
        return text_distances(texts, self._embed if self._diversity == "embedding" else None)

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        """n pairs of rows to train on, drawn with replacement; needs a column of completions."""
        pairs = [
            (p.text, done)
            for p in self._train
            if isinstance(done := p.data.get(self._completion), str)
        ]
        if not pairs:
            raise QdlawsError(
                f"{self._source}: no text in a column {self._completion!r} to train a prior on"
            )
        return Random(f"dataset corpus {seed}").choices(pairs, k=n)

    def report(self) -> dict[str, float | None]:
        """How many completions were not scored so far because their rewards were out of time."""
        return {"timed_out": self.rewards.timed_out}

    def state_dict(self) -> dict[str, Any]:
        """The same number, for a resumed run."""
        return {"timed_out": self.rewards.timed_out}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores it."""
        self.rewards.timed_out = int(state["timed_out"])

    def close(self) -> None:
        """Ends the processes of the rewards, the equivalence and the embedding."""
        self.rewards.close()
        for function in (self._key, self._embed):
            if isinstance(function, UserKeys | UserFunction):
                function.close()

    # ------------------------------------------------------------------ helpers

    def _scored(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """The scores just given for these rows: a user's reward may be expensive."""
        if self._last is not None and self._last[0] == _rows(prompts, texts):
            return self._last[1]
        return self.score(prompts, texts)


# ---------------------------------------------------------------------- helpers


def _chosen_measure(measure: str | None, equivalence: Any, embedding: Any) -> Measure:
    """What D is: as asked for, else by the most telling thing that was named."""
    if measure is None:
        if embedding is not None:
            return "embedding"
        return "ngrams" if equivalence is None else "equivalence"
    if measure not in MEASURES:
        raise QdlawsError(
            f"dataset: diversity={measure!r}{nearest(measure, MEASURES)}; one of "
            f"{', '.join(MEASURES)}"
        )
    if measure == "embedding" and embedding is None:
        raise QdlawsError('dataset: diversity="embedding" needs embedding=, a function or a model')
    return measure


def _rows(prompts: Sequence[Prompt], texts: Sequence[str]) -> list[tuple[int, str]]:
    return [(prompt.number, text) for prompt, text in zip(prompts, texts, strict=True)]


def _content(prompt: Prompt) -> Any:
    """What a reward gets as the prompt: its messages, or its text."""
    return prompt.data.get("messages", prompt.text)


def _columns(prompt: Prompt) -> list[str]:
    return [name for name in prompt.data if name != "messages"]


def _split(prompts: list[Prompt], share: float) -> tuple[list[Prompt], list[Prompt]]:
    """(train, eval): by the hash of the prompt, at least one different prompt in each."""
    fractions = {prompt.text: hash_fraction(prompt.text) for prompt in prompts}
    if share == 0 or len(fractions) == 1:
        return prompts, prompts
    ranked = sorted(fractions, key=lambda text: (fractions[text], text))
    held = {text for text in ranked if fractions[text] < share} or {ranked[0]}
    if len(held) == len(ranked):
        held.remove(ranked[-1])
    return (
        [p for p in prompts if p.text not in held],
        [p for p in prompts if p.text in held],
    )


def _key_function(
    equivalence: str | Callable[..., Any], workers: int | None, timeout: float | None
) -> Callable[[str], Hashable] | UserKeys:
    if equivalence == "exact":
        return str.strip
    if equivalence == "normalised":
        from qdlaws.measure import normalised

        key = normalised().key
        assert key is not None
        return key
    if isinstance(equivalence, str) and ":" not in equivalence:
        raise QdlawsError(
            f"equivalence={equivalence!r}: 'exact', 'normalised' or 'package.module:function'"
        )
    return UserKeys(equivalence, workers, timeout)
