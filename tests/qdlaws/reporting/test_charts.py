"""Static pictures: ticks, places and shades of points, bands."""

from __future__ import annotations

import re

import numpy as np
import pytest

from qdlaws.reporting.charts import (
    BOTTOM,
    LEFT,
    MOST_POINTS,
    RIGHT,
    TOP,
    Axis,
    Curve,
    Layer,
    chart,
    evenly,
    ticks,
)


def points_of(svg: str) -> list[tuple[float, float]]:
    return [tuple(map(float, p)) for p in re.findall(r"M([\d.]+) ([\d.]+)h0", svg)]


def test_ticks_are_round_numbers_inside_the_range():
    np.testing.assert_allclose(ticks(0.03, 0.97), [0.2, 0.4, 0.6, 0.8])
    np.testing.assert_allclose(ticks(-1.2e6, 1.1e6), [-1e6, -5e5, 0, 5e5, 1e6])
    np.testing.assert_allclose(ticks(2.0, 2.0), [2.0])


def test_rows_are_thinned_evenly_with_both_ends():
    assert list(evenly(4, 10)) == [0, 1, 2, 3]
    rows = evenly(1001, 11)
    assert list(rows) == list(range(0, 1001, 100))


def test_an_axis_holds_all_values_with_a_margin_and_skips_unknown_ones():
    axis = Axis.over([np.array([0.0, np.nan]), np.array([10.0])], 0, 108)
    np.testing.assert_allclose(axis([0, 5, 10]), [4, 54, 104])
    assert (Axis.over([np.array([np.nan])], 0, 1).low, Axis.over([], 0, 1).high) == (0, 1)
    flat = Axis.over([np.full(3, 2.0)], 0, 1)
    assert flat.low < 2 < flat.high


def test_points_stand_where_they_belong():
    svg = chart([Layer(np.array([0.0, 10.0]), np.array([1.0, 3.0]))], "x", "y", "two points")
    first, last = points_of(svg)
    margin = 0.04 / 1.08
    assert first[0] == pytest.approx(LEFT + margin * (RIGHT - LEFT), abs=0.1)
    assert last[0] == pytest.approx(RIGHT - margin * (RIGHT - LEFT), abs=0.1)
    assert first[1] == pytest.approx(BOTTOM - margin * (BOTTOM - TOP), abs=0.1)
    assert last[1] == pytest.approx(TOP + margin * (BOTTOM - TOP), abs=0.1)


def test_a_single_run_darkens_with_time_and_numbered_runs_have_their_colours():
    x = np.arange(16.0)
    shades = re.findall(r'class="dots m0 (t\d)" d="([^"]*)"', chart([Layer(x, x)], "x", "y", "one"))
    assert [(name, path.count("M")) for name, path in shades] == [(f"t{i}", 2) for i in range(8)]
    svg = chart([Layer(x, x, 0), Layer(x, x, 9)], "x", "y", "two runs")
    assert re.findall(r'class="dots (m\d r\d)"', svg) == ["m0 r0", "m1 r1"]


def test_the_band_lies_below_the_points_and_the_law_above():
    x = np.arange(5.0)
    curve = Curve(x, x - 1, x, x + 1)
    svg = chart([Layer(x, x, curve=curve, supported=False)], "x", "y", "a law")
    order = re.findall(r'class="(band|dots|law)[ "]', svg)
    assert order[0] == "band"
    assert order[-1] == "law"
    assert 'class="law alone loose"' in svg
    ends = re.findall(r'class="text|<text x="[\d.]+" y="([\d.]+)" dy', svg)
    assert ends  # the labels of the upright axis


def test_a_wide_band_does_not_squeeze_the_points():
    x = np.linspace(0, 1, 30)
    band = Curve(x, x - 100, x, x + 100)
    heights = [y for _, y in points_of(chart([Layer(x, x, curve=band)], "x", "y", "a wide band"))]
    assert max(heights) - min(heights) > 0.4 * (BOTTOM - TOP)
    svg = chart([Layer(x, x, curve=band)], "x", "y", "a wide band")
    edge = re.search(r'class="band[^"]*" d="([^"]*)"', svg).group(1)
    ends = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", edge)]
    assert TOP <= min(ends) <= max(ends) <= BOTTOM


def test_unknown_points_are_left_out_and_many_are_thinned():
    y = np.array([1.0, np.nan, 3.0])
    assert len(points_of(chart([Layer(np.arange(3.0), y)], "x", "y", "a gap"))) == 2
    many = np.arange(10.0 * MOST_POINTS)
    assert len(points_of(chart([Layer(many, many)], "x", "y", "many"))) == MOST_POINTS


def test_names_are_escaped():
    svg = chart([], "<x>", "y & z", 'a "label"')
    assert "&lt;x&gt;" in svg
    assert "y &amp; z" in svg
    assert 'aria-label="a &quot;label&quot;"' in svg
