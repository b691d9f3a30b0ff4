"""Keyed noise: the published generator, uniform, and different for every key and position."""

import numpy as np
import pytest
from scipy import stats

from trainer.sampling.keyed_noise import splitmix, streams, uniforms


def test_splitmix_gives_the_published_numbers():
    """First five outputs of the reference implementation seeded with 1234567."""
    seed = np.full(5, 1234567, np.uint64)
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert splitmix(seed, np.arange(5, dtype=np.uint64)).tolist() == expected


def test_uniforms_are_uniform_and_unrelated():
    """Keys that differ by one in one part, as a run's do: the hardest case for a hash."""
    keys = [(0, 0, step, prompt, j) for step in range(4) for prompt in range(10) for j in range(50)]
    u = uniforms(streams(keys), 0, 40)
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    assert u.min() >= 0
    assert u.max() < 1
    for first, second in [(u[:-1], u[1:]), (u[:, :-1], u[:, 1:]), (u[:-50], u[50:])]:
        r = np.corrcoef(first.ravel(), second.ravel())[0, 1]
        assert abs(r) < 4 / np.sqrt(first.size)
    pairs = np.histogram2d(u[:, 0], u[:, 1], bins=10, range=[[0, 1]] * 2)[0]
    assert stats.chisquare(pairs.ravel()).pvalue > 1e-3


def test_noise_is_a_function_of_key_and_position():
    keys = [(7, 1, 2, 3, 4), (7, 1, 2, 4, 3), (7, 1, 2, 3, 5)]
    whole = uniforms(streams(keys), 0, 30)
    np.testing.assert_array_equal(uniforms(streams(keys[::-1]), 10, 20), whole[::-1, 10:20])
    assert len(np.unique(whole)) == whole.size


@pytest.mark.parametrize("other", [(-1,), (2**64 - 2,), (1, 0), (0, 1), ()])
def test_keys_differ_in_value_and_in_length(other):
    assert streams([(1,)])[0] != streams([other])[0]


def test_no_keys_no_noise():
    assert uniforms(streams([]), 0, 5).shape == (0, 5)
