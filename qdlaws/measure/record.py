"""samples(): everything about one evaluation, as the record that ``metrics.jsonl`` holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

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

__all__ = ["samples"]

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
    texts : the samples; SMILES for ``kind="molecule"``
    scores : one a sample; NaN where scoring failed (dropped, counted in ``n_failed``)
    logprobs : of the sampled tokens, per token or summed per sequence; used where there are no
        ``entropies``, as the negative log-likelihood that it is
    entropies : exact entropies per token (``token_entropies``)
    prompts : one label a sample; errors are clustered by it, and texts are compared within it
    valid : which samples count as valid; molecules find out by themselves
    over : whether quality is the mean over all samples, invalid ones scoring 0, or the valid ones
    temperature : at which ``logprobs`` or ``entropies`` were taken; recorded
    same, embed : what makes two texts alike (an equivalence, else an embedding, else the edit
        distance of words): sets the diversity of texts
    m : the sample size at which measures that depend on it are reported; n/4 for None, which stays
        the same over a run as long as half of the samples are valid
    full : also #Circles and the Vendi score

    Diversity keeps duplicates and does not depend on n. For molecules it is the internal
    diversity of all valid samples; ``diversity_unique`` beside it takes each canonical form once
    and ``unique_share`` says how much that hides. Unknown numbers are None, never 0.
    """
    texts = list(texts)
    given = np.asarray(scores, float)
    if given.shape != (len(texts),):
        raise BadData(f"{len(texts)} texts but scores of shape {given.shape}: one score a text")
    if prompts is not None and len(prompts) != len(texts):
        raise BadData(f"{len(texts)} texts but {len(prompts)} prompts: one prompt a text")
    if kind == "molecule":
        ok, found = _of_molecules(texts, valid, m, full)
    elif kind == "text":
        ok = np.ones(len(texts), bool) if valid is None else np.asarray(valid, bool)
        found = _of_texts(texts, ok, prompts, m, same, embed, full)
    else:
        raise BadData(f"kind={kind!r}: 'molecule' or 'text' was needed")
    quality = mean_score(given, prompts, valid=ok, over=over)
    other = mean_score(given, prompts, valid=ok, over="valid" if over == "all" else "all")
    record: Record = {"n_samples": len(texts), "n_failed": quality.dropped}
    record["n_prompts"] = 1 if prompts is None else len(set(codes(prompts).tolist()))
    _put(record, "quality", quality, kind=True)
    _put(record, "quality_valid" if over == "all" else "quality_all", other)
    diversity = found.pop("diversity")
    _put(record, "diversity", diversity, kind=True)
    _put(record, "entropy", _entropy(logprobs, entropies, prompts, temperature), kind=True)
    record["entropy_temperature"] = temperature
    for name, estimate in found.items():
        _put(record, name, estimate)
    record |= _passes(given, ok, prompts)
    return record


# ---------------------------------------------------------------------- by kind of sample


def _of_molecules(
    texts: list[str], valid: npt.ArrayLike | None, m: int | None, full: bool
) -> tuple[npt.NDArray[np.bool_], dict[str, Estimate]]:
    molecules = read_molecules(texts)
    ok = molecules.valid
    if valid is not None and not np.array_equal(np.asarray(valid, bool), ok):
        raise BadData("kind='molecule' finds valid samples itself and disagrees with valid=")
    size = _size(m, len(texts), int(ok.sum()))
    scaffold = scaffolds(molecules, size)
    found = {
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
        found["circles"] = circles(molecules, m=size)
        found["vendi"] = vendi(tanimoto_matrix(few), m=min(small, len(few)))
    return ok, found


def _of_texts(
    texts: list[str],
    ok: npt.NDArray[np.bool_],
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

    def diversity(part: npt.NDArray[np.intp]) -> Estimate:
        some = [kept[i] for i in part]
        if same is not None:
            return distinct_classes(some, same, reading="pairwise")
        if vectors is not None:
            return embedding_diversity(some, vectors[part])
        return edit_diversity(some, tokenizer=str.split)

    labels = None if prompts is None else codes(prompts)[rows]
    found = {
        "diversity": _within(diversity, len(kept), labels),
        "valid_share": mean_of_units(ok, kind="valid_share", share=True),
        "unique_share": unique_labels(codes(kept), size, "unique_share", len(texts) - len(kept)),
        "distinct_1": distinct_n(kept, 1, size),
        "distinct_2": distinct_n(kept, 2, size),
    }
    if full and vectors is not None and size:
        small = min(size, 256)
        found["vendi"] = embedding_vendi(kept[: 4 * small], vectors[: 4 * small], m=small)
    return found


def _within(
    measure: Callable[[npt.NDArray[np.intp]], Estimate], n: int, labels: npt.NDArray[Any] | None
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
    """m as asked for, else n/4; never more than half of the valid samples; None without any."""
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


def _passes(scores: npt.NDArray[Any], ok: npt.NDArray[np.bool_], prompts: Prompts) -> Record:
    """pass@1, 2, 4, … where scores are 0 or 1 and prompts repeat."""
    known = np.where(ok, scores, 0.0)
    use = np.isfinite(known)
    if prompts is None or not use.any() or not np.isin(known[use], (0.0, 1.0)).all():
        return {}
    label = codes(prompts)[use]
    total = np.bincount(label)
    correct = np.bincount(label, known[use])[total > 0]
    total = total[total > 0]
    record: Record = {}
    k = 1
    while k <= total.min() and total.min() > 1:
        _put(record, f"pass@{k}", pass_at_k(correct, total, k))
        k *= 2
    return record


def _put(record: Record, name: str, estimate: Estimate | None, *, kind: bool = False) -> None:
    """Value, standard error, and where it matters the sample size and the kind."""
    record[name] = None if estimate is None else _known(estimate.value)
    record[f"{name}_se"] = None if estimate is None else _known(estimate.se)
    if kind:
        record[f"{name}_kind"] = None if estimate is None else estimate.kind
    if estimate is not None and estimate.m is not None and "@" not in name:
        record[f"{name}_m"] = estimate.m


def _known(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None
