"""Goal: contradictions are refused, and so are goals that a log cannot serve."""

import numpy as np
import pytest

import qdlaws as qd
from tests.helpers.simulated import run

LOG = qd.RunLog.from_arrays(
    np.arange(10),
    quality=np.linspace(0, 1, 10),
    diversity=np.linspace(0.9, 0.5, 10),
    entropy=np.linspace(2, 1, 10),
)


@pytest.mark.parametrize(
    ("goal", "words"),
    [
        (qd.Goal(min_diversity=80), r"did you mean 0\.8\?"),
        (qd.Goal(min_diversity=800), "diversity lies between 0 and 1$"),
        (qd.Goal(min_diversity=-0.1), "diversity is never below 0"),
        (qd.Goal(min_entropy=-1), "entropy is never below 0"),
    ],
)
def test_a_floor_that_the_column_cannot_have_is_refused(goal, words):
    with pytest.raises(qd.BadData, match=words):
        goal.check(LOG)
    with pytest.raises(qd.BadData, match=words):
        qd.advise(LOG, goal)


def test_floors_inside_the_range_and_entropies_above_one_are_taken():
    qd.Goal(min_diversity=0.8, min_entropy=1.5).check(LOG)


def test_a_diversity_that_counts_may_have_a_floor_above_one():
    vendi = qd.RunLog.from_arrays(
        np.arange(9), quality=np.arange(9.0), diversity=np.arange(9.0) + 2
    )
    qd.Goal(min_diversity=5).check(vendi)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"price": -1}, "must be positive"),
        ({"budget_steps": 0}, "must be positive"),
        ({"min_entropy": float("nan")}, "finite number"),
        ({"price": 1, "target_quality": 0.5}, "contradictory goals"),
    ],
)
def test_values_that_make_no_goal_are_refused(fields, words):
    with pytest.raises(qd.BadData, match=words):
        qd.Goal(**fields)


def test_a_column_that_the_log_lacks_is_named():
    with pytest.raises(qd.MissingColumn, match="needs a diversity column; this log has quality"):
        qd.Goal(min_diversity=0.5).check(
            qd.RunLog.from_arrays(np.arange(9), quality=np.arange(9.0))
        )


def test_a_price_is_for_diversity_or_else_for_entropy() -> None:
    log = qd.RunLog.from_frame(run())
    assert qd.Goal(price=1.0).priced(log) == "diversity"
    without = qd.RunLog.from_frame(run().drop(columns="diversity"))
    assert qd.Goal(price=1.0).priced(without) == "entropy"
    assert qd.Goal().priced(log) is None


def test_the_words_of_a_goal_name_all_its_wishes() -> None:
    goal = qd.Goal(min_diversity=0.7, min_entropy=1, min_gain_per_step=1e-4, budget_steps=500)
    assert goal.words() == (
        "diversity ≥ 0.7, entropy ≥ 1, a gain of at least 0.0001 per step, 500 steps at most"
    )
    assert goal.words("epoch").endswith("at least 0.0001 per epoch, 500 epochs at most")
    assert goal.floors() == {"diversity": 0.7, "entropy": 1.0}
    assert qd.Goal().words() == "the highest quality"


def test_a_column_without_a_reading_refuses_no_floor():
    unread = qd.RunLog.from_arrays(
        np.arange(9), quality=np.arange(9.0), diversity=np.full(9, np.nan)
    )
    qd.Goal(min_diversity=80).check(unread)
