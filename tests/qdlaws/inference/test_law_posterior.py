"""The posterior by algebra and quadrature against direct integration of the same model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import stdtr
from scipy.stats import t as student

from qdlaws.inference import law_posterior as module
from qdlaws.inference.law_posterior import law_posterior
from qdlaws.inference.law_problem import LawProblem
from tests.helpers.dense import Model
from tests.helpers.simulated import D_HIGH, D_LOW, ar1, collapse, law

CASES = {
    "white": (25, 2.0, 0.05, 0.0, 0),
    "persistent": (25, 2.0, 0.05, 0.8, 1),
    "straight": (30, 0.0, 0.05, 0.4, 2),
    "convex": (20, -3.0, 0.04, 0.5, 3),
}


def data(n, kappa, sigma, rho, seed):
    rng = np.random.default_rng(seed)
    d = collapse(n)
    return np.arange(float(n)), d, law(kappa).value(d) + sigma * ar1(rng, n, rho)


class Integral:
    """Weights of a fine grid over (κ, error models) and the bivariate t of (p, q) on each node."""

    def __init__(self, model: Model, kappas: np.ndarray, rows: int = 40, cols: int = 16):
        logl, nu, logprior = model.error_nodes(rows, cols)
        self.model, self.kappas, n = model, kappas, model.n
        half = np.linalg.cholesky(model.sigma(logl, nu))
        logdet = 2 * np.log(np.diagonal(half, axis1=1, axis2=2)).sum(1)
        g = model.g(kappas)
        stacked = np.vstack([np.ones(n), model.y, g]).T
        share = np.gradient(np.arange(n))
        share[[0, -1]] /= 2
        share /= share.sum()
        slow = model.sigma(logl, np.zeros(len(logl))) * (1 - nu)[:, None, None]
        covered = slow @ share  # with the mean of the slow error
        white = np.linalg.solve(
            half,
            np.concatenate(
                [np.broadcast_to(stacked, (len(half), *stacked.shape)), covered[..., None]], axis=2
            ),
        )
        one, y, g, mean = white[:, :, 0], white[:, :, 1], white[:, :, 2:-1], white[:, :, -1]
        self.mean_one, self.mean_y = (mean * one).sum(1), (mean * y).sum(1)
        self.mean_g = np.einsum("mn,mnk->mk", mean, g)
        self.mean_variance = covered @ share - (mean**2).sum(1)
        oo, oy, yy = (one**2).sum(1), (one * y).sum(1), (y**2).sum(1)
        og, gy = (np.einsum("mn,mnk->mk", v, g) for v in (one, y))
        gg = (g**2).sum(1)
        self.det = oo[:, None] * gg - og**2
        self.q = (oo[:, None] * gy - og * oy[:, None]) / self.det
        self.p = (gg * oy[:, None] - og * gy) / self.det
        self.s = yy[:, None] - self.p * oy[:, None] - self.q * gy
        self.pp, self.pq, self.qq = gg / self.det, -og / self.det, oo[:, None] / self.det
        dk = np.gradient(kappas)
        logw = (
            -0.5 * logdet[:, None]
            - 0.5 * np.log(self.det)
            - (n - 2) / 2 * np.log(self.s)
            + model.log_kappa(kappas)[None]
            + np.log(dk)
            + logprior[:, None]
        )
        self.w = np.exp(logw - logw.max())
        self.w /= self.w.sum()

    def cdf_value(self, x: float, value: float) -> float:
        """P(R(x) < value)."""
        m = self.model
        u = (x - m.x_lo) / (m.x_hi - m.x_lo)
        g = np.expm1(self.kappas * u) / np.expm1(self.kappas)
        mean = self.p + self.q * g
        variance = self.s / (m.n - 2) * (self.pp + 2 * g * self.pq + g**2 * self.qq)
        return float((self.w * stdtr(m.n - 2, (value - mean) / np.sqrt(variance))).sum())

    def cdf_run_value(self, x: float, value: float) -> float:
        """P(R(x) + mean slow error of the run < value)."""
        m = self.model
        u = (x - m.x_lo) / (m.x_hi - m.x_lo)
        g = np.expm1(self.kappas * u) / np.expm1(self.kappas)
        one, shape = 1 - self.mean_one[:, None], g - self.mean_g
        mean = self.mean_y[:, None] + self.p * one + self.q * shape
        spread = one**2 * self.pp + 2 * one * shape * self.pq + shape**2 * self.qq
        variance = self.s / (m.n - 2) * (spread + self.mean_variance[:, None])
        return float((self.w * stdtr(m.n - 2, (value - mean) / np.sqrt(variance))).sum())

    def cdf_kappa(self, value: float) -> float:
        along = self.w.sum(0)
        nodes = (self.kappas[1:] + self.kappas[:-1]) / 2
        return float(np.interp(value, nodes, np.cumsum(along)[:-1]))

    def p_falls(self) -> float:
        variance = self.s / (self.model.n - 2) * self.qq
        return float((self.w * stdtr(self.model.n - 2, -self.q / np.sqrt(variance))).sum())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_posterior_is_the_direct_integral(case, monkeypatch):
    monkeypatch.setattr(module, "CLOCK_ODDS", np.inf)
    step, x, y = data(*case)
    post = law_posterior(step, x, y)
    kappas = np.linspace(post.law.kappa.min(), post.law.kappa.max(), 240)
    integral = Integral(Model(step, x, y), kappas)
    assert post.p_falls == pytest.approx(integral.p_falls(), abs=2e-3)
    assert post.p_concave == pytest.approx(1 - integral.cdf_kappa(0.0), abs=0.01)
    levels = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    for place in (D_LOW, (D_LOW + D_HIGH) / 2, D_HIGH, 0.0):
        quantiles = np.quantile(post.law.value(place), levels)
        reached = [integral.cdf_value(place, v) for v in quantiles]
        # the library's grid of some 50 error models against 681 here
        np.testing.assert_allclose(reached, levels, atol=0.02)
        quantiles = np.quantile(post.run_law.value(place), levels)
        reached = [integral.cdf_run_value(place, v) for v in quantiles]
        np.testing.assert_allclose(reached, levels, atol=0.02)
    reached = [integral.cdf_kappa(v) for v in np.quantile(post.law.kappa, levels)]
    np.testing.assert_allclose(reached, levels, atol=0.02)


def run_with_far_row(ranges: float, kappa: float = -2.0):
    """A run whose first row lies ranges of x beyond the others, on the same law."""
    step, x, _ = data(60, kappa, 0.05, 0.5, 4)
    x[0] += ranges * np.ptp(x)
    return step, x, law(kappa).value(x) + 0.05 * ar1(np.random.default_rng(4), 60, 0.5)


@pytest.mark.parametrize("ranges", [0.8, 2.5, 6.0])
def test_a_first_row_far_outside_the_range_of_x_gives_the_direct_integral(ranges):
    """Where polynomials of a wide range carry the shapes, against the direct integral again."""
    step, x, y = run_with_far_row(ranges)
    post = law_posterior(step, x, y)
    integral = Integral(Model(step, x, y), np.linspace(*np.quantile(post.law.kappa, [0, 1]), 240))
    levels = np.array([0.025, 0.25, 0.5, 0.75, 0.975])
    reached = [integral.cdf_kappa(v) for v in np.quantile(post.law.kappa, levels)]
    np.testing.assert_allclose(reached, levels, atol=0.02)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("ranges", [20.0, 300.0, 1e6])
def test_a_row_beyond_all_bounds_overflows_nothing(ranges):
    doubt = np.linspace(-0.05, 0.05, 60)[:, None]
    for options in ({}, {"cov_factor": doubt}):
        post = law_posterior(*run_with_far_row(ranges), **options)
        assert np.all(np.isfinite([post.law.kappa, post.run_law.p, post.law.q, post.sigma]))


@pytest.mark.parametrize("sigma", [1e-1, 1e-3, 1e-5])
def test_grid_follows_the_width_of_the_posterior(sigma):
    """The window of κ shrinks with the noise, and holds the truth."""
    step, x, y = data(60, 2.0, sigma, 0.4, 0)
    problem = LawProblem(step, x, y)
    _, grid = module._refined_grid(problem)
    assert grid.resolved()
    weight = grid.curvature_weight()
    mean = (weight @ grid.kappa) / weight.sum()
    sd = np.sqrt(weight @ (grid.kappa - mean) ** 2 / weight.sum())
    assert grid.kappa[0] < mean - 2 * sd
    assert mean + 2 * sd < grid.kappa[-1]
    assert abs(mean - 2.0 * np.ptp(x) / (D_HIGH - D_LOW)) < 4 * sd


@pytest.mark.parametrize("seed", [3, 11, 16])
def test_grid_resolves_a_memory_on_one_node_beside_long_ones(seed):
    """Long memories of little weight keep the range of the grid wide: nodes go to the weight."""
    step, x, y = data(200, 2.0, 0.05, 0.8, seed)
    _, grid = module._refined_grid(LawProblem(step, x, y))
    assert grid.resolved()


def test_mean_slow_error_of_this_run_is_in_its_law():
    """Of 60 runs with slow errors 95 % bands of this run's law hold law plus mean slow error."""
    held, narrower = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        step, x = np.arange(25.0), collapse(25)
        slow = 0.1 * ar1(rng, 25, 0.9)
        post = law_posterior(step, x, law(2.0).value(x) + slow + 0.02 * rng.standard_normal(25))
        low, high = np.quantile(post.run_law.value(0.6), [0.025, 0.975])
        held.append(low < float(law(2.0).value(0.6)) + slow.mean() < high)
        wide = np.quantile(post.law.value(0.6), [0.025, 0.975])
        narrower.append((high - low) / (wide[1] - wide[0]))
    assert np.mean(held) > 0.85
    assert np.median(narrower) < 0.5


