"""The evidence for a verdict is that of the posterior and of the path of x."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.latent_path import LatentPath
from qdlaws.inference.law_posterior import law_posterior
from qdlaws.laws.evidence import evidence
from tests.helpers.simulated import ar1, collapse, law


def test_evidence_counts_the_errors_that_last_for_a_third_of_the_run():
    n, x = 60, collapse(60)
    step, rng = np.arange(float(n)), np.random.default_rng(0)
    path = LatentPath(x, np.full(n, 0.01), np.full((n, 4), 0.02))
    shares = []
    for rho in (0.0, 0.99):
        y = law(2.0).value(x) + 0.1 * ar1(rng, n, rho)
        post = law_posterior(step, x, y)
        about = evidence(post, ("diversity", "quality"), (step, y), path, float(n - 1))
        assert about.p_falls == post.p_falls
        assert about.path_error == pytest.approx(np.full(n, 0.04))
        assert about.noise == pytest.approx(0.01)
        shares.append(about.slow.mean())
    assert shares[0] + 0.3 < shares[1]
