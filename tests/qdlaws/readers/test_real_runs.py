"""Ten logs of other people's trainers, which lie beside the project and are not part of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qdlaws import EntropyKind
from qdlaws.readers import read

RUNS = Path(__file__).parents[4] / "shared" / "data" / "runs"
pytestmark = pytest.mark.skipif(not RUNS.is_dir(), reason="the ten logs are not here")

EXPECTED = {  # folder: (tool, points of quality, known entropy)
    "verl_agent_ry3hgbx5": ("verl", 162, EntropyKind.TOKEN),
    "verl_agent_f6sves9c": ("verl", 46, EntropyKind.TOKEN),
    "verl_agent_i80f2v90": ("verl", 235, EntropyKind.TOKEN),
    "verl_agent_gjvwlq13": ("verl", 54, EntropyKind.TOKEN),
    "verl_agent_cr3q4lay": ("verl", 215, EntropyKind.TOKEN),
    "reinvent4_druglike_diversity": ("reinvent4", 52, EntropyKind.SEQUENCE_NLL),
    "reinvent4_dasa_rl_stage1": ("reinvent4", 39, EntropyKind.SEQUENCE_NLL),
    "reinvent4_photoswitch_rl_stage1": ("reinvent4-log", 400, EntropyKind.SEQUENCE_NLL),
    "libinvent_maize_6G5J_8ZYP": ("reinvent4", 90, EntropyKind.SEQUENCE_NLL),
    "saturn_part1_mamba": ("saturn", 140, None),
}


SLOW = {name for name, (tool, *_) in EXPECTED.items() if tool == "reinvent4"}  # many molecules


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in EXPECTED]
)
def test_real_run(name: str):
    tool, points, entropy = EXPECTED[name]
    log = read(RUNS / name)
    assert log.tool == tool
    assert np.isfinite(log.column("quality")).sum() == points
    assert log.kinds.get("entropy") == entropy
    if tool in ("reinvent4", "saturn"):
        assert np.all(log.column("diversity") > 0.3)
        assert np.nanmin(log.diversity_se) > 0
        assert np.all(log.quality_se >= 0)
    if tool == "reinvent4":
        return  # measuring the molecules twice would take a while
    (file,) = [p for p in (RUNS / name).iterdir() if p.suffix in (".csv", ".log")]
    np.testing.assert_array_equal(read(file).quality, log.quality)