def test_a_straight_law_under_white_errors_is_linear_regression():
    """Dense limit: n large, white errors, κ = 0 must give the textbook interval of a line."""
    from scipy.stats import linregress

    rng = np.random.default_rng(0)
    x = collapse(300)
    y = 2 - x + 0.1 * rng.standard_normal(300)
    post = law_posterior(np.arange(300.0), x, y, straight=True)
    book = linregress(x, y)
    slope = post.law.q / post.law.width
    low, high = np.quantile(slope, [0.025, 0.975])
    half = student.ppf(0.975, 298) * book.stderr
    # the posterior allows for a few per cent of slow errors, which the readings cannot exclude
    assert np.median(slope) == pytest.approx(book.slope, abs=0.3 * book.stderr)
    assert 1.0 < (high - low) / (2 * half) < 1.75


def test_mean_law_is_the_mean_of_the_draws(monkeypatch):
    """The sum over the grid against 2¹⁶ draws of it, to a 64th of the posterior deviation."""
    monkeypatch.setattr(module, "POSTERIOR_DRAWS", 2**16)
    monkeypatch.setitem(module.GENERATORS, 2**16, 17797)
    for case in CASES.values():
        step, x, y = data(*case)
        for straight in (False, True):
            post = law_posterior(step, x, y, straight=straight)
            values = post.run_law.value(x)
            off = np.abs(post.curve - values.mean(0)) / values.std(0)
            assert off.max() < 2**-6


