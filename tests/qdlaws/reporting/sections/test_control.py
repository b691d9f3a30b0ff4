"""The report of a run that was steered: decisions, frontier, drawn samples, from its folder."""

import json
import math

import numpy as np
import pytest

from qdlaws import Goal, report
from qdlaws.readers.run_folder import run_files

FLOOR = 0.8


def _lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    """A run of twelve evaluations: D falls to its floor, the KL is weakened at every other one."""
    rng = np.random.default_rng(3)
    evals, advice = [], []
    for k in range(12):
        d = 0.9 - 0.1 * (1 - math.exp(-k / 4)) + 0.002 * rng.standard_normal()
        kl = 0.1 * 0.8 ** (k // 2)
        evals.append(
            {
                "step": 10 * k,
                "phase": "eval",
                "quality": 1 - 0.5 * math.exp(-k / 5),
                "diversity": d,
                "diversity_se": 0.002,
                "entropy": 3 * d - 2,
                "kl": 0.25 * k,
                "kl_coef": kl,
                "reward_scale": 1.0,
            }
        )
        advice.append(
            {
                "step": 10 * k,
                "action": "loosen" if k % 2 else "wait",
                "knobs": {"kl": kl, "reward_scale": 1.0, "entropy": 0.0},
                "reasons": [f"reason number {k} <b>"],
                "figures": {
                    "level": d,
                    "settled": d - 0.01,
                    "settled_se": 0.005,
                    "du": 0.22 * (k % 2),
                },
            }
        )
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    (run / "metrics.jsonl").write_text(_lines(evals))
    (run / "advice.jsonl").write_text(_lines(advice) + '{"step": 120, "act')
    (run / "config.toml").write_text(f"[control]\nname = 'law_guided'\nmin_diversity = {FLOOR}\n")
    tilt = [{"kl": k / 2, "quality": 1 - 0.5 * math.exp(-k), "quality_se": 0.01} for k in range(5)]
    plan = {"table": [*tilt, {"kl": None, "quality": None}], "best_of": [], "notes": ["a note"]}
    (run / "plan.json").write_text(json.dumps(plan))
    return run


def _page(folder, tmp_path):
    return report(folder, tmp_path / "r.html", Goal(min_diversity=FLOOR)).read_text("utf-8")


def test_the_decisions_stand_in_the_page_with_their_reasons(folder, tmp_path):
    text = _page(folder, tmp_path)
    assert "12 decisions; 6 of them turned a knob." in text
    assert "Diversity and its floor" in text
    assert "reason number 7 &lt;b&gt;" in text
    assert "reason number 7 <b>" not in text


def test_the_share_of_the_possible_is_gain_over_gain_at_the_same_kl(folder, tmp_path):
    # the frontier is .5 + .5(1 − e^{−2 KL}), known at KL 0, .5, … 2; the run has 1 − .5e^{−k/5}
    text = _page(folder, tmp_path)
    k = 6  # KL 1.5 is a point of the table, so nothing is interpolated
    share = (1 - math.exp(-k / 5)) / (1 - math.exp(-2 * 1.5))
    assert f"<td>60</td><td>1.5</td><td>{1 - 0.5 * math.exp(-6 / 5):.3g}</td>" in text.replace(
        ' class="number"', ""
    )
    assert f"<td>{share:.0%}</td>" in text.replace(' class="number"', "")
    assert "beyond the samples" in text


def test_molecules_of_the_last_step_are_drawn_best_first(folder, tmp_path):
    pytest.importorskip("rdkit")
    smiles = ["CCO", "c1ccccc1", "CCN", "nonsense(", "OCC", "C1CCCCC1"]
    table = ["step,SMILES,Score", "100,CCCCCCCC,0.99"]
    table += [f"110,{s},{0.1 * i}" for i, s in enumerate(smiles)]
    (folder / "samples" / "reinvent_1.csv").write_text("\n".join(table) + "\n110,CBr,")
    text = _page(folder, tmp_path)
    assert "7 molecules were drawn at the last evaluation, 4 of them valid and different" in text
    assert "CCCCCCCC" not in text  # of an earlier step
    assert text.index('alt="C1CCCCC1"') < text.index('alt="OCC"') < text.index('alt="CCN"')
    assert 'alt="CCO"' not in text  # the same molecule, with a lower score


def test_texts_are_listed_once_with_how_often_they_came(folder, tmp_path):
    rows = (
        "prompt,completion,score\n24=,20+4,1\n24=,20+4,1\n24=,<i>3*8</i>,1\n24=,5,0\n25=,20+4,0\n"
    )
    (folder / "samples" / "step-000110.csv").write_text(rows)
    text = _page(folder, tmp_path).replace(' class="number"', "")
    assert "5 samples of the last evaluation, 4 different" in text
    assert "<td>20+4</td><td>1</td><td>2</td>" in text
    assert "<td>25=</td><td>20+4</td><td>0</td><td>1</td>" in text  # another question
    assert "<i>3*8</i>" not in text


def test_the_diverse_set_is_farther_apart_than_the_best(tmp_path):
    pytest.importorskip("rdkit")
    from rdkit import Chem, DataStructs
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator

    from qdlaws.readers.run_folder import Drawn
    from qdlaws.reporting.sections.samples import diverse

    alike = ["C" * n + "O" for n in range(3, 15)]
    apart = ["c1ccccc1C(=O)O", "C1CCNCC1", "FC(F)(F)C#N", "O=S(=O)(N)c1ccsc1"]
    drawn = [(Drawn(s, 1 - i / 100), Chem.MolFromSmiles(s)) for i, s in enumerate(alike + apart)]
    chosen = diverse([*drawn, *drawn], 5)  # the better half is all of them once
    make = GetMorganGenerator(radius=2, fpSize=2048)

    def spread(molecules):
        prints = [make.GetFingerprint(mol) for _, mol in molecules]
        near = [DataStructs.BulkTanimotoSimilarity(p, prints) for p in prints]
        return 1 - (np.sum(near) - len(prints)) / (len(prints) * (len(prints) - 1))

    assert chosen[0][0].text == alike[0]  # the best is always among them
    assert spread(chosen) > spread(drawn[:5]) + 0.2


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
    assert "The laws" in _page(folder, tmp_path)


def test_a_log_that_is_no_run_folder_has_no_such_parts(tmp_path):
    log = tmp_path / "log.csv"
    rows = [f"{k},{1 - 0.5 ** (k / 4):.4f},{0.9 - 0.02 * k:.3f}" for k in range(12)]
    log.write_text("step,quality,diversity\n" + "\n".join(rows) + "\n")
    assert run_files(str(log)).decisions == ()
    assert "How it was steered" not in _page(log, tmp_path)
