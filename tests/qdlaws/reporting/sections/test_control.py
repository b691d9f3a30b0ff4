"""Decisions, knobs and the frontier of a run that was steered."""

import json
import math
from pathlib import Path

import pytest

from qdlaws import Goal, report
from qdlaws.readers.run_folder import run_files


def page_of(folder: Path, tmp_path: Path) -> str:
    return report(folder, tmp_path / "r.html", Goal(min_diversity=0.8)).read_text("utf-8")


def test_the_decisions_stand_in_the_page_with_their_reasons(folder, tmp_path):
    text = page_of(folder, tmp_path)
    assert "6 of 12 decisions turned a knob." in text
    assert "<h3>Knobs</h3>" in text
    assert "Diversity and its floor" in text
    assert "reason number 7 &lt;b&gt;" in text
    assert "reason number 7 <b>" not in text


def test_a_run_whose_knobs_stayed_has_no_picture_of_them(folder, tmp_path):
    rows = [json.loads(line) for line in (folder / "advice.jsonl").read_text().splitlines()[:12]]
    still = {"kl": 0.1, "reward_scale": 1.0}
    lines = [row | {"knobs": still, "figures": row["figures"] | {"du": 0.0}} for row in rows]
    (folder / "advice.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = page_of(folder, tmp_path)
    assert "No knob was turned in 12 decisions: KL strength 0.1, reward scale 1 throughout." in text
    assert "<h3>Knobs</h3>" not in text
    assert "Diversity and its floor" in text


def test_the_share_of_the_possible_is_gain_over_gain_at_the_same_kl(folder, tmp_path):
    # the frontier is .5 + .5(1 − e^{−2 KL}), known at KL 0, .5, … 2; the run has 1 − .5e^{−k/5}
    text = page_of(folder, tmp_path)
    k = 6  # KL 1.5 is a point of the table, so nothing is interpolated
    share = (1 - math.exp(-k / 5)) / (1 - math.exp(-2 * 1.5))
    assert f"<td>60</td><td>1.5</td><td>{1 - 0.5 * math.exp(-6 / 5):.3g}</td>" in text.replace(
        ' class="number"', ""
    )
    assert f"<td>{share:.0%}</td>" in text.replace(' class="number"', "")
    assert "beyond the samples" in text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "advice.jsonl",
            '[1, 2]\n{"step": "x"}\n{"step": 3, "knobs": 7, "figures": [], "reasons": null}\n',
        ),
        ("advice.jsonl", "[" * 100_000),
        ("plan.json", "[" * 100_000),
        ("plan.json", '{"table": [1, null, {"kl": "a"}], "best_of": 3}'),
        ("plan.json", "not json"),
        ("config.toml", "[control\n"),
        ("config.toml", "control = 5\n"),
        ("samples/reinvent_1.csv", 'step,SMILES,Score\n1,"CC'),
        ("samples/step-000110.csv", "completion,score\nabc\n"),
    ],
)
def test_a_damaged_file_costs_its_own_part_only(folder, tmp_path, name, text):
    (folder / name).write_text(text)
    assert "The laws" in page_of(folder, tmp_path)


def test_a_log_that_is_no_run_folder_has_no_such_parts(tmp_path):
    log = tmp_path / "log.csv"
    rows = [f"{k},{1 - 0.5 ** (k / 4):.4f},{0.9 - 0.02 * k:.3f}" for k in range(12)]
    log.write_text("step,quality,diversity\n" + "\n".join(rows) + "\n")
    assert run_files(str(log)).decisions == ()
    assert "How it was steered" not in page_of(log, tmp_path)
