"""UserFit: a user's lmfit Model fitted in place of the laws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from qdlaws.core.interval import Interval, Params, show, unknown
from qdlaws.core.serialize import plain
from qdlaws.core.summary import Result, Summary
from qdlaws.core.types import Array
from qdlaws.errors import NotEnoughData
from qdlaws.laws.classical import diagnostics, precise_fit

if TYPE_CHECKING:
    from lmfit import Model
    from lmfit.model import ModelResult
    from matplotlib.axes import Axes

__all__ = ["UserFit", "user_fit"]


@dataclass(frozen=True, eq=False, repr=False)
class UserFit(Result):
    """A user's lmfit Model fitted to one pair of columns.

    ``result`` is lmfit's. ``params`` are its estimates with intervals that are widened by √(n/n*),
    n* the effective number of points under the autocorrelation of the residuals.
    """

    kind: str
    x_name: str
    y_name: str
    x: Array
    y: Array
    result: ModelResult
    effective_n: float
    level: float
    verdict: str = "user model"

    @property
    def headline(self) -> str:
        """The verdict in a line."""
        return self.verdict

    @property
    def n(self) -> int:
        """The number of points."""
        return len(self.y)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Whether the residuals are autocorrelated, in words."""
        if self.effective_n > 0.9 * self.n:
            return ("residuals look independent",)
        return (
            f"residuals are autocorrelated: {self.n} points tell as much as "
            f"{self.effective_n:.0f} independent ones; intervals are widened by that",
        )

    @property
    def params(self) -> Params:
        """The estimates with their widened intervals."""
        from scipy.special import stdtrit

        free = max(self.n - self.result.nvarys, 1)
        t = float(stdtrit(free, (1 + self.level) / 2)) * np.sqrt(self.n / self.effective_n)
        params = Params()
        for name, p in self.result.params.items():
            if p.stderr is None or not np.isfinite(p.stderr):
                params[name] = unknown(self.level)
            else:
                half = t * p.stderr
                params[name] = Interval(p.value - half, p.value, p.value + half, self.level)
        return params

    def predict(self, x: npt.ArrayLike, level: float | None = None) -> pd.DataFrame:
        """The model at x with the delta-method band, widened like the parameters."""
        level = self.level if level is None else level
        places = np.atleast_1d(np.asarray(x, float))
        data = {self.result.model.independent_vars[0]: places}
        mid = self.result.eval(**data)
        sigma = np.broadcast_to(self.result.eval_uncertainty(sigma=level, **data), places.shape)
        half = sigma * np.sqrt(self.n / self.effective_n)
        return pd.DataFrame({"x": places, "low": mid - half, "mid": mid, "high": mid + half})

    def to_lmfit(self) -> ModelResult:
        """lmfit's result."""
        return self.result

    def diagnostics(self) -> dict[str, float]:
        """Ljung–Box, Durbin–Watson and Breusch–Pagan on the residuals, by statsmodels."""
        return diagnostics(self.y - self.result.best_fit, self.x)

    def to_dict(self) -> dict[str, Any]:
        """The fit as JSON values; an unknown number is None."""
        values: dict[str, Any] = plain(
            {
                "verdict": self.verdict,
                "model": self.result.model.name,
                "n": self.n,
                "params": dict(self.params),
                "reasons": list(self.reasons),
                "r2": float(1 - np.var(self.y - self.result.best_fit) / np.var(self.y)),
            }
        )
        return values

    def summary(self) -> Summary:
        """The estimates with their intervals, and whether the residuals are autocorrelated."""
        rows = [("points", str(self.n)), (f"{self.level:.0%} intervals", "mid [low, high]")]
        rows += [(name, show(value)) for name, value in self.params.items()]
        heading = f"{self.y_name} on {self.x_name}:  {self.result.model.name}"
        return Summary(heading, self.verdict, tuple(rows), self.reasons)

    def plot(self, ax: Axes | None = None) -> Axes:
        """The model through its data, with the widened delta-method band."""
        from qdlaws.laws.plots import plot_model

        band = self.predict(np.linspace(self.x.min(), self.x.max(), 160))
        names = (self.x_name, self.y_name)
        return plot_model(self.x, self.y, band, names, self.result.model.name, ax)

    def to_frame(self) -> pd.DataFrame:
        """One row for each parameter: parameter, low, mid, high, level."""
        return self.params.to_frame()


def user_fit(
    kind: str,
    x_name: str,
    y_name: str,
    x: Array,
    y: Array,
    model: Model,
    params: Any,
    level: float,
) -> UserFit:
    """The user's model of y on x, fitted by lmfit."""
    if len(y) <= len(model.param_names):
        raise NotEnoughData(
            f"{len(y)} points for the {len(model.param_names)} parameters of {model.name}"
        )
    start = model.make_params() if params is None else params
    result = precise_fit(model, x, y, start)
    residual = y - result.best_fit
    r1 = float(residual[1:] @ residual[:-1] / (residual @ residual)) if residual.any() else 0.0
    r1 = float(np.clip((r1 * len(y) + 1) / max(len(y) - 4, 1), 0.0, 0.97))  # Kendall's correction
    effective = len(y) * (1 - r1) / (1 + r1) if r1 > 2 / np.sqrt(len(y)) else float(len(y))
    return UserFit(kind, x_name, y_name, x, y, result, max(effective, 2.0), level)
