"""How good a prior is on fresh samples: valid, unique, novel, diverse; or its solve rate."""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from qdlaws.measure import Estimate

__all__ = ["Seen", "holds", "measure_answers", "measure_molecules", "share"]


class Seen:
    """The canonical molecules that a prior was trained on, as sorted 32-bit hashes.

    Small enough to be stored with the prior, so that anybody can measure novelty; a new molecule is
    taken for a known one with probability about size / 2³² (one in 100,000 for 40,000 molecules).
    """

    def __init__(self, hashes: npt.ArrayLike = ()) -> None:
        self.hashes = np.unique(np.asarray(hashes, dtype=np.uint32))

    @classmethod
    def of(cls, texts: Iterable[str]) -> Seen:
        return cls([zlib.crc32(text.encode()) for text in texts])

    def __len__(self) -> int:
        return len(self.hashes)

    def __or__(self, other: Seen) -> Seen:
        return Seen(np.union1d(self.hashes, other.hashes))

    def holds(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which of the texts are among them."""
        asked = np.array([zlib.crc32(text.encode()) for text in texts], dtype=np.uint32)
        return np.isin(asked, self.hashes)


def share(hits: int, n: int, kind: str) -> Estimate:
    """hits of n as an Estimate, with the binomial standard error."""
    from qdlaws.measure import Estimate

    if n == 0:
        return Estimate(math.nan, math.nan, 0, kind, share=True, reason="nothing to count")
    value = hits / n
    return Estimate(value, math.sqrt(value * (1 - value) / n), n, kind, share=True)


def measure_molecules(smiles: Sequence[str | None], seen: Seen) -> dict[str, Estimate]:
    """``valid``, ``unique``, ``novel``, ``diversity`` and ``qed`` of sampled SMILES.

    ``unique``: different molecules among the valid, over the valid. ``novel``: the share of the
    valid that were not trained on. ``diversity``: mean pairwise Tanimoto distance of the valid.
    """
    from qdlaws.measure import internal_diversity, read_molecules, unique_share
    from trainer.tasks.molecules.smiles import canonical

    valid = [text for text in canonical(smiles) if text is not None]
    found = {"valid": share(len(valid), len(smiles), "valid share")}
    if len(valid) < 2:
        return found
    molecules = read_molecules(valid)
    found["unique"] = unique_share(molecules)
    found["novel"] = share(int((~seen.holds(valid)).sum()), len(valid), "novel share of the valid")
    found["diversity"] = internal_diversity(molecules)
    found["qed"] = _mean([_qed(text) for text in valid], "mean QED of the valid")
    return found


def _qed(smiles: str) -> float:
    from rdkit import Chem
    from rdkit.Chem import QED

    qed: Any = QED.qed
    return float(qed(Chem.MolFromSmiles(smiles)))


def measure_answers(task: Any, texts: Sequence[str], prompts: Sequence[Any]) -> dict[str, Estimate]:
    """``valid``, ``score`` and ``diversity`` of a text prior on prompts of its task."""
    scores = task.score(prompts, texts)
    found = {
        "valid": share(int(scores.valid.sum()), len(texts), "valid share"),
        "score": _mean(scores.score, "mean score"),
    }
    diversity = task.measure(prompts, texts).get("diversity")
    return found if diversity is None else {**found, "diversity": diversity}


def _mean(values: npt.ArrayLike, kind: str) -> Estimate:
    from qdlaws.measure import Estimate

    known = np.asarray(values, dtype=float)
    dropped = int(np.isnan(known).sum())
    known = known[~np.isnan(known)]
    if len(known) < 2:
        return Estimate(math.nan, math.nan, len(known), kind, reason="too few", dropped=dropped)
    se = float(known.std(ddof=1) / math.sqrt(len(known)))
    return Estimate(float(known.mean()), se, len(known), kind, dropped=dropped)


def holds(found: dict[str, Estimate], targets: dict[str, float], names: Collection[str]) -> bool:
    """Whether every named share is above its target with two standard errors to spare."""
    return all(
        name in found and found[name].value - 2 * _error(found[name]) >= targets[name]
        for name in names
    )


def _error(estimate: Estimate) -> float:
    return estimate.se if math.isfinite(estimate.se) else 0.0
