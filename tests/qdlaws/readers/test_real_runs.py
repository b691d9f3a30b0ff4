"""Logs of other people's trainers, which lie beside the project and are not part of it.

``QDLAWS_REAL_RUNS`` names their folder. The table was made by counting lines and keys in the files,
without the reader.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from qdlaws import EntropyKind
from qdlaws.readers import read

RUNS = Path(os.environ.get("QDLAWS_REAL_RUNS", Path(__file__).parents[4] / "shared/data/runs"))
TIDY = RUNS.parent / "tidy"
pytestmark = pytest.mark.skipif(not RUNS.is_dir(), reason="QDLAWS_REAL_RUNS names no folder")


class Expected(NamedTuple):
    """What stands in the files of a run."""

    tool: str
    steps: tuple[float, float]
    rows: int
    """Steps with a quality, a diversity or an entropy."""
    scores: int
    """Steps with a quality: verl's console cuts lines at 4,096 characters."""
    columns: dict[str, str]
    """Role → the column or the key that it is read from."""
    entropy: str | None = EntropyKind.SEQUENCE_NLL


PLAIN_VERL = {"quality": "critic/score/mean", "entropy": "actor/entropy"}
VERL = {**PLAIN_VERL, "kl": "actor/reward_kl_penalty"}
MOLECULES = {"quality": "quality", "diversity": "diversity", "entropy": "entropy", "kl": "kl"}
EXPECTED = {
    "verl_agent_ry3hgbx5": Expected("verl", (1, 179), 179, 162, VERL, EntropyKind.TOKEN),
    "verl_agent_f6sves9c": Expected("verl", (1, 51), 51, 46, VERL, EntropyKind.TOKEN),
    "verl_agent_i80f2v90": Expected("verl", (1, 261), 261, 235, VERL, EntropyKind.TOKEN),
    "verl_agent_gjvwlq13": Expected("verl", (1, 59), 59, 54, VERL, EntropyKind.TOKEN),
    "verl_agent_cr3q4lay": Expected("verl", (1, 238), 238, 215, PLAIN_VERL, EntropyKind.TOKEN),
    "reinvent4_druglike_diversity": Expected("reinvent4", (1, 52), 52, 52, MOLECULES),
    "reinvent4_dasa_rl_stage1": Expected("reinvent4", (1, 39), 39, 39, MOLECULES),
    "reinvent4_photoswitch_rl_stage1": Expected(
        "reinvent4-log", (1, 400), 400, 400, {"quality": "quality", "entropy": "entropy"}
    ),
    "libinvent_maize_6G5J_8ZYP": Expected("reinvent4", (1, 90), 90, 90, MOLECULES),
    "saturn_part1_mamba": Expected(
        "saturn", (14, 1003), 140, 140, {"quality": "quality", "diversity": "diversity"}, None
    ),
}
SLOW = {name for name, expected in EXPECTED.items() if expected.tool == "reinvent4"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in EXPECTED]
)
def test_clock_columns_series_and_rows_are_those_of_the_files(name: str):
    expected = EXPECTED[name]
    log = read(RUNS / name)
    assert log.tool == expected.tool
    assert not log.is_numbered
    assert (log.step[0], log.step[-1], len(log)) == (*expected.steps, expected.rows)
    assert np.isfinite(log.column("quality")).sum() == expected.scores
    columns = {role: column for role, column in log.names.items() if not role.endswith("_se")}
    assert columns == expected.columns
    assert log.kinds.get("entropy") == expected.entropy
    assert not any(note.startswith("evaluation series") for note in log.notes)
    if expected.tool in ("reinvent4", "saturn"):
        assert np.all(log.column("diversity") > 0.3)
        assert np.nanmin(log.diversity_se) > 0
        assert np.all(log.quality_se >= 0)


@pytest.mark.slow
@pytest.mark.skipif(not TIDY.is_dir(), reason="no folder of tidy logs beside the runs")
def test_the_tidy_logs_are_read_as_their_lines_say():
    paths = sorted(TIDY.glob("*.csv"))
    assert len(paths) == 71
    columns = {"R": "quality", "H": "entropy", "D": "diversity"}
    for path in paths:
        header, *lines = path.read_text().splitlines()
        log = read(path)
        assert not log.is_numbered, path.name
        roles = {columns[name] for name in header.split(",") if name in columns}
        assert set(log.columns) == roles, path.name
        steps = [float(line.split(",")[0]) for line in lines]
        np.testing.assert_array_equal(log.step, np.unique(steps), path.name)
        last = dict(zip(steps, (float(line.split(",")[1]) for line in lines), strict=True))
        np.testing.assert_array_equal(log.quality, [last[s] for s in log.step], path.name)


@pytest.mark.skipif(not TIDY.is_dir(), reason="no folder of tidy logs beside the runs")
@pytest.mark.parametrize(
    ("name", "steps"),
    [("reinvent2re_aurora_100", 100), ("reinvent2re_exploit_200", 200),
     ("reinvent2re_murcko_10k", 10_000), ("verl_econ_train_300steps", 300),
     ("grpo_math_grpo_sft256_step100_kl0p01_190", 190)],
)  # fmt: skip
def test_a_tidy_log_has_the_steps_that_its_name_says(name, steps):
    log = read(TIDY / f"{name}.csv")
    assert (len(log), log.step[-1]) == (steps, steps)
