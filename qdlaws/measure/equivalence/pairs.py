"""Labelled pairs of texts: vocabulary, held-out groups, calibration and its report."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Array, Rows
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.measure.standard_errors import codes

__all__ = [
    "PartitionReport",
    "Vocabulary",
    "best_threshold",
    "calibration_error",
    "platt",
    "report_on",
    "split_groups",
]


WORD = re.compile(r"\w+|[^\w\s]")
PAD, UNKNOWN = "<pad>", "<unknown>"
NO_BETTER = (
    "This classifier is no better than a constant answer on pairs that it has not seen: it has "
    "learnt nothing of use. More pairs help most, then more epochs."
)
"""What a report says of a classifier that does not beat a constant answer."""


@dataclass(frozen=True)
class Vocabulary:
    """Words (or characters) and their numbers; a word not seen in training is spelt."""

    tokens: tuple[str, ...]
    characters: bool = False

    @classmethod
    def of(cls, texts: Iterable[str], characters: bool = False) -> Vocabulary:
        """The tokens of the texts, and every character of theirs for words yet unseen."""
        words: dict[str, None] = {}
        letters: dict[str, None] = {}
        for text in texts:
            letters.update(dict.fromkeys(f"#{c}" for c in _fold(text, characters)))
            if not characters:
                words.update(dict.fromkeys(WORD.findall(_fold(text, characters))))
        return cls((PAD, UNKNOWN, *sorted(letters), *sorted(words)), characters)

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, texts: Sequence[str], longest: int) -> npt.NDArray[np.int64]:
        """(texts, tokens) numbers, 0 behind the end."""
        number = {token: i for i, token in enumerate(self.tokens)}
        rows = [self._numbers(text, number)[:longest] or [1] for text in texts]
        table = np.zeros((len(rows), max((len(r) for r in rows), default=1)), np.int64)
        for i, row in enumerate(rows):
            table[i, : len(row)] = row
        return table

    def _numbers(self, text: str, number: dict[str, int]) -> list[int]:
        text = _fold(text, self.characters)
        numbers: list[int] = []
        for word in text if self.characters else WORD.findall(text):
            if not self.characters and word in number:
                numbers.append(number[word])
            else:
                numbers.extend(number.get(f"#{c}", 1) for c in word)
        return numbers


@dataclass(frozen=True)
class PartitionReport:
    """Accuracy and calibration of a classifier on held-out pairs that no choice used.

    >>> names = PartitionReport.__dataclass_fields__
    >>> "accuracy" in names, "calibration_error" in names
    (True, True)
    """

    accuracy: float
    calibration_error: float
    brier: float
    base_rate: float  # of the commoner label: the accuracy of a constant answer
    threshold: float
    trained_on: int
    calibrated_on: int
    tested_on: int
    held_out: str  # the unit that was held out: "group", "text" or "pair"

    @classmethod
    def empty(cls) -> PartitionReport:
        nan = math.nan
        return cls(nan, nan, nan, nan, nan, 0, 0, 0, "nothing")

    @property
    def beats_constant(self) -> bool:
        """Whether it is right more often than a constant answer by two standard errors."""
        error = math.sqrt(self.base_rate * (1 - self.base_rate) / max(self.tested_on, 1))
        return self.accuracy > self.base_rate + 2 * error

    def __str__(self) -> str:
        return self._figures() + ("" if self.beats_constant else f"\n{NO_BETTER}")

    def _figures(self) -> str:
        return (
            f"held-out accuracy {self.accuracy:.3f} (constant answer {self.base_rate:.3f}), "
            f"calibration error {self.calibration_error:.3f}, Brier {self.brier:.3f}, "
            f"threshold {self.threshold:.3f}; {self.trained_on} pairs trained on, "
            f"{self.calibrated_on} calibrated, {self.tested_on} tested, held out by {self.held_out}"
        )


def split_groups(
    pairs: Sequence[tuple[str, str]],
    labels: Array,
    groups: Sequence[Hashable] | None,
    share: float,
    seed: int,
) -> tuple[Rows, Rows, Rows, str]:
    """(training, calibration, test) rows, whole groups apart, and the name of the grouping."""
    if not 0 < share < 1:
        raise BadData(f"held_out={share}: a share between 0 and 1 was needed")
    how = "group"
    if groups is None:
        group, how = _connected(pairs), "text"
        if np.bincount(group).max(initial=0) > share / 4 * len(pairs):
            group, how = np.arange(len(pairs)), "pair"  # texts hang together: pairs apart only
    else:
        group = codes(groups)
        if len(group) != len(pairs):
            raise BadData(f"{len(pairs)} pairs but {len(group)} groups")
    count = int(group.max(initial=-1)) + 1
    held = max(2, round(share * count))
    if count < held + 1:
        raise NotEnoughData(f"{count} groups of pairs: at least 3 were needed to hold some out")
    order = np.random.default_rng(seed).permutation(count)
    rank = np.empty(count, np.intp)
    rank[order] = np.arange(count)
    place = rank[group]
    half = held // 2
    rows = np.arange(len(pairs))
    tune, test = rows[place < half], rows[(place >= half) & (place < held)]
    return rows[place >= held], tune, test, how


def platt(logits: Array, labels: Array) -> tuple[float, float]:
    """(slope, offset) that make expit(slope·logit + offset) a probability (Platt 1999)."""
    from scipy.optimize import minimize

    sign = 2 * labels - 1

    def loss(x: Array) -> float:
        z = sign * (x[0] * logits + x[1])
        return float(np.logaddexp(0, -z).mean() + 1e-4 * (x[0] - 1) ** 2)

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(max(slope, 1e-3)), float(offset)


def best_threshold(probability: Array, labels: Array) -> float:
    """The cut with the best accuracy; in the middle of the gap, nearest to ½ among equals."""
    levels = np.unique(probability)
    cuts = np.concatenate([[levels[0] / 2], (levels[1:] + levels[:-1]) / 2, [(1 + levels[-1]) / 2]])
    order = np.argsort(probability)
    ranked, truth = probability[order], labels[order]
    below = np.searchsorted(ranked, cuts)
    negatives = np.concatenate([[0], np.cumsum(1 - truth)])[below]
    positives = truth.sum() - np.concatenate([[0], np.cumsum(truth)])[below]
    right = negatives + positives
    best = cuts[right == right.max()]
    return float(best[np.argmin(np.abs(best - 0.5))])


def calibration_error(probability: Array, labels: Array, bins: int = 10) -> float:
    """Expected calibration error: Σ over bins of n_b/n · |mean label − mean probability|."""
    which = np.minimum((probability * bins).astype(int), bins - 1)
    gap = np.bincount(which, labels - probability, bins)
    return float(np.abs(gap).sum() / len(labels))


def report_on(
    probability: Array, labels: Array, cut: float, trained: int, calibrated: int, how: str
) -> PartitionReport:
    """Accuracy, calibration error and Brier score of probabilities on pairs."""
    share = float(labels.mean())
    return PartitionReport(
        accuracy=float(((probability >= cut) == (labels == 1)).mean()),
        calibration_error=calibration_error(probability, labels),
        brier=float(((probability - labels) ** 2).mean()),
        base_rate=max(share, 1 - share),
        threshold=cut,
        trained_on=trained,
        calibrated_on=calibrated,
        tested_on=len(labels),
        held_out=how,
    )


# ---------------------------------------------------------------------- helpers


def _fold(text: str, characters: bool) -> str:
    """Case matters to characters (SMILES: c and C differ), not to words."""
    return text if characters else text.casefold()


def _connected(pairs: Sequence[tuple[str, str]]) -> Rows:
    """For each pair the number of its component in the graph of texts."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    place = codes([text for pair in pairs for text in pair]).reshape(-1, 2)
    n = int(place.max(initial=-1)) + 1
    links = coo_array((np.ones(len(place)), (place[:, 0], place[:, 1])), shape=(n, n))
    return codes(connected_components(links, directed=False)[1][place[:, 0]])
