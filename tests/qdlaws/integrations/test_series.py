"""Advice, laws and forecast as named numbers."""

from __future__ import annotations

import math

import numpy as np

import qdlaws as qd
from qdlaws.core.advice import Advice
from qdlaws.integrations.series import advice_series, forecast_series, law_series


def test_what_is_not_known_is_left_out():
    wait = Advice(action="wait", step=3, reasons=("too little",), du=0.0, confidence=math.nan)
    assert advice_series(wait) == {"qdlaws/stop": 0.0, "qdlaws/alarms": 0.0}
    turn = Advice(action="tighten", step=3, reasons=(), du=-0.5, confidence=0.8)
    assert advice_series(turn)["qdlaws/kl_factor"] == math.exp(0.5)


def test_laws_and_forecast_of_a_run_are_series_with_their_names():
    fits = qd.fit(qd.example_log())
    laws = law_series(fits)
    assert set(laws) == {
        "qdlaws/law/quality_on_diversity/probability",
        "qdlaws/law/quality_on_entropy/probability",
        "qdlaws/law/entropy_on_diversity/probability",
    }
    assert laws["qdlaws/law/quality_on_diversity/probability"] == fits.rd.probability
    forecast = qd.forecast(fits, 100)
    band = forecast_series(forecast)
    low, mid, high = (band[f"qdlaws/forecast/quality/{end}"] for end in ("low", "mid", "high"))
    assert low <= mid <= high
    assert np.isclose(mid, forecast.final["quality"].mid)
