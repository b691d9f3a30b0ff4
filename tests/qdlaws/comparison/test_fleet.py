"""Many runs: sharing one law, the mixed model against a peer, prediction for a size not yet run."""

import json

import numpy as np
import pytest

from qdlaws import BadData, NotEnoughData, RunLog, fit
from qdlaws.comparison.coefficients import Run, fit_many, runs_of
from qdlaws.comparison.fleet import compare, fleet, mixed_model
from qdlaws.errors import QdlawsError
from qdlaws.inference.error_prior import all_error_models
from qdlaws.inference.latent_path import even_covariance_factor
from qdlaws.inference.spectral import cached_path_spectrum, spectral_nodes


def run(v=0.8, s=0.5, c=4.0, n=60, seed=0, **options) -> RunLog:
    """R = v − s·expm1(c·(D − .7))/c with D from .9 to .55."""
    g = np.random.default_rng(seed)
    step = 5.0 * np.arange(n)
    d = 0.9 - 0.35 * (1 - np.exp(-step / 90))
    quality = v - s * np.expm1(c * (d - 0.7)) / c + 0.01 * g.normal(size=n)
    return RunLog.from_arrays(
        step, quality=quality, diversity=d + 0.003 * g.normal(size=n), **options
    )


def test_runs_of_one_law_share_it():
    wrong = [compare([run(seed=2 * i), run(seed=2 * i + 1)]).shared is False for i in range(25)]
    assert np.mean(wrong) <= 0.16  # .05 + 2.5 binomial errors


@pytest.mark.parametrize(
    ("other", "differs"),
    [({"v": 0.85}, "value"), ({"s": 0.8}, "exchange"), ({"c": 9.0}, "c")],
)
def test_the_coefficient_that_differs_is_named(other, differs):
    found = compare([run(seed=1), run(seed=2), run(seed=3, **other)])
    assert found.shared is False
    assert differs in found.differs
    assert found.p_values[differs] < 0.01


def test_no_law_says_nothing_about_sharing():
    g = np.random.default_rng(0)
    flat = [
        RunLog.from_arrays(
            range(40),
            quality=0.5 + 0.01 * g.normal(size=40),
            diversity=0.9 - 0.3 * np.linspace(0, 1, 40),
        )
        for _ in range(2)
    ]
    assert compare(flat).shared is None


def test_the_mixed_model_against_statsmodels():
    """Random-effects means of a peer (Paule–Mandel), for runs that differ much and little."""
    from statsmodels.stats.meta_analysis import combine_effects

    g = np.random.default_rng(1)
    sd = g.uniform(0.05, 0.15, 40)
    for tau in (0.0, 0.3):
        y = 1 + tau * g.normal(size=40) + sd * g.normal(size=40)
        runs = [Run("", None, np.full(3, m), np.full(3, s)) for m, s in zip(y, sd, strict=True)]
        ours = mixed_model(runs, 0, None)
        peer = combine_effects(y, sd**2, method_re="iterated")
        assert ours[:, 0].mean() == pytest.approx(peer.mean_effect_re, abs=0.005)
        assert ours[:, 0].std() == pytest.approx(peer.sd_eff_w_re, rel=0.12)
        assert np.median(ours[:, 2]) == pytest.approx(np.sqrt(max(peer.tau2, 0)), abs=0.05)


def test_a_size_not_yet_run_is_predicted():
    g = np.random.default_rng(5)
    sizes = np.repeat([1e6, 4e6, 16e6, 64e6], 3)
    truth = 0.7 + 0.02 * np.log(sizes / 1e6)
    logs = [run(v=t + 0.01 * g.normal(), seed=i) for i, t in enumerate(truth)]
    f = fleet(logs, size=sizes)
    slope = f.effects.loc["value", "per_log_size"]
    assert slope.low < 0.02 < slope.high
    assert slope.low > 0
    flat = f.effects.loc["exchange", "per_log_size"]
    assert flat.low < 0 < flat.high
    at = 0.7 + 0.02 * np.log(256)
    new = f.predict(0.7, size=256e6).iloc[0]
    assert new["low"] < at < new["high"]
    assert new["high"] - new["low"] < 0.12
    mean, sd = f.prior(256e6)["value"]
    assert abs(mean - f.coefficients(256e6)["value"].mid) < 0.1 * sd
    a, b, c = (f.coefficients(1e6)[k] for k in "abc")
    assert c.low < 4 < c.high
    assert b.low < 0.7 + 0.5 / 4 < b.high
    assert a.low < 0.5 * np.exp(-4 * 0.7) / 4 < a.high
    json.dumps(f.to_dict(), allow_nan=False)
    assert "12 runs" in str(f)


