"""The limits of single values, which are part of their types."""

import pytest

from qdlaws.errors import BadData
from trainer.config import Config, ControlOptions, with_settings


@pytest.mark.parametrize(
    "key",
    [
        "train.steps",
        "train.prompts",
        "train.samples",
        "train.limit",
        "train.epochs",
        "train.minibatches",
        "train.micro_tokens",
        "train.temperature",
        "train.lr",
        "train.clip_norm",
        "eval.every",
        "checkpoint.every",
    ],
)
def test_zero_is_refused_where_it_means_nothing(key):
    with pytest.raises(BadData, match=rf"{key} = 0: a (whole )?number (above 0|of at least 1) was"):
        with_settings(Config(), [f"{key}=0"])


@pytest.mark.parametrize("key", ["recipe.kl", "recipe.reward_scale", "train.weight_decay"])
def test_a_negative_strength_is_refused(key):
    with pytest.raises(BadData, match=rf"{key} = -1: a number of at least 0 was"):
        with_settings(Config(), [f"{key}=-1"])
    with_settings(Config(), [f"{key}=0"])


def test_an_evaluation_needs_samples_for_a_standard_error():
    with pytest.raises(BadData, match="at least 4"):
        with_settings(Config(), ["eval.samples=3"])


def test_a_goal_has_the_parts_that_were_given():
    assert ControlOptions().goal == {}
    assert ControlOptions(min_diversity=0.7, price=0.0).goal == {"min_diversity": 0.7, "price": 0.0}
