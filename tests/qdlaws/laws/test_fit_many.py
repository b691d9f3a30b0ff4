"""Many runs are fitted as each alone, in one process and in several."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import BadLog, fit, fit_many
from tests.helpers.simulated import log_at_reference as run


def test_a_log_that_cannot_be_fitted_gives_its_error_and_the_others_their_laws():
    good, path = fit_many([run(seed=1, n=30), "runs/first"])
    assert good.rd.posterior is not None
    assert isinstance(path, BadLog)
    assert "no such file or folder" in str(path)
    (level,) = fit_many([run(seed=1, n=30)], level=95)
    assert "between 0 and 1" in str(level)


def test_parallel_equals_serial():
    pytest.importorskip("joblib")
    logs = [run(seed=i, n=30) for i in range(4)]
    one, two = fit_many(logs), fit_many(logs, n_jobs=2)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.rd.draws.q, b.rd.draws.q)


def test_a_run_is_fitted_the_same_whatever_was_fitted_before():
    logs = [run(seed=i, n=n) for i, n in enumerate((40, 61, 40, 300, 61))]
    forwards, backwards = fit_many(logs), fit_many(logs[::-1])[::-1]
    for one, two in [*zip(forwards, backwards, strict=True), (forwards[-1], fit(logs[-1]))]:
        for name in ("kappa", "p", "q"):
            draws = [getattr(fits.rd.draws, name) for fits in (one, two)]
            np.testing.assert_array_equal(*draws)
