"""Every scenario gives a finite run, with a law where its verdict says that there is one."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.simulation import ERROR_MODELS, SCENARIOS


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_every_scenario_gives_a_finite_run(name: str) -> None:
    run = SCENARIOS[name].run(np.random.default_rng(0), 60, ERROR_MODELS["mixed B"], 0.1)
    assert run.x.shape == run.y.shape == (60,)
    assert np.isfinite(run.x).all()
    assert np.isfinite(run.y).all()


@pytest.mark.parametrize("name", [n for n, s in SCENARIOS.items() if s.verdict == "concave"])
def test_quality_falls_with_x_and_bends_down_where_the_verdict_is_concave(name: str) -> None:
    """A parabola through the average of thirty runs, whose errors cancel."""
    rng = np.random.default_rng(1)
    runs = [SCENARIOS[name].run(rng, 60, ERROR_MODELS["rho=.5"]) for _ in range(30)]
    bend, slope, _ = np.polyfit(runs[0].x - 0.7, np.mean([r.y for r in runs], axis=0), 2)
    assert slope < 0
    assert bend < 0
