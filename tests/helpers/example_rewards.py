"""Rewards and a task as a user would write them; the tests name them ``example_rewards:…``."""

import os
import sys
import time
from dataclasses import dataclass

import numpy as np

from qdlaws.measure import mean_score
from trainer.tasks import Prompt, Scores
from trainer.tasks.scoring.answer_metrics import key_diversity, unique_keys


def correct(text, answer):
    """One completion: the text, and a column by its name."""
    return float(text.strip() == answer)


def short(completions, **kwargs):
    """A batch, as TRL calls it."""
    return [1.0 / (1 + len(text)) for text in completions]


def keyed(prompts, completions, answer, topic=None):
    return [None if t == "skip" else float(a in c) for c, a, t in zip(completions, answer, topic)]  # noqa: B905


def touchy(text):
    if text == "boom":
        raise RuntimeError("it went boom")
    return {"none": None, "word": "high", "nan": float("nan"), "inf": float("inf")}.get(text, 1)


def touchy_batch(completions):
    if "boom" in completions:
        raise ValueError("boom in the batch")
    return [len(c) for c in completions]


def too_few(completions):
    return [1.0]


def odd(text):
    if text == "exit":
        sys.exit(0)
    answers = {"large": 10**400, "larger": 10**5000, "word": "high", "list": [1]}
    return answers.get(text, 1.0)


def odd_batch(completions):
    return [odd(text) for text in completions]


def process(text):
    """The number of the process that it runs in."""
    return os.getpid()


CALLS = []


def tires(text):
    """It works for the 32 completions of one evaluation."""
    CALLS.append(text)
    if len(CALLS) > 32:
        raise RuntimeError("enough")
    return float(len(text))


def stuck(text):
    if text == "hang":
        time.sleep(120)
    if text == "die":
        os._exit(7)
    return 1.0


def stuck_batch(completions):
    return [stuck(text) for text in completions]


def loud(text):
    print("loud", flush=True)
    return 1.0


def needs_more(text, missing_column):
    return 1.0


def chat(prompts, completions):
    """Messages in, messages out, as TRL does for conversations."""
    return [
        float(p[-1]["content"] == c[0]["content"] and c[0]["role"] == "assistant")
        for p, c in zip(prompts, completions)  # noqa: B905
    ]


def first_word(text):
    return text.split()[0]


def by_topic(text, topic):
    return topic, len(text)


@dataclass
class Vowels:
    """A task of the user's: a text of so many letters with as many vowels as possible."""

    letters: int = 5
    name: str = "vowels"

    def __post_init__(self):
        from trainer.types import Traits  # torch, which a reward does not need

        self.traits = Traits("vowels", False, False, 0.0, 1.0, True)

    def prompts(self, split="train"):
        return [Prompt(0, f"{self.letters} letters:", {"letters": self.letters})]

    def score(self, prompts, texts):
        valid = np.array([t.isalpha() and len(t) == self.letters for t in texts], bool)
        share = np.array([sum(c in "aeiou" for c in t) / self.letters for t in texts], float)
        return Scores(np.where(valid, share, 0.0), valid, {"vowels": share})

    def keys(self, prompts, texts):
        return ["".join(sorted(t)) if t.isalpha() else None for t in texts]

    def measure(self, prompts, texts):
        numbers = [p.number for p in prompts]
        keys = self.keys(prompts, texts)
        return {
            "diversity": key_diversity(keys, numbers),
            "unique_share": unique_keys(keys, numbers),
            "vowels": mean_score(self.score(prompts, texts).score),
        }

    def corpus(self, n, seed):
        rng = np.random.default_rng(seed)
        letters = rng.choice(list("abcdefgh"), (n, self.letters))
        return [(f"{self.letters} letters:", "".join(row)) for row in letters]

    def close(self):
        pass


def as_long(first, second):
    """A relation of pairs: two texts of one length."""
    return len(first) == len(second)


def undecided(first, second):
    return 1 / 0


def embed(texts):
    """An embedding: a tensor with a row of two numbers for each text."""
    import torch

    return torch.tensor([[float(len(text)), 1.0] for text in texts], requires_grad=True)
