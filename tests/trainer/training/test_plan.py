"""A plan answers like every result, whatever the samples reach."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from qdlaws.kl_frontier.frontier import frontier
from trainer.training.plan import Plan, write_plan


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
