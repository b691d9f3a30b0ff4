"""A goal refuses what makes no sense, and says itself in words."""

import pytest

from qdlaws import BadData, Goal


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"price": -1}, "must be positive"),
        ({"min_gain_per_step": 0}, "must be positive"),
        ({"budget_steps": 0}, "must be positive"),
        ({"min_diversity": float("nan")}, "finite number"),
        ({"min_entropy": "high"}, "finite number"),
        ({"price": 1.0, "target_quality": 0.9}, "contradictory goals"),
    ],
)
def test_bad_goals_are_refused_with_the_reason(bad, why):
    with pytest.raises(BadData, match=why):
        Goal(**bad)


def test_a_goal_says_itself_in_words():
    goal = Goal(min_diversity=0.7, budget_steps=300)
    assert goal.words() == "diversity ≥ 0.7, 300 steps at most"
    assert Goal().words() == "the highest quality"
