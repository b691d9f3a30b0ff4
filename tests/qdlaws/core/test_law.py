"""The formula: p + q·g_κ(u) is b − a·exp(c·x), smooth through the line, and inverts itself."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from qdlaws.core.law import Law, shape, shape_inverse, shape_slope

KAPPAS = [-40.0, -3.0, -1e-3, -1e-7, -1e-12, 0.0, 1e-12, 1e-7, 1e-3, 0.5, 3.0, 40.0]
U = np.linspace(-0.5, 1.5, 21)


def exact_shape(kappa: float, u: float) -> float:
    """g_κ(u) in fifty digits."""
    if kappa == 0:
        return u
    with localcontext(prec=50):
        k, v = Decimal(kappa), Decimal(u)
        return float(((k * v).exp() - 1) / (k.exp() - 1))


@pytest.mark.parametrize("kappa", KAPPAS)
def test_shape_is_the_formula_to_rounding(kappa):
    expected = [exact_shape(kappa, u) for u in U]
    # exp amplifies the rounding of its argument by |κ·u|
    np.testing.assert_allclose(shape(kappa, U), expected, rtol=2e-12, atol=1e-14)


@pytest.mark.parametrize("kappa", KAPPAS)
def test_shape_slope_is_the_derivative(kappa):
    h = 1e-6
    numeric = (shape(kappa, U + h) - shape(kappa, U - h)) / (2 * h)
    np.testing.assert_allclose(shape_slope(kappa, U), numeric, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kappa", [-40.0, -1e-3, -1e-9, 1e-12, 1e-9, 2e-5])
def test_shapes_far_outside_of_the_range(kappa):
    """κ may be next to nothing and κ·u not: a million ranges out."""
    far = np.array([0.5, 1.0, 30.0, 1e6])
    if kappa < 0:
        assert np.isfinite(shape(-kappa, -far)).all()
    expected = np.array([exact_shape(kappa, u) for u in far])
    np.testing.assert_allclose(shape(kappa, far), expected, rtol=1e-11)


@given(
    st.floats(-20, 20),
    st.floats(-0.5, 1.5),
)
@settings(deadline=None, max_examples=200)
def test_inverse_undoes_the_shape(kappa, u):
    g = float(shape(kappa, u))
    # near the asymptote of the exponential the inverse loses digits as its slope vanishes
    back = float(shape_inverse(kappa, g))
    assert back == pytest.approx(u, abs=1e-12 + 1e-15 / abs(float(shape_slope(kappa, u))))


def test_values_the_law_never_takes_have_no_inverse():
    law = Law(0.0, 1.0, np.float64(2.0), np.float64(1.0), np.float64(-1.0))
    assert np.isnan(law.inverse(float(law.b) + 0.01))
    assert np.isfinite(law.inverse(float(law.b) - 0.01))


@pytest.mark.parametrize("kappa", [-4.0, -0.5, 0.5, 4.0])
def test_a_b_c_give_the_same_law(kappa):
    law = Law(0.3, 0.9, np.float64(kappa), np.float64(0.8), np.float64(-0.4))
    x = np.linspace(0, 1.2, 13)
    abc = law.b - law.a * np.exp(law.c * x)
    np.testing.assert_allclose(law.value(x), abc, rtol=1e-12)
    np.testing.assert_allclose(law.slope(x), -law.a * law.c * np.exp(law.c * x), rtol=1e-12)
    assert float(law.ceiling) == pytest.approx(float(law.b - law.a), rel=1e-12)
    np.testing.assert_allclose(law.inverse(abc), x, atol=1e-12)


def test_the_operating_point_maximises_quality_plus_price_times_x():
    law = Law(0.3, 0.9, np.float64(3.0), np.float64(0.8), np.float64(-0.4))
    for price in (0.1, 0.5, 3.0):
        best = minimize_scalar(
            lambda x, price=price: -(float(law.value(x)) + price * x),
            bounds=(-3, 3),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert float(law.operating_point(price)) == pytest.approx(best.x, abs=1e-6)
        closed = float(np.log(price / (law.a * law.c)) / law.c)
        assert float(law.operating_point(price)) == pytest.approx(closed, rel=1e-9)


@pytest.mark.parametrize(("kappa", "q", "price"), [(-2.0, -1, 1), (2.0, 1, 1), (2.0, -1, 0)])
def test_laws_that_are_not_concave_have_no_operating_point(kappa, q, price):
    law = Law(0.0, 1.0, np.float64(kappa), np.float64(1.0), np.float64(q))
    assert np.isnan(law.operating_point(price))


def test_draws_are_evaluated_as_each_law_alone():
    rng = np.random.default_rng(0)
    kappa, p, q = rng.normal(0, 3, 7), rng.normal(size=7), rng.normal(size=7)
    draws = Law(0.2, 1.1, kappa, p, q)
    x = np.linspace(0, 1.5, 4)
    assert draws.value(x).shape == (7, 4)
    assert draws.value(0.5).shape == (7,)
    for i in range(7):
        one = Law(0.2, 1.1, kappa[i], p[i], q[i])
        np.testing.assert_allclose(draws.value(x)[i], one.value(x), rtol=1e-13)
        np.testing.assert_allclose(draws.slope(x)[i], one.slope(x), rtol=1e-13)
        np.testing.assert_allclose(draws.inverse(p[i] + q[i] / 3)[i], one.inverse(p[i] + q[i] / 3))
        for name in ("a", "b", "c", "ceiling"):
            assert getattr(draws, name)[i] == pytest.approx(float(getattr(one, name)), rel=1e-13)


def test_ends_of_the_range_are_p_and_p_plus_q():
    for kappa in KAPPAS:
        law = Law(2.0, 5.0, np.float64(kappa), np.float64(1.5), np.float64(-0.5))
        np.testing.assert_allclose(law.value([2.0, 5.0]), [1.5, 1.0], rtol=1e-14)
