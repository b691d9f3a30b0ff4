"""The law R = b − a·exp(c·x), in coordinates without a singularity. Pure functions of arrays.

With the ends of the observed range, u = (x − x_lo)/(x_hi − x_lo) and κ = c·(x_hi − x_lo):

    R = p + q·g_κ(u),     g_κ(u) = expm1(κu)/expm1(κ),     g_0(u) = u

p is the value of the law at x_lo, p + q the one at x_hi. a, b, c go to infinity as the law
becomes a line; p, q, κ do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from qdlaws.core.types import Array

__all__ = ["Law", "shape", "shape_inverse", "shape_slope"]

MIN_CURVATURE = 1e-200
"""A curvature below which a law is a straight line to rounding."""


def shape(kappa: npt.ArrayLike, u: npt.ArrayLike) -> Array:
    """g_κ(u) = expm1(κu)/expm1(κ), the line u at κ = 0; broadcasts."""
    k, v = np.asarray(kappa, float), np.asarray(u, float)
    straight = np.abs(k) < MIN_CURVATURE  # expm1 is exact to rounding down to there
    if straight.all():
        return np.asarray(v + 0 * k)
    safe = np.where(straight, 1.0, k) if straight.any() else k
    with np.errstate(over="ignore", invalid="ignore"):
        if np.abs(k).max(initial=0.0) * np.abs(v).max(initial=1.0) < 600:
            curved = np.expm1(safe * v) / np.expm1(safe)
        else:  # for κ > 0 relative to the right end: only what is too large itself overflows
            down, up = -np.abs(safe), np.maximum(safe, 0.0)
            rises = (np.exp(up * (v - 1)) - np.exp(-up)) / -np.expm1(down)
            curved = np.where(safe > 0, rises, np.expm1(safe * v) / np.expm1(down))
    return np.asarray(curved if safe is k else np.where(straight, v, curved))


def shape_slope(kappa: npt.ArrayLike, u: npt.ArrayLike) -> Array:
    """∂g_κ(u)/∂u = κ·exp(κu)/expm1(κ)."""
    k, v = np.asarray(kappa, float), np.asarray(u, float)
    straight = np.abs(k) < MIN_CURVATURE
    safe = np.where(straight, 1.0, k)
    with np.errstate(over="ignore", invalid="ignore"):
        down = -np.abs(safe)
        curved = np.exp(safe * (v - (safe > 0))) * (down / np.expm1(down))
    return np.asarray(np.where(straight, 1.0, curved))


def shape_inverse(kappa: npt.ArrayLike, g: npt.ArrayLike) -> Array:
    """u with g_κ(u) = g; NaN where the law never takes that value."""
    k, v = np.asarray(kappa, float), np.asarray(g, float)
    straight = np.abs(k) < MIN_CURVATURE
    safe = np.where(straight, 1.0, k)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        curved = np.log1p(v * np.expm1(safe)) / safe
    return np.asarray(np.where(straight, v, curved))


@dataclass(frozen=True, eq=False)
class Law:
    """One law, or draws of it: κ, p, q may be numbers or arrays of equal shape.

    Methods take x as a number or an array; draws are on the first axis of the result.

    Attributes
    ----------
    x_lo, x_hi : the ends of the observed range of x
    kappa : κ, the curvature over that range
    p : the value at x_lo
    q : the change from x_lo to x_hi

    Examples
    --------
    >>> import numpy as np
    >>> import qdlaws as qd
    >>> law = qd.Law(0.3, 0.9, kappa=np.float64(2.0), p=np.float64(0.9), q=np.float64(-0.6))
    >>> law.value([0.3, 0.9])
    array([0.9, 0.3])
    """

    x_lo: float
    x_hi: float
    kappa: Array
    p: Array
    q: Array

    @property
    def width(self) -> float:
        """The length of the observed range, x_hi − x_lo."""
        return self.x_hi - self.x_lo

    def _u(self, x: npt.ArrayLike) -> Array:
        u = (np.asarray(x, float) - self.x_lo) / self.width
        return u if np.ndim(self.kappa) == 0 else u[None, ...]

    def _on(self, values: Array, x: npt.ArrayLike) -> Array:
        """A coefficient, shaped to broadcast against x."""
        return np.asarray(values)[(...,) + (None,) * np.ndim(x)] if np.ndim(values) else values

    def value(self, x: npt.ArrayLike) -> Array:
        """R(x) = p + q·g_κ(u)."""
        k, p, q = (self._on(v, x) for v in (self.kappa, self.p, self.q))
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(p + q * shape(k, self._u(x)))

    def slope(self, x: npt.ArrayLike) -> Array:
        """dR/dx = q·g'_κ(u)/(x_hi − x_lo) = −a·c·exp(c·x)."""
        k, q = self._on(self.kappa, x), self._on(self.q, x)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(q * shape_slope(k, self._u(x)) / self.width)

    def inverse(self, quality: npt.ArrayLike) -> Array:
        """x(R) = ln((b − R)/a)/c; NaN where no x gives that quality."""
        k, p, q = (self._on(v, quality) for v in (self.kappa, self.p, self.q))
        target = np.asarray(quality, float)
        with np.errstate(divide="ignore", invalid="ignore"):
            g = (target - p) / q
        return np.asarray(self.x_lo + self.width * shape_inverse(k, g))

    @property
    def ceiling(self) -> Array:
        """The value at x = 0, b − a."""
        return self.value(0.0)

    @property
    def a(self) -> Array:
        """a = −q·exp(−c·x_lo)/expm1(κ); ±inf as the law becomes a line."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return np.asarray(-self.q * np.exp(-self.c * self.x_lo) / np.expm1(self.kappa))

    @property
    def b(self) -> Array:
        """b = p − q/expm1(κ)."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return np.asarray(self.p - self.q / np.expm1(self.kappa))

    @property
    def c(self) -> Array:
        """c = κ/(x_hi − x_lo)."""
        return np.asarray(self.kappa / self.width)

    def operating_point(self, price: float) -> Array:
        """D* = ln(λ/(a·c))/c, where one more unit of x costs just ``price``; maximises R + λ·x.

        NaN where a·c·exp(c·x) is not increasing and positive (a, c > 0 is needed).
        """
        slope = np.asarray(-self.q * shape_slope(self.kappa, 0.0) / self.width)  # a·c·exp(c·x_lo)
        good = (np.asarray(self.kappa) > 0) & (slope > 0) & (price > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(good, self.x_lo + np.log(price / slope) / self.c, np.nan)
