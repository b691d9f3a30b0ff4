"""Rules of an advice: the error rate of a stop is shared among the tests that a goal raises."""

import json

import numpy as np
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


SLOW_ERRORS = (  # runs that gain .003 a reading, read with AR(1) errors of .01
    "504 499 504 497 511 519 523 514 523 522 521 513",
    "508 521 530 518 513 509 517 524 535 525 529 529 "
    "534 546 542 542 547 547 552 554 551 548 560 561",
)


@pytest.mark.parametrize("readings", SLOW_ERRORS)
def test_a_slow_error_of_a_run_that_gains_its_cost_is_no_reason_to_stop(readings):
    quality = np.array([int(r) for r in readings.split()]) / 1000
    log = qd.RunLog.from_arrays(10.0 * np.arange(len(quality)), quality=quality)
    advice = qd.advise(log, qd.Goal(min_gain_per_step=3e-4))
    assert advice.action == "continue"
    assert "do not yet show" in advice.reasons[0]  # the forecast alone would stop


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_never_moved_is_not_told_to_go_on(seed):
    """Noise wanders above its best so far with some probability: that is no gain."""
    noise = np.random.default_rng(seed).normal(size=300)
    advice = qd.advise(qd.RunLog.from_arrays(np.arange(300), quality=0.5 + 0.1 * noise))
    assert advice.action in ("wait", "stop")
    assert "hardly moved" in advice.reasons[0] or advice.action == "stop"
    rising = qd.advise(
        qd.RunLog.from_arrays(np.arange(300), quality=0.001 * np.arange(300) + 0.1 * noise)
    )
    assert "hardly moved" not in str(rising.summary())


def test_a_small_rise_that_exceeds_its_noise_is_not_called_a_flat_start():
    noise = np.random.default_rng(4).normal(size=40)
    log = qd.RunLog.from_arrays(range(40), quality=np.linspace(0.3, 0.5, 40) + 0.1 * noise)
    advice = qd.advise(log)
    assert advice.action == "continue"
    assert "gains more" in advice.reasons[0]


def test_a_clock_in_epochs_is_not_rounded_to_no_steps():
    noise = np.random.default_rng(0).normal(size=200)
    log = qd.RunLog.from_arrays(np.linspace(0, 0.1, 200), quality=0.5 + 0.1 * noise)
    words = " ".join(qd.advise(log).reasons)
    assert "next 0.025 steps" in words
    assert "in 0.1 steps" in words


def test_a_log_that_counts_in_epochs_is_told_epochs(tmp_path):
    """It was told to look again "at step 0.13"."""
    noise = np.random.default_rng(0).normal(size=200)
    rows = (
        {"epoch": e, "reward": r}
        for e, r in zip(np.linspace(0, 0.1, 200), 0.5 + 0.1 * noise, strict=True)
    )
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    advice = qd.advise(path)
    words = " ".join(str(advice).split())
    assert words.startswith("Advice at epoch 0.1 ")
    assert "hardly moved in 0.1 epochs" in words
    assert "look again at epoch 0.13" in words
    assert "the row of epoch" in words
    assert " step " not in words.replace("the step is column", "")
    assert "now, epoch 0.1" in str(qd.forecast(path, horizon=0.05))


def test_a_short_log_of_whole_steps_is_told_whole_steps():
    log = qd.RunLog.from_arrays(range(1, 8), quality=[0.1, 0.2, 0.25, 0.3, 0.31, 0.32, 0.33])
    words = " ".join(qd.advise(log).reasons)
    assert "next 2 steps" in words
    assert "step 9" in words
