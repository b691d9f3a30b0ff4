"""Who says the same thing: relations between completions, (B, B) bool, for DARLING's diversity.

A relation holds within a prompt's group only; :func:`trainer.algorithms.shaping.distinctness`
makes it transitive where a recipe asks for clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor

__all__ = ["by_key", "by_pairs", "by_similarity", "exact", "short_texts_overlap"]


def exact(texts: Sequence[str], group: Tensor) -> Tensor:
    """Same text, blanks at the ends aside."""
    return by_key([text.strip() for text in texts], group)


def by_key(keys: Sequence[Hashable | None], group: Tensor) -> Tensor:
    """Same canonical form (SMILES, expression, result set); None, no form, equals only itself."""
    number: dict[Hashable, int] = {}
    own = len(keys)  # labels above are of rows without a key
    labels = [
        own + row if key is None else number.setdefault(key, len(number))
        for row, key in enumerate(keys)
    ]
    label = torch.tensor(labels, device=group.device)
    return (label[:, None] == label[None, :]) & (group[:, None] == group[None, :])


def by_similarity(similarity: Tensor, group: Tensor, threshold: float) -> Tensor:
    """Similarity (B, B) of at least ``threshold``: Tanimoto, cosine of embeddings, edit ratio."""
    return _within(similarity >= threshold, group)


def by_pairs(
    texts: Sequence[str],
    group: Tensor,
    same: Callable[[str, str], bool],
    shortcut: Callable[[str, str], bool | None] | None = None,
) -> Tensor:
    """``same(a, b)`` asked once for each pair of different texts of one prompt.

    ``shortcut`` is asked first; where it answers None, ``same`` decides.
    """
    relation = torch.zeros(len(texts), len(texts), dtype=torch.bool)
    members = group.tolist()
    asked: dict[tuple[str, str], bool] = {}
    for i, a in enumerate(texts):
        for j in range(i):
            if members[i] != members[j]:
                continue
            pair = (texts[j], a)
            if pair not in asked:
                early = True if texts[j] == a else shortcut(*pair) if shortcut else None
                asked[pair] = same(*pair) if early is None else early
            relation[i, j] = relation[j, i] = asked[pair]
    return _within(relation.to(group.device), group)


def short_texts_overlap(a: str, b: str, words: int = 5) -> bool | None:
    """For two texts of at most ``words`` words: they share half of the longer one; else None.

    The shortcut of DARLING's released code, where a classifier has too little to read.
    """
    left, right = a.lower().split(), b.lower().split()
    if len(left) > words or len(right) > words:
        return None
    longer = max(len(set(left)), len(set(right)), 1)
    return len(set(left) & set(right)) >= longer / 2


def _within(relation: Tensor, group: Tensor) -> Tensor:
    itself = torch.eye(len(group), dtype=torch.bool, device=group.device)
    return (relation & (group[:, None] == group[None, :])) | itself
