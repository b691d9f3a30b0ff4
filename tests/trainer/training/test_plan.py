"""A plan answers like every result, whatever the samples reach."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from qdlaws.kl_frontier.frontier import frontier
from trainer.training.plan import Plan, _start_of_runs, _with_runs, write_plan
from trainer.training.shortfall import bundled_shortfall


@pytest.fixture
def plan():
    rng = np.random.default_rng(0)
    rewards, log_probs = rng.random((2, 200)), -5 - rng.random((2, 200))
    front = frontier(rewards, log_probs)
    rows = [
        {
            "kl_coef": 1 / eta if eta else np.inf,
            "ratio": eta,
            **{name: front.at(eta)[name] for name in ("quality", "quality_se", "kl")},
            "diversity": 0.9 - 0.01 * eta,
            "diversity_se": 0.01,
        }
        for eta in front.table["eta"]
    ]
    return Plan(pd.DataFrame(rows), front, 0.05, 0.06, 0.004, ("a note",))


def test_the_summary_says_where_to_start_and_what_a_strength_gives(plan):
    words = str(plan.summary())
    assert words.startswith("Plan from")
    assert "start at kl = 0.05" in words
    assert "reference" in words
    assert "quality 0.5" in words
    assert "· a note" in words
    assert len(repr(plan)) < 200
    assert "<table>" in plan._repr_html_()


def test_without_a_goal_there_is_no_start(plan):
    aimless = Plan(plan.table, plan.frontier, np.nan, np.nan, 0.004, ())
    assert "no goal, so no start" in str(aimless)


def test_the_frame_leaves_out_what_the_samples_do_not_reach(plan):
    frame = plan.to_frame()
    assert frame["quality"].notna().all()
    assert len(frame) < len(plan.table)


def test_the_picture_has_quality_and_diversity(plan):
    import matplotlib

    matplotlib.use("Agg")
    labels = [text.get_text() for text in plan.plot().get_legend().get_texts()]
    assert labels == ["quality", "diversity"]


def test_the_file_is_strict_json_with_null_where_the_samples_do_not_reach(plan, tmp_path):
    write_plan(tmp_path / "plan.json", plan)
    values = json.loads((tmp_path / "plan.json").read_text())
    assert values["start_kl"] == 0.05
    assert values["table"][-1]["quality"] is None
    assert values["best_of"]


def test_what_runs_get_lies_below_the_bound_and_both_are_shown(plan):
    of_runs = Plan(
        _with_runs(plan.table, bundled_shortfall()), plan.frontier, 0.05, 0.06, 0.004, ("a note",)
    )
    frame = of_runs.to_frame()
    assert (frame["run_quality"] <= frame["quality"] + 1e-12).all()
    assert frame["run_quality"].iloc[0] == frame["quality"].iloc[0]
    assert "(bound 0." in str(of_runs.summary())
    assert len(of_runs.plot().get_legend().get_texts()) == 4


def table_with(levels, errors):
    ratios = np.exp(np.arange(len(levels) - 1, dtype=float))
    columns = {"ratio": [0.0, *ratios], "run_diversity": levels, "run_diversity_se": errors}
    return pd.DataFrame(columns)


def test_a_run_starts_where_runs_hold_the_floor_with_half_an_error_to_spare():
    table = table_with([0.9, 0.88, 0.85, 0.80, 0.70], [0, 0.01, 0.02, 0.04, 0.08])
    start = _start_of_runs(table, 0.77, 0.02)
    assert start.ratio == pytest.approx(np.exp(1))  # .80 − .02 is less than .79
    assert start.gain == pytest.approx(0.03)
    assert _start_of_runs(table, 0.755, 0.02).ratio == pytest.approx(np.exp(2))
    assert _start_of_runs(table, 0.89, 0.02) is None
    beyond = _start_of_runs(table, 0.3, 0.02)
    assert beyond.ratio == pytest.approx(np.exp(3))
    assert np.isnan(beyond.gain)
    assert "do not reach down to" in beyond.reason
