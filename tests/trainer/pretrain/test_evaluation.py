"""Measures of a prior: valid, unique, novel, and targets."""

import math

import pytest

from qdlaws.measure import Estimate
from trainer.pretrain.evaluation import (
    CorpusHashes,
    measure_molecules,
    reaches_targets,
    share_estimate,
)


def test_molecules_are_measured_against_the_corpus():
    hashes = CorpusHashes.of(["CCO"])
    measures = measure_molecules(["OCC", "CCN", "CCN", None, "C1CC", ""], hashes)
    assert measures["valid"].value == 3 / 6
    assert measures["unique"].value == pytest.approx(2 / 3)
    assert measures["novel"].value == pytest.approx(2 / 3)  # OCC is ethanol
    assert measures["diversity"].value > 0
    assert set(measure_molecules(["C1CC", ""], hashes)) == {"valid"}
    assert math.isnan(share_estimate(0, 0, "none").value)


def test_targets_need_two_errors_to_spare():
    targets = {"valid": 0.9}
    assert reaches_targets({"valid": Estimate(0.93, 0.01, 1000, "v")}, targets, ["valid"])
    assert not reaches_targets({"valid": Estimate(0.91, 0.01, 1000, "v")}, targets, ["valid"])
    assert not reaches_targets({}, targets, ["valid"])


def test_hashes_of_two_corpora_can_be_united():
    both = CorpusHashes.of(["a", "b"]) | CorpusHashes.of(["c"])
    assert both.contains(["a", "b", "c", "d"]).tolist() == [True, True, True, False]
    assert len(CorpusHashes.of(["a", "a"])) == 1
