"""Buckets of the diversity filter."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qdlaws.errors import BadData
from trainer.algorithms.diversity_filter import CURVES, FilterMemory
from trainer.algorithms.replay import Memory
from trainer.tasks.molecules.scaffold_buckets import bucket_keys
from trainer.types import FilterPlan, ReplayPlan

pytest.importorskip("rdkit")

TOLUENE, PHENOL, PYRIDINE, ETHANOL = "Cc1ccccc1", "Oc1ccccc1", "Cc1ccncc1", "CCO"
FOUR = [TOLUENE, PHENOL, PYRIDINE, ETHANOL, None]


def test_identical_scaffolds_and_topological_ones():
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


REINVENT4 = pd.read_csv(Path(__file__).with_name("reinvent4.csv"), keep_default_na=False)
"""25 batches of 64 molecules and what REINVENT4's filters made of them, by
benchmarks/record_reinvent4.py; commit 4309467 (version 4.8.24) of the package."""


def factors_of(plan):
    """The factors that our filter gives the recorded batches, under a plan."""
    memory, factors = FilterMemory(), []
    smiles = [text or None for text in REINVENT4.smiles]
    for start in range(0, len(smiles), 64):
        batch, scores = smiles[start : start + 64], REINVENT4.score[start : start + 64]
        names = batch
        if plan.by != "same":
            by, known = ("scaffold" if plan.by == "usual" else plan.by), memory.buckets
            names = bucket_keys(batch, by, known=known, similarity=plan.similarity)
        some, _, memory = memory.filtered(plan, names, batch, scores.tolist())
        factors += some
    return np.array(factors)


@pytest.mark.parametrize(
    ("column", "plan"),
    [
        *((by, FilterPlan(by)) for by in ("scaffold", "topological", "similar", "same")),
        *((curve, FilterPlan(penalty=curve)) for curve in CURVES),
    ],
)
def test_the_filters_of_reinvent4_row_by_row(column, plan):
    np.testing.assert_allclose(factors_of(plan), REINVENT4[column], rtol=1e-9, atol=1e-12)


def test_the_record_of_reinvent4_tells_its_filters_apart():
    """Without repeats, full buckets and invalid rows it would hold nobody to anything."""
    assert (REINVENT4.smiles == "").sum() > 5
    columns = ["scaffold", "topological", "similar", "same", *CURVES]
    worse = {column: int((REINVENT4[column].astype(float) < 1).sum()) for column in columns}
    assert worse["scaffold"] == worse["step"]
    assert len({tuple(REINVENT4[column]) for column in columns}) == len(columns) - 1
    repeats = REINVENT4.smiles.duplicated() & (REINVENT4.smiles != "")
    assert (REINVENT4.scaffold[~repeats] == 0).sum() > 10  # full buckets, not only repeats


def test_the_inception_memory_of_reinvent4():
    memory = Memory(ReplayPlan(size=50))
    worth = REINVENT4.score * REINVENT4.scaffold
    for start in range(0, len(worth), 64):
        rows = [i for i in range(start, start + 64) if REINVENT4.smiles[i]]
        keys = dict.fromkeys(REINVENT4.smiles[i] for i in rows)
        new = {REINVENT4.smiles[i]: worth[i] for i in reversed(rows)}  # the first of each
        fresh = [key for key in keys if key not in memory.keys]
        memory = memory.remember(fresh, [new[key] for key in fresh])
    held = REINVENT4[REINVENT4.inception != ""]
    order = held.smiles[held.inception.astype(int).sort_values().index]
    assert list(memory.keys) == order.tolist()


def test_an_unknown_filter_is_refused():
    with pytest.raises(BadData, match="did you mean 'scaffold'"):
        bucket_keys(FOUR, "scafold")
