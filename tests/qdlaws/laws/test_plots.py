"""Figures of laws."""

from __future__ import annotations

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.laws.plots import plot_fits, plot_law
from tests.helpers.simulated import frame, log


@pytest.fixture(scope="module", autouse=True)
def _no_window() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")


@pytest.fixture(scope="module")
def fits() -> qd.LawFits:
    return qd.fit(log(n=80, seed=3))


def marks(figure) -> list[str]:
    """The words of all legends of a figure."""
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes)]
    return [text.get_text() for legend in legends if legend for text in legend.get_texts()]


def test_a_figure_has_one_legend_in_which_each_mark_stands_once(fits) -> None:
    labels = marks(fits.plot())
    assert len(set(labels)) == len(labels)
    for mark in ("law", "95% band of this run's law", "95% of readings"):
        assert mark in labels
    assert all(ax.get_legend() is None for ax in fits.plot().axes)


def test_a_figure_says_the_run_and_each_verdict_in_words(fits) -> None:
    figure = plot_fits(tuple(fits.laws()), name="grpo-3")
    assert figure.get_suptitle() == "grpo-3"
    title = figure.axes[0].get_title(loc="left")
    assert title == f"Quality on diversity\n{fits.rd.strength} trade-off, concave"
    assert qd.fit(qd.example_log()).plot().get_suptitle() == "example run"


@pytest.mark.parametrize("price", [1.0, 1e-6])
def test_neither_ceiling_nor_best_point_squeezes_the_readings(price) -> None:
    """A tiny price has its best point far below the readings, which must fill the panel."""
    data = frame(n=80)
    data["diversity"] += 0.5  # so that the ceiling is outside the picture too
    law = qd.fit(qd.RunLog.from_frame(data)).rd
    assert law.verdict == "concave"
    ax = plot_law(law, price=price)
    for limits, values in ((ax.get_xlim(), law.x), (ax.get_ylim(), law.y)):
        assert limits[0] <= values.min()
        assert values.max() <= limits[1]
        assert np.ptp(values) > 0.5 * (limits[1] - limits[0])
    assert ("outside the readings" in ax.get_xlabel()) == (law.operating_point(price).mid < 0)


def test_time_goes_from_pale_to_dark(fits) -> None:
    points = plot_law(fits.rd).collections[0]
    first, last = points.to_rgba([fits.rd.step[0], fits.rd.step[-1]])[:, :3].sum(1)
    assert first > last


def test_a_law_is_drawn_as_far_as_its_readings_go() -> None:
    """Readings of a noisy x lie beyond the range of its smoothed path."""
    g = np.random.default_rng(3)
    x = np.linspace(0.9, 0.3, 80)
    data = qd.RunLog.from_arrays(
        np.arange(80), quality=1 - 0.1 * np.exp(2 * x), diversity=x + 0.05 * g.normal(size=80)
    )
    law = qd.fit(data).rd
    assert law.supported
    assert law.x.min() < law.range[0]
    lines = plot_law(law).get_lines()
    drawn = np.concatenate([line.get_xdata() for line in lines])
    assert drawn.min() == pytest.approx(law.x.min())
    assert drawn.max() == pytest.approx(law.x.max())


def test_most_readings_lie_in_their_band(fits) -> None:
    from qdlaws.laws.plots import _reading_band

    low, high = _reading_band(fits.rd, fits.rd.path.mean)
    inside = np.mean((low <= fits.rd.y) & (fits.rd.y <= high))
    assert 0.9 <= inside <= 1
    band = fits.rd.predict(fits.rd.path.mean)
    assert np.all(high - low > band["high"] - band["low"])


def test_the_path_of_a_run_is_drawn_where_it_is_off_its_law() -> None:
    path = "path of the run, smoothed"
    wandering = qd.fit(qd.example_log())
    assert path in marks(wandering.plot())  # its entropy is off the line on diversity
    assert path not in marks(qd.fit(log(n=80, seed=3, rho=0.0)).plot())


def test_a_stretch_that_stands_still_is_grey_and_on_the_picture() -> None:
    law = _with_standstill().rd
    ax = plot_law(law)
    labels = [c.get_label() for c in ax.collections]
    grey = ax.collections[labels.index("reading left out: the run stands still")]
    assert len(grey.get_offsets()) == len(law.left_out.step)
    assert ax.get_xlim()[0] <= law.left_out.x.min()


def test_all_panels_have_one_scale_of_steps() -> None:
    """The law on diversity leaves the second half out, that on entropy has all of the run."""
    fits = _with_standstill(entropy=np.linspace(2.0, 1.0, 120))
    scales = {ax.collections[0].get_clim() for ax in fits.plot().axes[:3]}
    assert scales == {(0.0, 119.0)}


def _with_standstill(entropy: np.ndarray | None = None) -> qd.LawFits:
    """A run that moves along its law for 60 checkpoints and then stands still for 60."""
    g = np.random.default_rng(5)
    x = np.append(np.linspace(0.9, 0.3, 60), np.full(60, 0.3)) + 0.002 * g.normal(size=120)
    y = 1 - 0.1 * np.exp(2 * x) + 0.004 * g.normal(size=120)
    fits = qd.fit(qd.RunLog.from_arrays(np.arange(120), quality=y, diversity=x, entropy=entropy))
    assert fits.rd.left_out is not None
    return fits
