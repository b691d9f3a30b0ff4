"""Recipes from a configuration: what the messages about a wrong option say."""

import pytest

from qdlaws.errors import BadData
from trainer.training.recipe_config import build


def test_a_misspelt_knob_is_met_with_the_knob():
    with pytest.raises(BadData, match="no option 'klx'; did you mean 'kl'"):
        build("rloo", {"klx": 1})


def test_an_unknown_option_lists_the_knobs_and_the_options_of_the_recipe():
    with pytest.raises(BadData, match="it has kl, reward_scale, entropy, normalise"):
        build("dapo", {"xyzzy": 1})
