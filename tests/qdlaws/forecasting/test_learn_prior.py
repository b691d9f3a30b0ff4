"""The prior learnt from finished runs."""

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.forecasting.learn_prior import end_forecasts, learn_prior
from qdlaws.forecasting.prior import DEFAULT_PRIOR, ForecastPrior
from tests.helpers.forecast_runs import rising_runs


def test_a_learnt_prior_is_better_on_more_runs_of_the_same_kind():
    """Learnt on rising runs it gives the ends of other rising runs more density."""
    learnt = learn_prior(rising_runs(25, 0), strength=2.0)
    assert learnt.runs == 25

    def density(prior: ForecastPrior) -> float:
        e = end_forecasts(rising_runs(15, 1), prior=prior)
        fade = prior.recency ** np.arange(e.rolling.shape[2])
        logw = prior.log_weight + np.einsum(
            "h,j,chjk->ck", np.asarray(prior.trust), fade, e.rolling
        )
        w = np.exp(logw - logw.max(1, keepdims=True))
        w /= w.sum(1, keepdims=True)
        return float(np.log((w * np.exp(e.density)).sum(1)).mean())

    assert density(learnt) > density(DEFAULT_PRIOR)


def test_few_runs_move_the_prior_little():
    logs = rising_runs(2, 3)
    near, far = (learn_prior(logs, strength=s) for s in (1e6, 0.5))
    for value, weight in near.slope.items():
        assert weight == pytest.approx(
            DEFAULT_PRIOR.slope[value] / sum(DEFAULT_PRIOR.slope.values()), abs=1e-3
        )
    assert near.drift == DEFAULT_PRIOR.drift
    assert max(abs(far.slope[v] - near.slope[v]) for v in near.slope) > 1e-3


def test_without_finished_runs_nothing_is_learnt():
    with pytest.raises(qd.NotEnoughData, match="no finished run"):
        learn_prior([qd.RunLog.from_arrays([1, 2], quality=[1, 2])])
