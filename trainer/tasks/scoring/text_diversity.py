"""How far two answers in words are apart: by n-grams, by an embedding, or by their meaning.

A user's embedding is a function ``texts -> array (n, d)`` given as ``package.module:function``, or
the folder (or hub id) of a sentence encoder of transformers, whose last hidden states are averaged
over the tokens of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qdlaws.errors import QdlawsError
from qdlaws.measure import Estimate, embedding_diversity, ngram_distances, ngram_diversity
from qdlaws.measure.standard_errors import clustered_mean
from trainer.tasks.scoring.user_function import UserFunction
from trainer.user_code import error_in_words, is_reference

__all__ = ["MEASURES", "Embedding", "embedding", "text_distances", "text_diversity"]

Embedding = Callable[[Sequence[str]], npt.NDArray[Any]]
Measure = Literal["ngrams", "equivalence", "embedding"]
MEASURES: tuple[Measure, ...] = ("ngrams", "equivalence", "embedding")
AT_ONCE = 64
"""Texts that an encoder reads at a time."""
LONGEST = 512
"""Tokens of a text that an encoder reads."""


def text_diversity(
    texts: Sequence[str], prompts: Sequence[Hashable], embed: Embedding | None = None
) -> Estimate:
    """The mean distance between two answers to a prompt, averaged over prompts, duplicates kept.

    The distance is 1 − cos, of counts of words and of pairs of words, or of embeddings.
    """
    groups: dict[Hashable, list[int]] = {}
    for i, prompt in enumerate(prompts):
        groups.setdefault(prompt, []).append(i)
    rows = None if embed is None else _vectors(texts, embed)
    each = [
        ngram_diversity([texts[i] for i in group])
        if rows is None
        else embedding_diversity([texts[i] for i in group], rows[group])
        for group in groups.values()
        if len(group) > 1
    ]
    if len(each) == 1:
        return each[0]
    kind = "ngram_cosine_2" if embed is None else "embedding_cosine"
    values = [e.value for e in each]
    return clustered_mean(values, kind=f"{kind}_within_prompt", share=embed is None)


def text_distances(texts: Sequence[str], embed: Embedding | None = None) -> npt.NDArray[np.float64]:
    """The distances (n, n) of :func:`text_diversity`."""
    if embed is None:
        return ngram_distances(texts)
    rows = _vectors(texts, embed)
    return np.clip(1 - rows @ rows.T, 0.0, 2.0) * (1 - np.eye(len(rows)))


def embedding(named: str | Embedding | None) -> Embedding | None:
    """The embedding that a user names: a function, ``package.module:function``, or an encoder.

    Raises
    ------
    QdlawsError
        In one line, for a function that cannot be imported or a model that cannot be loaded.
    """
    if named is None or callable(named):
        return named
    if is_reference(named):
        return UserFunction(named, "embedding", of_list=True)
    return _encoder(named)


# ---------------------------------------------------------------------- helpers


def _vectors(texts: Sequence[str], embed: Embedding) -> npt.NDArray[np.float64]:
    """Rows of length 1: the embedding called once on the different texts."""
    different = list(dict.fromkeys(texts))
    place = {text: i for i, text in enumerate(different)}
    try:
        made = embed(different)
    except Exception as error:
        raise QdlawsError(f"the embedding failed: {error_in_words(error)}") from error
    if hasattr(made, "detach"):
        made = made.detach().cpu().double().numpy()
    rows = np.asarray(made, float)
    if rows.ndim != 2 or len(rows) != len(different):
        raise QdlawsError(
            f"the embedding gave an array of shape {rows.shape} for {len(different)} texts: one "
            "row a text was needed"
        )
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(norms > 0) or not np.isfinite(rows).all():
        raise QdlawsError("the embedding gave a row of zeros or one that is not finite")
    unit: npt.NDArray[np.float64] = (rows / norms)[[place[text] for text in texts]]
    return unit


def _encoder(model: str) -> Embedding:
    """A sentence encoder of transformers: the mean of its last hidden states over a text."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    offline = {"local_files_only": True} if Path(model).is_dir() else {}
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, **offline)
        encoder = AutoModel.from_pretrained(model, **offline).eval()
    except Exception as error:
        raise QdlawsError(f"embedding {model!r}: {error_in_words(error)}") from error

    @torch.no_grad()
    def embed(texts: Sequence[str]) -> npt.NDArray[Any]:
        rows = []
        for low in range(0, len(texts), AT_ONCE):
            some = [text or " " for text in texts[low : low + AT_ONCE]]
            batch = tokenizer(
                some, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
            )
            hidden = encoder(**batch).last_hidden_state
            mask = batch["attention_mask"][..., None].to(hidden.dtype)
            rows.append((hidden * mask).sum(1) / mask.sum(1).clamp(min=1))
        return np.asarray(torch.cat(rows).double().numpy())

    return embed
