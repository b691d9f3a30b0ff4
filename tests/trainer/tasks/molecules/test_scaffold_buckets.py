"""Buckets of the diversity filter."""

import pytest

from qdlaws.errors import BadData
from trainer.algorithms.replay import Buckets
from trainer.tasks.molecules.scaffold_buckets import bucket_keys

pytest.importorskip("rdkit")

TOLUENE, PHENOL, PYRIDINE, ETHANOL = "Cc1ccccc1", "Oc1ccccc1", "Cc1ccncc1", "CCO"
FOUR = [TOLUENE, PHENOL, PYRIDINE, ETHANOL, None]


def test_identical_scaffold_and_topological():
    assert bucket_keys(FOUR, "identical") == FOUR
    benzene, pyridine = "c1ccccc1", "c1ccncc1"
    assert bucket_keys(FOUR, "scaffold") == [benzene, benzene, pyridine, "", None]
    assert bucket_keys(FOUR, "topological") == ["C1CCCCC1"] * 3 + ["", None]


def test_similar_scaffolds_share_the_bucket_of_the_first():
    quinoline, isoquinoline = "c1ccc2ncccc2c1", "c1ccc2cnccc2c1"
    apart, together = (
        bucket_keys([quinoline, isoquinoline], "similar", similarity=s) for s in (1.0, 0.3)
    )
    assert apart == [quinoline, isoquinoline]
    assert together == [quinoline, quinoline]
    assert bucket_keys([quinoline], "similar", known=[isoquinoline], similarity=0.3) == [
        isoquinoline
    ]
    assert bucket_keys([quinoline, isoquinoline], "similar", known=[""])[0] == quinoline


def test_the_keys_fill_the_buckets():
    buckets = Buckets().add(bucket_keys(FOUR), [0.9, 0.8, 0.9, 0.1, 0.9])
    assert buckets.counts == {"c1ccccc1": 2, "c1ccncc1": 1}
    assert buckets.seen(bucket_keys([PHENOL, ETHANOL, None])).tolist() == [2, 0, 0]


def test_an_unknown_filter_is_refused():
    with pytest.raises(BadData, match="did you mean 'scaffold'"):
        bucket_keys(FOUR, "scafold")
