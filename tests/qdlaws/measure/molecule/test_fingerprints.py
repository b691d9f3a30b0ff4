"""Molecules are read once, over the cores where that pays."""

from __future__ import annotations

import builtins
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qdlaws.measure.molecule import fingerprints
from qdlaws.measure.molecule.fingerprints import Molecules, read_molecules


def assert_same(one: Molecules, other: Molecules) -> None:
    assert one.canonical == other.canonical
    assert one.scaffolds == other.scaffolds
    assert np.array_equal(one.valid, other.valid)
    assert np.array_equal(one.fingerprints.packed, other.fingerprints.packed)


def test_one_and_two_processes_agree(smiles, monkeypatch):
    pytest.importorskip("joblib")
    alone = read_molecules(smiles[:1001], workers=1)
    assert len(alone.scaffolds) == len(alone.canonical)
    monkeypatch.setattr(fingerprints, "SHARE", 300)
    assert_same(read_molecules(smiles[:1001], workers=2), alone)


def test_without_joblib_one_process_reads_all(smiles, monkeypatch):
    alone = read_molecules(smiles[:100], workers=1)
    real = builtins.__import__

    def without_joblib(name, *rest, **named):
        if name == "joblib":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_joblib)
    monkeypatch.setattr(fingerprints, "SHARE", 10)
    assert_same(read_molecules(smiles[:100], workers=2), alone)


def test_a_script_without_a_main_guard_runs_once(tmp_path):
    pytest.importorskip("joblib")
    script = tmp_path / "script.py"
    script.write_text(
        "from qdlaws.measure.molecule import fingerprints\n"
        "fingerprints.SHARE = 20\n"
        "print('started', len(fingerprints.read_molecules(['C' * n for n in range(1, 60)], 2)))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[4], check=True,
    )  # fmt: skip
    assert done.stdout == "started 59\n"


def test_scaffolds_are_kept_when_some_molecules_are_taken(smiles):
    molecules = read_molecules(smiles[:60])
    scaffolds = molecules.scaffolds
    taken = molecules.take([3, 3, 5])
    assert taken.scaffolds == (scaffolds[3], scaffolds[3], scaffolds[5])
    assert taken.canonical == tuple(molecules.canonical[i] for i in (3, 3, 5))
