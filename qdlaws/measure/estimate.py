"""Estimate: a measured number with its standard error, compared only with its like."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from qdlaws.core.serialize import plain
from qdlaws.errors import BadData

__all__ = ["Estimate", "share_interval"]

FEW = 5.0
"""Effective successes or failures below which a share gets the Clopper–Pearson interval."""


@dataclass(frozen=True)
class Estimate:
    """A measured value with its standard error and its kind.

    Attributes
    ----------
    value, se : float
        The estimate and its standard error; NaN where unknown, never 0 for "unknown".
    n : int
        The independent units it rests on (prompts, sequences, molecules, texts).
    kind : str
        The quantity; two estimates are compared only where this agrees.
    m : int or None
        The sample size that the quantity refers to ("classes among m samples"); None where it does
        not depend on a sample size.
    df : float
        Degrees of freedom of the standard error; infinite where the normal law is used.
    share : bool
        The value lies in [0, 1] by nature, so its interval is one for shares.
    level : float
        The level of ``low`` and ``high``.
    reason : str
        Why ``se`` is NaN.
    dropped : int
        Units left out: a score that failed, a string that is no molecule.
    temperature : float or None
        The sampling temperature of the probabilities, for entropies.

    Examples
    --------
    >>> a = Estimate(0.62, 0.02, 100, "mean_score")
    >>> print(a - Estimate(0.55, 0.03, 80, "mean_score"))
    difference of mean_score: 0.07 ± 0.036 (n=80)
    >>> a - Estimate(0.8, 0.1, 100, "pass@k", m=4)
    Traceback (most recent call last):
    qdlaws.errors.BadData: 'mean_score' and 'pass@k' are different measures
    """

    value: float
    se: float
    n: int
    kind: str
    m: int | None = None
    df: float = math.inf
    share: bool = False
    level: float = 0.95
    reason: str = ""
    dropped: int = 0
    temperature: float | None = None

    def interval(self, level: float | None = None) -> tuple[float, float]:
        """(low, high): value ± t·se; for a share the score or Clopper–Pearson interval."""
        level = self.level if level is None else level
        if not 0 < level < 1:
            raise BadData(f"level={level}: a level between 0 and 1 was needed, such as .95")
        if not (math.isfinite(self.value) and math.isfinite(self.se)):
            return math.nan, math.nan
        if self.share:
            return share_interval(self.value, self.se, self.n, self.df, level)
        half = _quantile(0.5 + level / 2, self.df) * self.se
        return self.value - half, self.value + half

    @property
    def low(self) -> float:
        return self.interval()[0]

    @property
    def high(self) -> float:
        return self.interval()[1]

    def to_dict(self) -> dict[str, Any]:
        """The fields and the interval as JSON values; unknown numbers are None."""
        low, high = self.interval()
        values: dict[str, Any] = plain({**asdict(self), "low": low, "high": high})
        return values

    def renamed(self, kind: str) -> Estimate:
        """The same numbers under another kind."""
        return replace(self, kind=kind)

    # ------------------------------------------------------------ comparing: only like with like

    def _check(self, other: Estimate) -> None:
        if not isinstance(other, Estimate):
            raise BadData(f"an Estimate is compared with an Estimate, not {type(other).__name__}")
        if self.kind != other.kind:
            raise BadData(f"{self.kind!r} and {other.kind!r} are different measures")
        if self.m != other.m:
            raise BadData(
                f"{self.kind!r} at m={self.m} and at m={other.m}: the value depends on the sample "
                "size; measure both again with m= the smaller one"
            )
        if self.temperature != other.temperature:
            raise BadData(
                f"{self.kind!r} at temperature {self.temperature} and {other.temperature}: "
                "entropies compare at one temperature only"
            )

    def __sub__(self, other: Estimate) -> Estimate:
        """The difference of two independent estimates of one kind at one m."""
        self._check(other)
        se = math.hypot(self.se, other.se)
        return Estimate(
            self.value - other.value,
            se,
            min(self.n, other.n),
            f"difference of {self.kind}",
            m=self.m,
            df=_welch(self, other),
            level=self.level,
            reason=self.reason or other.reason,
            dropped=self.dropped + other.dropped,
            temperature=self.temperature,
        )

    def __lt__(self, other: Estimate) -> bool:
        self._check(other)
        return self.value < other.value

    def __le__(self, other: Estimate) -> bool:
        self._check(other)
        return self.value <= other.value

    def __gt__(self, other: Estimate) -> bool:
        self._check(other)
        return self.value > other.value

    def __ge__(self, other: Estimate) -> bool:
        self._check(other)
        return self.value >= other.value

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        size = "" if self.m is None else f" at m={self.m}"
        error = f" ± {self.se:.2g}" if math.isfinite(self.se) else " (no standard error)"
        return f"{self.kind}{size}: {self.value:.4g}{error} (n={self.n})"


def share_interval(value: float, se: float, n: int, df: float, level: float) -> tuple[float, float]:
    """(low, high) of a share with a standard error that clustering may have made.

    With p the share and se its error the effective sample size is n_eff = p(1−p)/se² (n at p = 0
    or 1, where se says nothing), scaled by (z/t_df)² for the uncertainty of se itself (Korn &
    Graubard 1998). The interval is Wilson's, and Clopper and Pearson's where fewer than five
    effective successes or failures leave Wilson's too short (Brown, Cai & DasGupta 2001).
    """
    from scipy.special import betaincinv

    p = min(max(value, 0.0), 1.0)
    z, t = _quantile(0.5 + level / 2, math.inf), _quantile(0.5 + level / 2, df)
    edge = p <= 0.0 or p >= 1.0
    if not edge and se == 0.0:
        return p, p
    size = float(n) if edge else p * (1 - p) / se**2 * (z / t) ** 2
    hits, misses = p * size, (1 - p) * size
    if min(hits, misses) >= FEW:
        centre = (p + z**2 / (2 * size)) / (1 + z**2 / size)
        half = z / (1 + z**2 / size) * math.sqrt(p * (1 - p) / size + z**2 / (4 * size**2))
        return centre - half, centre + half
    tail = (1 - level) / 2
    low = 0.0 if hits <= 0 else float(betaincinv(hits, misses + 1, tail))
    high = 1.0 if misses <= 0 else float(betaincinv(hits + 1, misses, 1 - tail))
    return low, high


def _quantile(p: float, df: float) -> float:
    """The quantile of Student's t, normal for infinite df; infinite where df < 1."""
    from scipy.special import ndtri, stdtrit

    if df < 1:
        return math.inf
    return float(ndtri(p)) if math.isinf(df) else float(stdtrit(df, p))


def _welch(a: Estimate, b: Estimate) -> float:
    """Welch–Satterthwaite degrees of freedom of a difference."""
    parts = [(e.se**2, e.df) for e in (a, b)]
    total = sum(v for v, _ in parts)
    below = sum(v**2 / df for v, df in parts if math.isfinite(df) and df > 0)
    return total**2 / below if below > 0 else math.inf
