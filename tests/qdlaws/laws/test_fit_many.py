"""Many runs are fitted as each alone, in batches and in processes."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import BadData, fit, fit_many
from qdlaws.inference.error_prior import all_error_models
from qdlaws.inference.latent_path import even_covariance_factor
from qdlaws.inference.spectral import cached_path_spectrum, spectral_nodes
from tests.helpers.simulated import log_at_reference as run


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
        # not in the same batches: the same to the accuracy of the polynomials
        np.testing.assert_allclose(a.rd.draws.q, b.rd.draws.q, rtol=1e-6)


def test_a_run_is_fitted_the_same_whatever_was_fitted_before():
    """Neither the caches nor the runs of the same batch change a fit.

    A batch shares its polynomials, which carry every shape to 1e-9: a draw moves by less than 1e-4
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
