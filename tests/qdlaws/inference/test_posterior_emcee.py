"""The closed-form posterior against emcee on exactly the same model, priors included."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.error_prior import ERROR_MODELS
from qdlaws.inference.law_posterior import law_posterior
from tests.helpers.dense import Model
from tests.helpers.simulated import D_HIGH, D_LOW, ar1, collapse, law

N = 25


def log_probability(theta: np.ndarray, model: Model) -> np.ndarray:
    """Of (κ, p, q, log σ, log ℓ, v), one row a walker; the three error models summed out.

    White errors leave ℓ and v, slow ones leave v, to their priors; that changes nothing for the
    law.
    """
    kappa, p, q, log_sigma, logl, v = theta.T
    inside = (np.abs(kappa) < model.reach) & (v > 0) & (v < 1)
    inside &= (logl > model.logl[0]) & (logl < model.logl[1]) & (np.abs(log_sigma) < 20)
    out = np.full(len(theta), -np.inf)
    if not inside.any():
        return out
    kappa, p, q, log_sigma, logl, v = theta[inside].T
    nu = np.sin(np.pi * v / 2) ** 2
    m = len(kappa)
    r = (model.y - p[:, None] - q[:, None] * model.g(kappa)) / np.exp(log_sigma)[:, None]
    both, slow = model.sigma(logl, nu), model.sigma(logl, np.zeros(m))
    half = np.linalg.cholesky(np.concatenate([both, slow]))
    z = np.linalg.solve(half, np.concatenate([r, r])[..., None])[..., 0]
    logdet = np.log(np.diagonal(half, axis1=1, axis2=2)).sum(1)
    like = -0.5 * (z**2).sum(1) - logdet - model.n * np.tile(log_sigma, 2)
    white = -0.5 * (r**2).sum(1) - model.n * log_sigma
    prior = model.log_memory(logl)
    terms = np.stack(
        [
            np.log(ERROR_MODELS["both"]) + like[:m] + prior,
            np.log(ERROR_MODELS["slow"]) + like[m:] + prior,
            np.log(ERROR_MODELS["white"]) + white + prior,
        ]
    )
    out[inside] = np.logaddexp.reduce(terms, axis=0) + model.log_kappa(kappa)
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("kappa", "rho", "seed"), [(2.0, 0.0, 0), (-3.0, 0.6, 4)])
def test_posterior_agrees_with_emcee(kappa, rho, seed):
    import emcee

    rng = np.random.default_rng(seed)
    step, x = np.arange(float(N)), collapse(N)
    y = law(kappa).value(x) + 0.05 * ar1(rng, N, rho)
    model = Model(step, x, y)
    post = law_posterior(step, x, y)

    walkers, steps, burn = 80, 6000, 1500
    rows = rng.choice(len(post.sigma), walkers, replace=False)  # a start; forgotten by the burn-in
    start = np.column_stack(
        [
            post.law.kappa[rows],
            post.law.p[rows],
            post.law.q[rows],
            np.log(post.sigma[rows]),
            rng.uniform(*model.logl, walkers),
            rng.uniform(0.1, 0.9, walkers),
        ]
    )
    sampler = emcee.EnsembleSampler(
        walkers, 6, log_probability, args=[model], vectorize=True, moves=emcee.moves.DEMove()
    )
    sampler.random_state = np.random.RandomState(seed).get_state()
    sampler.run_mcmc(start, steps)
    chain = sampler.get_chain(discard=burn)
    length = sampler.get_autocorr_time(discard=burn, quiet=True).max()
    effective = chain.shape[0] * walkers / length
    assert effective > 500
    k, p, q, log_sigma = chain.reshape(-1, 6)[:, :4].T

    def value(x, k, p, q):
        u = (x - model.x_lo) / (model.x_hi - model.x_lo)
        return p + q * np.expm1(k * u) / np.expm1(k)

    pairs = [(k, post.law.kappa), (log_sigma, np.log(post.sigma))]
    pairs += [(value(x, k, p, q), post.law.value(x)) for x in (D_LOW, (D_LOW + D_HIGH) / 2, D_HIGH)]
    for theirs, ours in pairs:
        sd = np.subtract(*np.quantile(theirs, [0.84, 0.16])) / 2
        # 1.25/√n is the error of a median; 4 of them, and 5 % for the library's coarse grid
        tolerance = (4 * 1.25 / np.sqrt(effective) + 0.05) * sd
        assert np.median(ours) == pytest.approx(np.median(theirs), abs=tolerance)
        # 41 nodes of κ widen a sharp peak with long tails by up to 14 %: on the safe side
        assert np.subtract(*np.quantile(ours, [0.84, 0.16])) / 2 == pytest.approx(sd, rel=0.18)
        for level in (0.025, 0.975):
            reached = np.mean(theirs < np.quantile(ours, level))
            chance = 2 * np.sqrt(level * (1 - level) / effective)
            assert reached == pytest.approx(level, abs=0.015 + chance)
