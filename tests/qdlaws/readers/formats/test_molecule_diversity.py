"""The diversity of a step's molecules is measured once."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from qdlaws.core.user_cache import VARIABLE
from qdlaws.measure import internal_diversity
from qdlaws.readers import read
from qdlaws.readers.formats import molecule_diversity
from qdlaws.readers.formats.molecule_diversity import batch_diversity

pytest.importorskip("rdkit")

SMILES = ["CCO", "CCN", "c1ccccc1", "CCCl", "CNC", "C1CCCCC1", "OCCO", "CCO", "CC(=O)O"]
BATCHES = [SMILES[:6], SMILES[2:8], SMILES[3:]]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def measured(batches: list[list[str]]) -> tuple[list[dict[str, float]], int]:
    with batch_diversity("log") as measure:
        return [measure(batch) for batch in batches], measure.measured


def test_a_batch_is_measured_once_and_a_new_one_is_added():
    first, count = measured(BATCHES[:2])
    assert count == 2
    again, count = measured(BATCHES)
    assert count == 1
    assert again[:2] == first
    for row, batch in zip(again, BATCHES, strict=True):
        estimate = internal_diversity(batch, unique=False)
        assert (row["diversity"], row["diversity_se"]) == (estimate.value, estimate.se)


def test_the_order_of_versions_and_molecules_is_part_of_the_key(monkeypatch):
    measured(BATCHES)
    assert measured([BATCHES[0][::-1]])[1] == 1
    monkeypatch.setattr(molecule_diversity, "_versions", lambda: "another rdkit")
    assert measured(BATCHES)[1] == 3


def test_nothing_is_kept_where_the_cache_is_off(monkeypatch, folder):
    monkeypatch.setenv(VARIABLE, "off")
    measured(BATCHES)
    assert measured(BATCHES)[1] == 3
    assert not folder.exists()


@pytest.mark.parametrize("damage", [b"no database at all" * 99, b""])
def test_a_damaged_cache_is_begun_anew(folder, damage):
    measured(BATCHES)
    (folder / "diversity.sqlite3").write_bytes(damage)
    assert measured(BATCHES)[1] == 3
    assert measured(BATCHES)[1] == 0


def test_words_in_the_cache_are_not_taken_for_numbers(folder):
    measured(BATCHES)
    with sqlite3.connect(folder / "diversity.sqlite3") as base:
        base.execute("UPDATE diversity SET value = 'word'")
    rows, count = measured(BATCHES)
    assert count == 3
    assert all(np.isfinite(row["diversity"]) for row in rows)


def test_the_cache_is_bounded(folder, monkeypatch):
    measured(BATCHES)
    monkeypatch.setattr(molecule_diversity, "MOST_BYTES", 2)
    assert measured(BATCHES)[1] == 3


def test_a_log_is_read_alike_with_and_without_the_cache(write):
    rows = "".join(f"20,20,100,{(i + s) / 30},{smiles},1,{s}\n"
                   for s in range(1, 9) for i, smiles in enumerate(BATCHES[s % 3]))  # fmt: skip
    path = write("Agent,Prior,Target,Score,SMILES,SMILES_state,step\n" + rows)
    first, second = read(path), read(path)
    np.testing.assert_array_equal(first.diversity, second.diversity)
    np.testing.assert_array_equal(first.diversity_se, second.diversity_se)


def test_a_line_says_what_takes_so_long(monkeypatch, capsys):
    monkeypatch.setattr(molecule_diversity, "PATIENCE", -1.0)
    monkeypatch.setattr(molecule_diversity, "EVERY", -1.0)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    measured(BATCHES)
    shown = capsys.readouterr().err
    assert "log: the molecules of step 3 are measured" in shown
    assert shown.endswith("\r")
    monkeypatch.setattr(molecule_diversity, "PATIENCE", 60.0)
    measured([["CCCC", "CCCN"]])
    assert capsys.readouterr().err == ""
