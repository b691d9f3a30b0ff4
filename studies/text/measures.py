"""What a table of samples says beside the figures of an evaluation: by meaning, wording and class.

All measures are taken within a prompt and averaged over prompts, duplicates kept. The prompts are
the same at every evaluation, so a standard error is that of the samples of these prompts: what
moves a point of a law, which the spread between prompts does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from qdlaws.measure import ngram_distances

__all__ = ["SAME", "classes", "cross_distance", "measured", "representative"]

SAME = 0.7
"""Answers whose embeddings have at least this cosine say the same; chains are one class."""
Embed = Callable[[Sequence[str]], Any]


def measured(table: pd.DataFrame, kinds: Sequence[str], embed: Embed) -> dict[str, float]:
    """The columns for one evaluation; ``kinds`` has the kind of each row's prompt."""
    table = table.assign(kind=list(kinds), completion=table.completion.fillna("").astype(str))
    vectors = _unit(embed(list(table.completion)))
    row: dict[str, float] = {}
    groups = [part for _, part in table.groupby("prompt", sort=False)]
    figures = [_of_prompt(part, vectors[part.index]) for part in groups]
    names = [part.kind.iloc[0] for part in groups]
    row |= _averaged(figures, "")
    for kind in dict.fromkeys(names):
        chosen = [f for f, name in zip(figures, names, strict=True) if name == kind]
        row |= _averaged(chosen, f"{kind}_")
    return row


def cross_distance(one: pd.DataFrame, other: pd.DataFrame, embed: Embed) -> float:
    """The mean distance of meaning between an answer of one table and one of another, by prompt.

    With it the diversity of any mixture of the two policies follows: of a share p of the second,
    (1−p)²·D₁ + 2p(1−p)·X + p²·D₂.
    """
    means = []
    for prompt, part in one.groupby("prompt", sort=False):
        texts = [
            list(t.completion.fillna("").astype(str)) for t in (part, other[other.prompt == prompt])
        ]
        vectors = [_unit(embed(some)) for some in texts]
        means.append(float(np.mean(1 - vectors[0] @ vectors[1].T)))
    return float(np.mean(means))


def classes(cosines: Any, same: float = SAME) -> int:
    """The number of classes of answers that say the same, by chains of pairs that do."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    return int(connected_components(csr_array(np.asarray(cosines) >= same), directed=False)[0])


def representative(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """n rows of different prompts: of each the answer whose score is the median of its prompt."""
    rows = []
    for _, part in table.groupby("prompt", sort=False):
        ranked = part.sort_values("score", kind="stable")
        rows.append(ranked.iloc[len(ranked) // 2])
    step = max(len(rows) // n, 1)
    return pd.DataFrame(rows[::step][:n])


# ---------------------------------------------------------------------- helpers


def _of_prompt(part: pd.DataFrame, vectors: Any) -> dict[str, tuple[float, float]]:
    """name → (value, variance of the value) for the samples of one prompt."""
    n = len(part)
    cosines = vectors @ vectors.T
    meaning = np.clip(1 - cosines, 0, 2)
    wording = np.asarray(ngram_distances(list(part.completion)))
    score = part.score.to_numpy(float)
    entropy = part.entropy.to_numpy(float)
    return {
        "quality": (float(np.nanmean(score)), float(np.nanvar(score, ddof=1)) / n),
        "entropy_mean": (float(np.nanmean(entropy)), float(np.nanvar(entropy, ddof=1)) / n),
        "meaning": _pair_mean(meaning),
        "wording": _pair_mean(wording),
        "distinct": (float(classes(cosines)), float("nan")),
    }


def _pair_mean(distances: Any) -> tuple[float, float]:
    """The mean distance of two samples and its variance by the jackknife over samples."""
    n = len(distances)
    off = distances.sum(1) - np.diag(distances)
    total = off.sum()
    mean = total / (n * (n - 1))
    left_out = (total - 2 * off) / ((n - 1) * (n - 2))
    variance = (n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()
    return float(mean), float(variance)


def _averaged(figures: list[dict[str, tuple[float, float]]], prefix: str) -> dict[str, float]:
    """Means over prompts, and standard errors with the prompts held fixed."""
    row = {}
    for name in figures[0]:
        values, variances = zip(*(figure[name] for figure in figures), strict=True)
        row[f"{prefix}{name}"] = float(np.mean(values))
        spread = float(np.sum(variances)) ** 0.5 / len(variances)
        if np.isfinite(spread):
            row[f"{prefix}{name}_se"] = spread
    return row


def _unit(vectors: Any) -> Any:
    rows = np.asarray(vectors, float)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)
