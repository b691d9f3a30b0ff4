"""The simulated run settles where its curves say, after its lag, and reads with its noise."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from qdlaws import RunLog
from trainer.analysis.simulated_run import CLIFF, QED, qed, simulate
from trainer.knobs import Knobs

START = Knobs(kl=0.1, reward_scale=1.0)


def unchanged(log: RunLog, knobs: Knobs) -> SimpleNamespace:
    """A controller that turns nothing."""
    return SimpleNamespace(knobs=knobs)


@pytest.mark.parametrize("plant", [QED, CLIFF])
def test_a_run_at_fixed_knobs_settles_on_its_curves(plant):
    run = simulate(plant, unchanged, START)
    assert run.truth[0] == pytest.approx(plant.curves.settled(-50.0))  # the prior
    assert run.truth[-1] == pytest.approx(plant.curves.settled(np.log(10.0)), abs=1e-6)


def test_after_one_lag_a_run_has_gone_63_percent_of_its_way():
    run = simulate(replace(QED, lag=40.0), unchanged, START, steps=40)
    start, end = (QED.curves.settled(u) for u in (-50.0, np.log(10.0)))
    assert (run.truth[4] - start) / (end - start) == pytest.approx(1 - np.exp(-1))


def test_a_weaker_kl_slows_a_plant_that_slows():
    weak = Knobs(kl=0.01, reward_scale=0.1)  # the same ratio as at the start

    def weaken(log, knobs):
        return SimpleNamespace(knobs=weak)

    usual, slow = (simulate(replace(QED, slows=slows), weaken, START) for slows in (False, True))
    assert usual.diversity[3] < slow.diversity[3]


def test_knobs_have_no_effect_during_the_dead_time():
    def loosen_once(log, knobs):
        return SimpleNamespace(knobs=replace(START, kl=0.01 if len(log) > 30 else 0.1))

    run = simulate(replace(QED, dead=20, lag=1.0), loosen_once, START, steps=400)
    before = QED.curves.diversity(np.log(10.0))
    assert run.diversity[32] == pytest.approx(before, abs=1e-6)
    assert run.diversity[33] < before - 0.01


def test_readings_scatter_about_the_truth_and_go_missing_as_stated():
    plant = replace(QED, noise=0.03, missing=0.3)
    run = simulate(plant, unchanged, START, steps=4000)
    error = run.log.column("diversity") - run.diversity
    assert np.nanstd(error) == pytest.approx(0.03, rel=0.12)
    assert np.isnan(error).mean() == pytest.approx(0.3, abs=0.08)


def test_the_curves_change_when_they_are_said_to():
    run = simulate(replace(QED, later=((300, qed(-1.0)),)), unchanged, START)
    assert run.diversity[29] == pytest.approx(QED.curves.diversity(np.log(10.0)), abs=1e-3)
    assert run.diversity[-1] == pytest.approx(qed(-1.0).diversity(np.log(10.0)), abs=1e-3)


def test_the_share_of_the_gain_is_one_where_the_run_settles_at_the_floor():
    u = QED.curves.ratio_for(0.65)
    start = Knobs(kl=0.1, reward_scale=0.1 * float(np.exp(u)))
    run = simulate(QED, unchanged, start)
    assert run.share(QED.curves, 0.65) == pytest.approx(1.0, abs=1e-6)
    assert run.below(0.64) == 0.0
    assert run.below(0.70) > 0.5
