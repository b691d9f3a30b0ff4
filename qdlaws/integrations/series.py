"""Advice, laws and forecast as named numbers: live series beside the run's own in any tracker."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qdlaws.core.advice import Advice
    from qdlaws.forecasting.forecast import Forecast
    from qdlaws.laws.result import LawFits

__all__ = ["PREFIX", "advice_series", "forecast_series", "law_series"]

PREFIX = "qdlaws/"


def advice_series(advice: Advice) -> dict[str, float]:
    """The advice in numbers: 1 under its action, how sure it is, the checkpoint, the turn.

    A number that is not known is left out, so that no tracker draws a zero for it.

    Examples
    --------
    >>> from qdlaws.core.advice import Advice
    >>> advice_series(Advice(action="stop", step=9, reasons=(), confidence=0.97, checkpoint=5))
    {'qdlaws/stop': 1.0, 'qdlaws/confidence': 0.97, 'qdlaws/checkpoint': 5.0, 'qdlaws/alarms': 0.0}
    """
    turned = None if advice.action == "wait" else advice.kl_factor
    return _numbers(
        {
            "stop": float(advice.action == "stop"),
            "confidence": advice.confidence,
            "checkpoint": advice.checkpoint,
            "kl_factor": turned,
            "alarms": len(advice.alarms),
        }
    )


def law_series(fits: LawFits) -> dict[str, float]:
    """Of each law the probability of its verdict."""
    out: dict[str, float | None] = {}
    for law in fits.laws():
        name = f"law/{law.y_name}_on_{law.x_name}"
        out[f"{name}/probability"] = getattr(law, "probability", None)
    return _numbers(out)


def forecast_series(forecast: Forecast) -> dict[str, float]:
    """The band of every column at the horizon of the forecast: low, mid and high."""
    out: dict[str, float | None] = {}
    for column, band in forecast.final.items():
        for end in ("low", "mid", "high"):
            out[f"forecast/{column}/{end}"] = getattr(band, end)
    return _numbers(out)


def _numbers(values: dict[str, float | None]) -> dict[str, float]:
    known = {k: float(v) for k, v in values.items() if v is not None}
    return {f"{PREFIX}{k}": v for k, v in known.items() if math.isfinite(v)}
