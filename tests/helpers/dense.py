"""The model of law_posterior by dense and slow algebra, to compare with.

y ~ N(p + q·g_κ(u), σ²·Σ(ℓ, ν)),   π(p, q, log σ) flat,   κ ~ 3·t₃ on ±reach
ν = 1 (white) and ν = 0 (slow) as likely as ERROR_MODELS says, else ν = sin²(πv/2), v uniform
π(log ℓ | ν) as in qdlaws.inference.error_prior, on the full range of log ℓ
"""

from __future__ import annotations

import numpy as np
from scipy.stats import t as student

from qdlaws.inference.error_prior import ERROR_MODELS, MEMORY_REACH, MEMORY_TILT, SHORTEST


def covariance(step, memory, white, weight):
    """Σ = (1 − ν)·exp(−|Δt|/ℓ) + ν·W, dense."""
    gap = np.abs(step[:, None] - step[None, :])
    slow = np.exp(-gap / memory) if memory > 0 else np.diag(weight)
    return (1 - white) * slow + white * np.diag(weight)


class Model:
    """The posterior's ingredients on one run, computed on fine grids."""

    def __init__(self, step, x, y, kappa_reach=48.0):
        self.n, self.reach = len(y), kappa_reach
        self.x_lo, self.x_hi = (x.min(), x.max())
        self.u = (x - self.x_lo) / (self.x_hi - self.x_lo)
        t = (step - step[0]) / np.median(np.diff(step))
        self.gap = np.abs(t[:, None] - t[None, :])
        self.y = y
        self.logl = (np.log(SHORTEST), np.log(max(MEMORY_REACH * t[-1], 4.0)))

    def g(self, kappa):
        """g_κ(u) for an array of κ, (K, n)."""
        k = np.where(np.abs(kappa) < 1e-7, 1e-7, kappa)[:, None]
        return np.expm1(k * self.u) / np.expm1(k)

    @staticmethod
    def log_kappa(kappa):
        """The prior density of κ, but for what lies beyond the reach."""
        return student.logpdf(np.asarray(kappa) / 3, 3) - np.log(3)

    def log_memory(self, logl):
        """The normalised prior density of log ℓ."""
        low, high = (np.exp(MEMORY_TILT * end) for end in self.logl)
        return MEMORY_TILT * logl + np.log(MEMORY_TILT / (high - low))

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
        both = np.log(ERROR_MODELS["both"] / cols) + self.log_memory(a) + np.log(mass)
        slow = np.log(ERROR_MODELS["slow"]) + self.log_memory(logl) + np.log(dl)
        return (
            np.concatenate([a, logl, [0.0]]),
            np.concatenate([b, np.zeros(rows), [1.0]]),
            np.concatenate([both, slow, [np.log(ERROR_MODELS["white"])]]),
        )


def slow_part(step, memory, white):
    """The covariance of the slow errors alone."""
    gap = np.abs(step[:, None] - step[None, :])
    return (1 - white) * np.exp(-gap / memory) if memory > 0 else np.zeros_like(gap)
