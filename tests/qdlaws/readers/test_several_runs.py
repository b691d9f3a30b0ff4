"""Several runs in one file are never pooled."""

from __future__ import annotations

import json

import numpy as np
import pytest

from qdlaws import BadLog, MissingColumn
from qdlaws.readers import read

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
