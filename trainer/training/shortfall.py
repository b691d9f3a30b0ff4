"""How far runs end below the tilted reference, which is the best that their KL strength allows.

No run reaches the tilt: sampled gradients add noise that costs diversity and buys nothing, and a
run of some hundred steps has not gone all the way. Runs of the bundled priors at fixed strengths
(``benchmarks/plan_runs.py``, which writes ``plan_runs.json`` and prints the table) say by how much.
With R₀, D₀ of the reference, R*, D* of the tilt and K its KL, a run that ends at R, D has

    logit (R − R₀)/(R* − R₀) = a + b·log K + e         its share of the tilt's gain
    log (D₀ − D)/(D₀ − D*)   = c + d·K + e'            its loss of diversity, in tilts

two least-squares lines in which every setting of prior and objective counts alike; the spread of e
and e' over the settings is the error of what is predicted for another one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Line", "Shortfall", "bundled_shortfall", "fit_shortfall"]

Array = npt.NDArray[np.float64]
FILE = Path(__file__).parent / "plan_runs.json"
LEAST, MOST = 0.02, 0.98
"""A share outside of this range is noise, not a share."""
LEAST_LOSS = 0.1
"""The same of a loss: a run of a weak tilt may read above its reference."""


@dataclass(frozen=True)
class Line:
    """A least-squares line with the spread of a new setting about it; flat beyond the data."""

    intercept: float
    slope: float
    spread: float
    low: float
    high: float

    def at(self, x: Array) -> Array:
        return np.asarray(self.intercept + self.slope * np.clip(x, self.low, self.high))


@dataclass(frozen=True)
class Shortfall:
    """What runs get of what the tilt allows, learnt from ``runs`` runs of ``settings`` settings."""

    share: Line
    loss: Line
    runs: int
    settings: int

    def quality(self, kl: Array, reference: float, tilt: Array) -> tuple[Array, Array]:
        """Quality that a run ends at where the tilt has ``tilt``, and its error."""
        share = 1 / (1 + np.exp(-self.share.at(np.log(np.maximum(kl, 1e-9)))))
        gain = tilt - reference
        return reference + share * gain, np.abs(gain) * share * (1 - share) * self.share.spread

    def diversity(self, kl: Array, reference: float, tilt: Array) -> tuple[Array, Array]:
        """Diversity that a run ends at where the tilt has ``tilt``, and its error."""
        lost = np.exp(self.loss.at(kl)) * (reference - tilt)
        return reference - lost, np.abs(lost) * self.loss.spread


def fit_shortfall(runs: Sequence[Mapping[str, Any]]) -> Shortfall:
    """The two lines through runs, each with ``setting``, ``reference``, ``tilt`` and ``run``."""
    settings = np.array([run["setting"] for run in runs])

    def column(part: str, name: str) -> Array:
        return np.array([run[part][name] for run in runs], float)

    kl = column("tilt", "kl")
    gained = column("run", "quality") - column("reference", "quality")
    share = gained / (column("tilt", "quality") - column("reference", "quality"))
    lost = column("reference", "diversity") - column("run", "diversity")
    loss = lost / (column("reference", "diversity") - column("tilt", "diversity"))
    share, loss = np.clip(share, LEAST, MOST), np.maximum(loss, LEAST_LOSS)
    return Shortfall(
        share=_line(np.log(kl), np.log(share / (1 - share)), settings),
        loss=_line(kl, np.log(loss), settings),
        runs=int(sum(run.get("seeds", 1) for run in runs)),
        settings=len(np.unique(settings)),
    )


@cache
def bundled_shortfall() -> Shortfall:
    """The shortfall of the bundled priors, from the file that the benchmark wrote."""
    return fit_shortfall(json.loads(FILE.read_text(encoding="utf-8"))["runs"])


def _line(x: Array, y: Array, settings: npt.NDArray[Any]) -> Line:
    """The line with every setting counting alike, and the spread of settings about it."""
    names, counts = np.unique(settings, return_counts=True)
    weight = 1 / counts[np.searchsorted(names, settings)]
    slope, intercept = np.polyfit(x, y, 1, w=np.sqrt(weight))
    residuals = y - intercept - slope * x
    spread = np.sqrt(float((weight * residuals**2).sum()) / max(len(names) - 2, 1))
    return Line(float(intercept), float(slope), float(spread), float(x.min()), float(x.max()))
