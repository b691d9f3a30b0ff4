"""Whether runs share one law."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import BadData, NotEnoughData, RunLog, compare
from tests.helpers.simulated import log_at_reference as run


def test_runs_of_one_law_are_rarely_seen_to_differ():
    wrong = [compare([run(seed=2 * i), run(seed=2 * i + 1)]).shared is False for i in range(25)]
    assert np.mean(wrong) <= 0.16  # .05 + 2.5 binomial errors


@pytest.mark.parametrize(
    ("other", "differs"),
    [({"value": 0.85}, "value"), ({"exchange": 0.8}, "exchange"), ({"c": 9.0}, "c")],
)
def test_the_coefficient_that_differs_is_named(other, differs):
    comparison = compare([run(seed=1), run(seed=2), run(seed=3, **other)])
    assert comparison.shared is False
    assert differs in comparison.differs
    assert comparison.p_values[differs] < 0.01


def test_runs_without_a_law_are_neither_shared_nor_different():
    g = np.random.default_rng(0)
    flat = [
        RunLog.from_arrays(
            range(40),
            quality=0.5 + 0.01 * g.normal(size=40),
            diversity=0.9 - 0.3 * np.linspace(0, 1, 40),
        )
        for _ in range(2)
    ]
    assert compare(flat).shared is None


def test_a_run_that_cannot_be_fitted_is_left_out_and_listed():
    bad = RunLog.from_arrays(range(3), quality=[1, 2, 3], diversity=[1, 2, 3])
    comparison = compare([run(seed=1), bad, run(seed=2)], names=["a", "b", "c"])
    assert list(comparison.left_out) == ["b"]
    assert list(comparison.table["run"]) == ["a", "c"]
    with pytest.raises(NotEnoughData, match="1 of 2 runs"):
        compare([run(), bad])


def test_runs_of_one_name_are_numbered():
    comparison = compare([run(seed=1), run(seed=2)], names=["a", "a"])
    assert list(comparison.table["run"]) == ["a (1)", "a (2)"]


def test_one_run_or_a_wrong_number_of_names_is_refused():
    logs = [run(seed=i) for i in range(4)]
    with pytest.raises(BadData, match="in a list"):
        compare(logs[0])
    with pytest.raises(BadData, match="names"):
        compare(logs, names=["one"])


def test_a_figure_shows_the_data_and_the_laws_of_all_runs():
    import matplotlib

    matplotlib.use("Agg")
    comparison = compare([run(seed=i) for i in range(3)])
    ax = comparison.plot()
    assert ax.get_ylabel() == "quality"
    assert len(ax.get_legend().get_texts()) == 3


def test_the_table_of_runs_with_long_names_fits_a_terminal():
    names = [f"/home/someone/experiments/with/long/names/run-{i}" for i in range(3)]
    comparison = compare([run(seed=i) for i in range(3)], names=names)
    lines = comparison.summary().text(80).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line.startswith("  run-")] == [
        "run-0",
        "run-1",
        "run-2",
    ]
    assert lines[-1].startswith("No difference between the laws of these runs")
    assert [row["run"] for row in comparison.to_dict()["runs"]] == names


def test_a_forest_plot_has_a_line_for_each_run():
    import matplotlib

    matplotlib.use("Agg")
    comparison = compare([run(seed=i) for i in range(3)], names=["a", "b", "c"])
    axes = comparison.plot_forest().axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["a", "b", "c"]
    for j, ax in enumerate(axes):
        drawn = ax.containers[0].lines[0].get_xdata()
        assert list(drawn) == [r.mean[j] for r in comparison.runs]


def test_the_homogeneity_of_equal_runs_is_certain():
    """Three readings of one run: Cochran's Q is 0 and no coefficient differs."""
    log = run(seed=1)
    assert compare([log, log, log]).p_values == pytest.approx({"value": 1, "exchange": 1, "c": 1})
