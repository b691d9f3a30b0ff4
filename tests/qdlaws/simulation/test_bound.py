"""The Cramér–Rao bound against least squares, and the errors that are sized by it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from qdlaws.core.law import shape
from qdlaws.simulation import (
    ERROR_MODELS,
    cramer_rao,
    error_size,
    falling_path,
    jacobian,
    true_law,
)


def test_least_squares_reaches_the_bound_under_white_errors() -> None:
    law, path = true_law(2.0), falling_path(200)
    rng, u = np.random.default_rng(2), path - 0.2
    fits = [
        curve_fit(
            lambda u, p, q, k: p + q * shape(k, u),
            u,
            law.value(path) + 0.02 * rng.standard_normal(200),
            p0=(1.0, -1.0, 2.0),
        )[0]
        for _ in range(400)
    ]
    bound = cramer_rao(law, path, 0.02, ERROR_MODELS["rho=0"], np.array([0.2]))
    spread = np.std(fits, axis=0)
    # the standard error of a standard deviation of 400 is 3.5 %
    assert spread == pytest.approx([bound.value[0], bound.q, bound.kappa], rel=0.12)


def test_noise_in_x_costs_information() -> None:
    law, path, x = true_law(2.0), falling_path(60), np.array([0.7])
    exact, noisy = (
        cramer_rao(law, path, 0.05, ERROR_MODELS["rho=.5"], x, noise) for noise in (0.0, 0.1)
    )
    assert noisy.kappa > exact.kappa
    assert noisy.value > exact.value


def test_the_gradient_of_a_law_is_that_of_differences() -> None:
    law, x, h = true_law(1.5), np.array([0.1, 0.7, 1.3]), 1e-6
    turned = true_law(1.5 + h).value(x) - true_law(1.5 - h).value(x)
    assert jacobian(law, x)[:, 2] == pytest.approx(turned / (2 * h), rel=1e-5)


@pytest.mark.parametrize("kappa", [2.0, 0.0])
def test_errors_are_sized_so_that_the_effect_is_four_standard_errors(kappa: float) -> None:
    law, path, errors = true_law(kappa), falling_path(60), ERROR_MODELS["rho=.8"]
    sigma = error_size(law, path, errors, 0.1, effect=4.0)
    bound = cramer_rao(law, path, sigma, errors, np.zeros(1), 0.1)
    effect = kappa / bound.kappa if kappa else -float(law.q) / bound.q
    assert effect == pytest.approx(4.0, rel=1e-6)


def test_errors_are_never_larger_than_four_tenths() -> None:
    assert error_size(true_law(0.0), falling_path(1500), ERROR_MODELS["rho=0"]) == 0.4
