"""LawFit and LawFits: JSON, missing columns, regimes in a table."""

from __future__ import annotations

import json

import pytest

import qdlaws as qd
from tests.helpers.simulated import frame, log


@pytest.fixture(scope="module")
def fits() -> qd.LawFits:
    return qd.fit(log())


def test_an_unknown_number_is_null_in_json(fits):
    text = json.dumps(fits.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert set(back["laws"]) == {"rd", "rh", "hd"}
    assert back["laws"]["rd"]["params"]["c"]["level"] == 0.95
    lost = qd.fit(log(change=0.0, seed=3)).rd
    assert lost.verdict == "unsupported"
    plain = json.loads(json.dumps(lost.to_dict(), allow_nan=False))
    assert plain["params"]["a"] == {"low": None, "mid": None, "high": None, "level": 0.95}
    assert plain["ceiling"]["mid"] is None


def test_a_law_without_its_columns_is_none():
    data = frame()
    fits = qd.fit(qd.RunLog.from_frame(data.drop(columns="entropy")))
    assert fits.rh is None
    assert fits.hd is None
    assert fits.composition is None
    assert [f.kind for f in fits.laws()] == ["rd"]
    only = qd.fit(qd.RunLog.from_frame(data.drop(columns="quality")))
    assert [f.kind for f in only.laws()] == ["hd"]


def test_the_table_of_a_run_has_a_row_for_each_parameter_of_each_law(fits):
    table = fits.to_frame()
    assert list(table["law"]) == ["rd"] * 3 + ["rh"] * 3 + ["hd"] * 2
    assert set(table[table["law"] == "hd"]["verdict"]) == {"linear"}
    assert repr(fits) == "<LawFits of 80 checkpoints: rd concave, rh concave, hd linear>"
