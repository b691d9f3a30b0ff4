"""The summary of all laws of a run, as text and as HTML."""

from __future__ import annotations

import pytest

import qdlaws as qd
from tests.helpers.simulated import frame, log


@pytest.fixture(scope="module")
def fits() -> qd.LawFits:
    return qd.fit(log(n=80, seed=3))


def test_a_summary_names_verdict_composition_and_classical_estimates(fits) -> None:
    text = str(fits.summary(classical=True))
    for word in ("concave", "composition", "Ljung–Box", "lmfit c", "HAC slope", "ceiling"):
        assert word in text
    html = fits._repr_html_()
    assert html.count("<table>") >= 4
    assert "nan" not in text.lower()


def test_a_ceiling_far_beyond_the_data_is_left_out() -> None:
    near = qd.fit(log(n=80)).rd
    assert near.extrapolation(0.0) < 1
    assert "ceiling" in str(near)
    data = frame(n=80)
    data["diversity"] += 3.0
    far = qd.fit(qd.RunLog.from_frame(data)).rd
    assert far.supported
    assert far.extrapolation(0.0) > 2
    assert "left out: at diversity = 0" in str(far)
    assert far.to_dict()["ceiling"]["mid"] is None
