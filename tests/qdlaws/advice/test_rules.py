"""Rules of an advice: the error rate of a stop is shared among the tests that a goal raises."""

import pytest

import qdlaws as qd
from qdlaws.advice.rules import error_rate_per_test


@pytest.mark.parametrize(
    ("goal", "floors", "falling", "share"),
    [
        (qd.Goal(), True, True, 1),
        (qd.Goal(min_diversity=0.5), True, False, 1),
        (qd.Goal(min_diversity=0.5, min_entropy=1), True, False, 1 / 2),
        (qd.Goal(min_diversity=0.5, min_entropy=1, min_gain_per_step=0.1), True, False, 1 / 3),
        (
            qd.Goal(min_diversity=0.5, min_entropy=1, min_gain_per_step=0.1, target_quality=1),
            *(True, False, 1 / 4),
        ),
        (qd.Goal(min_diversity=0.5, min_gain_per_step=0.1), False, True, 1 / 2),
    ],
)
def test_all_tests_of_a_goal_together_err_in_alpha(goal, floors, falling, share):
    assert error_rate_per_test(goal, 0.05, floors, falling) == pytest.approx(0.05 * share)
