"""Ending trials by their forecast: in Optuna, and in Ray Tune where it is installed."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import BadData
from qdlaws.integrations.tuning import _ForecastPruner, _ForecastStopper, out_of_reach

STEPS = np.arange(1, 61)


def curve(ceiling, seed=0):
    """The qualities of a run that saturates at its ceiling."""
    noise = 0.004 * np.random.default_rng(seed).standard_normal(len(STEPS))
    return ceiling * (1 - np.exp(-STEPS / 8)) + noise


def test_a_run_far_below_the_best_is_out_of_reach_and_a_rising_one_is_not():
    seen = slice(None, 30)
    low, high = curve(0.5), curve(0.9)
    assert out_of_reach(STEPS[seen], low[seen], 0.9, last_step=60)
    assert not out_of_reach(STEPS[seen], high[seen], 0.88, last_step=60)
    # a loss: lower is better
    assert out_of_reach(STEPS[seen], -low[seen], -0.9, last_step=60, higher_is_better=False)
    assert not out_of_reach(STEPS[seen], -high[seen], -0.88, last_step=60, higher_is_better=False)


def test_few_reports_and_the_last_step_end_nothing():
    low = curve(0.2)
    assert not out_of_reach(STEPS[:11], low[:11], 0.9, last_step=60)
    assert not out_of_reach(STEPS, low, 0.9, last_step=60)
    assert not out_of_reach([], [], 0.9, last_step=60)
    assert not out_of_reach(STEPS[:30], np.full(30, np.nan), 0.9, last_step=60)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_optuna_prunes_the_trials_that_cannot_win(direction):
    optuna = pytest.importorskip("optuna")
    from qdlaws.integrations.tuning import ForecastPruner

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sign = 1 if direction == "maximize" else -1

    def objective(trial):
        ceiling = trial.suggest_categorical("ceiling", [0.9, 0.4, 0.95])
        values = sign * curve(ceiling, trial.number)
        for step, value in zip(STEPS, values, strict=True):
            trial.report(float(value), int(step))
            if step % 10 == 0 and trial.should_prune():
                raise optuna.TrialPruned
        return float(values[-1])

    study = optuna.create_study(direction=direction, pruner=ForecastPruner(last_step=60))
    assert isinstance(study.pruner, optuna.pruners.BasePruner)
    for ceiling in (0.9, 0.4, 0.95, 0.4):
        study.enqueue_trial({"ceiling": ceiling})
    study.optimize(objective, n_trials=4)
    assert [t.state.name for t in study.trials] == ["COMPLETE", "PRUNED", "COMPLETE", "PRUNED"]
    assert max(study.trials[1].intermediate_values) <= 30


def test_the_stopper_ends_the_trial_that_cannot_win():
    stopper = _ForecastStopper("reward", last_step=60)
    ended = {}
    for step, good, bad in zip(STEPS, curve(0.9), curve(0.4), strict=True):
        for name, value in (("good", good), ("bad", bad)):
            if name not in ended and stopper(name, {"training_iteration": step, "reward": value}):
                ended[name] = step
    assert ended["good"] == 60
    assert 12 <= ended["bad"] < 40
    assert not stopper("other", {"loss": 1.0})
    assert not stopper.stop_all()


@pytest.mark.peers
def test_ray_tune_ends_the_trial_that_cannot_win(tmp_path, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "300")  # a busy machine starts it slowly
    import ray
    from ray import tune

    from qdlaws.integrations.tuning import ForecastStopper

    def train(config):
        for step, value in zip(STEPS, curve(config["ceiling"]), strict=True):
            tune.report({"reward": float(value), "step": int(step)})

    ray.init(num_cpus=1, object_store_memory=2**27, include_dashboard=False)
    tuner = tune.Tuner(
        train,
        param_space={"ceiling": tune.grid_search([0.9, 0.4])},
        tune_config=tune.TuneConfig(max_concurrent_trials=1),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path), verbose=0, stop=ForecastStopper("reward", last_step=60)
        ),
    )
    try:
        results = tuner.fit()
    finally:
        ray.shutdown()
    ran = {r.config["ceiling"]: r.metrics["training_iteration"] for r in results}
    assert ran[0.9] == 60
    assert ran[0.4] < 40


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: _ForecastPruner(0), "last_step=0"),
        (lambda: _ForecastPruner(10, level=1.5), "level=1.5"),
        (lambda: _ForecastStopper("r", 10, mode="up"), "one of max, min"),
    ],
)
def test_bad_options_are_one_line(make, words):
    with pytest.raises(BadData, match=words):
        make()
