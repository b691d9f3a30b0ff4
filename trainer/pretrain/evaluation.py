"""The quality of a prior on fresh samples: valid, unique, novel, diverse; or its solve rate."""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from qdlaws.measure import Estimate

__all__ = [
    "CorpusHashes",
    "measure_answers",
    "measure_molecules",
    "reaches_targets",
    "share_estimate",
]


class CorpusHashes:
    """The canonical molecules that a prior was trained on, as sorted 32-bit hashes.

    Small enough to be stored with the prior, so that anybody can measure novelty; a new molecule is
    taken for one of the corpus with probability about size / 2³² (10⁻⁵ for 40,000 molecules).
    """

    def __init__(self, hashes: npt.ArrayLike = ()) -> None:
        self.hashes = np.unique(np.asarray(hashes, dtype=np.uint32))

    @classmethod
    def of(cls, texts: Iterable[str]) -> CorpusHashes:
        """The hashes of the texts."""
        return cls([zlib.crc32(text.encode()) for text in texts])

    def __len__(self) -> int:
        return len(self.hashes)

    def __or__(self, other: CorpusHashes) -> CorpusHashes:
        return CorpusHashes(np.union1d(self.hashes, other.hashes))

    def contains(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """True for the texts that are in the corpus."""
        hashes = np.array([zlib.crc32(text.encode()) for text in texts], dtype=np.uint32)
        return np.isin(hashes, self.hashes)


def share_estimate(hits: int, n: int, kind: str) -> Estimate:
    """The share of hits among n, with its binomial standard error."""
    from qdlaws.measure import Estimate

    if n == 0:
        return Estimate(math.nan, math.nan, 0, kind, share=True, reason="nothing to count")
    value = hits / n
    return Estimate(value, math.sqrt(value * (1 - value) / n), n, kind, share=True)


def measure_molecules(smiles: Sequence[str | None], corpus: CorpusHashes) -> dict[str, Estimate]:
    """``valid``, ``unique``, ``novel``, ``diversity`` and ``qed`` of sampled SMILES.

    ``unique``: different molecules among the valid, over the valid. ``novel``: the share of the
    valid that were not trained on. ``diversity``: mean pairwise Tanimoto distance of the valid.
    """
    from qdlaws.measure import internal_diversity, read_molecules, unique_share
    from trainer.tasks.molecules.smiles import canonical

    valid = [text for text in canonical(smiles) if text is not None]
    measures = {"valid": share_estimate(len(valid), len(smiles), "valid share")}
    if len(valid) < 2:
        return measures
    molecules = read_molecules(valid)
    measures["unique"] = unique_share(molecules)
    measures["novel"] = share_estimate(
        int((~corpus.contains(valid)).sum()), len(valid), "novel share of the valid"
    )
    measures["diversity"] = internal_diversity(molecules)
    measures["qed"] = _mean([_qed(text) for text in valid], "mean QED of the valid")
    return measures


def _qed(smiles: str) -> float:
    from rdkit import Chem
    from rdkit.Chem import QED

    qed: Any = QED.qed
    return float(qed(Chem.MolFromSmiles(smiles)))


def measure_answers(task: Any, texts: Sequence[str], prompts: Sequence[Any]) -> dict[str, Estimate]:
    """``valid``, ``score`` and ``diversity`` of a text prior on prompts of its task."""
    scores = task.score(prompts, texts)
    measures = {
        "valid": share_estimate(int(scores.valid.sum()), len(texts), "valid share"),
        "score": _mean(scores.score, "mean score"),
    }
    diversity = task.measure(prompts, texts).get("diversity")
    return measures if diversity is None else {**measures, "diversity": diversity}


def _mean(values: npt.ArrayLike, kind: str) -> Estimate:
    from qdlaws.measure import Estimate

    scores = np.asarray(values, dtype=float)
    dropped = int(np.isnan(scores).sum())
    scores = scores[~np.isnan(scores)]
    if len(scores) < 2:
        return Estimate(math.nan, math.nan, len(scores), kind, reason="too few", dropped=dropped)
    se = float(scores.std(ddof=1) / math.sqrt(len(scores)))
    return Estimate(float(scores.mean()), se, len(scores), kind, dropped=dropped)


def reaches_targets(
    measures: dict[str, Estimate], targets: dict[str, float], names: Collection[str]
) -> bool:
    """Whether every named share is above its target with two standard errors to spare."""
    return all(
        name in measures and measures[name].value - 2 * _error(measures[name]) >= targets[name]
        for name in names
    )


def _error(estimate: Estimate) -> float:
    return estimate.se if math.isfinite(estimate.se) else 0.0
