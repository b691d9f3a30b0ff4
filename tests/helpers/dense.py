"""The model of law_posterior by dense and slow algebra, to compare with.

y ~ N(p + q·g_κ(u), σ²·Σ(ℓ, ν)),   π(p, q, log σ) flat,   π(κ) ∝ J(κ) on ±reach
ν = 1 (white) and ν = 0 (slow) as likely as ERROR_MODELS says, else ν = sin²(πv/2), v uniform
π(log ℓ | ν) as in qdlaws.inference.error_prior, on the full range of log ℓ
"""

from __future__ import annotations

import numpy as np

from qdlaws.inference.error_prior import ERROR_MODELS, WHITE_TILT, memory_reach, memory_tilt


def covariance(step, memory, white, weight):
    """Σ = (1 − ν)·exp(−|Δt|/ℓ) + ν·W, dense."""
    gap = np.abs(step[:, None] - step[None, :])
    slow = np.exp(-gap / memory) if memory > 0 else np.diag(weight)
    return (1 - white) * slow + white * np.diag(weight)


class Model:
    """The posterior's ingredients on one run, computed on fine grids."""

    def __init__(self, step, x, y, kappa_reach=12.0):
        self.n, self.reach = len(y), kappa_reach
        self.x_lo, self.x_hi = np.quantile(x, [0.02, 0.98])
        self.u = (x - self.x_lo) / (self.x_hi - self.x_lo)
        t = (step - step[0]) / np.median(np.diff(step))
        self.gap = np.abs(t[:, None] - t[None, :])
        self.y = y
        self.logl = (np.log(0.4), np.log(max(memory_reach(self.n) * t[-1], 4.0)))
        self._norm_nu = np.linspace(0, 1, 201)
        nodes = np.linspace(*self.logl, 2001)
        density = np.exp(self._memory_kernel(nodes[None, :], self._norm_nu[:, None]))
        self._norm = np.log(np.trapezoid(density, nodes, axis=1))
        self._kappa = np.linspace(-kappa_reach, kappa_reach, 1001)
        self._logj = np.log([self.j(k) for k in self._kappa])

    def g(self, kappa):
        """g_κ(u) for an array of κ, (K, n)."""
        k = np.where(np.abs(kappa) < 1e-7, 1e-7, kappa)[:, None]
        return np.expm1(k * self.u) / np.expm1(k)

    def j(self, kappa):
        """‖∂g_κ/∂κ‖ with [1, g_κ] projected out, by least squares."""
        h = 1e-4
        low, mid, high = self.g(np.array([kappa - h, kappa, kappa + h]))
        design = np.column_stack([np.ones(self.n), mid])
        d = (high - low) / (2 * h)
        return np.linalg.norm(d - design @ np.linalg.lstsq(design, d, rcond=None)[0])

    def log_j(self, kappa):
        return np.interp(kappa, self._kappa, self._logj)

    def _memory_kernel(self, logl, nu):
        memory = np.exp(logl)
        rho = np.exp(-1 / memory)
        arcsine = rho / memory / np.sqrt(1 - rho**2)
        return np.log(arcsine) + (memory_tilt(self.n) + WHITE_TILT * nu) * logl

    def log_memory(self, logl, nu):
        """The normalised prior density of log ℓ given ν."""
        return self._memory_kernel(logl, nu) - np.interp(nu, self._norm_nu, self._norm)

    def sigma(self, logl, nu):
        """Σ(ℓ, ν), (M, n, n)."""
        slow = np.exp(-self.gap / np.exp(np.asarray(logl))[:, None, None])
        nu = np.asarray(nu)[:, None, None]
        return (1 - nu) * slow + nu * np.eye(self.n)

    def error_nodes(self, rows, cols):
        """A fine grid over the error models: log ℓ, ν and log prior mass."""
        logl = np.linspace(*self.logl, rows)
        dl = np.full(rows, logl[1] - logl[0])
        dl[[0, -1]] /= 2
        v = (np.arange(cols) + 0.5) / cols
        nu = np.sin(np.pi * v / 2) ** 2
        a, b = (w.ravel() for w in np.meshgrid(logl, nu, indexing="ij"))
        mass = np.repeat(dl, cols)
        both = np.log(ERROR_MODELS["both"] / cols) + self.log_memory(a, b) + np.log(mass)
        slow = np.log(ERROR_MODELS["slow"]) + self.log_memory(logl, np.zeros(rows)) + np.log(dl)
        return (
            np.concatenate([a, logl, [0.0]]),
            np.concatenate([b, np.zeros(rows), [1.0]]),
            np.concatenate([both, slow, [np.log(ERROR_MODELS["white"])]]),
        )
