"""A controller is made for a recipe, or refused in one line before the run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qdlaws import BadData, Goal
from tests.helpers.control_logs import FLOOR, START, guided, log_with
from trainer.algorithms.recipes import RECIPES, grpo, illustrated, rloo
from trainer.control import make_controller
from trainer.knobs import Knobs


def test_no_torch_is_loaded():
    code = "import sys, trainer.control; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_that_cannot_be_steered_is_refused_with_the_remedy(name):
    recipe = illustrated(name)
    if recipe.plant in ("tilt", "monotone"):
        begun = recipe.knobs if recipe.knobs.kl or "kl" not in recipe.live else Knobs(kl=0.01)
        make_controller("law_guided", recipe, begun, FLOOR)
        return
    with pytest.raises(BadData, match=r"add a KL|such as rloo|batch_normalised"):
        make_controller("law_guided", recipe, recipe.knobs, FLOOR)
    with pytest.raises(BadData):
        make_controller("kl_target", recipe, recipe.knobs, target=1.0)
    log = log_with([0.8])
    assert make_controller("fixed", recipe, recipe.knobs)(log, START).knobs is START


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: guided(turn="reward_scale", recipe=grpo()), "dead knob of grpo"),
        (lambda: guided(start=Knobs(kl=0.0)), "kl = 0.*small kl such as 0.001"),
        (lambda: guided(turn="temperature"), "kl, reward_scale, entropy"),
        (lambda: guided(Goal()), "min_diversity, min_entropy or price"),
        (lambda: guided(gain=-1.0), "above 0"),
        (lambda: guided(gian=1.0), "no option 'gian'; it takes gain"),
        (lambda: make_controller("pid", rloo(), START), "there are fixed, kl_target"),
        (lambda: make_controller("kl_target", rloo(), START), "needs target"),
        (lambda: make_controller("kl_target", rloo(), START, target=0.0), "above 0"),
        (lambda: make_controller("kl_target", rloo(), START, target=1.0, rule="x"), "doubling"),
        (lambda: make_controller("entropy_target", rloo(), START), "the entropy to hold"),
        (lambda: make_controller("fixed", rloo(), START, target=1.0), "it takes none"),
    ],
)
def test_each_refusal_is_one_line_with_the_remedy(make, words):
    with pytest.raises(BadData, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
