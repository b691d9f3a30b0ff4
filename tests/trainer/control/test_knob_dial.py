"""The knob that carries the ratio, and the range that it is turned in."""

from __future__ import annotations

import numpy as np
import pytest

from tests.helpers.control_logs import START
from trainer.algorithms.recipes import entropy_bonus, grpo, reinvent, rloo
from trainer.control import make_dial
from trainer.knobs import Knobs


def test_the_dial_turns_the_ratio_by_a_live_knob_within_its_range():
    assert make_dial(rloo(), START).turn == "reward_scale"
    assert make_dial(grpo(), START).turn == "kl"
    assert make_dial(reinvent(), Knobs(1.0, 128.0)).against == "kl"
    bonus = make_dial(entropy_bonus(), Knobs(0.0, 1.0, 0.01))
    assert (bonus.turn, bonus.against) == ("reward_scale", "entropy")
    assert make_dial(rloo(), START, "kl").turned(START, 0.5).kl == pytest.approx(0.1 * np.exp(-0.5))
    for turn in ("kl", "reward_scale"):
        dial = make_dial(rloo(), START, turn)
        assert dial.ratio(dial.turned(START, 0.5)) == pytest.approx(np.log(10) + 0.5)
        assert dial.ratio(dial.turned(START, 99.0)) == pytest.approx(np.log(10) + 5)
        assert dial.ratio(dial.turned(START, -99.0)) == pytest.approx(np.log(10) - 4)
        assert dial.turned(START, 0.0) is START
        assert dial.turned(START, float("nan")) is START


def test_nothing_is_turned_from_a_ratio_that_is_unknown():
    dial, no_kl = make_dial(rloo(), START), Knobs(kl=0.0)
    assert dial.turned(no_kl, 0.5) is no_kl


def test_a_step_is_one_of_the_kl_only_where_the_ratio_has_a_kl():
    assert make_dial(rloo(), START).step(0.5) == 0.5
    bonus = make_dial(entropy_bonus(), Knobs(0.0, 1.0, 0.01))
    assert bonus.step(0.5) is None
