"""One evaluation as a record: quality, diversity and entropy as ``metrics.jsonl`` holds them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qdlaws.core.serialize import plain
from qdlaws.core.types import Flags, Rows
from qdlaws.errors import BadData
from qdlaws.measure.entropy import sequence_nll, token_entropy_mean, token_nll
from qdlaws.measure.equivalence.classes import Same, distinct_classes
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.molecule.diversity import (
    circles,
    internal_diversity,
    scaffolds,
    unique_labels,
    unique_share,
    valid_share,
)
from qdlaws.measure.molecule.fingerprints import read_molecules
from qdlaws.measure.molecule.tanimoto import tanimoto_matrix
from qdlaws.measure.quality import mean_score, pass_at_k
from qdlaws.measure.standard_errors import clustered_mean, codes, mean_of_units
from qdlaws.measure.text.diversity import (
    Embed,
    distinct_n,
    edit_diversity,
    embed_once,
    embedding_diversity,
    embedding_vendi,
)
from qdlaws.measure.vendi_score import vendi

__all__ = ["add_estimate", "samples"]

Prompts = Sequence[Hashable] | npt.NDArray[Any] | None
Record = dict[str, Any]


def samples(
    texts: Sequence[str],
    scores: npt.ArrayLike,
    logprobs: Any = None,
    entropies: Any = None,
    prompts: Prompts = None,
    kind: Literal["molecule", "text"] = "molecule",
    *,
    valid: npt.ArrayLike | None = None,
    over: Literal["all", "valid"] = "all",
    temperature: float | None = None,
    same: Same | None = None,
    embed: Embed | None = None,
    m: int | None = None,
    full: bool = False,
) -> Record:
    """The record of one evaluation: quality, diversity and entropy with errors, ready for JSON.

    Parameters
    ----------
    texts : sequence of str
        The samples; SMILES for ``kind="molecule"``.
    scores : array-like
        One a sample; NaN where scoring failed (left out, counted in ``n_failed``).
    logprobs : optional
        Log-probabilities of the sampled tokens, per token or summed per sequence. Without
        ``entropies`` their negative mean is the entropy, and its kind says so.
    entropies : optional
        Exact entropies per token (:func:`token_entropies`).
    prompts : sequence, optional
        One label a sample; errors are clustered by it, and texts are compared within it.
    kind : {"molecule", "text"}
    valid : array-like of bool, optional
        The valid samples; of molecules they are recognised.
    over : {"all", "valid"}
        Quality is the mean over all samples, invalid ones scoring 0, or over the valid ones.
    temperature : float, optional
        The temperature of ``logprobs`` or ``entropies``; recorded.
    same, embed : optional
        An equivalence, or an embedding, by which texts are compared; by default the edit distance
        of words. It sets the diversity of texts.
    m : int, optional
        The sample size to which measures that depend on it refer; n/4 by default, which stays the
        same over a run as long as half of the samples are valid.
    full : bool
        Also #Circles and the Vendi score.

    Returns
    -------
    dict
        Diversity keeps duplicates and does not depend on n. For molecules it is the internal
        diversity of all valid samples; ``diversity_unique`` beside it takes each canonical form
        once and ``unique_share`` shows how much that hides. Unknown numbers are None, never 0.

    Examples
    --------
    >>> record = samples(["a b", "a c", "a b", "d e"], [1, 0, 1, 0], kind="text")
    >>> record["quality"], record["diversity_kind"], record["n_samples"]
    (0.5, 'edit_distance_tokens', 4)
    """
    texts = list(texts)
    values = np.asarray(scores, float)
    if values.shape != (len(texts),):
        raise BadData(f"{len(texts)} texts but scores of shape {values.shape}: one score a text")
    if prompts is not None and len(prompts) != len(texts):
        raise BadData(f"{len(texts)} texts but {len(prompts)} prompts: one prompt a text")
    if kind == "molecule":
        ok, measures = _molecule_measures(texts, valid, m, full)
    elif kind == "text":
        ok = np.ones(len(texts), bool) if valid is None else np.asarray(valid, bool)
        measures = _text_measures(texts, ok, prompts, m, same, embed, full)
    else:
        raise BadData(f"kind={kind!r}: 'molecule' or 'text' was needed")
    quality = mean_score(values, prompts, valid=ok, over=over)
    other = mean_score(values, prompts, valid=ok, over="valid" if over == "all" else "all")
    record: Record = {"n_samples": len(texts), "n_failed": quality.dropped}
    record["n_prompts"] = 1 if prompts is None else len(set(codes(prompts).tolist()))
    add_estimate(record, "quality", quality, kind=True)
    add_estimate(record, "quality_valid" if over == "all" else "quality_all", other)
    add_estimate(record, "diversity", measures.pop("diversity"), kind=True)
    add_estimate(record, "entropy", _entropy(logprobs, entropies, prompts, temperature), kind=True)
    record["entropy_temperature"] = temperature
    for name, estimate in measures.items():
        add_estimate(record, name, estimate)
    record |= _pass_curve(values, ok, prompts)
    return record


# ---------------------------------------------------------------------- by kind of sample


def _molecule_measures(
    texts: list[str], valid: npt.ArrayLike | None, m: int | None, full: bool
) -> tuple[Flags, dict[str, Estimate]]:
    molecules = read_molecules(texts)
    ok = molecules.valid
    if valid is not None and not np.array_equal(np.asarray(valid, bool), ok):
        raise BadData("valid= contradicts the strings that are molecules: leave it out")
    size = _size(m, len(texts), int(ok.sum()))
    scaffold = scaffolds(molecules, size)
    measures = {
        "diversity": internal_diversity(molecules),
        "diversity_unique": internal_diversity(molecules, unique=True),
        "valid_share": valid_share(molecules),
        "unique_share": unique_share(molecules, size),
        "scaffold_count": scaffold.count,
        "scaffold_entropy": scaffold.entropy,
    }
    if full and size:
        small = min(size, 256)  # an eigendecomposition costs m³
        few = molecules.fingerprints[: 4 * small]
        measures["circles"] = circles(molecules, m=size)
        measures["vendi"] = vendi(tanimoto_matrix(few), m=min(small, len(few)))
    return ok, measures


def _text_measures(
    texts: list[str],
    ok: Flags,
    prompts: Prompts,
    m: int | None,
    same: Same | None,
    embed: Embed | None,
    full: bool,
) -> dict[str, Estimate]:
    rows = np.flatnonzero(ok)
    kept = [texts[i] for i in rows]
    size = _size(m, len(texts), len(kept))
    vectors = None if embed is None else embed_once(texts, embed)[rows]

    def diversity(part: Rows) -> Estimate:
        some = [kept[i] for i in part]
        if same is not None:
            return distinct_classes(some, same, reading="pairwise")
        if vectors is not None:
            return embedding_diversity(some, vectors[part])
        return edit_diversity(some, tokenizer=str.split)

    labels = None if prompts is None else codes(prompts)[rows]
    measures = {
        "diversity": _within(diversity, len(kept), labels),
        "valid_share": mean_of_units(ok, kind="valid_share", share=True),
        "unique_share": unique_labels(codes(kept), size, "unique_share", len(texts) - len(kept)),
        "distinct_1": distinct_n(kept, 1, size),
        "distinct_2": distinct_n(kept, 2, size),
    }
    if full and vectors is not None and size:
        small = min(size, 256)
        measures["vendi"] = embedding_vendi(kept[: 4 * small], vectors[: 4 * small], m=small)
    return measures


def _within(
    measure: Callable[[Rows], Estimate], n: int, labels: npt.NDArray[Any] | None
) -> Estimate:
    """The measure within each prompt, averaged over prompts; over all where no prompt repeats."""
    groups = [] if labels is None else [np.flatnonzero(labels == g) for g in np.unique(labels)]
    repeated = [g for g in groups if len(g) >= 2]
    if not repeated or len(groups) == 1:
        return measure(np.arange(n))
    each = [measure(group) for group in repeated]
    return clustered_mean(
        [e.value for e in each], kind=f"{each[0].kind}_within_prompt", share=each[0].share
    )


# ---------------------------------------------------------------------- helpers


def _size(m: int | None, n: int, valid: int) -> int | None:
    """The given m, else n/4, at most half of the valid samples; None without any."""
    if valid < 2:
        return None
    return max(1, min(n // 4 if m is None else m, valid // 2))


def _entropy(
    logprobs: Any, entropies: Any, prompts: Prompts, temperature: float | None
) -> Estimate | None:
    if entropies is not None:
        return token_entropy_mean(entropies, prompts=prompts, temperature=temperature)
    if logprobs is None:
        return None
    per_sequence = np.ndim(logprobs[0]) == 0 if len(logprobs) else True
    nll = sequence_nll if per_sequence else token_nll
    return nll(logprobs, prompts=prompts, temperature=temperature)


def _pass_curve(scores: npt.NDArray[Any], ok: Flags, prompts: Prompts) -> Record:
    """pass@1, 2, 4, … where scores are 0 or 1 and prompts repeat."""
    marks = np.where(ok, scores, 0.0)
    use = np.isfinite(marks)
    if prompts is None or not use.any() or not np.isin(marks[use], (0.0, 1.0)).all():
        return {}
    label = codes(prompts)[use]
    total = np.bincount(label)
    correct = np.bincount(label, marks[use])[total > 0]
    total = total[total > 0]
    record: Record = {}
    k = 1
    while k <= total.min() and total.min() > 1:
        add_estimate(record, f"pass@{k}", pass_at_k(correct, total, k))
        k *= 2
    return record


def add_estimate(
    record: Record, name: str, estimate: Estimate | None, *, kind: bool = False
) -> None:
    """Adds a value and its standard error to a record, and where it matters m and the kind."""
    record[name] = None if estimate is None else plain(estimate.value)
    record[f"{name}_se"] = None if estimate is None else plain(estimate.se)
    if kind:
        record[f"{name}_kind"] = None if estimate is None else estimate.kind
    if estimate is not None and estimate.m is not None and "@" not in name:
        record[f"{name}_m"] = estimate.m
