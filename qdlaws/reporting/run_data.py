"""What the report shows of a run, and the same as plain values for the script in the page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qdlaws.advice.advise import Advice
from qdlaws.core.runlog import COLUMNS, RunLog
from qdlaws.core.serialize import plain
from qdlaws.core.types import Array
from qdlaws.forecasting.forecast import Forecast
from qdlaws.laws.fitted import LAWS
from qdlaws.laws.result import LawFit, LawFits
from qdlaws.laws.user_model import UserFit
from qdlaws.laws.verdict import NO_LAW
from qdlaws.reporting.charts import COLOURS, MARKERS, REACH, Curve, evenly

__all__ = [
    "MOST_POINTS",
    "RunView",
    "beyond_of",
    "clock_of",
    "curve_of",
    "page_data",
    "readings_of",
    "without_laws",
]

MOST_POINTS = 2000
"""Longer runs are drawn thinned; the fits use every checkpoint."""

ALL_POINTS = 20_000
"""The points of all runs of a page together."""


@dataclass(frozen=True, eq=False)
class RunView:
    """One run as the report shows it."""

    name: str
    fits: LawFits
    advice: Advice | None = None
    forecast: Forecast | None = None
    certificates: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    """Why there is no advice or no forecast."""

    @property
    def log(self) -> RunLog:
        return self.fits.log

    @property
    def logs(self) -> tuple[RunLog, ...]:
        """The logs of all regimes; the laws shown are those of the last."""
        return tuple(piece.log for piece in self.fits.pieces) or (self.log,)

    @property
    def law_level(self) -> float:
        """The level of the bands."""
        return next((law.level for law in self.fits.laws()), 0.95)

    def law(self, kind: str) -> LawFit | UserFit | None:
        law: LawFit | UserFit | None = getattr(self.fits, kind)
        return law


def without_laws(log: RunLog) -> LawFits | None:
    """A log of one column as fits that hold no law: it has a course, a forecast and advice."""
    return LawFits(log, None, None, None) if len(log.columns) == 1 and len(log) else None


def readings_of(view: RunView, most: int = MOST_POINTS) -> dict[str, Array]:
    """Step, measured columns and errors of all regimes, thinned evenly to ``most`` rows."""
    names = [c for c in COLUMNS if any(c in log.columns for log in view.logs)]
    out = {"step": np.concatenate([log.step for log in view.logs])}
    for name in names:
        for column in (name, f"{name}_se"):
            parts = [_or_nan(log, column) for log in view.logs]
            if name == column or any(np.isfinite(part).any() for part in parts):
                out[column] = np.concatenate(parts)
    rows = evenly(len(out["step"]), most)
    return {name: values[rows] for name, values in out.items()}


def _or_nan(log: RunLog, column: str) -> Array:
    values: Array | None = getattr(log, column)
    return np.full(len(log), np.nan) if values is None else values


def curve_of(law: LawFit | UserFit, points: int = 60) -> Curve | None:
    """The law and its band over the x of the run; None where nothing could be fitted."""
    if isinstance(law, LawFit):
        if law.posterior is None:
            return None
        return _curve(law, *law.range, points)
    return _curve(law, float(np.min(law.x)), float(np.max(law.x)), points)


def beyond_of(law: LawFit | UserFit) -> tuple[Curve, ...]:
    """The law on both sides of its range, as far as noisy readings of x go."""
    if not isinstance(law, LawFit) or law.posterior is None or law.verdict in NO_LAW:
        return ()
    low, high = law.range
    sides = ((float(np.min(law.x)), low), (high, float(np.max(law.x))))
    return tuple(_curve(law, a, b, 20) for a, b in sides if b - a > 0.01 * (high - low))


def _curve(law: LawFit | UserFit, low: float, high: float, points: int) -> Curve:
    band = law.predict(np.linspace(low, high, points))
    return Curve(*(band[name].to_numpy(float) for name in Curve._fields))


def page_data(views: Sequence[RunView]) -> str:
    """The runs as JSON that may stand inside a script element, whatever the logs called things."""
    most = int(np.clip(ALL_POINTS // max(len(views), 1), 100, MOST_POINTS))
    whole = {
        "columns": list(COLUMNS),
        "pairs": LAWS,
        "markers": MARKERS,
        "colours": COLOURS,
        "reach": REACH,
        "clock": clock_of(views),
        "runs": [_run(view, most) for view in views],
    }
    text = json.dumps(_short(plain(whole)), allow_nan=False, separators=(",", ":"))
    # ensure_ascii has dealt with U+2028; these three could end the element or start a comment.
    for sign, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(sign, code)
    return text


def clock_of(views: Sequence[RunView]) -> str:
    """What a step is called, where all runs call it the same; else "step"."""
    clocks = {view.log.clock for view in views}
    return clocks.pop() if len(clocks) == 1 else "step"


def _run(view: RunView, most: int) -> dict[str, Any]:
    laws = {}
    for kind in LAWS:
        law = view.law(kind)
        curve = None if law is None else curve_of(law)
        if law is not None and curve is not None:
            supported = law.verdict not in NO_LAW
            words = law.verdict_words if isinstance(law, LawFit) else law.verdict
            beyond = [{"x": side.x, "mid": side.mid} for side in beyond_of(law)]
            laws[kind] = {"verdict": law.verdict, "words": words, "supported": supported}
            laws[kind] |= {**curve._asdict(), "beyond": beyond, "left_out": _left_out(law)}
    return {
        "name": view.name,
        "marks": [float(log.step[0]) for log in view.logs[1:]],
        "data": readings_of(view, most),
        "laws": laws,
        "forecast": None if view.forecast is None else _curves(view.forecast),
    }


def _left_out(law: LawFit | UserFit) -> list[float] | None:
    """The first and the last step of the stretch that the law is not fitted to."""
    out = law.left_out if isinstance(law, LawFit) else None
    return None if out is None else [float(out.step[0]), float(out.step[-1])]


def _curves(forecast: Forecast, points: int = 40) -> dict[str, dict[str, Array]]:
    """The forecast of every column from now to the horizon."""
    names = ("step", "low", "mid", "high")
    return {
        str(column): {name: part[name].to_numpy(float) for name in names}
        for column, part in forecast.to_frame(points).groupby("column", sort=False)
    }


def _short(value: Any) -> Any:
    """Six significant digits are more than a picture can show; steps keep all of theirs."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {k: v if k == "step" else _short(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_short(v) for v in value]
    return value
