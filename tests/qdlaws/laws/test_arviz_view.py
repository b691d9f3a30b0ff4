"""The posterior of a law as ArviZ holds it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import qdlaws as qd


@pytest.fixture(scope="module")
def law() -> qd.LawFit:
    return qd.fit(qd.example_log()).rd


def test_without_arviz_one_line_says_what_to_install(law, monkeypatch):
    monkeypatch.setitem(sys.modules, "arviz", None)
    with pytest.raises(qd.QdlawsError, match="pip install arviz"):
        law.to_arviz()


def test_arviz_gets_the_draws_the_readings_and_replicated_readings(law):
    arviz = pytest.importorskip("arviz")
    data = law.to_arviz()
    table = arviz.summary(data, var_names=["c", "change"])
    assert float(table.loc["c", "mean"]) == pytest.approx(np.mean(law.draws.c), abs=0.01)
    np.testing.assert_array_equal(data["observed_data"]["quality"].values, law.y)
    replicated = data["posterior_predictive"]["quality"].values[0]
    low, high = np.quantile(replicated, [0.025, 0.975], axis=0)
    assert np.mean((low <= law.y) & (law.y <= high)) > 0.85


def test_a_line_has_its_slope_and_intercept(law):
    pytest.importorskip("arviz")
    line = qd.fit(qd.example_log()).hd
    names = set(line.to_arviz()["posterior"].data_vars)
    assert {"slope", "intercept", "sigma"} <= names
    assert "a" not in names