def test_shares_of_the_draws_are_the_probabilities():
    """2,048 low-discrepancy draws."""
    step, x, y = data(*CASES["persistent"])
    post = law_posterior(step, x, y)
    assert np.mean(post.law.kappa > 0) == pytest.approx(post.p_concave, abs=0.002)
    assert np.mean(np.abs(post.law.kappa) < 1) == pytest.approx(post.p_straight, abs=0.002)
    assert len(post.law.kappa) == len(post.sigma) == len(post.memory) == len(post.white)


def test_every_32nd_draw_is_a_fair_subset():
    """A forecast uses every 32nd: the mean of 64 fair ones is within three eighths of an s.d."""
    step, x, y = data(60, 2.0, 0.05, 0.8, 6)
    post = law_posterior(step, x, y)
    for draws in (post.law.kappa, post.law.p, post.sigma, post.memory, post.white):
        assert abs(draws[::32].mean() - draws.mean()) < 3 / 8 * draws.std()


def test_posterior_is_deterministic():
    step, x, y = data(*CASES["persistent"])
    one, two = law_posterior(step, x, y), law_posterior(step, x, y)
    assert np.array_equal(one.law.kappa, two.law.kappa)
    assert np.array_equal(one.law.p, two.law.p)


@pytest.mark.parametrize("kappa", [-2.0, 0.0, 3.0])
def test_small_white_noise_gives_the_estimates_of_lmfit(kappa):
    import lmfit

    rng = np.random.default_rng(8)
    x = collapse(200)
    true = law(kappa)
    sigma = 1e-3
    y = true.value(x) + sigma * rng.standard_normal(200)
    post = law_posterior(np.arange(200.0), x, y)

    def shape_law(x, kappa, p, q):
        return p + q * np.expm1(kappa * (x - D_LOW) / (D_HIGH - D_LOW)) / np.expm1(kappa)

    model = lmfit.Model(shape_law)
    fitted = model.fit(y, x=x, kappa=kappa or 1e-3, p=1.0, q=-1.0)
    for place in (D_LOW, 0.6, D_HIGH):
        error = float(fitted.eval_uncertainty(x=np.array([place]))[0])
        theirs = float(fitted.eval(x=np.array([place]))[0])
        assert np.median(post.run_law.value(place)) == pytest.approx(theirs, abs=0.4 * error)
    kappa_hat = fitted.params["kappa"]
    c = kappa_hat.value / (D_HIGH - D_LOW)
    error = kappa_hat.stderr / (D_HIGH - D_LOW)
    assert np.median(post.law.c) == pytest.approx(c, abs=0.4 * error)
    # lmfit takes the errors for white, the posterior allows for persistence
    assert error < np.std(post.law.c) < 2 * error


