"""Equivalences of texts: exact, canonical, same scaffold, similarity above a threshold.

An :class:`Equivalence` is a value: a name, and either a key (texts with one key are the same) or a
matrix of pairs. One that is learned from labelled pairs: ``equivalence/learned.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qdlaws.core.types import Flags
from qdlaws.errors import BadData

__all__ = [
    "Equivalence",
    "by_key",
    "canonical",
    "embedding_threshold",
    "exact",
    "normalised",
    "same_scaffold",
    "short_texts",
    "tanimoto_threshold",
    "word_overlap",
]

Matrix = Callable[[Sequence[str]], Flags]


@dataclass(frozen=True)
class Equivalence:
    """A rule by which two texts say the same, for one pair or for all pairs of a list.

    >>> first = lambda texts: [[a[0] == b[0] for b in texts] for a in texts]
    >>> same = Equivalence("first letter", first)
    >>> same.name
    'first letter'
    """

    name: str
    matrix: Matrix
    key: Callable[[str], Hashable] | None = None

    def __call__(self, a: str, b: str) -> bool:
        return bool(self.matrix([a, b])[0, 1])


def by_key(name: str, key: Callable[[str], Hashable]) -> Equivalence:
    """Texts are the same where ``key`` gives the same; None is like nothing but itself.

    >>> same = by_key("length", len)
    >>> bool(same("one", "two")), bool(same("one", "three"))
    (True, False)
    """

    def matrix(texts: Sequence[str]) -> Flags:
        from qdlaws.measure.standard_errors import codes

        label = codes([key(text) for text in texts])
        return np.asarray(label[:, None] == label[None])

    return Equivalence(name, matrix, key)


def exact() -> Equivalence:
    """The same characters.

    >>> bool(exact()("a b", "A b"))
    False
    """
    return by_key("exact", lambda text: text)


def normalised() -> Equivalence:
    """The same words, whatever case, punctuation and spacing.

    >>> bool(normalised()("A b.", "a  b"))
    True
    """
    import re

    return by_key("normalised", lambda text: " ".join(re.findall(r"\w+", text.casefold())))


def canonical() -> Equivalence:
    """The same molecule: equal canonical SMILES; a string that is no molecule equals itself.

    >>> bool(canonical()("OCC", "CCO"))
    True
    """
    return by_key("canonical", _molecule)


def same_scaffold() -> Equivalence:
    """The same Bemis–Murcko scaffold; ringless molecules share one, invalid strings do not.

    >>> bool(same_scaffold()("Cc1ccccc1", "Oc1ccccc1"))
    True
    """
    return by_key("same_scaffold", _scaffold)


def tanimoto_threshold(similarity: float = 0.7) -> Equivalence:
    """Tanimoto similarity (Morgan, radius 2, 2048 bits) of at least ``similarity``.

    >>> bool(tanimoto_threshold(0.7)("CCO", "c1ccccc1"))
    False
    """

    def matrix(texts: Sequence[str]) -> Flags:
        from qdlaws.measure.molecule.fingerprints import read_molecules
        from qdlaws.measure.molecule.tanimoto import tanimoto_matrix

        molecules = read_molecules(texts)
        table = np.eye(len(texts), dtype=bool)
        rows = np.flatnonzero(molecules.valid)
        table[np.ix_(rows, rows)] = tanimoto_matrix(molecules) >= similarity
        return table

    return Equivalence(f"tanimoto>={similarity:g}", matrix)


def embedding_threshold(
    embed: Callable[[Sequence[str]], Any], similarity: float = 0.9
) -> Equivalence:
    """Cosine similarity of embeddings of at least ``similarity``.

    >>> letters = lambda texts: [[text.count(c) for c in "abc"] for text in texts]
    >>> bool(embedding_threshold(letters, 0.9)("abc", "cab"))
    True
    """

    def matrix(texts: Sequence[str]) -> Flags:
        from qdlaws.measure.text.diversity import embed_once

        rows = embed_once(texts, embed)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.all(norms > 0):
            raise BadData("an embedding of length 0 has no cosine similarity")
        rows = rows / norms
        return np.asarray(rows @ rows.T >= similarity)

    return Equivalence(f"embedding>={similarity:g}", matrix)


def word_overlap(share: float = 0.5) -> Equivalence:
    """Different words in common over the number of words of the longer text, at least ``share``.

    Case does not matter; repeated words lengthen a text and are common once.

    >>> bool(word_overlap(0.5)("a red ball", "the red ball"))
    True
    """

    def matrix(texts: Sequence[str]) -> Flags:
        words = [text.lower().split() for text in texts]
        bags = [set(each) for each in words]
        table = np.eye(len(texts), dtype=bool)
        for i, a in enumerate(bags):
            for j in range(i):
                longer = max(len(words[i]), len(words[j]))
                table[i, j] = table[j, i] = len(a & bags[j]) >= share * longer
        return table

    return Equivalence(f"word_overlap>={share:g}", matrix)


def short_texts(same: Equivalence, words: int = 5, share: float = 0.5) -> Equivalence:
    """``same``, but word overlap decides where both texts have few words, as in DARLING's code.

    There two texts of at most five words each are not shown to the classifier (arXiv 2509.02534).

    >>> bool(short_texts(exact())("red ball", "ball red"))
    True
    """
    overlap = word_overlap(share)

    def matrix(texts: Sequence[str]) -> Flags:
        short = np.array([len(text.split()) <= words for text in texts], bool)
        return np.where(short[:, None] & short[None], overlap.matrix(texts), same.matrix(texts))

    return Equivalence(f"{same.name}, short by overlap", matrix)


# ---------------------------------------------------------------------- helpers


def _molecule(text: str) -> Hashable:
    from qdlaws.measure.molecule.fingerprints import fingerprint

    parsed = fingerprint([text])[0]
    return ("no molecule", text) if parsed is None else parsed[0]


def _scaffold(text: str) -> Hashable:
    from qdlaws.measure.molecule.fingerprints import murcko_scaffolds

    molecule = _molecule(text)
    return murcko_scaffolds([molecule])[0] if isinstance(molecule, str) else molecule
