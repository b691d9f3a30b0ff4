"""Stopping: a run ends where advice that may be looked at after every step says so."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qdlaws import Goal
from tests.helpers.control_logs import FLOOR, log_with
from trainer.control import never_stop, stop_when_advised


def test_a_run_stops_once_its_gain_is_gone_and_keeps_a_checkpoint():
    rng = np.random.default_rng(0)
    k = np.arange(80)
    quality = 0.5 + 0.4 * (1 - np.exp(-k / 8)) + 0.004 * rng.standard_normal(80)
    log = log_with(0.9 - 0.002 * k, quality=quality)
    stopper = stop_when_advised(Goal(min_gain_per_step=2e-4))
    stops = [stopper(log.take(slice(0, n)), None) for n in (10, 20, 80)]
    assert [s.stop for s in stops] == [False, False, True]
    kept = stopper(log, [0.0, 300.0, 400.0])
    assert kept.checkpoint in (300.0, 400.0)
    assert kept.confidence > 0.95
    assert kept.saved(1580) == pytest.approx(0.5)
    assert stops[0].saved(1580) == 0
    json.dumps(kept.as_dict(), allow_nan=False)


def test_a_controlled_run_that_holds_its_floor_goes_on(noisy_run):
    stopper = stop_when_advised(FLOOR)
    assert not any(stopper(noisy_run.log.take(slice(0, n)), None).stop for n in range(5, 31, 5))
    assert not never_stop()(noisy_run.log, None).stop
