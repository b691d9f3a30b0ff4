"""Recipes give the loss and the gradient of the code that their authors released.

The record holds numbers alone: ``benchmarks/fidelity.py FOLDER --record`` writes it anew.
"""

from pathlib import Path

import pytest
import torch

from trainer.algorithms.recipes import RECIPES, illustrated
from trainer.analysis.same_tensors import CASES, loss_and_gradient, random_batch, read_batch

RECORD = Path(__file__).parent / "fixtures" / "released.json"
TABLE = Path(__file__).parents[3] / "benchmarks" / "results" / "fidelity.md"
BATCH, RELEASED = read_batch(RECORD)
ROUNDED = {
    "grpo_unlikeliness": 1e-6,
    "rs_grpo": 1e-5,
    "ucpo": 1e-5,
    "differential_smoothing": 1e-5,
    "gspo": 1e-7,
    "sapo": 1e-7,
}
"""What float32 and the smaller ε of the released functions allow; 1e-12 elsewhere."""


def test_every_case_is_recorded():
    assert set(RELEASED) == set(CASES)
    assert random_batch().score == BATCH.score


@pytest.mark.parametrize("case", CASES)
def test_a_recipe_has_the_loss_and_the_gradient_of_its_authors_code(case):
    loss, gradient = loss_and_gradient(case, BATCH)
    close = ROUNDED.get(case, 1e-12)
    want = torch.tensor(RELEASED[case]["gradient"], dtype=torch.float64)
    assert loss == pytest.approx(RELEASED[case]["loss"], rel=close, abs=close)
    assert (gradient - want).abs().max() <= close * want.abs().max()
    assert want.abs().max() > 1e-3


@pytest.mark.parametrize("name", RECIPES)
def test_the_table_says_of_every_recipe_what_it_was_compared_with_or_rests_on(name):
    rows = [row for row in TABLE.read_text().splitlines() if row.startswith(f"| {name} |")]
    (row,) = rows
    if illustrated(name).provisional:
        assert "provisional" in row or "a third party's code" in row
    else:
        assert "provisional" not in row
