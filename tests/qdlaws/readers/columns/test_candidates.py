"""The column of each role: what its name promises, and what its values and its name refute."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qdlaws.readers import read
from qdlaws.readers.columns.candidates import candidates
from qdlaws.readers.columns.tool_names import PLAIN

STEPS = np.arange(20.0)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("rewards/diversity/mean", "reward"), ("diversity_bonus", "setting"),
        ("diversity_coef", "setting"), ("replay/diversity", "old samples"),
        ("buffer_diversity", "old samples"), ("train/diversity_loss", "setting"),
    ],
)  # fmt: skip
def test_a_reward_a_setting_and_a_replay_bank_are_no_diversity(name, problem):
    frame = pd.DataFrame({"step": STEPS, "reward": STEPS, name: 0.5 + STEPS / 100})
    fits, refused = candidates(frame, PLAIN, {}, evaluation=False)
    assert "diversity" not in fits
    assert not refused or problem in refused[0]  # a name that no pattern meets needs no refusal


def test_a_diversity_below_zero_is_refused_and_the_next_name_is_taken(write):
    rows = "".join(f"{i},{i / 9},{0.1 - i / 50},{0.9 - i / 50}\n" for i in range(20))
    log = read(write("step,reward,diversity,unique_fraction\n" + rows))
    assert log.names["diversity"] == "unique_fraction"
    assert any("'diversity' falls below 0" in note for note in log.notes)
    assert any("guessed" in note and "unique_fraction" in note for note in log.notes)
    named = read(write("step,reward,diversity,unique_fraction\n" + rows), diversity="diversity")
    assert named.diversity.min() < 0  # what the user names is taken as it is


def test_an_entropy_of_zero_was_not_measured(write):
    rows = "".join(f"{i},{i / 9},{0.9 - i / 50},0.0\n" for i in range(20))
    log = read(write("step,reward,diversity,entropy\n" + rows))
    assert log.columns == ("quality", "diversity")
    assert any("'entropy' is 0 in every row: it was not measured" in note for note in log.notes)


def test_only_a_guess_is_called_a_guess(write):
    rows = "".join(f"{i},{i / 9},{0.9 - i / 50}\n" for i in range(20))
    log = read(write("step,quality,entropy\n" + rows))
    assert not any("guessed" in note for note in log.notes)
    log = read(write("step,ep_rew_mean,policy_entropy\n" + rows))
    (note,) = [note for note in log.notes if "guessed" in note]
    assert "quality is 'ep_rew_mean'" in note
    assert "entropy is 'policy_entropy'" in note
