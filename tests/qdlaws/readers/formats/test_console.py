"""Console logs of verl and OpenRLHF."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import EntropyKind
from qdlaws.readers import read
from tests.helpers.make_fixtures import FIXTURES, SERIES

STEP, REWARD, ENTROPY = (np.array(column, float) for column in zip(*SERIES, strict=True))


@pytest.mark.parametrize("name", ["console.log", "experiment.jsonl"])
def test_console_and_file_logger_of_verl_are_one_log(name: str):
    log = read(FIXTURES / "verl" / name, series="train")
    assert log.tool == "verl"
    np.testing.assert_array_equal(log.step, STEP)
    np.testing.assert_allclose(log.quality, REWARD)
    np.testing.assert_allclose(log.entropy, ENTROPY)
    assert log.names["quality"] == "critic/score/mean"
    assert log.names["kl"] == "actor/kl_loss"
    assert log.kinds["actor/ppo_kl"].endswith("the policy before the update")
    evaluation = read(FIXTURES / "verl" / name, series="eval")
    np.testing.assert_array_equal(evaluation.step, STEP[4::5])
    np.testing.assert_allclose(evaluation.quality, REWARD[4::5] / 2)
    np.testing.assert_allclose(evaluation.entropy, ENTROPY[4::5])  # lent by training


def test_prefixes_number_wrappers_and_cuts_of_verl_lines(write):
    line = "step:{} - actor/entropy:np.float64(0.{}) - critic/score/mean:-0.5{} - x/y:np.int32(2)"
    text = "\n".join(
        [
            "loading", "(TaskRunner pid=1)\x1b[0m " + line.format(1, 41, 1),
            "Progress:  3%|  | 1/9\r" + line.format(2, 42, 2),
            line.format(3, 43, 3)[: -len("y:np.int32(2)")] + "y:np.int32(2",
            line.format(4, 44, 4).replace("np.float64(0.44)", "nan"),
            "step:5 of the recipe",
        ]
    )  # fmt: skip
    log = read(write(text + "\n"))
    np.testing.assert_array_equal(log.step, [1, 2, 3, 4])
    np.testing.assert_allclose(log.quality, [-0.51, -0.52, -0.53, -0.54])
    np.testing.assert_allclose(log.entropy, [0.41, 0.42, 0.43, np.nan])
    np.testing.assert_allclose(log.extra["x/y"], [2, 2, np.nan, 2])  # the cut pair is not trusted


def test_openrlhf_lines_are_read(write):
    def line(step: int) -> str:
        status = {"policy_loss": -0.1, "reward": step / 10, "kl": 0.01, "entropy_loss": 0.5,
                  "logprobs_diff": 0.0, "actor_lr": 1e-6, "name": "it's"}  # fmt: skip
        return f"INFO 08-13 10:00:00 ppo_trainer.py:140] ✨ Global step {step}: {status}\n"

    log = read(write("start\n" + "".join(line(s) for s in range(1, 12)) + line(12)[:70]))
    assert log.tool == "openrlhf"
    np.testing.assert_allclose(log.quality[:11], np.arange(1, 12) / 10)
    assert set(log.entropy[:11]) == {0.5}
    assert log.kinds["entropy"] == EntropyKind.TOKEN
    assert "k1" in log.kinds["kl"]


REINVENT = "9:00:00 <INFO> Score: {:.2f} Agent NLL: 14.01 Valid:  89% Step: {}\n"


def test_a_cut_step_number_does_not_overwrite_an_early_step(write):
    """ "Step: 100" cut to "Step: 10" gave step 10 the score of step 100."""
    text = "".join(REINVENT.format(s / 100, s) for s in range(1, 101))
    for cut in (1, 2):
        log = read(write(text[:-cut]))
        np.testing.assert_allclose(log.quality, log.step / 100)
        assert len(log) == 99
        assert any("last line 100 left out" in note for note in log.notes)


def test_console_lines_with_zero_bytes_are_damage(write):
    text = "".join(f"step:{s} - critic/score/mean:0.{s:03} - actor/entropy:1\n" for s in range(400))
    start = text.index("step:200 ") + 25
    log = read(write(text[:start] + "\0" * 40 + text[start + 40 :]))
    np.testing.assert_allclose(log.quality, log.step / 1000)
    np.testing.assert_array_equal(log.entropy, 1)
    assert 397 <= len(log) < 400
    assert any("damaged (zero bytes), left out: line 201" in note for note in log.notes)


def test_a_stage_of_thousands_of_digits_is_no_stage(write):
    log = read(write(f"Starting stage {'9' * 5000}\n" + REINVENT.format(0.5, 1)))
    np.testing.assert_array_equal(log.step, [1])
