"""e-processes: tests that may be evaluated after every step without raising their error rate.

An e-process E has, while its null hypothesis is true, a mean of at most 1 at *every* stopping time,
so P(E ever reaches 1/α) ≤ α (Ville's inequality; Ramdas, Grünwald, Vovk & Shafer 2023). Nulls here
are one-sided and about the whole past:

    gain:   the quality gained per step has been ≥ δ all along;   E large: now it is below
    level:  diversity has been ≥ the floor all along;             E large: now it is below

When the gain never rises again (the law flattens) a false rejection at a step means that the null
held all along up to it, so false stops happen with probability at most α at any number of looks.

For readings y = [1]·μ + x·θ + error, error ~ σ·(OU + nugget; :mod:`qdlaws.inference.error_model`):

    E = Σ_models Σ_g w · m(y | θ − θ₀ ~ −|N(0, g²σ²)|)  /  max over models, θ ≥ θ₀ of m(y | θ)

m is the density with μ and σ integrated out under the right Haar prior, which makes the ratio a
martingale whatever μ and σ are at θ = θ₀ (Lai 1976; Pérez-Ortiz et al. 2024), in closed form by t
distributions. The maximum over error models below makes the test valid whichever of them is true
(universal inference; Wasserman, Ramdas & Balakrishnan 2020), autocorrelated noise included, as long
as its memory is of a few rows; an error that lasts longer counts as the course of the run. Because
gains change, E is averaged over starting rows fixed in advance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from qdlaws.core.types import Array, Flags
from qdlaws.inference.error_model import grams

__all__ = ["Evidence", "gain_below", "level_above", "level_below"]

Kind = Literal["gain", "level"]

EQUAL_SHARES = 12
"""Starting rows with equal shares of the capital."""

GAPS = 8
"""Gaps between steps that the unit of time is taken from."""

MIN_ROWS = 5
"""Rows after which a starting row begins to count."""

MEMORIES: dict[Kind, tuple[float, ...]] = {"gain": (1.0, 3.0, 8.0), "level": (1.0, 3.0)}
"""Memories of the noise in rows. Longer ones would call the course of the run itself noise: a
stretch of ten rows without gain is a stretch without gain."""

WHITES = (0.0, 0.5)
"""White shares of the noise."""

SCALES: dict[Kind, Array] = {
    "gain": np.array([0.01, 0.05, 0.25]),  # σ per row
    "level": np.array([0.3, 1.0, 3.0]),  # σ
}
"""Scales g of the alternatives."""


@dataclass(frozen=True)
class Evidence:
    """The e-value against a null hypothesis at this moment."""

    log_e: float

    @property
    def p(self) -> float:
        """A p-value that is valid at every look: min(1, 1/E)."""
        return float(np.exp(-max(self.log_e, 0.0)))

    @property
    def confidence(self) -> float:
        """1 − p."""
        return 1 - self.p

    def at_level(self, alpha: float = 0.05) -> bool:
        """Is the null rejected, at an error rate of ``alpha`` over all looks together?"""
        return bool(self.log_e >= -np.log(alpha))


def gain_below(step: Array, y: Array, gain: float, se: Array | None = None) -> Evidence:
    """Evidence that y now gains less than ``gain`` per step, against "at least that all along"."""
    return Evidence(float(_log_e(_since_starts(step, y, se, "gain"), np.array([gain]))[0]))


def level_below(step: Array, y: Array, floor: float, se: Array | None = None) -> Evidence:
    """Evidence that y is below ``floor`` now, against "at or above it all along"."""
    return Evidence(float(_log_e(_since_starts(step, y, se, "level"), np.array([floor]))[0]))


def level_above(step: Array, y: Array, target: float, se: Array | None = None) -> Evidence:
    """Evidence that y is above ``target`` now, against "at or below it all along"."""
    return level_below(step, -np.asarray(y, float), -target, se)


@dataclass(frozen=True, eq=False)
class _RowsSince:
    """Sufficient statistics of the rows since one starting row, for M error models."""

    share: float  # of the capital
    dof: int
    base: Array  # (M,) log density but for the residual sum of squares
    a: Array  # x'Σ⁻¹x, [1] projected out for a gain
    c: Array  # x'Σ⁻¹y
    s: Array  # y'Σ⁻¹y
    scales: Array  # (G,) g


def _starts(n: int) -> list[int]:
    """0, 8, 16, 24, 32, 48, 64, 96, …: fixed in advance, two an octave."""
    starts, size = [0, 8], 16
    while size < n:
        starts += [size, size + size // 2]
        size *= 2
    return starts


def _share(j: int) -> float:
    """The capital of the j-th starting row: equal up to row 500, then falling; 1 in all."""
    equal = 1 / (EQUAL_SHARES + 1)
    return equal if j < EQUAL_SHARES else 2.0 ** -(j - EQUAL_SHARES + 1) * equal


def _models(kind: Kind) -> tuple[Array, Array]:
    pairs = [(0.0, 1.0), *((m, v) for m in MEMORIES[kind] for v in WHITES)]
    memory, white = np.array(pairs).T
    return memory, white


def time_unit(step: Array, start: int) -> float:
    """The unit of the noise's memory for a starting row: the longest of the eight gaps before it.

    It is fixed before the row's own readings count. A run may begin at steps 0, 1, 10, 20, …: the
    first gap alone would take the noise for much shorter than it is. The first starting rows have
    no eight gaps before them and take the first eight of the run.
    """
    first = max(start - GAPS, 0)
    return float(np.diff(step[first : first + GAPS + 1]).max())


def _since_starts(step: Array, y: Array, se: Array | None, kind: Kind) -> list[_RowsSince]:
    """The sufficient statistics of the finite readings since every starting row."""
    step, y = np.asarray(step, float), np.asarray(y, float)
    finite = np.isfinite(y)
    step, y = step[finite], y[finite]
    n = len(y)
    if n < MIN_ROWS:
        return []
    weight = _weights(se, finite)
    memory, white = _models(kind)
    out = []
    for j, start in enumerate(_starts(n)):
        if n - start < MIN_ROWS or not np.ptp(y[start:]) > 0:
            continue
        gap = time_unit(step, start)
        u = (step[start:] - step[start]) / gap
        # a gain does not depend on the level: without it fewer digits are lost
        level = y[start] if kind == "gain" else 0.0
        columns = np.column_stack([np.ones(n - start), u, y[start:] - level])
        g = grams(columns, u, memory, white, None if weight is None else weight[start:])
        base, gram = -0.5 * g.logdet, g.gram
        if kind == "gain":
            ones = gram[:, 0, 0]
            base = base - 0.5 * np.log(ones)
            gram = gram - gram[:, :, :1] * gram[:, :1, :] / ones[:, None, None]
            a, c, s = gram[:, 1, 1] / gap**-2, gram[:, 1, 2] * gap, gram[:, 2, 2]
            scales = SCALES[kind] / gap
        else:
            a, c, s, scales = gram[:, 0, 0], gram[:, 0, 2], gram[:, 2, 2], SCALES[kind]
        good = np.isfinite(base) & np.isfinite(s) & (s > 0)
        if not good.any():
            continue
        dof = n - start - (kind == "gain")
        out.append(_RowsSince(_share(j), dof, base[good], a[good], c[good], s[good], scales))
    return out


def _weights(se: Array | None, finite: Flags) -> Array | None:
    """Relative sampling variances, in units fixed by the first rows."""
    if se is None:
        return None
    se = np.asarray(se, float)[finite]
    good = np.isfinite(se) & (se > 0)
    if not good.any():
        return None
    unit = float(np.median(se[good][:MIN_ROWS]))
    return np.asarray(np.where(good, se / unit, 1.0) ** 2)


def _log_e(starts: list[_RowsSince], null: Array) -> Array:
    """log E for each θ₀ of ``null``; capital of starting rows yet to come counts 1."""
    reserve = 1 - sum(w.share for w in starts)
    parts = [np.log(w.share) + _log_e_since(w, null) for w in starts]
    return np.asarray(np.logaddexp.reduce([np.full(len(null), np.log(reserve)), *parts], axis=0))


def _log_e_since(w: _RowsSince, null: Array) -> Array:
    """log E of one starting row for each θ₀ of ``null``."""
    from scipy.special import stdtr

    a, c, s, base = (v[:, None] for v in (w.a, w.c, w.s, w.base))  # (M, 1) against (K,)
    tiny = 1e-12 * s
    best = np.maximum(c / a, null)
    rss = np.maximum(s - 2 * best * c + best**2 * a, tiny)
    log_null = (base - w.dof / 2 * np.log(rss)).max(0)  # the highest density under the null
    off, rest = c - null * a, s - 2 * null * c + null**2 * a
    densities = []  # log densities under the alternatives
    for g in w.scales:
        precision = a + 1 / g**2
        mean = off / precision
        square = np.maximum(rest - off * mean, tiny)
        tail = stdtr(w.dof, -mean / np.sqrt(square / w.dof / precision))
        with np.errstate(divide="ignore"):
            half = np.log(2 * tail)
        densities.append(base - 0.5 * np.log(1 + g**2 * a) - w.dof / 2 * np.log(square) + half)
    mixture = np.logaddexp.reduce(np.logaddexp.reduce(np.array(densities), axis=0), axis=0)
    return np.asarray(mixture - np.log(len(w.scales) * len(w.a)) - log_null)
