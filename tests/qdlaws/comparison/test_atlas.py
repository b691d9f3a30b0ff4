"""A run beside the public runs: the facts, what is comparable, and honest counts."""

from __future__ import annotations

import json

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.comparison.atlas import public_runs, quality_scale
from qdlaws.laws.verdict import SUPPORTED
from tests.helpers.simulated import frame, log


@pytest.fixture(scope="module")
def example() -> qd.Atlas:
    return qd.atlas(qd.example_log())


def test_the_facts_are_those_of_71_runs_of_11_repositories_without_readings():
    runs = public_runs()
    assert runs["run"].nunique() == 71
    assert runs["source"].nunique() == 11
    assert not runs.duplicated(["run", "law"]).any()
    assert {"tool", "task", "n", "verdict", "probability", "c", "ceiling", "r2"} <= set(runs)
    assert len(runs) < 4 * 71  # a row a law: no series can be in it
    laws = runs[runs["law"].isin(["rd", "rh"])]
    priced = laws["price"].notna()
    assert laws[priced]["verdict"].isin(SUPPORTED).all()
    assert (laws[priced]["price_low"] <= laws[priced]["price_high"]).all()


def test_only_runs_with_the_same_measure_are_compared(example):
    text = example.standings["rd"].public
    assert set(text["measure"]) == {"text"}
    assert set(text["law"]) == {"rd"}
    data = frame(n=80)
    kinds = {"diversity": "internal_diversity", "entropy": "sequence_nll"}
    molecules = qd.atlas(qd.RunLog.from_frame(data, kinds=kinds))
    assert set(molecules.standings["rd"].public["measure"]) == {"molecules"}
    assert set(molecules.standings["rh"].public["measure"]) == {"sequence"}


def test_the_share_is_a_count_of_public_prices_below_that_of_the_run(example):
    standing = example.standings["rd"]
    law = standing.law
    span = law.range[1] - law.range[0]
    assert standing.price.mid == pytest.approx(-law.change.mid / span)  # quality is from 0 to 1
    public = standing.public
    prices = public[public["verdict"].isin(SUPPORTED)]["price"].dropna()
    assert standing.steeper_than[1] == (prices < standing.price.mid).sum()
    assert f"of the {len(prices)} public runs that have a trade-off" in standing.sentence()
    none = (~public["verdict"].isin(SUPPORTED)).sum()
    assert f"{none} more have none (all from one source, grpo_math)" in standing.sentence()


def test_a_price_is_compared_only_where_the_scale_of_quality_is_plain():
    assert quality_scale(np.array([0.1, np.nan, 0.9])) == 1
    assert quality_scale(np.array([-0.4, 0.9])) == 2
    assert np.isnan(quality_scale(np.array([4.0, 6.5])))
    data = frame(n=80)
    data["quality"] = 100 * data["quality"]
    standing = qd.atlas(qd.RunLog.from_frame(data)).standings["rd"]
    assert standing.steeper_than is None
    assert "Its price is not compared" in standing.sentence()


def test_a_run_without_a_trade_off_is_said_to_be_like_those_without_one():
    data = frame(n=80)
    data["quality"] = 0.5 + 0.1 * np.sin(9.0 * np.arange(80))
    words = qd.atlas(qd.RunLog.from_frame(data)).standings["rd"].sentence()
    assert words.startswith("Quality on diversity: no trade-off here, as in ")


def test_the_summary_fits_a_terminal_and_the_answers_are_strict(example):
    lines = example.summary().text(80).splitlines()
    assert max(map(len, lines)) <= 80
    values = json.loads(json.dumps(example.to_dict(), allow_nan=False))
    assert set(values) == {"source", "tool", "n", "laws"}
    assert values["laws"]["rd"]["public_runs"] == len(example.standings["rd"].public)
    assert len(example.to_frame()) == sum(len(s.public) for s in example.standings.values())
    assert "measure it by trigrams" in " ".join(str(example).split())


def test_a_figure_has_the_public_prices_and_that_of_the_run(example):
    import matplotlib

    matplotlib.use("Agg")
    figure = example.plot()
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "Quality on diversity",
        "Quality on entropy",
    ]
    drawn = figure.axes[0].containers[0].lines[0].get_xdata()
    assert len(drawn) == len(example.standings["rd"].prices)
    assert figure.axes[0].get_lines()[0].get_xdata()[0] == example.standings["rd"].price.mid


def test_a_log_without_a_law_of_quality_is_answered():
    fits = qd.fit(log(n=80, seed=3))
    bare = qd.Atlas(qd.LawFits(fits.log, None, None, None), {})
    assert "No law of quality" in str(bare)
    assert bare.to_dict()["laws"] == {"rd": None, "rh": None}
    assert len(bare.to_frame()) == 0
