"""docs/scoring.md is the page of the present code, and its examples score molecules."""

import importlib.util
import inspect
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from trainer.algorithms.diversity_filter import CURVES
from trainer.config import read_config
from trainer.tasks import make_task
from trainer.tasks.molecules.objectives import OBJECTIVES
from trainer.tasks.molecules.transforms import TRANSFORMS
from trainer.training.recipe_config import build

pytest.importorskip("rdkit")

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "scoring.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, flags=re.M | re.S)
CELECOXIB = "Cc1ccc(-c2cc(C(F)(F)F)nn2-c2ccc(S(N)(=O)=O)cc2)cc1"
MOLECULES = ["CC(=O)Oc1ccccc1C(=O)O", "C#CCO", CELECOXIB, "Cc1cc(C)nc(N2CCCC2)c1"]


def row_of(name):
    (row,) = re.findall(rf"^\| `{name}` \|.*$", PAGE, flags=re.M)
    return row


def test_the_page_is_made_from_the_present_code():
    spec = importlib.util.spec_from_file_location("scoring_page", DOCS / "scoring.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == PAGE, "run python docs/scoring.py"


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_component_has_a_row_with_its_meaning_and_options(name):
    cells = row_of(name).split(" | ")
    assert len(cells[1]) > 3
    for option in inspect.signature(OBJECTIVES[name].make).parameters:
        assert f"`{option}`" in cells[3]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_transform_has_a_row_with_its_parameters(name):
    row = row_of(name)
    for parameter in list(inspect.signature(TRANSFORMS[name]).parameters)[1:]:
        assert f"`{parameter}`" in row


def test_every_penalty_has_a_row():
    assert all(row_of(f'penalty = "{name}"') for name in CURVES)


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_every_example_scores_molecules(text):
    config = read_config(tomllib.loads(text))
    task = make_task(config.task.name, **config.task.options)
    scores = task.score(list(task.prompts()) * len(MOLECULES), MOLECULES)
    assert np.isfinite(scores.score).all()
    assert len(set(scores.score)) >= 3
    assert ((scores.score >= 0) & (scores.score <= 1)).all()
    assert len(scores.parts) >= 4
    build(config.recipe.name, config.recipe.options)


def test_the_examples_show_what_the_page_says_of_factors():
    config = read_config(tomllib.loads(EXAMPLES[1]))
    task = make_task(config.task.name, **config.task.options)
    scores = task.score(list(task.prompts()) * len(MOLECULES), MOLECULES)
    assert scores.parts["alerts"].tolist() == [0, 0, 1, 1]
    assert scores.parts["sulfonamide"].tolist() == [0.5, 0.5, 1, 0.5]
    assert scores.score[:2].tolist() == [0, 0]
    assert scores.score[2] > 3 * scores.score[3] > 0
