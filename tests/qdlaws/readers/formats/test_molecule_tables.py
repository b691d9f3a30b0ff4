"""Tables of molecules: the measures of each step, and scores before the diversity filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qdlaws import EntropyKind
from qdlaws.readers import read

pytest.importorskip("rdkit")

SMILES = [
    "CCO",
    "CCN",
    "CCC",
    "c1ccccc1",
    "CC(=O)O",
    "CCCl",
    "C1CCCCC1",
    "Cc1ccccc1",
    "CNC",
    "OCCO",
]
SIGMA, BATCH = 128.0, 20


def reinvent(steps: int, seed: int = 0, first_filtered: int = 10**9) -> pd.DataFrame:
    """A REINVENT4 summary: σ = 128, geometric mean, weights .75 and .25, a filter that zeroes."""
    rng = np.random.default_rng(seed)
    n = steps * BATCH
    prior, gain = rng.uniform(20, 40, n), np.repeat(np.arange(steps) / 4, BATCH)
    a, b = rng.uniform(0.2, 1, (2, n))
    score = np.exp(0.75 * np.log(a) + 0.25 * np.log(b))
    step = np.repeat(np.arange(1, steps + 1), BATCH)
    filtered = (step >= first_filtered) & (np.arange(n) % 4 == 0)
    state = np.where(np.arange(n) % 10 == 3, 0, 1)  # invalid, scored zero
    score, a, b = (np.where(state == 0, 0.0, v) for v in (score, a, b))
    logged = np.where(filtered, 0.0, score)
    return pd.DataFrame(
        {
            "Agent": prior - gain, "Prior": prior, "Target": -prior + SIGMA * logged,
            "Score": logged, "SMILES": [SMILES[i % 10] for i in range(n)], "SMILES_state": state,
            "A": a, "A (raw)": a, "B": b, "B (raw)": b, "step": step, "truth": score,
        }
    )  # fmt: skip


@pytest.fixture
def table(tmp_path: Path):
    def written(frame: pd.DataFrame, name: str = "stage1_1.csv") -> Path:
        frame.drop(columns="truth").to_csv(tmp_path / name, index=False, float_format="%.7f")
        return tmp_path / name

    return written


def test_reinvent_csv(table):
    frame = reinvent(12)
    log = read(table(frame))
    by_step = frame.groupby("step")
    assert log.tool == "reinvent4"
    assert log.kinds["entropy"] == EntropyKind.SEQUENCE_NLL
    np.testing.assert_array_equal(log.step, np.arange(1, 13))
    np.testing.assert_allclose(log.quality, by_step["Score"].mean(), atol=1e-6)
    np.testing.assert_allclose(log.quality_se, by_step["Score"].sem(), atol=1e-6)
    np.testing.assert_allclose(log.entropy, by_step["Agent"].mean(), atol=1e-5)
    np.testing.assert_allclose(log.entropy_se, by_step["Agent"].sem(), atol=1e-5)
    np.testing.assert_allclose(log.extra["kl"], np.arange(12) / 4, atol=1e-5)
    np.testing.assert_allclose(log.extra["valid_fraction"], 0.9)
    assert any("σ = 128" in note for note in log.notes)
    np.testing.assert_allclose(log.extra["sigma"], SIGMA, rtol=1e-4)


def test_diversity_is_over_the_valid_molecules_of_the_step(table):
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    frame = reinvent(4)
    log = read(table(frame))
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    valid = frame[(frame["step"] == 2) & (frame["SMILES_state"] != 0)]["SMILES"]
    prints = [generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in valid]
    pairs = [DataStructs.TanimotoSimilarity(x, y) for i, x in enumerate(prints) for y in prints[:i]]
    assert log.diversity[1] == pytest.approx(1 - np.mean(pairs), abs=1e-6)
    assert np.all(log.diversity_se > 0)


def test_the_diversity_filter_is_taken_back(table):
    frame = reinvent(20, first_filtered=12)
    log = read(table(frame))
    np.testing.assert_allclose(log.quality, frame.groupby("step")["truth"].mean(), atol=1e-6)
    np.testing.assert_allclose(log.extra["Score"], frame.groupby("step")["Score"].mean(), atol=1e-6)
    assert log.kinds["quality"] == "mean_score before the diversity filter"
    assert any("geometric mean, weights A 0.75, B 0.25" in note for note in log.notes)


def test_a_component_that_first_moves_late_gets_no_guessed_weight(table):
    frame = reinvent(300)  # longer than what the rule is learned from
    frame["C"] = frame["C (raw)"] = np.where(frame["step"] > 280, 0.5, 1.0)
    frame["Score"] *= frame["C"]
    frame["truth"] = frame["Score"]
    log = read(table(frame))
    np.testing.assert_allclose(log.quality, frame.groupby("step")["Score"].mean(), atol=1e-6)


def test_scores_of_unknown_making_are_taken_as_they_are(table):
    frame = reinvent(10, first_filtered=5)
    frame["A"] = np.random.default_rng(5).uniform(0.1, 1, len(frame))
    log = read(table(frame))
    np.testing.assert_allclose(log.quality, frame.groupby("step")["Score"].mean(), atol=1e-6)
    assert any("Score as logged" in note for note in log.notes)


def test_failed_scores_are_dropped_and_counted(table):
    frame = reinvent(6)
    frame.loc[frame.index % 5 == 0, "Score"] = np.nan
    log = read(table(frame))
    np.testing.assert_allclose(log.quality, frame.groupby("step")["Score"].mean(), atol=1e-6)
    assert set(log.extra["n_failed"]) == {4.0}


def test_shifted_likelihoods_are_reported(table):
    frame = reinvent(10)
    frame["Target"] = np.roll(frame["Target"], 1)
    log = read(table(frame))
    assert any("shifted" in note for note in log.notes)
    assert "sigma" not in log.extra


def test_a_step_that_is_still_being_written_is_left_out(table):
    path = table(reinvent(8))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-15]) + "3.21,1")
    log = read(path)
    assert log.step[-1] == 7
    assert any("last step 8 left out: 5 rows" in note for note in log.notes)


def test_stages_follow_each_other_with_a_mark(table, tmp_path: Path):
    table(reinvent(6), "stage1_1.csv")
    table(reinvent(5, seed=1), "stage1_2.csv")
    log = read(tmp_path)
    np.testing.assert_array_equal(log.step, np.arange(1, 12))
    assert log.marks == (7.0,)
    assert len(log.pieces()) == 2


def test_reinvent_text_log(tmp_path: Path):
    head = "16:54:14 <INFO> Started REINVENT 4.7.15 (C) AstraZeneca 2017, 2023\n"
    line = (
        "16:54:18 <INFO> Score: 0.{:02d} Agent NLL: {:.2f} Valid:  89% Step: {}\n | Agent Prior\n"
    )
    stages = []
    for stage in (1, 2):
        stages.append(f"16:54:15 <INFO> Starting stage {stage} <<<\n")
        stages += [line.format(30 + s, 20 - s, s) for s in range(1, 11)]
    (tmp_path / "stage1.log").write_text(head + "".join(stages))
    log = read(tmp_path)
    assert log.tool == "reinvent4-log"
    np.testing.assert_array_equal(log.step, np.arange(1, 21))
    np.testing.assert_allclose(log.quality, np.tile(0.30 + np.arange(1, 11) / 100, 2))
    np.testing.assert_allclose(log.entropy, np.tile(20.0 - np.arange(1, 11), 2))
    assert log.marks == (11.0,)
    assert log.diversity is None


def test_saturn_oracle_history(tmp_path: Path):
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "oracle_calls": np.repeat([10, 20, 30, 40], 10), "scaffold": "c1ccccc1",
            "smiles": SMILES * 4, "reward": rng.uniform(size=40),
            "penalized_reward": 0.0, "qed_raw_values": 0.3,
        }
    )  # fmt: skip
    frame.to_csv(tmp_path / "oracle_history.csv")
    log = read(tmp_path)
    assert log.tool == "saturn"
    np.testing.assert_array_equal(log.step, [10, 20, 30, 40])
    groups = frame.groupby("oracle_calls")["reward"]
    np.testing.assert_allclose(log.quality, groups.mean())
    np.testing.assert_allclose(log.quality_se, groups.sem())
    assert np.ptp(log.diversity) == 0  # the same molecules each time
    assert log.entropy is None
