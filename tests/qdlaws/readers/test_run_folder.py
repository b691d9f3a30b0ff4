"""The files beside the metrics of a run: what cannot be read is left out."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from qdlaws.readers import run_folder
from qdlaws.readers.run_folder import last_decision, run_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "phase": "eval", "quality": 0.5}\n')
    lines = [json.dumps({"step": step, "action": "wait"}) for step in (1, 2)]
    (tmp_path / "advice.jsonl").write_text("\n".join([*lines, '{"no step": 3}', '{"step": 4, "a']))
    (tmp_path / "plan.json").write_text('{"start_kl": 0.1}')
    (tmp_path / "config.toml").write_text("[control]\nmin_diversity = 0.7\nmin_entropy = 'low'\n")
    (tmp_path / "samples").mkdir()
    rows = "prompt,completion,score\np,one,0.5\np,two,failed\n"
    (tmp_path / "samples" / "step-000002.csv").write_text(rows)
    return tmp_path


def test_the_parts_of_a_run_are_read(folder: Path):
    files = run_files(str(folder / "metrics.jsonl"))
    assert [decision["step"] for decision in files.decisions] == [1, 2]
    assert files.plan == {"start_kl": 0.1}
    assert files.floors == {"diversity": 0.7}
    one, two = files.drawn
    assert (one.text, one.score, one.prompt) == ("one", 0.5, "p")
    assert math.isnan(two.score)
    assert not files.molecules


def test_the_last_whole_decision_counts(folder: Path):
    assert last_decision(folder) == {"step": 2, "action": "wait"}
    (folder / "advice.jsonl").unlink()
    assert last_decision(folder) is None


def test_older_decisions_of_the_trainer_are_read_as_those_of_today(tmp_path: Path):
    """They held the stop in an object beside the turn."""
    turn = {"action": "loosen", "knobs": {"kl": 0.08, "reward_scale": 1.2}, "figures": {"du": 0.2}}
    stopping = {"stop": False, "checkpoint": 2.0, "step": 4.0, "confidence": None, "reasons": []}
    row = {"step": 4, **turn, "reasons": ["why"], "stopping": stopping}
    (tmp_path / "advice.jsonl").write_text(json.dumps(row) + "\n")
    assert last_decision(tmp_path) == {"step": 4, **turn, "reasons": ["why"], "checkpoint": 2.0}


@pytest.mark.parametrize("stopped", [False, True])
def test_older_decisions_of_the_trl_callback_are_read_as_those_of_today(tmp_path: Path, stopped):
    """They held the advice and, apart from it, the turn of the controller."""
    advice = {"step": 4, "action": "stop", "reasons": ["advice"], "checkpoint": 2.0}
    turn = {
        "action": "tighten",
        "reasons": ["turn"],
        "figures": {"du": -0.2},
        "knobs": {"kl_coef": 0.06, "reward_scale": 1.0},
    }
    row = {**advice, "mode": "steer", "stopped": stopped, "turn": turn}
    (tmp_path / "advice.jsonl").write_text(json.dumps(row) + "\n")
    decision = last_decision(tmp_path)
    assert decision is not None
    assert decision["action"] == ("stop" if stopped else "tighten")
    assert decision["knobs"] == {"kl": 0.06, "reward_scale": 1.0}
    assert decision["figures"] == {"du": -0.2}
    assert decision["checkpoint"] == 2.0
    assert not {"turn", "mode"} & set(decision)


def test_the_molecules_of_the_last_step_are_read(folder: Path):
    rows = "step,SMILES,Score\n1,CC,0.1\n2,CCO,0.3\n2,,0.0\n"
    (folder / "samples" / "reinvent_1.csv").write_text(rows)
    files = run_files(str(folder))
    assert [(d.text, d.score) for d in files.drawn] == [("CCO", 0.3)]
    assert files.molecules


def test_damaged_parts_are_left_out(folder: Path):
    (folder / "plan.json").write_text("[" * 100_000)
    (folder / "config.toml").write_text("control = ")
    (folder / "samples" / "step-000002.csv").write_text('"')
    files = run_files(str(folder))
    assert files.plan is None
    assert files.floors == {}
    assert files.drawn == ()
    assert len(files.decisions) == 2


def test_a_log_of_another_tool_has_no_such_files(tmp_path: Path):
    (tmp_path / "log.csv").write_text("step,reward\n1,1\n")
    assert run_files(str(tmp_path / "log.csv")).decisions == ()


ODD_LINES = [
    '{"step": 1%s}' % ("0" * 400),
    '{"step": %s}' % ("9" * 5000),
    '{"step": NaN}',
    '{"step": "3"}',
    '{"step": null}',
    "[" * 5000,
    "7",
    "\0",
]
ODD_PARTS = [
    '"reasons": 5',
    '"reasons": [5]',
    '"action": ""',
    '"action": "  "',
    '"action": ["stop"]',
    '"knobs": 5',
    '"knobs": {"kl": "x"}',
    '"figures": [1]',
    '"figures": {"du": {}}',
]


@pytest.mark.parametrize("line", ODD_LINES, ids=lambda line: line[:12])
def test_an_odd_line_of_the_decisions_is_left_out(folder: Path, line):
    with (folder / "advice.jsonl").open("a") as file:
        file.write("\n" + line + '\n{"step": 5}\n' + line + "\n")
    assert [decision["step"] for decision in run_files(str(folder)).decisions] == [1, 2, 5]
    assert last_decision(folder) == {"step": 5}


@pytest.mark.parametrize("part", ODD_PARTS)
def test_an_odd_part_of_a_decision_is_left_out(folder: Path, part):
    (folder / "advice.jsonl").write_text(f'{{"step": 5, "checkpoint": 2, {part}}}\n')
    assert last_decision(folder) == {"step": 5, "checkpoint": 2}


def test_numbers_and_texts_beyond_what_can_be_shown_are_left_out(folder: Path):
    row = {"step": 1, "knobs": {"kl": 10**400}, "reasons": ["\ud800" + "x" * 5000], "more": [[[]]]}
    (folder / "advice.jsonl").write_text(json.dumps(row) + "\n")
    decision = last_decision(folder)
    assert decision is not None
    assert decision["knobs"] == {"kl": None}
    assert decision["reasons"] == ["\ufffd" + "x" * 1999]
    (folder / "config.toml").write_text(f"[control]\nmin_diversity = 1{'0' * 400}\n")
    assert run_files(str(folder)).floors == {}
    (folder / "config.toml").write_text(f"[control]\nmin_diversity = {'1' * 5000}\n")
    assert run_files(str(folder)).floors == {}
    (folder / "plan.json").write_text('{"notes": 5, "table": [{"kl": 1%s}]}' % ("0" * 400))
    assert run_files(str(folder)).plan == {"notes": [], "table": [{"kl": None}]}


@pytest.mark.parametrize(
    "name", ["advice.jsonl", "plan.json", "config.toml", "samples/step-000002.csv"]
)
@pytest.mark.parametrize("kind", ["pipe", "endless device", "folder", "unreadable text"])
def test_a_run_file_that_is_none_is_left_out(folder: Path, name, kind):
    """A pipe let `watch` hang, a link to /dev/zero filled the memory."""
    path = folder / name
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "endless device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(bytes(range(256)) * 20)
    files = run_files(str(folder))
    assert len(files.decisions) == (0 if name == "advice.jsonl" else 2)
    assert (last_decision(folder) is None) == (name == "advice.jsonl")


def test_only_the_newest_decisions_and_the_first_samples_are_kept(folder: Path, monkeypatch):
    monkeypatch.setattr(run_folder, "MOST_DECISIONS", 3)
    monkeypatch.setattr(run_folder, "MOST_SAMPLES", 4)
    lines = (f'{{"step": {k}}}\n' for k in range(50))
    (folder / "advice.jsonl").write_text("".join(lines))
    rows = "".join(f"p,text {k},{k}\n" for k in range(50))
    (folder / "samples" / "step-000002.csv").write_text("prompt,completion,score\n" + rows)
    files = run_files(str(folder))
    assert [decision["step"] for decision in files.decisions] == [47, 48, 49]
    assert [drawn.score for drawn in files.drawn] == [0, 1, 2, 3]
