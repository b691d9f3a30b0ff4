"""forecast: what it says of runs whose future is known, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.forecasting.column import clock
from qdlaws.forecasting.forecast import forecast
from qdlaws.forecasting.law_member import record
from qdlaws.forecasting.learn_prior import ends, learn_prior
from qdlaws.forecasting.prior import DEFAULT_PRIOR, ForecastPrior
from qdlaws.laws.fit import fit


def law_run(n=200, noise=0.02, seed=0):
    """R = 1 − .3·exp(1.2·H) along an entropy that falls in log step; the whole run."""
    rng = np.random.default_rng(seed)
    step = np.arange(1.0, n + 1)
    entropy = 1.2 - 0.18 * np.log(step)
    quality = 1 - 0.3 * np.exp(1.2 * entropy) + noise * rng.standard_normal(n)
    measured = entropy + 0.01 * rng.standard_normal(n)
    diversity = 0.5 + 0.3 * entropy + 0.01 * rng.standard_normal(n)
    return qd.RunLog.from_arrays(step, quality=quality, entropy=measured, diversity=diversity)


def truth(step):
    entropy = 1.2 - 0.18 * np.log(step)
    return 1 - 0.3 * np.exp(1.2 * entropy), entropy


@pytest.fixture(scope="module")
def fc():
    return forecast(fit(law_run()[:101]), horizon=100)


def test_every_column_is_foretold(fc):
    assert fc.columns == ("quality", "diversity", "entropy")
    table = fc.at([150, 200])
    assert list(table.columns) == ["column", "step", "low", "mid", "high"]
    assert len(table) == 6
    assert (table["low"] < table["mid"]).all()
    assert (table["mid"] < table["high"]).all()


def test_it_meets_what_comes(fc):
    quality, entropy = truth(200.0)
    for name, value in (("quality", quality), ("entropy", entropy)):
        assert fc.final[name].low < value < fc.final[name].high
    last = fc.now["quality"].mid
    assert abs(fc.final["quality"].mid - quality) < 0.6 * abs(last - quality)


def test_final_is_the_end_of_the_horizon(fc):
    table = fc.at(200).set_index("column")
    for name, interval in fc.final.items():
        assert interval.mid == table.loc[name, "mid"]
        assert interval.level == 0.8


def test_the_law_is_a_member_with_a_weight(fc):
    said = [r for r in fc.reasons if "law through the clock" in r]
    assert len(said) == 1
    weight = fc.clocks["quality"].law_weight
    assert 0 < weight < 1
    np.testing.assert_allclose(fc.clocks["quality"].weight.sum(), 1.0)


def wave(seed, lag=1.0):
    """R a curved law of an H that swings in log step; with a lag the log shows the H of earlier."""
    rng = np.random.default_rng(seed)
    step = np.arange(1.0, 201)
    entropy = 0.8 + 0.3 * np.cos(2.2 * np.log(step))
    quality = 2 - np.exp(1.5 * entropy) + 0.01 * rng.standard_normal(200)
    shown = np.interp(lag * step, step, entropy) + 0.003 * rng.standard_normal(200)
    return qd.RunLog.from_arrays(step, quality=quality, entropy=shown)


def test_a_law_earns_weight_by_what_it_foretold():
    """The true law foretold what came better than the pool did, that of a lagging H worse."""
    for seed in range(3):
        true, lagging = wave(seed), wave(seed, lag=0.45)
        quality = clock(true, "quality")
        assert record(quality, clock(true, "entropy")) > 0
        assert record(quality, clock(lagging, "entropy")) < 0
    earned = forecast(fit(wave(0)), 40).clocks["quality"].law_weight
    assert earned > DEFAULT_PRIOR.law


def test_unsupported_laws_stay_out():
    rng = np.random.default_rng(1)
    step = np.arange(1.0, 101)
    log = qd.RunLog.from_arrays(
        step, quality=rng.standard_normal(100), entropy=1 + 0.1 * rng.standard_normal(100)
    )
    fits = fit(log)
    assert not fits.rh.supported
    with_laws, without = forecast(fits, 50), forecast(log, 50)
    assert with_laws.final == without.final
    assert not any("law" in r for r in with_laws.reasons)


def test_step_when(fc):
    quality, _ = truth(125.0)
    soon = fc.step_when(quality=quality)
    assert 100 <= soon.low < 125
    assert soon.probability > 0.5
    never = fc.step_when(quality=5.0)
    assert not never.known
    assert np.isnan(never.mid)
    assert never.probability < 0.02
    _, entropy = truth(140.0)
    assert fc.step_when(entropy=entropy).probability > 0.5
    with pytest.raises(qd.BadData, match="one of"):
        fc.step_when(quality=0.5, entropy=0.1)
    with pytest.raises(qd.BadData, match="one of"):
        fc.step_when()


def test_more_is_known_of_the_near_than_of_the_far(fc):
    q = fc.at([110, 150, 200, 400]).query("column == 'quality'")
    assert np.all(np.diff(q["high"] - q["low"]) > 0)


@pytest.mark.parametrize("n", [18, 46])
def test_a_run_that_moves_at_last_only(n):
    """Constant up to its last reading: no law can be tried earlier, and nothing overflows."""
    step = np.arange(n) * 10.0
    quality = np.where(step < step[-1], -1.0, 0.0)
    log = qd.RunLog.from_arrays(step, quality=quality, entropy=np.exp(-np.arange(n) / 5))
    fc = forecast(fit(log), 100)
    assert fc.final["quality"].low <= fc.final["quality"].mid <= fc.final["quality"].high


def test_a_flat_run_stays():
    rng = np.random.default_rng(2)
    log = qd.RunLog.from_arrays(np.arange(1.0, 201), quality=rng.standard_normal(200))
    fc = forecast(log, 200)
    assert abs(fc.final["quality"].mid) < 0.35
    assert fc.final["quality"].low < 0 < fc.final["quality"].high


def test_a_mark_restarts_the_clock():
    log = law_run().with_marks(120)
    fc = forecast(fit(log), 50)
    assert fc.clocks["quality"].data.origin == 119
    assert fc.step == 200


def test_summary_and_dict(fc):
    import json

    said = fc.to_dict()
    json.dumps(said, allow_nan=False)
    assert set(said["final"]) == {"quality", "diversity", "entropy"}
    assert said["horizon"] == 100
    assert "step 100 to 200" in str(fc.summary())
    assert "quality" in repr(fc)


def test_plot(fc):
    import matplotlib as mpl

    mpl.use("Agg")
    figure = fc.plot()
    assert [ax.get_ylabel() for ax in figure.axes] == list(fc.columns)


def test_bad_questions_are_refused():
    with pytest.raises(qd.BadData, match="positive number of steps"):
        forecast(law_run(), horizon=0)
    with pytest.raises(qd.BadData, match="between 0 and 1"):
        forecast(law_run(), level=80)
    with pytest.raises(qd.NotEnoughData, match="4 readings of quality"):
        forecast(law_run()[:5])
    with pytest.raises(qd.MissingColumn, match="no forecast of diversity"):
        forecast(qd.RunLog.from_arrays(np.arange(9), quality=np.arange(9.0))).step_when(diversity=1)


def test_a_column_with_too_few_readings_is_left_out():
    step = np.arange(1.0, 21)
    diversity = np.where(step < 4, 0.5, np.nan)
    fc = forecast(qd.RunLog.from_arrays(step, quality=np.log(step), diversity=diversity), 20)
    assert fc.columns == ("quality",)
    assert any("no forecast of diversity" in r for r in fc.reasons)


@pytest.mark.slow
def test_intervals_hold_where_trends_break():
    """200 runs whose trend breaks at a random step; .8 ± 3 binomial standard errors below, and
    above no limit but .97: most of these runs are foretold from before their break."""
    rng = np.random.default_rng(12)
    inside = []
    for _ in range(200):
        n = int(rng.integers(60, 300))
        t = np.arange(1, n + 1) / n
        when = rng.uniform(0.05, 0.95)
        path = rng.normal(0.5, 0.7) * t + rng.normal(0, 0.7) * np.maximum(t - when, 0)
        y = path + rng.uniform(0.05, 0.3) * rng.standard_normal(n)
        cut, tail = int(n * rng.choice([0.25, 0.5, 0.75])), n // 10
        log = qd.RunLog.from_arrays(np.arange(n), quality=y)
        c = clock(log.take(slice(0, cut)), "quality")
        row = c.at([log.step[-tail:].mean()], readings=tail).iloc[0]
        inside.append(row["low"] <= y[-tail:].mean() <= row["high"])
    assert 0.8 - 3 * np.sqrt(0.16 / 200) < np.mean(inside) < 0.97


# ---------------------------------------------------------------------- the prior


def rising(count, seed):
    rng = np.random.default_rng(seed)
    logs = []
    for _ in range(count):
        step = np.arange(1.0, 101)
        y = rng.uniform(0.5, 1.5) * np.log(step) + 0.3 * rng.standard_normal(100)
        logs.append(qd.RunLog.from_arrays(step, quality=y))
    return logs


def test_learning_helps_on_more_of_the_same():
    """The prior learnt on rising runs gives the ends of other rising runs more density."""
    learnt = learn_prior(rising(25, 0), strength=2.0)
    assert learnt.runs == 25

    def density(prior: ForecastPrior) -> float:
        e = ends(rising(15, 1), prior=prior)
        fade = prior.recency ** np.arange(e.rolling.shape[2])
        logw = prior.log_weight + np.einsum(
            "h,j,chjk->ck", np.asarray(prior.trust), fade, e.rolling
        )
        w = np.exp(logw - logw.max(1, keepdims=True))
        w /= w.sum(1, keepdims=True)
        return float(np.log((w * np.exp(e.density)).sum(1)).mean())

    assert density(learnt) > density(DEFAULT_PRIOR)


def test_few_runs_move_the_prior_little():
    logs = rising(2, 3)
    near, far = (learn_prior(logs, strength=s) for s in (1e6, 0.5))
    for value, weight in near.slope.items():
        assert weight == pytest.approx(
            DEFAULT_PRIOR.slope[value] / sum(DEFAULT_PRIOR.slope.values()), abs=1e-3
        )
    assert near.drift == DEFAULT_PRIOR.drift
    assert max(abs(far.slope[v] - near.slope[v]) for v in near.slope) > 1e-3


def test_prior_is_used_and_checked():
    log = law_run()[:101]
    still = replace(DEFAULT_PRIOR, slope={0.0: 1.0}, roam={0.0: 1.0})
    fc = forecast(log, 100, prior=still)
    assert fc.final["quality"].mid == pytest.approx(fc.now["quality"].mid)
    with pytest.raises(qd.BadData, match="positive weights"):
        replace(DEFAULT_PRIOR, roam={0.0: 0.0})
    with pytest.raises(qd.NotEnoughData, match="no finished run"):
        learn_prior([qd.RunLog.from_arrays([1, 2], quality=[1, 2])])


def test_import_is_light():
    import subprocess
    import sys

    code = (
        "import sys, qdlaws.forecasting.forecast, qdlaws.forecasting.backtest\n"
        "heavy = {'statsmodels', 'lmfit', 'matplotlib', 'scipy.stats'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
