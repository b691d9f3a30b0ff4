"""Alarms: each rings for its fault and for nothing else."""

import numpy as np
import pandas as pd
import pytest

from qdlaws import Goal, RunLog, advise
from qdlaws.advice.alarms import alarms
from qdlaws.advice.checkpoints import choose

N = 80


def frame(seed: int = 0) -> pd.DataFrame:
    """A run that rises to its end while entropy falls by a half."""
    g, t = np.random.default_rng(seed), np.linspace(0, 1, N)
    return pd.DataFrame(
        {
            "step": 5.0 * np.arange(N),
            "quality": 0.2 + 0.5 * t + 0.02 * g.normal(size=N),
            "entropy": 2 - t + 0.03 * g.normal(size=N),
            "diversity": 0.9 - 0.2 * t + 0.01 * g.normal(size=N),
        }
    )


def kinds(table: pd.DataFrame) -> list[str]:
    log = RunLog.from_frame(table)
    return [alarm.kind for alarm in alarms(log, choose(log))]


@pytest.mark.parametrize("seed", range(10))
def test_a_run_that_rises_to_its_end_rings_no_alarm(seed):
    assert kinds(frame(seed)) == []


def test_a_fall_from_the_best_names_the_step_to_go_back_to():
    table = frame()
    table.loc[50:, "quality"] -= 0.4
    log = RunLog.from_frame(table)
    (alarm,) = alarms(log, choose(log))
    assert alarm.kind == "quality fell"
    assert 200 <= alarm.rollback <= 245
    advice = advise(log)
    assert advice.action == "stop"
    assert advice.alarms == (alarm,)
    assert any(reason.startswith("Go back to the row of step") for reason in advice.reasons)


def test_a_dip_within_the_noise_is_no_fall():
    table = frame()
    table.loc[N - 2 :, "quality"] -= 0.06
    assert kinds(table) == []


@pytest.mark.parametrize(
    ("column", "end", "kind"),
    [
        ("entropy", 0.01, "entropy collapsed"),
        ("entropy", 9.0, "entropy runs away"),
        ("diversity", 0.1, "diversity collapsed"),
    ],
)
def test_a_column_that_collapses_or_runs_away_rings(column, end, kind):
    table = frame()
    start = table[column].iloc[0]
    table[column] = np.linspace(start, end, N)
    table.loc[N - 20 :, column] = end
    assert kinds(table) == [kind]


def test_groups_of_equal_rewards_give_no_gradient():
    table = frame()
    table["frac_reward_zero_std"] = np.linspace(0.3, 0.95, N)
    assert kinds(table) == ["groups without spread"]
    table["frac_reward_zero_std"] = 0.5
    assert kinds(table) == []


def test_one_group_a_step_is_judged_by_the_share_of_many_steps():
    table = frame()
    equal = np.arange(N) % 5 < 3  # 60 % of the groups: the median reading is 1
    assert kinds(table.assign(frac_reward_zero_std=equal.astype(float))) == []


def test_a_reward_at_either_end_of_its_scale_rings():
    for value in (0.0, 1.0):
        table = frame()
        table["quality"] = value
        assert kinds(table) == ["end of the scale"]


def test_a_fall_under_a_price_counts_what_was_gained_in_diversity():
    table = frame()
    table["quality"] = 0.8 - 0.3 * np.linspace(0, 1, N)
    table["diversity"] = 0.5 + 0.4 * np.linspace(0, 1, N)
    log = RunLog.from_frame(table)
    goal = Goal(price=2.0)
    assert not [a for a in alarms(log, choose(log, goal)) if a.kind == "quality fell"]
    assert [a for a in alarms(log, choose(log)) if a.kind == "quality fell"]


def test_a_collapse_in_the_first_steps_is_said_from_where_it_began():
    table = frame()
    table["entropy"] = 0.001
    table.loc[:20, "entropy"] = 0.02
    table.loc[:2, "entropy"] = 0.2  # over before a tenth of the run
    log = RunLog.from_frame(table)
    (alarm,) = [a for a in alarms(log, choose(log)) if a.kind == "entropy collapsed"]
    assert "from 0.2 to 0.001" in alarm.text
