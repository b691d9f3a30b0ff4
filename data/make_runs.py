"""Make the example logs in data/runs: three small RL runs, from the reference to collapse.

A tabular autoregressive softmax policy (logits by position and previous token) over strings of ten
tokens from eight symbols, trained by REINFORCE with rewards standardised over the batch. Three
rewards bend the quality–diversity law in different ways:

- ``additive``: a score per position and token, averaged
- ``bigram``: scores of neighbouring tokens, summed, through a sigmoid
- ``motif``: squared share of positions that agree with the nearest of six motifs (a needle)

Every few steps a fresh sample is drawn and measured: quality (mean reward), diversity (mean
pairwise Hamming distance, duplicates kept) and entropy (mean exact entropy per token), each with
its standard error. Usage: python data/make_runs.py   (about a minute; repeats to the same bytes)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

LENGTH, TOKENS, BATCH, SAMPLE = 10, 8, 256, 400
STEPS, EVERY = 500, 5

Array = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.int64]


def main() -> None:
    """Write one metrics.jsonl a reward."""
    for name, rate in (("additive", 0.6), ("bigram", 0.6), ("motif", 0.8)):
        folder = Path(__file__).parent / "runs" / name
        folder.mkdir(parents=True, exist_ok=True)
        rng = np.random.default_rng([2025, len(name)])
        lines = run(reward(name, rng), rate, rng)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / "metrics.jsonl").write_text(text, encoding="utf-8", newline="\n")
        print(f"{folder.name}: {len(lines)} evaluations")


def reward(name: str, rng: np.random.Generator) -> Callable[[Tokens], Array]:
    """The reward function of that name; its tables are drawn from rng."""
    if name == "additive":
        scores = rng.uniform(0, 1, (LENGTH, TOKENS))
        best = scores.max(1).mean()
        return lambda y: scores[np.arange(LENGTH), y].mean(1) / best
    if name == "bigram":
        pairs = rng.standard_normal((TOKENS, TOKENS))
        return lambda y: 1 / (1 + np.exp(4 - pairs[y[:, :-1], y[:, 1:]].sum(1)))
    motifs = rng.integers(0, TOKENS, (6, LENGTH))
    return lambda y: ((y[:, None, :] == motifs).mean(2).max(1)) ** 2


def run(score: Callable[[Tokens], Array], rate: float, rng: np.random.Generator) -> list[dict]:
    """Train from a nearly uniform policy and evaluate along the way."""
    logits = 0.3 * rng.standard_normal((LENGTH, TOKENS + 1, TOKENS))
    lines = []
    for step in range(STEPS + 1):
        if step % EVERY == 0:
            lines.append(evaluate(step, *sample(logits, SAMPLE, rng), score))
        y, previous, p = sample(logits, BATCH, rng)
        r = score(y)
        advantage = (r - r.mean()) / (r.std() + 1e-9)
        gradient = np.zeros_like(logits)
        for i in range(LENGTH):
            push = -p[:, i] * advantage[:, None]
            push[np.arange(BATCH), y[:, i]] += advantage
            np.add.at(gradient[i], previous[:, i], push / BATCH)
        logits += rate * gradient
    return lines


def sample(logits: Array, n: int, rng: np.random.Generator) -> tuple[Tokens, Tokens, Array]:
    """Strings (n, L), the token before each, and the distributions they were drawn from."""
    y = np.zeros((n, LENGTH), dtype=np.int64)
    previous = np.full((n, LENGTH), TOKENS)
    p = np.zeros((n, LENGTH, TOKENS))
    for i in range(LENGTH):
        if i:
            previous[:, i] = y[:, i - 1]
        z = logits[i, previous[:, i]]
        p[:, i] = np.exp(z - z.max(1, keepdims=True))
        p[:, i] /= p[:, i].sum(1, keepdims=True)
        y[:, i] = (p[:, i].cumsum(1) < rng.random((n, 1))).sum(1).clip(max=TOKENS - 1)
    return y, previous, p


def evaluate(
    step: int, y: Tokens, _: Tokens, p: Array, score: Callable[[Tokens], Array]
) -> dict[str, float | int | str]:
    """One line of metrics.jsonl."""
    n = len(y)
    r = score(y)
    entropy = -(p * np.log(np.maximum(p, 1e-300))).sum(2).mean(1)
    far = (y[:, None, :] != y[None, :, :]).mean(2)
    rows = far.sum(1) / (n - 1)  # distance of each string to all others
    return {
        "step": step,
        "phase": "eval",
        "quality": round(float(r.mean()), 6),
        "quality_se": round(float(r.std(ddof=1) / np.sqrt(n)), 6),
        "diversity": round(float(rows.mean()), 6),
        "diversity_se": round(float(2 * rows.std(ddof=1) / np.sqrt(n)), 6),
        "entropy": round(float(entropy.mean()), 6),
        "entropy_se": round(float(entropy.std(ddof=1) / np.sqrt(n)), 6),
        "n_samples": n,
        "quality_kind": "score_all",
        "diversity_kind": "pairwise_hamming",
        "entropy_kind": "token_entropy",
    }


if __name__ == "__main__":
    main()
