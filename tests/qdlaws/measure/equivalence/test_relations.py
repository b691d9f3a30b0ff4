"""Equivalences of texts and of molecules."""

import numpy as np
import pytest

from qdlaws.measure.equivalence import relations as eq
from qdlaws.measure.equivalence.classes import (
    partition,
)


def test_surface_equivalences_of_texts():
    assert eq.normalised()("The cat, sat!", "the cat sat")
    assert not eq.exact()("The cat", "the cat")
    assert eq.word_overlap(0.5)("a b c d", "a b x y")
    assert not eq.word_overlap(0.5)("a b c d e", "a b x y")
    short = eq.short_texts(eq.exact())
    assert short("a b c d", "a b x y")
    assert not short("a b c d e f", "a b c x y z")
    assert short("Paris", "paris")
    assert short("", "")
    assert not short("a b b b b", "a c c c c")  # one word in common of five, repeats counted
    embed = {"up": [0, 1.0], "upper": [0.1, 1.0], "right": [1.0, 0]}
    close = eq.embedding_threshold(lambda texts: np.array([embed[t] for t in texts]), 0.9)
    assert close("up", "upper")
    assert not close("up", "right")


def test_equivalences_of_molecules():
    pytest.importorskip("rdkit")
    same = eq.canonical()
    assert same("OCC", "CCO")
    assert not same("OCC", "CCC")
    assert not same("nonsense", "other nonsense")
    assert partition(["nonsense", "CCO", "nonsense", "OCC"], same).tolist() == [0, 1, 0, 1]
    assert eq.same_scaffold()("Cc1ccccc1", "CCc1ccccc1")
    assert not eq.same_scaffold()("Cc1ccccc1", "CC1CCCCC1")
    similar = eq.tanimoto_threshold(0.5)
    assert similar("CCCCCCCO", "CCCCCCCCO")
    assert not similar("CCCCCCCO", "c1ccccc1")
    assert not similar("nonsense", "CCO")
