"""The CSV in REINVENT4's columns, read back by the reader of the library and by pandas."""

import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from qdlaws.errors import BadData
from trainer.tasks import make_task
from trainer.tasks.molecules.reinvent_csv import reinvent_csv
from trainer.tasks.molecules.scaffold_buckets import bucket_keys
from trainer.tasks.task import Scores

pytest.importorskip("rdkit")

SIGMA = 100.0


def write(path, steps=6, size=20):
    """A run of some steps; what was written, as the truth to compare with."""
    task = make_task("molecules", objective=["qed", "sa"])
    rng = np.random.default_rng(0)
    truth = []
    for step in range(1, steps + 1):
        texts = [text for _, text in task.corpus(size - 2, seed=step)]
        texts += ["no, molecule", texts[0]]
        scores = task.score(list(task.prompts()) * size, texts)
        prior = rng.uniform(20, 40, size)
        agent = prior - step
        smiles = task.smiles(texts)
        reinvent_csv(
            path, step, texts, smiles, scores, agent=agent, prior=prior, sigma=SIGMA,
            scaffolds=bucket_keys(smiles),
        )  # fmt: skip
        truth.append((step, scores, agent, prior, smiles))
    return truth


def test_the_library_reads_the_file_as_reinvent(tmp_path):
    truth = write(tmp_path / "stage1_1.csv")
    log = qd.read(tmp_path / "stage1_1.csv")
    assert log.tool == "reinvent4"
    np.testing.assert_array_equal(log.step, [step for step, *_ in truth])
    np.testing.assert_allclose(log.quality, [s.score.mean() for _, s, *_ in truth], atol=1e-7)
    np.testing.assert_allclose(log.entropy, [a.mean() for _, _, a, *_ in truth], rtol=1e-7)
    np.testing.assert_allclose(log.extra["kl"], [step for step, *_ in truth], rtol=1e-6)
    np.testing.assert_allclose(log.extra["valid_fraction"], 0.95)
    task = make_task("molecules")
    for index, (_, _, _, _, smiles) in enumerate(truth):
        expected = task.measure([], [s or "" for s in smiles])["diversity"]
        assert log.diversity[index] == pytest.approx(expected.value, abs=1e-9)
    assert any("σ = 100" in note for note in log.notes)
    assert not any("do not satisfy" in note for note in log.notes)


def test_columns_and_states(tmp_path):
    path = tmp_path / "run" / "a.csv"  # the folder is made
    write(path, steps=2)
    table = pd.read_csv(path)
    assert list(table.columns) == [
        "Agent", "Prior", "Target", "Score", "SMILES", "SMILES_state", "Scaffold",
        "qed", "qed (raw)", "sa", "sa (raw)", "step",
    ]  # fmt: skip
    last = table[table["step"] == 2]
    assert last["SMILES_state"].tolist() == [1] * 18 + [0, 2]
    assert last["SMILES"].iloc[-2] == "no, molecule"
    assert last["SMILES"].iloc[0] == last["SMILES"].iloc[-1]
    invalid = last.iloc[-2]
    assert invalid["Score"] == invalid["qed"] == 0
    assert np.isnan(invalid["qed (raw)"])
    np.testing.assert_allclose(table["Target"], SIGMA * table["Score"] - table["Prior"], atol=1e-5)


def scores(n=2, **parts):
    return Scores(np.full(n, 0.5), np.ones(n, bool), {k: np.ones(n) for k in parts})


def test_rows_with_other_columns_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    two = {"agent": [1.0, 2.0], "prior": [1.0, 2.0]}
    reinvent_csv(path, 1, ["C", "CC"], ["C", "CC"], scores(qed=1), **two)
    before = path.read_text()
    with pytest.raises(BadData, match="has columns Agent"):
        reinvent_csv(path, 2, ["C", "CC"], ["C", "CC"], scores(logp=1), **two)
    with pytest.raises(BadData, match="found 1 agent for 2 scores"):
        reinvent_csv(path, 2, ["C", "CC"], ["C", "CC"], scores(qed=1), agent=[1.0], prior=[1, 2])
    with pytest.raises(BadData, match="a component is called Prior"):
        reinvent_csv(path, 2, ["C", "CC"], ["C", "CC"], scores(Prior=1), **two)
    assert path.read_text() == before


def test_a_failed_score_is_left_empty(tmp_path):
    path = tmp_path / "a.csv"
    failed = Scores(np.array([np.nan, 0.5]), np.ones(2, bool), {"qed": np.array([np.nan, 0.5])})
    reinvent_csv(path, 1, ["C", "CC"], ["C", "CC"], failed, agent=[1.0, 2.0], prior=[1.0, 2.0])
    table = pd.read_csv(path)
    assert table["Score"].isna().tolist() == [True, False]
    assert table["qed"].isna().tolist() == [True, False]