@pytest.mark.parametrize("sigma", [1e-2, 1e-4, 1e-6])
def test_intervals_shrink_with_the_noise(sigma):
    """And still hold the truth (40 runs, nominal 95 %)."""
    held, width = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x = collapse(60)
        post = law_posterior(np.arange(60.0), x, law(2.0).value(x) + sigma * ar1(rng, 60, 0.3))
        low, high = np.quantile(post.run_law.value(0.6), [0.025, 0.975])
        held += low < float(law(2.0).value(0.6)) < high
        width.append(high - low)
    assert held >= 35
    assert 0.5 * sigma < np.median(width) < 3 * sigma


def test_missing_steps_change_the_intervals_little():
    """The errors live in step, not in row number."""
    step, x, y = data(120, 2.0, 0.05, 0.7, 0)
    place = np.linspace(D_LOW, D_HIGH, 5)
    full = np.quantile(law_posterior(step, x, y).law.value(place), [0.025, 0.5, 0.975], axis=0)
    width = full[2] - full[0]
    keep = np.ones(120, bool)
    keep[[30, 31, 70]] = False
    some = law_posterior(step[keep], x[keep], y[keep])
    less = np.quantile(some.law.value(place), [0.025, 0.5, 0.975], axis=0)
    assert np.all(np.abs(less - full) < 0.25 * width)


def test_known_sampling_variances_narrow_the_intervals():
    """Half the rows ten times as noisy: weighted, the law is as good as from the other half."""
    rng = np.random.default_rng(0)
    x = collapse(120)
    noisy = rng.permutation(np.repeat([False, True], 60))
    y = law(2.0).value(x) + np.where(noisy, 0.3, 0.03) * rng.standard_normal(120)
    variance = np.where(noisy, 100.0, 1.0)
    step = np.arange(120.0)

    def width(post):
        return np.diff(np.quantile(post.run_law.value(0.6), [0.025, 0.975]))[0]

    weighted = width(law_posterior(step, x, y, weight=variance / variance.mean()))
    unweighted = width(law_posterior(step, x, y))
    quiet = width(law_posterior(step[~noisy], x[~noisy], y[~noisy]))
    assert weighted < 0.4 * unweighted
    assert weighted == pytest.approx(quiet, rel=0.35)


