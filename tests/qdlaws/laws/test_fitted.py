"""Quantities of a fitted law: intervals, predictions, residuals, extrapolation."""

from __future__ import annotations

import numpy as np
import pytest

import qdlaws as qd
from qdlaws import simulation
from tests.helpers.simulated import D_HIGH, D_LOW, frame, log


@pytest.fixture(scope="module")
def fits() -> qd.LawFits:
    return qd.fit(log())


def test_quantities_are_quantiles_over_the_draws(fits):
    rd = fits.rd
    x = 0.5
    for value, draws in (
        (rd.exchange_rate(x), -rd.draws.slope(x)),
        (rd.ceiling(), rd.draws.ceiling),
        (rd.diversity_for(0.7), rd.draws.inverse(0.7)),
        (rd.operating_point(1.0), rd.draws.operating_point(1.0)),
        (rd.params.c, rd.draws.c),
    ):
        finite = draws[np.isfinite(draws)]
        assert value[:3] == pytest.approx(np.quantile(finite, [0.025, 0.5, 0.975]))
    band = rd.predict([x])
    assert list(band.columns) == ["x", "low", "mid", "high"]
    assert band.iloc[0, 1:].tolist() == pytest.approx(
        np.quantile(rd.draws.value(x), [0.025, 0.5, 0.975])
    )


def test_levels_are_nested_and_observations_are_wider(fits):
    x = np.linspace(D_LOW, D_HIGH, 5)
    narrow, wide = fits.rd.predict(x, level=0.5), fits.rd.predict(x, level=0.99)
    assert np.all(wide["low"] < narrow["low"])
    assert np.all(narrow["high"] < wide["high"])
    new = fits.rd.predict(x, kind="observation")
    mean = fits.rd.predict(x)
    assert np.all(new["high"] - new["low"] > mean["high"] - mean["low"])
    assert qd.fit(log(), level=0.5).rd.params.c.level == 0.5


def test_an_observation_interval_covers_new_checkpoints():
    covered = []
    for seed in range(10):
        data = frame(n=80, seed=seed)
        fitted = qd.fit(qd.RunLog.from_frame(data.iloc[::2]), x_noise="none").rd
        left = data.iloc[1::2]
        band = fitted.predict(left["diversity"].to_numpy(), kind="observation")
        y = left["quality"].to_numpy()
        covered.append(np.mean((band["low"] < y) & (y < band["high"])))
    assert 0.88 < np.mean(covered) <= 1.0


def test_the_residuals_describe_the_errors():
    law = qd.fit(log(n=300, sigma=0.05, rho=0.7)).rd
    assert law.sigma == pytest.approx(0.05, rel=0.3)
    assert law.rho == pytest.approx(0.7, abs=0.15)
    assert law.r2 > 0.9
    assert np.std(law.residuals) == pytest.approx(0.05, rel=0.3)


def test_extrapolation_is_measured_in_ranges(fits):
    low, high = fits.rd.range
    assert fits.rd.extrapolation((low + high) / 2) == 0
    assert fits.rd.extrapolation(high + 2 * (high - low)) == pytest.approx(2)
    assert fits.rd.extrapolation(low - (high - low)) == pytest.approx(1)


def test_arguments_out_of_bounds_are_refused(fits):
    with pytest.raises(qd.BadData, match="must be positive"):
        fits.rd.operating_point(0.0)
    with pytest.raises(qd.BadData, match="level"):
        fits.rd.predict([0.5], level=2.0)
    with pytest.raises(qd.BadData, match="kind"):
        fits.rd.predict([0.5], kind="median")


def test_the_path_of_a_run_holds_its_law_and_its_slow_error():
    held, beside = [], []
    for seed in range(6):
        rng, n = np.random.default_rng(seed), 80
        true, x = simulation.true_law(2.0), simulation.falling_path(n)
        errors = simulation.ErrorModel(white=0.3, rho=0.97)
        slow, white = (0.12 * part for part in simulation.error_parts(rng, n, errors))
        run = simulation.SimulatedRun(np.arange(n), x, true.value(x) + slow + white)
        law = qd.fit(run.log()).rd
        path, smooth = law.run_path(), true.value(x) + slow
        held.append(np.mean((path["low"] <= smooth) & (smooth <= path["high"])))
        beside.append(np.std(path["mid"] - smooth) / np.std(law.fitted - smooth))
    assert np.mean(held) > 0.85
    assert np.mean(beside) < 0.8  # the law alone misses the slow error


def test_the_path_of_a_run_has_as_many_rows_as_wanted(fits):
    path = fits.rd.run_path(n=7)
    assert list(path.columns) == ["step", "x", "low", "mid", "high"]
    assert len(path) == 7
    assert path["step"].iloc[[0, -1]].tolist() == fits.rd.step[[0, -1]].tolist()
    narrow = fits.rd.run_path(n=7, level=0.5)
    assert np.all(narrow["high"] - narrow["low"] < path["high"] - path["low"])