def test_a_fleet_without_sizes_predicts_a_new_run():
    f = fleet([run(v=v, seed=i) for i, v in enumerate((0.78, 0.8, 0.82))])
    x = f.reference
    (band,) = f.predict(x).to_dict("records")
    assert band["low"] < 0.8 < band["high"]
    assert band["mid"] == pytest.approx(f.coefficients()["value"].mid, abs=1e-9)
    assert np.isfinite(f.prior()["value"]).all()


def test_fleet_without_sizes_and_its_refusals():
    logs = [run(seed=i) for i in range(4)]
    f = fleet(logs)
    with pytest.raises(BadData, match="without model sizes"):
        f.predict(0.7, size=1e6)
    with pytest.raises(BadData, match="size needs a positive number for each of 4"):
        fleet(logs, size=[1, 2])
    with pytest.raises(NotEnoughData, match="3 runs that follow a law"):
        fleet(logs[:2])
    with pytest.raises(BadData, match="in a list"):
        compare(logs[0])
    with pytest.raises(BadData, match="names"):
        compare(logs, names=["one"])


def test_a_bad_run_is_left_out_and_listed():
    bad = RunLog.from_arrays(range(3), quality=[1, 2, 3], diversity=[1, 2, 3])
    found = fit_many([run(), bad])
    assert isinstance(found[1], QdlawsError)
    out = compare([run(seed=1), bad, run(seed=2)], names=["a", "b", "c"])
    assert list(out.left_out) == ["b"]
    assert list(out.table["run"]) == ["a", "c"]
    with pytest.raises(NotEnoughData, match="1 of 2 runs"):
        compare([run(), bad])


def test_different_measures_are_not_pooled():
    one = run(kinds={"diversity": "internal_diversity"})
    two = run(kinds={"diversity": "distinct_2"}, seed=1)
    with pytest.raises(BadData, match="measure diversity differently"):
        compare([one, two])


def test_coordinates_are_those_of_the_law():
    runs, at, kind, _ = runs_of([run(seed=1, n=200), run(seed=2, n=200)], None, None, None)
    assert kind == "rd"
    off = at - 0.7
    truth = [0.8 - 0.5 * np.expm1(4 * off) / 4, 0.5 * np.exp(4 * off), 4.0]
    for r in runs:
        np.testing.assert_array_less(np.abs(r.mean - truth), 3.5 * r.sd)


def test_a_log_that_cannot_be_fitted_gives_its_error_and_the_others_their_laws():
    good, path = fit_many([run(seed=1, n=30), "runs/first"])
    assert good.rd.posterior is not None
    assert isinstance(path, BadData)
    assert "needs a RunLog" in str(path)
    (level,) = fit_many([run(seed=1, n=30)], level=95)
    assert "between 0 and 1" in str(level)


def test_parallel_equals_serial():
    pytest.importorskip("joblib")
    logs = [run(seed=i, n=30) for i in range(4)]
    one, two = fit_many(logs), fit_many(logs, n_jobs=2)
    for a, b in zip(one, two, strict=True):
        # not in the same stacks: the same to the accuracy of the polynomials
        np.testing.assert_allclose(a.rd.draws.q, b.rd.draws.q, rtol=1e-6)


def test_a_run_is_fitted_the_same_whatever_was_fitted_before():
    """What is kept from run to run, and with whom a run is stacked, must not show.

    A stack shares its polynomials, which carry every shape to 1e-9: a draw moves by less than 1e-4
    of the posterior's standard deviation.
    """
    logs = [run(seed=i, n=n) for i, n in enumerate((40, 61, 40, 300, 61))]
    forwards, backwards = fit_many(logs), fit_many(logs[::-1])[::-1]
    for cache in (spectral_nodes, cached_path_spectrum, even_covariance_factor, all_error_models):
        cache.cache_clear()
    alone = fit(logs[-1])
    for one, two in [*zip(forwards, backwards, strict=True), (forwards[-1], alone)]:
        for name in ("kappa", "p", "q"):
            draws = [getattr(fits.rd.draws, name) for fits in (one, two)]
            np.testing.assert_allclose(*draws, rtol=0, atol=1e-4 * draws[0].std())


def test_pictures():
    import matplotlib

    matplotlib.use("Agg")
    logs = [run(seed=i) for i in range(4)]
    assert compare(logs).plot().get_ylabel() == "quality"
    assert "no difference" in str(compare(logs))
    axes = fleet(logs, size=[1, 2, 4, 8]).plot()
    assert axes[0].get_xscale() == "log"
