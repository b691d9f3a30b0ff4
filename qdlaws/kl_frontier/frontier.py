"""The frontier of quality against KL: the exponentially tilted reference.

From samples y of the reference and their rewards R alone, for every η ≥ 0:

    π_η(y) ∝ π_ref(y)·exp(ηR(y)),   w_i = exp(ηR_i)/Σ_j exp(ηR_j)
    quality  Q = Σ w_i R_i
    KL(π_η‖π_ref) = ηQ − log mean exp(ηR) = log n + Σ w_i log w_i
    entropy  H = −Σ w_i log π_ref(y_i) − KL

No policy has a higher quality at the same KL, so every run can be drawn as a share of the possible.
Beside it best-of-n (:mod:`qdlaws.kl_frontier.best_of_n`). n samples can be reweighted as far as
KL ≈ log n (Chatterjee & Diaconis, 2018); beyond, every estimate is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array, Flags
from qdlaws.errors import BadData, NotEnoughData
from qdlaws.kl_frontier.best_of_n import best_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qdlaws.core.runlog import RunLog

__all__ = ["Frontier", "frontier"]

MIN_ESS = 20.0
"""Effective samples, 1/Σw², that a mean must rest on; fewer and the estimate is NaN.

KL = log n − (entropy of w) ≤ log n − log ESS, so this is also the end of the KL axis.
"""


@dataclass(frozen=True, eq=False, repr=False)
class Frontier(Result):
    """Quality, KL and entropy of every optimal policy, and of best-of-n, from reference samples.

    Attributes
    ----------
    table : DataFrame
        A row for each η: ``eta, quality, quality_se, kl, kl_se, entropy, entropy_se, ess``; NaN
        where fewer than 20 effective samples are left.
    best_of : DataFrame
        A row for each n: ``n, quality, quality_se, kl, kl_bound``.
    rewards, surprise : arrays (P, n), NaN where unknown
        Rewards and −log π_ref by prompt; P = 1 where there are no prompts.
    dropped : failed scores

    Examples
    --------
    >>> import qdlaws as qd
    >>> import numpy as np
    >>> frontier = qd.frontier(np.random.default_rng(0).uniform(size=400))
    >>> list(frontier.table.columns)[:3]
    ['eta', 'quality', 'quality_se']
    """

    table: pd.DataFrame
    best_of: pd.DataFrame
    rewards: Array
    surprise: Array | None
    dropped: int

    @property
    def n(self) -> int:
        """Usable reference samples (of the prompt that has fewest)."""
        return int(np.isfinite(self.rewards).sum(1).min())

    @property
    def start(self) -> float:
        """The quality of the reference."""
        return float(np.nanmean(self.rewards, axis=1).mean())

    @property
    def kl_end(self) -> float:
        """The largest KL that the samples support."""
        eta = _last_eta(self.rewards)
        return self.at(eta * (1 - 1e-6))["kl"] if np.isfinite(eta) else float(self.at(1e12)["kl"])

    def at(self, eta: float) -> dict[str, float]:
        """Quality, KL and entropy at η with their standard errors."""
        return _tilted(self.rewards, self.surprise, eta)

    def weights(self, eta: float) -> Array:
        """The weight (P, n) of each reference sample under π_η; rows sum to 1, failed scores 0."""
        return _weights(self.rewards, eta)

    def eta(self, *, kl: float | None = None, quality: float | None = None) -> float:
        """The η with that KL or that quality; NaN where the samples do not reach it."""
        if (kl is None) == (quality is None):
            raise BadData("frontier.eta needs one of kl=…, quality=…")
        name, target = ("kl", kl) if kl is not None else ("quality", quality)
        assert target is not None
        return _solve(self.rewards, name, float(target))

    def best_quality(self, kl: npt.ArrayLike) -> Array:
        """The highest quality that a policy with this KL can have; NaN beyond ``kl_end``."""
        kl = np.asarray(kl, float)
        etas = [_solve(self.rewards, "kl", value) for value in kl.ravel()]
        best = [_tilted(self.rewards, None, eta)["quality"] for eta in etas]
        return np.array(best).reshape(kl.shape)

    def share(self, quality: npt.ArrayLike, kl: npt.ArrayLike) -> Any:
        """The share of the possible: gain over the reference / largest gain at the same KL.

        NaN beyond ``kl_end`` and at KL = 0. Numbers give a number, arrays an array.
        """
        possible = self.best_quality(kl) - self.start
        with np.errstate(divide="ignore", invalid="ignore"):
            share = (np.asarray(quality, float) - self.start) / np.where(possible > 0, possible, 1)
        share = np.where(possible > 0, share, np.nan)
        return float(share) if share.ndim == 0 else share

    def summary(self) -> Summary:
        """Quality of the reference, at the largest supported KL, and of best-of-n."""
        last = self.table[self.table["quality"].notna()].iloc[-1]
        prompts = f" for each of {len(self.rewards)} prompts" if len(self.rewards) > 1 else ""
        failed = f", {self.dropped} failed scores dropped" if self.dropped else ""
        rows = [
            ("samples", f"{self.n} of the reference{prompts}{failed}"),
            ("reference", f"quality {self.start:.4g}"),
            (
                "best policy",
                f"quality {last['quality']:.4g} ± {last['quality_se']:.2g} "
                f"at KL {last['kl']:.3g} ± {last['kl_se']:.2g} nats (η = {last['eta']:.3g})",
            ),
        ]
        supported = self.best_of[self.best_of["quality"].notna()]
        if len(supported):
            best = supported.iloc[-1]
            rows.append(
                (
                    f"best of {best['n']:.0f}",
                    f"quality {best['quality']:.4g} at KL {best['kl']:.3g} nats",
                )
            )
        remark = "± is one standard error; for larger KL these samples are too few"
        return Summary("Best possible quality at every KL", "", tuple(rows), (remark,))

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; an unknown one is None."""
        return {
            "n": self.n,
            "dropped": self.dropped,
            "start": self.start,
            "kl_end": self.kl_end,
            "frontier": plain(self.table.to_dict("records")),
            "best_of_n": plain(self.best_of.to_dict("records")),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row for each η, as in ``table``."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None, run: RunLog | None = None) -> Axes:
        """Quality against KL with ± 2 standard errors, best-of-n, and a run that logged its KL."""
        import matplotlib.pyplot as plt

        ax = ax or plt.subplots()[1]
        t = self.table[self.table["quality"].notna()]
        ax.plot(t["kl"], t["quality"], label="best possible")
        low, high = (t["quality"] + s * 2 * t["quality_se"] for s in (-1, 1))
        ax.fill_between(t["kl"], low, high, alpha=0.2)
        ax.plot(self.best_of["kl"], self.best_of["quality"], "o--", ms=3, label="best of n")
        ax.axvline(float(t["kl"].iloc[-1]), ls=":", c="grey", label="largest KL supported")
        if run is not None and "kl" in run.extra:
            ax.plot(run.extra["kl"], run.column("quality"), ".", alpha=0.7, label="run")
        ax.set(xlabel="KL to the reference (nats)", ylabel="quality")
        ax.legend()
        return ax


def frontier(
    rewards: npt.ArrayLike, logprob: npt.ArrayLike | None = None, *, points: int = 48
) -> Frontier:
    """The best possible quality at every KL, from rewards of samples of the reference policy.

    Parameters
    ----------
    rewards : array (n,), or (prompts, n) where every prompt has n answers
        NaN is a failed score: dropped and counted. With prompts the reference is tilted prompt by
        prompt, quality and KL are means over prompts, and their errors are those over prompts.
    logprob : log π_ref of each sample's whole sequence, same shape; gives the sequence entropy
    points : number of η in the table, from 0 to the largest that the samples support

    Notes
    -----
    Standard errors of one prompt are those of the influence functions of the self-normalised
    estimates: ψ_Q = v(R − Q), ψ_KL = ηψ_Q − (v − 1), ψ_H = v(−log π_ref − Σ w·surprise) − ψ_KL,
    v = n·w. They leave out rewards that no sample has shown: one seen once in 10ⁿ draws is absent.

    Examples
    --------
    >>> import numpy as np
    >>> rewards = np.random.default_rng(0).uniform(size=400)  # of samples of the reference
    >>> best = frontier(rewards).table
    >>> bool(best["quality"].max() > rewards.mean())
    True
    """
    table, dropped = _clean(rewards)
    surprise = None
    if logprob is not None:
        surprise = -np.atleast_2d(np.asarray(logprob, float))
        if surprise.shape != table.shape:
            shapes = f"rewards have shape {table.shape}, logprob {surprise.shape}"
            raise BadData(f"{shapes}: need the same")
        lost = np.isfinite(table) & ~np.isfinite(surprise)
        dropped += int(lost.sum())
        table = np.where(lost, np.nan, table)
    count = np.isfinite(table).sum(1)
    if count.min() < MIN_ESS:
        raise NotEnoughData(
            f"a frontier needs at least {MIN_ESS:.0f} scored samples of the reference"
            f" (of every prompt), got {count.min()}"
        )
    if not np.any(np.nanmax(table, axis=1) > np.nanmin(table, axis=1)):
        raise NotEnoughData("all rewards are equal: there is nothing to tilt towards")
    last = _last_eta(table)
    spread = float(np.sqrt(np.nanvar(table, axis=1).mean()))
    top = last * (1 - 1e-6) if np.isfinite(last) else 40 / spread
    # KL grows as η² at first and ever more slowly then: equal steps of √ for a smooth curve
    etas = np.append(top * np.linspace(0, 1, points) ** 1.5, 1.5 * top)
    rows = [_tilted(table, surprise, float(eta)) for eta in etas]
    ns = [2**k for k in range(int(np.log2(count.min())) + 1)]
    best = pd.DataFrame([best_of(table, n, MIN_ESS) for n in ns])
    return Frontier(pd.DataFrame(rows), best, table, surprise, dropped)


# ---------------------------------------------------------------------- the tilt


def _clean(rewards: npt.ArrayLike) -> tuple[Array, int]:
    table = np.array(rewards, float)
    if table.ndim not in (1, 2) or not table.size:
        raise BadData(f"rewards of shape {table.shape}: needed (n,) or (prompts, n)")
    table = np.atleast_2d(table)
    table[np.isinf(table)] = np.nan
    return table, int(np.isnan(table).sum())


def _weights(rewards: Array, eta: float) -> Array:
    """Weights (P, n): exp(ηR) over its sum, 0 for failed scores."""
    scored = np.isfinite(rewards)
    top = np.nanmax(rewards, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        raw = np.where(scored, np.exp(eta * (rewards - top)), 0.0)
    return np.asarray(raw / raw.sum(1, keepdims=True))


def _ess(rewards: Array, eta: float) -> float:
    """Effective samples of the prompt that has fewest."""
    w = _weights(rewards, eta)
    return float((1 / (w**2).sum(1)).min())


def _last_eta(rewards: Array) -> float:
    """The η at which the effective samples run out; infinite where ties at the top never do."""
    spread = float(np.sqrt(np.nanvar(rewards, axis=1).mean()))
    low, high = 0.0, 1 / spread
    while _ess(rewards, high) >= MIN_ESS:
        low, high = high, 2 * high
        if high * spread > 1e9:
            return float("inf")
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _ess(rewards, middle) >= MIN_ESS else (low, middle)
    return low


def _tilted(rewards: Array, surprise: Array | None, eta: float) -> dict[str, float]:
    """Quality, KL and entropy of π_η with their standard errors, and the effective samples."""
    names = ("quality", "quality_se", "kl", "kl_se", "entropy", "entropy_se")
    row = {"eta": eta, **dict.fromkeys(names, np.nan), "ess": np.nan}
    if not np.isfinite(eta):
        return row
    w = _weights(rewards, eta)
    row["ess"] = float((1 / (w**2).sum(1)).min())
    if row["ess"] < MIN_ESS:
        return row
    scored = np.isfinite(rewards)
    r = np.where(scored, rewards, 0.0)
    v = w * scored.sum(1, keepdims=True)
    quality = (w * r).sum(1)
    kl = (w * np.log(np.where(v > 0, v, 1.0))).sum(1)
    psi_quality = v * (r - quality[:, None])
    psi_kl = eta * psi_quality - np.where(scored, v - 1, 0.0)
    row["quality"], row["quality_se"] = _mean_se(quality, psi_quality, scored)
    row["kl"], row["kl_se"] = _mean_se(kl, psi_kl, scored)
    if surprise is not None:
        s = np.where(scored, surprise, 0.0)
        cross = (w * s).sum(1)
        psi = np.where(scored, v * (s - cross[:, None]), 0.0) - psi_kl
        row["entropy"], row["entropy_se"] = _mean_se(cross - kl, psi, scored)
    return row


def _mean_se(values: Array, influence: Array, scored: Flags) -> tuple[float, float]:
    """The mean over prompts; its error over prompts, or within the one prompt there is."""
    if len(values) > 1:
        return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    n = int(scored.sum())
    return float(values[0]), float(np.sqrt((np.where(scored, influence, 0.0) ** 2).sum()) / n)


def _solve(rewards: Array, name: str, target: float) -> float:
    """The η with KL or quality = ``target``, by bisection; both rise with η."""
    last = _last_eta(rewards)
    spread = float(np.sqrt(np.nanvar(rewards, axis=1).mean()))
    low, high = 0.0, last if np.isfinite(last) else 1e3 / spread

    def value(eta: float) -> float:
        return _tilted(rewards, None, eta)[name]

    if not value(0.0) <= target <= value(high):
        return float("nan")
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if value(middle) < target else (low, middle)
    return (low + high) / 2
