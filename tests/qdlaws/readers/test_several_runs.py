"""Several runs in one file are never pooled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import qdlaws as qd
from qdlaws import BadLog, MissingColumn
from qdlaws.readers import read, read_many
from tests.helpers.make_fixtures import FIXTURES

STEPS = np.arange(1, 13)
MODELS = ("qwen", "llama", "gemma")


def table(column: str = "model", names=MODELS) -> str:
    rows = (f"{n},{s},{i + s / 20},{2 - s / 20}\n" for i, n in enumerate(names) for s in STEPS)
    return f"{column},step,reward,entropy\n" + "".join(rows)


@pytest.mark.parametrize(
    ("column", "names"), [("model", MODELS), ("run", MODELS), ("seed", ("0", "1", "2"))]
)
def test_a_table_of_several_runs_is_refused_with_their_list(write, column, names):
    path = write(table(column, names), "log.csv")
    with pytest.raises(BadLog, match="holds 3 runs") as caught:
        read(path)
    assert all(f"{name} (12 values)" in str(caught.value) for name in names)
    assert f"run='{names[0]}'" in str(caught.value)
    assert "\n" not in str(caught.value)
    for i, name in enumerate(names):
        log = read(path, run=name)
        np.testing.assert_array_equal(log.step, STEPS)
        np.testing.assert_allclose(log.quality, i + STEPS / 20)
        assert not any("\0" in column for column in log.extra)
    with pytest.raises(BadLog, match="0 runs are called 'mistral'"):
        read(path, run="mistral")


def rows(model: str = "qwen") -> list[dict[str, object]]:
    return [{"model": model, "step": int(s), "reward": s / 20} for s in STEPS]


@pytest.mark.parametrize("lines", [True, False], ids=["lines", "document"])
def test_json_rows_of_several_models_are_refused(write, lines):
    several = [row for model in MODELS for row in rows(model)]
    text = "".join(json.dumps(r) + "\n" for r in several) if lines else json.dumps(several)
    path = write(text, "log.json")
    with pytest.raises(BadLog, match=r"qwen \(12 values\), llama"):
        read(path)
    np.testing.assert_array_equal(read(path, run="llama").step, STEPS)


def test_models_and_seeds_together_name_the_runs(write):
    each = [(m, s) for m in MODELS[:2] for s in (1, 2)]
    body = "".join(f"{m},{s},{t},{t / 20}\n" for m, s in each for t in STEPS)
    path = write("model,seed,step,reward\n" + body)
    with pytest.raises(BadLog, match="holds 4 runs"):
        read(path)
    assert len(read(path, run="llama/2")) == len(STEPS)


def test_interleaved_runs_without_a_step_are_refused(write):
    body = "".join(f"{m},{s / 20}\n" for s in STEPS for m in MODELS)
    with pytest.raises(BadLog, match="holds 3 runs"):
        read(write("run,reward\n" + body))


def test_one_run_whose_seed_changes_is_one_run(write):
    body = "".join(f"{s * 17},{s},{s / 20}\n" for s in STEPS)
    assert len(read(write("seed,step,reward\n" + body))) == len(STEPS)
    parts = "".join(f"part{(s - 1) // 6},{s},{s / 20}\n" for s in STEPS)  # resumed under a new name
    np.testing.assert_array_equal(read(write("run,step,reward\n" + parts)).step, STEPS)


def test_a_log_that_begins_anew_many_times_is_refused(write):
    text = "".join(
        f"{s}/400 " + str({"loss": 0.1, "reward": start + s / 20, "epoch": s / 99}) + "\n"
        for start in range(4)
        for s in STEPS
    )
    path = write(text, "output.log")
    with pytest.raises(BadLog, match=r"holds 4 runs: start 1 \(12 values\)"):
        read(path)
    np.testing.assert_allclose(read(path, run="start 3").quality, 2 + STEPS / 20)
    once = write(text[: len(text) // 2], "once.log")
    assert any("goes back" in note for note in read(once).notes)


def test_a_log_without_rows_or_with_a_forged_label_is_no_several_runs(write):
    text = "".join(
        json.dumps({"\0model": int(s) % 2, "step": int(s), "reward": 1.0}) + "\n" for s in STEPS
    )
    assert len(read(write(text))) == len(STEPS)
    with pytest.raises(MissingColumn):
        read(write("{}\n{}\n"))


def test_a_folder_with_a_table_of_several_runs_gives_the_list(tmp_path):
    (tmp_path / "log.csv").write_text(table())
    with pytest.raises(BadLog, match="holds 3 runs"):
        read(tmp_path)
    assert len(read(tmp_path, run="gemma")) == len(STEPS)


def test_read_many_gives_every_run_of_a_file(write):
    path = write(table(), "log.csv")
    logs = read_many(path)
    assert [log.source for log in logs] == [f"{path}: {name}" for name in MODELS]
    for i, log in enumerate(logs):
        np.testing.assert_allclose(log.quality, i + STEPS / 20)
    (one,) = read_many([write(table(names=("qwen",)), "one.csv")])
    assert len(one) == len(STEPS)
    assert len(read_many([path, path])) == 6


def test_read_many_gives_every_run_of_a_folder(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        rewards = [{"step": int(s), "reward": s / 20, "entropy": 2 - s / 20} for s in STEPS]
        text = "".join(json.dumps(row) + "\n" for row in rewards)
        (tmp_path / name / "metrics.jsonl").write_text(text)
    with pytest.raises(BadLog, match="2 runs: a/metrics"):
        read(tmp_path)
    assert [Path(log.source).parent.name for log in read_many(tmp_path)] == ["a", "b"]


def test_checkpoints_of_two_runs_are_two_runs(tmp_path):
    """The one that came farther was read, and nothing said that there was another."""
    for name in ("a", "b"):
        folder = tmp_path / name / "checkpoint-10"
        folder.mkdir(parents=True)
        source = FIXTURES / "trl" / "checkpoint-10" / "trainer_state.json"
        (folder / "trainer_state.json").write_text(source.read_text())
    with pytest.raises(BadLog, match="2 runs: a, b; name one folder"):
        read(tmp_path)
    assert len(read_many(tmp_path)) == 2


def test_runs_are_compared_and_fitted_by_their_paths(write):
    steps = np.arange(40)
    wave = 0.02 * np.sin(np.outer([7.0, 8.0, 9.0], steps))
    lines = [
        f"{name},{s},{1 - 0.9 + s / 60 + wave[i][s]},{0.9 - s / 60}"
        for i, name in enumerate(MODELS)
        for s in steps
    ]
    path = write("model,step,quality,diversity\n" + "\n".join(lines) + "\n", "sweep.csv")
    logs = qd.read_many(path)
    assert [run.name for run in qd.compare(path).runs] == [
        run.name for run in qd.compare(logs).runs
    ]
    assert qd.fleet(path).coefficients() == qd.fleet(logs).coefficients()
    one = write(
        "step,quality,diversity\n" + "\n".join(x.partition(",")[2] for x in lines[:40]) + "\n"
    )
    fits, error = qd.fit_many([one, path])
    assert fits.rd.n == 40
    assert "holds 3 runs" in str(error)
    assert qd.backtest(one).summary() is not None


def test_a_log_with_one_column_says_what_it_still_gives(write):
    rows = "".join(f"{i},{i / 99 + 0.01 * (-1) ** i},0.1,{i}\n" for i in range(60))
    path = write("step,reward,reward_std,num_tokens\n" + rows)
    with pytest.raises(MissingColumn, match="which forecast, advise and choose take") as caught:
        qd.fit(path)
    assert "TRL logs it from 0.22 on" in str(caught.value)
    assert set(qd.forecast(path).final) == {"quality"}
    assert qd.advise(path).action
    assert qd.choose(qd.read(path)) is not None


def test_notes_of_reading_stand_in_errors(write):
    with pytest.raises(qd.NotEnoughData, match="while reading: no step column"):
        qd.fit(write("reward,entropy\n" + "".join(f"{i},{i}\n" for i in range(3))))
    with pytest.raises(MissingColumn, match="0 in every row"):
        read(write("step,entropy,loss\n" + "".join(f"{i},0,{i}\n" for i in range(9))))


def test_a_run_that_a_file_does_not_hold_is_refused(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("step,reward,entropy\n" + "".join(f"{i},{i / 9},{2 - i}\n" for i in range(9)))
    with pytest.raises(BadLog, match="no run 'three': the file holds one run without a name"):
        read(path, run="three")
    assert len(read(path)) == 9
