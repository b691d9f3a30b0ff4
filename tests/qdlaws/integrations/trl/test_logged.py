"""Which logs of a trainer become a row."""

from __future__ import annotations

import pytest

from qdlaws.integrations.trl.logged import is_evaluation, logged_row


def test_numbers_and_quoted_numbers_are_kept_words_and_unknown_ones_are_not():
    logs = {"reward": "0.5", "loss": 1, "note": "fine", "kl": float("nan"), "entropy": None}
    assert logged_row(logs, 7) == {"reward": 0.5, "loss": 1.0, "step": 7}


@pytest.mark.parametrize(
    "logs", [{}, {"epoch": 0.5}, {"train_runtime": 3.0, "train_loss": 0.1, "epoch": 1.0}]
)
def test_a_log_without_a_measurement_makes_no_row(logs):
    assert logged_row(logs, 7) is None


def test_an_evaluation_is_told_by_its_prefix():
    assert is_evaluation({"eval_reward": 0.5, "step": 3})
    assert not is_evaluation({"reward": 0.5, "step": 3})
