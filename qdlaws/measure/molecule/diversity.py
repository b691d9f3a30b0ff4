"""Diversity of molecules: internal diversity, #Circles, scaffolds, unique share, references."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Rows
from qdlaws.errors import BadData
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.molecule.fingerprints import Fingerprints, Molecules, as_molecules
from qdlaws.measure.molecule.packing import packing_number
from qdlaws.measure.molecule.tanimoto import (
    isim,
    similarity_blocks,
    tanimoto_cross,
    tanimoto_mean,
    tanimoto_sampled,
)
from qdlaws.measure.standard_errors import codes, mean_of_units, rarefied

__all__ = [
    "Scaffolds",
    "circles",
    "internal_diversity",
    "reference_distance",
    "scaffolds",
    "unique_share",
    "valid_share",
]

Smiles = Sequence[str] | Molecules
Method = Literal["exact", "sampled", "isim"]


def internal_diversity(
    smiles: Smiles, unique: bool = False, *, method: Method = "exact", workers: int | None = None
) -> Estimate:
    """Mean pairwise Tanimoto distance of the valid molecules (Morgan, radius 2, 2048 bits).

    Parameters
    ----------
    smiles : sequence of str, or Molecules
    unique : bool
        By default duplicates are kept: the value then estimates the expected distance of two
        independent samples and does not depend on n. True takes each canonical form once, as TDC
        and MOSES do: that hides collapse, so it is another kind.
    method : {"exact", "sampled", "isim"}
        "sampled" takes 100,000 pairs, O(n), its error included in ``se``; "isim" is the O(n) ratio
        of sums, another kind again.
    workers : int, optional
        Processes that read the molecules.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> round(internal_diversity(["CCO", "CCO", "c1ccccc1", "CCN"]).value, 3)
    0.722
    """
    molecules = as_molecules(smiles, workers)
    if unique:
        molecules = molecules.unique()
    measures = {"exact": tanimoto_mean, "sampled": tanimoto_sampled, "isim": isim}
    if method not in measures:
        raise BadData(f"method={method!r}: one of {', '.join(measures)} was needed")
    similarity = measures[method](molecules.fingerprints)
    kind = "internal_diversity" + ("_isim" if method == "isim" else "")
    return replace(
        similarity,
        value=1 - similarity.value,
        kind=kind + ("_unique" if unique else ""),
        dropped=molecules.invalid,
    )


def valid_share(smiles: Smiles) -> Estimate:
    """The share of the strings that are molecules.

    >>> valid_share(["CCO", "no molecule"]).value
    0.5
    """
    molecules = as_molecules(smiles)
    return mean_of_units(molecules.valid, kind="valid_share", share=True)


def unique_share(smiles: Smiles, m: int | None = None) -> Estimate:
    """Different canonical forms among m valid molecules, over m (all of them for None).

    >>> round(unique_share(["CCO", "OCC", "CCN"], m=3).value, 3)
    0.667
    """
    molecules = as_molecules(smiles)
    return unique_labels(molecules.labels, m, "unique_share", molecules.invalid)


def unique_labels(labels: Rows, m: int | None, kind: str, dropped: int) -> Estimate:
    """Different labels among m samples over m, rarefied in closed form."""
    n = len(labels)
    size = n if m is None else m
    return rarefied(
        lambda rows: len(np.unique(labels[rows])) / len(rows),
        n,
        m,
        kind=kind,
        share=True,
        value=_expected_classes(labels, size) / size if 0 < size <= n else None,
        dropped=dropped,
    )


@dataclass(frozen=True)
class Scaffolds:
    """Bemis–Murcko scaffolds of a sample.

    ``count`` is the number of different ones among m molecules, ``entropy`` the Shannon entropy
    (nats) of their frequencies among m molecules; molecules without a ring share the scaffold "".

    >>> from qdlaws.measure import scaffolds
    >>> scaffolds(["Cc1ccccc1", "Oc1ccccc1", "CCO"]).frequencies
    {'c1ccccc1': 2, '': 1}
    """

    count: Estimate
    entropy: Estimate
    frequencies: dict[str, int]


def scaffolds(
    smiles: Smiles, m: int | None = None, *, workers: int | None = None, repeats: int = 200
) -> Scaffolds:
    """Scaffold count and scaffold entropy, expected among m of the valid molecules.

    >>> scaffolds(["Cc1ccccc1", "Oc1ccccc1", "CCO"], m=3).count.value
    2.0
    """
    molecules = as_molecules(smiles, workers)
    names = molecules.scaffolds
    labels = codes(names)
    n, dropped = len(labels), molecules.invalid
    size = n if m is None else m
    count = rarefied(
        lambda rows: float(len(np.unique(labels[rows]))),
        n,
        m,
        kind="scaffold_count",
        repeats=repeats,
        value=_expected_classes(labels, size) if 0 < size <= n else None,
        dropped=dropped,
    )
    entropy = rarefied(
        lambda rows: _shannon(labels[rows]),
        n,
        m,
        kind="scaffold_entropy",
        repeats=repeats,
        dropped=dropped,
    )
    seen = dict.fromkeys(names, 0)
    for name in names:
        seen[name] += 1
    return Scaffolds(count, entropy, seen)


def circles(
    smiles: Smiles,
    threshold: float = 0.75,
    m: int | None = None,
    *,
    method: Literal["auto", "exact", "greedy"] = "auto",
    repeats: int = 50,
    workers: int | None = None,
) -> Estimate:
    """#Circles: the most molecules that lie pairwise farther apart than ``threshold``, among m.

    Distances are Tanimoto distances (Xie et al. 2023). Finding the most is a maximum independent
    set: exact up to 60 different molecules, otherwise the greedy lower bound; the kind says which
    and at what threshold, because the number means nothing without it.

    >>> circles(["CCO", "CCO", "c1ccccc1O"], m=3).value
    2.0
    """
    if not 0 <= threshold < 1:
        raise BadData(f"threshold={threshold}: a Tanimoto distance in [0, 1) was needed")
    molecules = as_molecules(smiles, workers)
    label = molecules.labels
    prints = molecules.unique().fingerprints
    exact = method == "exact" or (method == "auto" and len(prints) <= 60)
    near = _neighbours(prints, threshold)
    # molecules with few neighbours first: a better bound, and no dependence on the given order
    order = np.argsort([bits.bit_count() for bits in near], kind="stable")

    def count(rows: Rows) -> float:
        return float(packing_number(near, order, np.unique(label[rows]), exact=exact))

    kind = f"circles_{'exact' if exact else 'greedy'}@{threshold:g}"
    n = len(label)
    return rarefied(count, n, m, kind=kind, repeats=repeats, dropped=molecules.invalid)


def reference_distance(
    smiles: Smiles, reference: Smiles, *, nearest: bool = False, workers: int | None = None
) -> Estimate:
    """The mean Tanimoto distance to a reference set: of all its members, or of the nearest one.

    The reference is taken as given; the error is over the samples.

    >>> reference_distance(["CCO", "CCN"], ["CCO"], nearest=True).value < 0.5
    True
    """
    molecules, fixed = as_molecules(smiles, workers), as_molecules(reference, workers)
    kind = "nearest_reference_distance" if nearest else "reference_distance"
    if not len(fixed.canonical):
        raise BadData("the reference set holds no valid molecule: at least one was needed")
    per_molecule = [
        (1 - block).min(axis=1) if nearest else 1 - block.mean(axis=1)
        for _, block in tanimoto_cross(molecules.fingerprints, fixed.fingerprints)
    ]
    values = np.concatenate(per_molecule or [np.empty(0)])
    return mean_of_units(values, kind=kind, dropped=molecules.invalid)


# ---------------------------------------------------------------------- helpers


def _expected_classes(labels: npt.NDArray[Any], m: int) -> float:
    """Σ_i [1 − C(n−c_i, m)/C(n, m)]: the classes expected among m of n (Hurlbert 1971)."""
    sizes, how_many = np.unique(np.bincount(labels), return_counts=True)
    n = len(labels)
    total = math.comb(n, m)
    missed = [math.comb(n - int(c), m) / total for c in sizes]
    return float(np.sum(how_many * (1 - np.asarray(missed))))


def _shannon(labels: npt.NDArray[Any]) -> float:
    counts = np.bincount(labels)
    share = counts[counts > 0] / len(labels)
    return float(-(share * np.log(share)).sum())


def _neighbours(prints: Fingerprints, threshold: float) -> list[int]:
    """For each molecule a set of bits: those within ``threshold`` of it, itself included."""
    n = len(prints)
    close = np.zeros((n, (n + 7) // 8), np.uint8)  # one bit a pair
    for low, block in similarity_blocks(prints):
        within = np.zeros((len(block), n), bool)
        within[:, low:] = 1 - block <= threshold
        high = low + len(block)
        close[low:high] |= np.packbits(within, axis=1, bitorder="little")
        below = np.zeros((n - low, n), bool)
        below[:, low:high] = within[:, low:].T
        close[low:] |= np.packbits(below, axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in close]