@pytest.mark.parametrize("errors", ["white", "both"])
def test_a_known_nugget_is_a_prior_of_its_size(errors):
    """The posterior against importance weights of that without it, by the density of ν·σ²."""
    rng = np.random.default_rng(5)
    step, x = np.arange(24.0), collapse(24)
    slow = 0.1 * ar1(rng, 24, 0.9) if errors == "both" else 0.0
    y = law(2.0).value(x) + slow + 0.05 * rng.standard_normal(24)
    nugget, dof = 0.05, module.NUGGET_DOF
    plain, informed = law_posterior(step, x, y), law_posterior(step, x, y, nugget=nugget)
    size = plain.white * plain.sigma**2
    size, some = np.maximum(size, 1e-12), size > 0  # errors without a nugget are ruled out
    log_weight = -(dof / 2) * np.log(size) - dof * nugget**2 / (2 * size)
    weight = np.where(some, np.exp(log_weight - log_weight[some].max()), 0.0)
    order = np.argsort(plain.law.q)
    cumulative = np.cumsum(weight[order]) / weight.sum()
    for level in (0.1, 0.5, 0.9):
        quantile = np.quantile(informed.law.q, level)
        assert np.interp(quantile, plain.law.q[order], cumulative) == pytest.approx(level, abs=0.05)
    want = np.average(np.log(size), weights=weight)
    got = np.mean(np.log(informed.white * informed.sigma**2))
    assert got == pytest.approx(want, abs=0.06)


def test_known_standard_errors_tell_wander_from_noise():
    """Fifteen readings, white to the eye: with their standard errors the band of a law narrows."""
    ratio, held = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = collapse(15)
        y = law(2.0).value(x) + 0.05 * rng.standard_normal(15)
        place, bands = np.array([0.5]), []
        for nugget in (None, 0.05):
            values = law_posterior(np.arange(15.0), x, y, nugget=nugget).law.value(place)[:, 0]
            bands.append(np.quantile(values, [0.025, 0.975]))
        ratio.append(np.ptp(bands[1]) / np.ptp(bands[0]))
        held.append(bands[1][0] < float(law(2.0).value(0.5)) < bands[1][1])
    assert np.median(ratio) < 0.95
    assert np.mean(held) >= 0.9


@pytest.mark.parametrize("noise", [0.05, 0.1])
def test_noise_in_x_does_not_attenuate_the_slope(noise):
    """The mean slope within 2 % of the truth, where a plain fit is too flat."""
    from qdlaws.inference.latent_path import latent_path

    ratio, plain = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        d = collapse(100)
        y = 2 - d + 0.02 * ar1(rng, 100, 0.5)
        x = d + noise * np.ptp(d) * rng.standard_normal(100)
        path = latent_path(np.arange(100.0), x)
        post = law_posterior(
            np.arange(100.0), path.mean, y, cov_factor=path.cov_factor, straight=True, effort=0.7
        )
        ratio.append(-np.median(post.law.q) / post.law.width)
        plain.append(-np.polyfit(x, y, 1)[0])
    error = np.std(ratio) / np.sqrt(len(ratio))
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.02 + 2 * error)
    assert np.mean(plain) < np.mean(ratio) - 0.01


def test_errors_of_the_path_widen_the_slope():
    step, x, y = data(80, 0.0, 0.02, 0.3, 0)
    z = np.linspace(-1, 1, 80)
    widths = []
    for size in (0.0, 0.02, 0.05):
        cov_factor = size * np.column_stack([z, z**2])
        post = law_posterior(step, x, y, cov_factor=cov_factor, straight=True)
        widths.append(np.diff(np.quantile(post.law.q, [0.025, 0.975]))[0])
    assert widths[0] < widths[1] < widths[2]


def test_errors_that_move_with_x_are_told_from_errors_that_move_with_the_step():
    n, rng = 80, np.random.default_rng(3)
    step, x = np.arange(float(n)), np.append(collapse(20), np.full(60, D_LOW))
    x[20:] -= 1e-4 * np.arange(60)
    way = np.append(0.0, np.abs(np.diff(x)))
    moves, wanders = (
        np.cumsum(rng.normal(size=n) * np.sqrt(v / v.sum())) for v in (way, x * 0 + 1)
    )
    true = law(2.0).value(x)
    with_x, with_step = (law_posterior(step, x, true + 0.2 * e) for e in (moves, wanders))
    assert np.array_equal(with_step.clock, step)
    late = with_x.clock > with_x.clock[20]
    assert with_x.clock[-1] == pytest.approx(step[-1])
    assert np.ptp(with_x.clock[late]) < 0.2 * np.ptp(with_x.clock)
