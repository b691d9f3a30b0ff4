"""Figures of laws."""

from __future__ import annotations

import pytest

import qdlaws as qd
from tests.helpers.simulated import log


@pytest.fixture(scope="module")
def fits() -> qd.LawFits:
    return qd.fit(log(n=80, seed=3))


def test_a_figure_shows_law_band_and_operating_point(fits) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    figure = fits.plot(price=1.0)
    legends = [ax.get_legend() for ax in figure.axes if ax.get_legend() is not None]
    labels = [text.get_text() for legend in legends for text in legend.get_texts()]
    assert "law" in labels
    assert any("operating point" in label for label in labels)
    assert any(len(ax.collections) >= 2 for ax in figure.axes)
