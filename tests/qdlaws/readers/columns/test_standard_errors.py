"""Standard errors of logged means."""

from __future__ import annotations

import numpy as np

from qdlaws.readers import read
from tests.helpers.make_fixtures import FIXTURES


def test_standard_errors_as_logged_and_from_a_spread(write):
    log = read(write("step,reward,reward_stderr\n1,.1,.01\n2,.2,.02\n"))
    np.testing.assert_allclose(log.quality_se, [0.01, 0.02])
    log = read(write("step,reward/mean,reward/std,n_samples\n1,.1,.4,16\n2,.2,.4,64\n"))
    np.testing.assert_allclose(log.quality_se, [0.1, 0.05])


def test_batch_size_turns_a_logged_spread_into_a_standard_error():
    plain = read(FIXTURES / "trl", series="train")
    log = read(FIXTURES / "trl", series="train", batch_size=16)
    assert plain.quality_se is None
    np.testing.assert_allclose(log.quality_se, log.extra["reward_std"] / 4)
