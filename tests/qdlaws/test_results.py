"""Every result answers alike: summary(), to_dict(), to_frame(), a short repr, bounded HTML."""

from __future__ import annotations

import importlib
import json
import types
from pathlib import Path

import lmfit
import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from qdlaws.core.summary import Summary
from tests.helpers.import_graph import modules

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def results() -> dict[str, object]:
    """One result of each public kind, from the example runs."""
    fits = qd.fit(qd.read(DATA / "runs" / "additive"))
    sweep = [qd.read(path) for path in sorted((DATA / "sweep").iterdir()) if path.is_dir()]
    rewards = np.random.default_rng(0).uniform(size=500)
    return {
        "law": fits.rd,
        "laws": fits,
        "certificate": fits.rd.certificate(runs=20),
        "composition": fits.composition,
        "rivals": fits.rd.rivals,
        "parameters": fits.rd.params,
        "user model": qd.fit(fits.log, model=lmfit.models.LinearModel()).rd,
        "forecast": qd.forecast(fits),
        "clock": qd.clock(fits.log),
        "backtest": qd.backtest(fits.log),
        "advice": qd.advise(fits),
        "choice": qd.choose(fits.log),
        "comparison": qd.compare(sweep),
        "fleet": qd.fleet(sweep),
        "atlas": qd.atlas(fits),
        "frontier": qd.frontier(rewards),
    }


KINDS = [
    *("law", "laws", "certificate", "composition", "rivals", "parameters", "user model"),
    *("forecast", "clock", "backtest"),
    *("advice", "choice", "comparison", "fleet", "frontier", "atlas"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_has_a_summary_a_table_and_strict_json(kind, results):
    result = results[kind]
    assert isinstance(result.summary(), Summary)
    assert str(result) == str(result.summary())
    assert result._repr_html_() == result.summary()._repr_html_()
    assert isinstance(result.to_frame(), pd.DataFrame)
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_does_not_flood_a_prompt_or_a_notebook(kind, results):
    result = results[kind]
    assert len(repr(result)) < 300
    assert "\n" not in repr(result)
    assert len(result._repr_html_()) < 8000


def test_parameters_print_as_one_line(results):
    assert repr(results["law"].params).startswith("a ")
    assert len(repr(results["law"].params)) < 200
    assert list(results["law"].params.to_frame()["parameter"]) == ["a", "b", "c"]


def test_completion_shows_the_public_names_and_little_else():
    assert set(qd.__all__) <= set(dir(qd))
    assert len(set(dir(qd)) - set(qd.__all__)) <= 2


def test_no_module_is_hidden_by_a_function_of_its_name():
    """``import qdlaws.laws.fit as m`` gives the module, whatever the packages export."""
    for name in modules("qdlaws"):
        if name == "qdlaws" or name.endswith("__main__"):
            continue
        package, _, last = name.rpartition(".")
        importlib.import_module(name)
        assert isinstance(getattr(importlib.import_module(package), last), types.ModuleType), name
