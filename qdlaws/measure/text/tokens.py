"""Texts tokenised once, as numbers: what all n-gram measures work on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qdlaws.core.types import Rows
from qdlaws.errors import BadData

__all__ = ["Tokenizer", "Tokens", "as_tokens", "tokenise"]

Tokenizer = Callable[[str], Sequence[Any]]


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of n texts: numbers in one flat array, and where each text begins.

    >>> tokenise(["a b a", "b"]).vocabulary
    2
    """

    flat: Rows  # (tokens,)
    starts: Rows  # (n + 1,)
    vocabulary: int  # different tokens seen
    _grams: dict[int, tuple[Rows, Rows]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Rows:
        return np.diff(self.starts)

    def grams(self, n: int) -> tuple[Rows, Rows]:
        """(number of the n-gram, number of its text) at every position; kept once worked out."""
        if n < 1:
            raise BadData(f"n={n}: n-grams of at least one token were needed")
        if n not in self._grams:
            text = np.repeat(np.arange(len(self)), self.lengths)
            if n == 1:
                self._grams[n] = self.flat, text
            else:
                shorter, _ = self.grams(n - 1)
                # a position holds an n-gram where its text goes on for n tokens
                room = self.starts[1:][text] - np.arange(len(text))
                here = np.flatnonzero(room >= n)
                place = np.cumsum(room >= n - 1) - 1  # of the shorter gram that starts here
                pair = shorter[place[here]] * (self.vocabulary + 1) + self.flat[here + n - 1]
                _, gram = np.unique(pair, return_inverse=True)
                self._grams[n] = gram.astype(np.intp), text[here]
        return self._grams[n]


def tokenise(texts: Sequence[str], tokenizer: Tokenizer = str.split) -> Tokens:
    """The texts as numbers; ``tokenizer`` maps a text to its tokens (words by default).

    >>> tokens = tokenise(["a b a", "b"])
    >>> tokens.flat.tolist(), tokens.starts.tolist()
    ([0, 1, 0, 1], [0, 3, 4])
    """
    if isinstance(texts, str):
        raise BadData("one string was found, a list of texts was needed")
    numbers: dict[Any, int] = {}
    rows = [[numbers.setdefault(token, len(numbers)) for token in tokenizer(t)] for t in texts]
    starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.intp)
    flat = np.fromiter((token for row in rows for token in row), np.intp, int(starts[-1]))
    return Tokens(flat, starts, len(numbers))


def as_tokens(texts: Sequence[str] | Tokens, tokenizer: Tokenizer = str.split) -> Tokens:
    """Tokens as they are; texts tokenised."""
    return texts if isinstance(texts, Tokens) else tokenise(texts, tokenizer)
