"""What a controller says where the run has no knob to turn."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import Goal, RunLog, advise


def log_without_kl(levels):
    rows = [
        {
            "step": 10 * k,
            "quality": 0.1 + 0.02 * k,
            "diversity": d,
            "diversity_se": 0.004,
            "kl_coef": 0.0,
            "reward_scale": 1.0,
        }
        for k, d in enumerate(levels)
    ]
    return RunLog.from_records(rows)


@pytest.mark.parametrize("last", [0.9, 0.62, 0.59])
def test_without_a_kl_in_force_the_advice_turns_none(last):
    levels = np.linspace(0.9, last, 8) + 0.002 * np.resize([1, -1], 8)
    advice = advise(log_without_kl(levels), Goal(min_diversity=0.6))
    assert advice.du is None
    assert advice.kl_factor is None
    assert "KL" not in " ".join(advice.reasons)
    assert advice.action in ("continue", "stop", "wait")


def test_without_a_kl_a_broken_floor_is_a_reason_to_stop():
    levels = np.full(8, 0.5) + 0.002 * np.resize([1, -1], 8)
    advice = advise(log_without_kl(levels), Goal(min_diversity=0.6))
    assert advice.action == "stop"
