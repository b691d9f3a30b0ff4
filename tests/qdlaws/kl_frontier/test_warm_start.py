"""Predicted diversity along the frontier, and the ratio to start from."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import BadData, frontier
from qdlaws.kl_frontier.warm_start import diversity_along, start_ratio


@pytest.fixture(scope="module")
def line_of_samples():
    """A thousand points on a line; the reward is the position."""
    rng = np.random.default_rng(0)
    place = rng.random(1000)
    return frontier(place), np.abs(place[:, None] - place[None, :])


def exact(eta):
    """E|x − y| of two draws from a density ∝ e^{ηx} on [0, 1], on a fine grid."""
    x = (np.arange(4000) + 0.5) / 4000
    w = np.exp(eta * (x - 1))
    w /= w.sum()
    below, first = np.cumsum(w), np.cumsum(w * x)
    return 2 * float((w * (x * below - first)).sum())


def test_diversity_is_the_expected_distance_under_the_tilt(line_of_samples):
    curve = diversity_along(*line_of_samples, [0.0, 1.0, 3.0, 8.0])
    assert curve == pytest.approx([exact(e) for e in (0.0, 1.0, 3.0, 8.0)], rel=0.06)


def test_diversity_without_tilt_is_the_mean_over_pairs_and_nan_beyond_the_end(line_of_samples):
    edge, distances = line_of_samples
    pairs = distances[np.triu_indices(1000, 1)]
    assert diversity_along(edge, distances, [0.0])[0] == pytest.approx(pairs.mean())
    assert np.isnan(diversity_along(edge, distances, [1e6])[0])


def test_start_has_the_floor_and_its_margin(line_of_samples):
    edge, distances = line_of_samples
    start = start_ratio(edge, 0.2, distances, margin=0.02)
    assert start.supported
    assert start.diversity == pytest.approx(0.22, abs=0.002)
    slope = (exact(start.ratio * 0.9) - exact(start.ratio * 1.1)) / np.log(1.1 / 0.9)
    assert start.gain == pytest.approx(slope, rel=0.3)


def test_a_floor_beyond_the_samples_starts_at_a_quarter_of_their_kl(line_of_samples):
    edge, distances = line_of_samples
    start = start_ratio(edge, 0.0, distances, margin=0.001)
    assert not start.supported
    assert start.reason.startswith("1000 samples cannot predict a diversity of 0")
    assert edge.at(start.ratio)["kl"] == pytest.approx(edge.kl_end / 4, rel=1e-6)
    assert start.diversity > 0.001
    assert np.isnan(start.gain)


def test_prompts_are_averaged_and_invalid_samples_left_out():
    rng = np.random.default_rng(1)
    places = rng.random((2, 300))
    d = [np.abs(p[:, None] - p[None, :]) for p in places]
    edge = frontier(places)
    both = diversity_along(edge, d, [0.0])[0]
    assert both == pytest.approx(np.mean([m[np.triu_indices(300, 1)].mean() for m in d]))
    holed = d[0].copy()
    holed[5], holed[:, 5] = np.nan, np.nan
    kept = np.delete(np.delete(d[0], 5, 0), 5, 1)[np.triu_indices(299, 1)].mean()
    assert diversity_along(frontier(places[0]), holed, [0.0])[0] == pytest.approx(kept)


def test_floors_above_the_reference_are_refused(line_of_samples):
    edge, distances = line_of_samples
    with pytest.raises(BadData, match="no ratio holds it"):
        start_ratio(edge, 0.5, distances)
    with pytest.raises(BadData, match="needed"):
        start_ratio(edge, 0.2, distances[:10, :10])
