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


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("darling", {"fusion": "correct"}, "did you mean 'correct_only'.*multiply, add"),
        ("darling", {"floor": "low"}, "recipe.floor = 'low': a number was needed"),
        ("darling", {"closure": 3}, "true or false was needed"),
        ("mara", {"threshold": "high"}, "a number or none was needed"),
        ("pass_at_k", {"k": 2.5}, "a whole number was needed"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_in_plain_words(name, options, message):
    with pytest.raises(BadData, match=message):
        build(name, options)


def test_every_option_of_darling_reaches_its_piece():
    options = {"fusion": "add", "quality": "sigmoid", "closure": False, "threshold": 0.7}
    piece = build("darling", {**options, "floor": 0.2}).shape[0]
    assert piece.keywords == {**options, "floor": 0.2}
    assert "nonnegative" not in build("darling", {"quality": "group_min"}).needs
