"""Answers do not depend on units, origin, the direction of time or the order of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from tests.helpers.simulated import D_HIGH, D_LOW, K, M, ar1, collapse, frame, law

EXACT = 1e-9

RUNS = {
    "concave": {"kappa": 3.0},
    "convex with noisy x": {"kappa": -3.0, "x_noise": 0.05, "seed": 1},
    "linear": {"kappa": 0.0, "rho": 0.8, "seed": 2},
    "flat": {"change": 0.0, "seed": 3},
}
OPTIONS = {
    "default": {},
    "x exact": {"x_noise": "none"},
    "heavy tails": {"tails": "heavy"},
}


@dataclass(frozen=True)
class Affine:
    """y -> scale·y + shift."""

    scale: float
    shift: float

    def __call__(self, y):
        return self.scale * np.asarray(y, float) + self.shift


SAME = Affine(1.0, 0.0)
UNITS = [Affine(1000.0, 0.0), Affine(1e-6, 0.0), Affine(1.0, 5.0), Affine(0.37, -2.0)]


def moved(data: pd.DataFrame, **maps: Affine) -> pd.DataFrame:
    out = data.copy()
    for column, affine in maps.items():
        out[column] = affine(out[column])
        if f"{column}_se" in out:
            out[f"{column}_se"] *= affine.scale
    return out


def assert_same_law(
    one: qd.LawFit,
    two: qd.LawFit,
    x: Affine = SAME,
    y: Affine = SAME,
    exact: float = EXACT,
) -> None:
    """Every answer of ``two`` is that of ``one`` in the new units."""
    rate = y.scale / x.scale
    size = y.scale * np.ptp(one.y)
    assert two.verdict == one.verdict
    assert two.n == one.n
    np.testing.assert_allclose(two.draws.kappa, one.draws.kappa, rtol=exact, atol=exact)
    np.testing.assert_allclose(two.draws.p, y(one.draws.p), rtol=exact, atol=exact * size)
    np.testing.assert_allclose(two.draws.q, y.scale * one.draws.q, rtol=exact, atol=exact * size)
    np.testing.assert_allclose(two.range, x(one.range), rtol=exact)
    assert two.sigma == pytest.approx(y.scale * one.sigma, rel=exact)
    assert two.rho == pytest.approx(one.rho, rel=exact, abs=exact)
    assert two.r2 == pytest.approx(one.r2, rel=exact, abs=exact)
    for feature in ("p_falls", "p_concave", "p_straight", "p_curved", "p_steplike"):
        first, second = getattr(one.posterior, feature), getattr(two.posterior, feature)
        assert second == pytest.approx(first, rel=exact, abs=exact, nan_ok=True), feature

    low, high = one.range
    places = np.linspace(low - 0.3 * (high - low), high + 0.3 * (high - low), 9)
    for kind in ("run", "another-run", "observation"):
        first, second = one.predict(places, kind=kind), two.predict(x(places), kind=kind)
        for column in ("low", "mid", "high"):
            value, expected = second[column].to_numpy(), y(first[column])
            np.testing.assert_allclose(value, expected, rtol=exact, atol=exact * size)

    def same(value: qd.Interval, expected: qd.Interval, affine: Affine, around: float) -> None:
        np.testing.assert_allclose(
            value[:3], affine(expected[:3]), rtol=exact, atol=exact * around, equal_nan=True
        )

    middle = (low + high) / 2
    slope = rate * np.ptp(one.y) / np.ptp(one.x)
    same(two.exchange_rate(x(middle)), one.exchange_rate(middle), Affine(rate, 0), slope)
    target = float(np.quantile(one.y, 0.6))
    spread = x.scale * np.ptp(one.x)
    same(two.diversity_for(y(target)), one.diversity_for(target), x, spread)
    price = float(np.ptp(one.y) / np.ptp(one.x))
    same(two.operating_point(price * rate), one.operating_point(price), x, spread)
    same(two.change, one.change, Affine(y.scale, 0), size)
    if one.kind == "hd":
        same(two.params.slope, one.params.slope, Affine(rate, 0), slope)
    else:
        same(two.params.c, one.params.c, Affine(1 / x.scale, 0), 1 / spread)
        same(two.params.b, one.params.b, y, size)
    if x.shift == 0:
        same(two.ceiling(), one.ceiling(), y, size)
        if one.kind != "hd":
            same(two.params.a, one.params.a, Affine(y.scale, 0), size)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_scaling_and_shifting_any_column_transforms_every_answer(run, options):
    data = frame(n=50, **run)
    plain = qd.fit(qd.RunLog.from_frame(data), **options)
    for affine, other in zip(UNITS, reversed(UNITS), strict=True):
        again = qd.fit(
            qd.RunLog.from_frame(
                moved(data, quality=affine, diversity=other, entropy=Affine(3.0, 1.0))
            ),
            **options,
        )
        assert_same_law(plain.rd, again.rd, x=other, y=affine)
        assert_same_law(plain.rh, again.rh, x=Affine(3.0, 1.0), y=affine)
        assert_same_law(plain.hd, again.hd, x=other, y=Affine(3.0, 1.0))


def test_units_do_not_matter_with_known_standard_errors():
    data = frame(n=50, x_noise=0.05)
    rng = np.random.default_rng(0)
    for column in ("quality", "diversity", "entropy"):
        data[f"{column}_se"] = 0.03 * rng.uniform(0.5, 2.0, len(data))
    a, b = Affine(1000.0, 7.0), Affine(0.01, -3.0)
    plain = qd.fit(qd.RunLog.from_frame(data))
    again = qd.fit(qd.RunLog.from_frame(moved(data, quality=a, diversity=b)))
    assert_same_law(plain.rd, again.rd, x=b, y=a)
    assert_same_law(plain.hd, again.hd, x=b)


def test_composition_does_not_depend_on_units():
    data = frame(n=50)
    one = qd.fit(qd.RunLog.from_frame(data)).composition
    a, b = Affine(10.0, 3.0), Affine(4.0, 1.0)
    two = qd.fit(qd.RunLog.from_frame(moved(data, quality=a, diversity=b))).composition
    assert two.verdict == one.verdict
    np.testing.assert_allclose(two.c_difference[:3], np.divide(one.c_difference[:3], 4.0), EXACT)
    np.testing.assert_allclose(two.b_difference[:3], np.multiply(one.b_difference[:3], 10.0), EXACT)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_reversing_time_changes_only_the_words_for_direction(run, options):
    data = frame(n=50, **run)
    data["step"] += np.random.default_rng(0).uniform(0, 9, len(data))  # unequal spacing
    back = data.assign(step=data["step"].max() - data["step"])
    one = qd.fit(qd.RunLog.from_frame(data), **options)
    two = qd.fit(qd.RunLog.from_frame(back), **options)
    for kind in ("rd", "rh", "hd"):
        first, second = getattr(one, kind), getattr(two, kind)
        assert_same_law(first, second, exact=1e-6)  # a filter sums in the order of time
        assert second.reasons == first.reasons
        words = (
            first.direction.replace("rises", "?").replace("falls", "rises").replace("?", "falls")
        )
        assert second.direction == words
    if one.composition is not None:
        assert two.composition.verdict == one.composition.verdict
        np.testing.assert_allclose(
            two.composition.c_difference[:3], one.composition.c_difference[:3], rtol=1e-7
        )


def test_the_words_for_direction_follow_the_run():
    data = frame(n=50)
    back = data.assign(step=data["step"].max() - data["step"])
    forth, back = (qd.fit(qd.RunLog.from_frame(d)).rd.direction for d in (data, back))
    assert forth == "over the run diversity falls and quality rises"
    assert back == "over the run diversity rises and quality falls"


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_the_rows_changes_nothing(seed):
    data = frame(n=40, x_noise=0.05, seed=seed)
    shuffled = data.sample(frac=1.0, random_state=seed)
    one, two = (qd.fit(qd.RunLog.from_frame(d)) for d in (data, shuffled))
    for kind in ("rd", "rh", "hd"):
        first, second = getattr(one, kind).draws, getattr(two, kind).draws
        for name in ("kappa", "p", "q"):
            assert np.array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("scale", [1.0, 10.0, 0.001])
def test_the_unit_of_step_does_not_matter(scale):
    data = frame(n=50, x_noise=0.05)
    one = qd.fit(qd.RunLog.from_frame(data))
    two = qd.fit(qd.RunLog.from_frame(data.assign(step=scale * data["step"] + 7)))
    for kind in ("rd", "rh", "hd"):
        assert_same_law(getattr(one, kind), getattr(two, kind))


# ------------------------------------------------------------------ a line through every path


def test_an_exact_line_between_d_and_h_gives_one_prediction_through_either():
    """H = K·D + M exactly: R on D and R on H are one law in two units."""
    data = frame(n=60, rho=0.6)
    data["entropy"] = K * data["diversity"] + M
    fits = qd.fit(qd.RunLog.from_frame(data))
    d = np.linspace(0.2, 1.0, 9)
    direct = fits.rd.predict(d)
    through = fits.rh.predict(K * d + M)
    for column in ("low", "mid", "high"):
        np.testing.assert_allclose(through[column], direct[column], rtol=EXACT)
    assert fits.hd.params.slope.mid == pytest.approx(K, rel=1e-6)
    assert fits.hd.params.intercept.mid == pytest.approx(M, rel=1e-5)


def test_a_straight_law_predicts_the_same_through_every_path():
    """R on D, R on H where H = K·D + M, a forced line, and the line H on D, all without noise."""
    d = collapse(50)
    r = 2.0 - 1.5 * d
    log = qd.RunLog.from_arrays(
        np.arange(50),
        quality=r,
        diversity=d,
        entropy=r,  # the line as "hd" sees it
    )
    as_hd = qd.fit(log, x_noise="none").hd.predict(d)
    log = qd.RunLog.from_arrays(np.arange(50), quality=r, diversity=d, entropy=K * d + M)
    fits = qd.fit(log, x_noise="none")
    direct, through = fits.rd.predict(d), fits.rh.predict(fits.hd.predict(d)["mid"])
    for prediction in (direct, through, as_hd):
        for column in ("low", "mid", "high"):
            np.testing.assert_allclose(prediction[column], r, atol=1e-5)
    assert fits.rd.verdict == "linear"


# ------------------------------------------------------------------ through κ = 0


def test_the_law_is_smooth_through_zero_curvature():
    """Draws, probabilities and predictions move by O(δκ) as the truth crosses the line."""
    rng = np.random.default_rng(4)
    d = collapse(60)
    noise = 0.03 * ar1(rng, 60, 0.3)
    kappas = np.array([-1e-2, -1e-4, -1e-7, 0.0, 1e-7, 1e-4, 1e-2])
    answers = []
    for kappa in kappas:
        r = law(kappa).value(d) + noise
        rd = qd.fit(qd.RunLog.from_arrays(np.arange(60), quality=r, diversity=d)).rd
        band = rd.predict(np.linspace(D_LOW, D_HIGH, 5))[["low", "mid", "high"]]
        answers.append([rd.posterior.p_concave, rd.curvature.mid, *band.to_numpy().ravel()])
    answers = np.array(answers)
    change = np.abs(answers - answers[3]).max(1)
    assert np.all(change <= 5 * np.abs(kappas) + 1e-9)
