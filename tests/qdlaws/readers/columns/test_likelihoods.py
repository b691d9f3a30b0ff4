"""The likelihoods of agent and prior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qdlaws.readers import read
from qdlaws.readers.columns.likelihoods import AGENT_NLL, PRIOR_MINUS_AGENT, with_likelihoods


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("agent", "prior"),
    [("NLL/agent", "NLL/prior"), ("nll/avg/agent", "nll/avg/prior"),
     ("Agent_likelihoods", "Prior_likelihoods"),
     ("Loss (likelihood averages)/agent NLL", "Loss (likelihood averages)/prior NLL")],
)  # fmt: skip
def test_the_sign_says_whether_numbers_are_likelihoods_or_their_negatives(agent, prior, sign):
    frame = pd.DataFrame({agent: sign * np.array([20.0, 15.0]), prior: sign * np.array([20.0, 25])})
    frame, note = with_likelihoods(frame)
    np.testing.assert_array_equal(frame[AGENT_NLL], [20, 15])
    np.testing.assert_array_equal(frame[PRIOR_MINUS_AGENT], [0, 10])
    assert bool(note) == (sign < 0)


@pytest.mark.parametrize(
    "names",
    [
        ("nll/variance/agent", "nll/variance/prior"),
        ("nll/avg/agent", "step"),
        ("agent_reward", "prior_reward"),
    ],
)
def test_other_columns_are_left_alone(names):
    frame = pd.DataFrame({name: [1.0, 2.0] for name in names})
    assert with_likelihoods(frame)[0] is frame


def test_a_table_of_likelihoods_has_an_entropy(write):
    rows = "".join(f"{i},{i / 99},{-46 + i / 9},{-46}\n" for i in range(60))
    log = read(write("step,Score,Agent_likelihoods,Prior_likelihoods\n" + rows))
    np.testing.assert_allclose(log.entropy, 46 - np.arange(60) / 9)
    assert log.kinds["entropy"] == "sequence_nll"
