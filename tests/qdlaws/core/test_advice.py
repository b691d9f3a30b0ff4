"""The records of a decision: their words, their JSON, and that a stop turns no knob."""

import json

import numpy as np
import pandas as pd
import pytest

from qdlaws.core.advice import MEANINGS, Advice, Choice, NextMeasurement
from qdlaws.core.interval import Interval
from qdlaws.errors import BadData

TURN = Advice(
    action="tighten",
    step=120.0,
    reasons=("diversity is 0.79 ± 0.004: it is 0.01 too low", "kl 0.1 → 0.122"),
    confidence=0.93,
    checkpoint=100.0,
    diversity_target=Interval(0.8, 0.806, 0.812, 0.9),
    du=-0.2,
    figures={"level": 0.79, "slope": np.nan},
)
CHOICE = Choice(
    step=100.0,
    quality=Interval(0.6, 0.65, 0.7, 0.9),
    diversity=None,
    entropy=None,
    measured=0.66,
    p_goal=0.97,
    meets=True,
    p_wrong=0.2,
    regret=0.01,
    measure=NextMeasurement((80.0, 100.0), 2, 400, 0.1, 0.2),
    table=pd.DataFrame(
        {
            "step": [80.0, 100.0],
            "measured": [0.6, 0.66],
            "low": [0.5, 0.6],
            "mean": [0.6, 0.65],
            "high": [0.7, 0.7],
            "p_goal": [0.5, 0.97],
            "meets": [False, True],
            "p_best": [0.2, 0.8],
        }
    ),
    reasons=("quality there is 0.65",),
)


def test_a_stop_with_a_turn_is_refused():
    with pytest.raises(ValueError, match="turns no knob"):
        Advice(action="stop", step=1.0, reasons=("falling",), du=0.1)
    stop = Advice(action="stop", step=1.0, reasons=("falling",))
    assert (stop.kl_factor, stop.reward_scale_factor) == (None, None)


def test_the_factors_are_the_same_turn_by_either_knob():
    assert TURN.kl_factor == pytest.approx(np.exp(0.2))
    assert TURN.kl_factor * TURN.reward_scale_factor == pytest.approx(1)


def test_a_line_holds_the_advice_the_figures_and_the_knobs_as_strict_json():
    knobs = {"kl": 0.122, "reward_scale": 1.0, "entropy": 0.0}
    line = json.loads(json.dumps(TURN.to_line(knobs, stopped=False), allow_nan=False))
    assert line["knobs"] == knobs
    assert line["figures"] == {"level": 0.79, "slope": None}
    assert line["stopped"] is False
    assert {key: line[key] for key in TURN.to_dict()} == TURN.to_dict()


def test_the_summary_says_what_the_action_asks_for():
    words = str(TURN)
    assert words.startswith("Advice at step 120")
    assert "tighten: hold the policy closer to its reference (93% sure)" in words
    assert "KL strength × 1.22, or reward scale × 0.819" in words
    assert "· diversity is 0.79" in words
    assert set(MEANINGS) == {"continue", "stop", "wait", "tighten", "loosen"}


def test_in_a_notebook_it_is_a_table_and_its_repr_is_one_short_line():
    assert "<table>" in TURN._repr_html_()
    for result in (TURN, CHOICE):
        assert len(repr(result)) < 200
        assert "\n" not in repr(result)


def test_the_frames_have_a_row_a_decision_and_a_row_a_candidate():
    frame = pd.concat([TURN.to_frame(), TURN.to_frame()])
    assert list(frame["action"]) == ["tighten", "tighten"]
    assert frame["diversity_target"].iloc[0] == 0.806
    assert frame["level"].iloc[0] == 0.79
    assert list(CHOICE.to_frame()["step"]) == [80, 100]


def test_pictures_show_the_checkpoint_to_keep():
    import matplotlib

    matplotlib.use("Agg")
    with_choice = Advice(action="wait", step=120.0, reasons=("noise",), choice=CHOICE)
    assert "wait" in with_choice.plot().get_title()
    labels = [text.get_text() for text in CHOICE.plot().get_legend().get_texts()]
    assert "keep 100" in labels
    with pytest.raises(BadData, match="compared no checkpoints"):
        TURN.plot()


def test_a_choice_says_what_to_keep_and_what_to_measure():
    words = str(CHOICE)
    assert words.startswith("Keep the row of step 100")
    assert "0.65" in words
    assert str(CHOICE.measure).startswith("400 more evaluation samples at checkpoints 80 and 100")
    assert "halve the chance of choosing wrongly (20% → 10%)" in str(CHOICE.measure)
    assert CHOICE.to_dict()["measure"]["samples"] == 400
