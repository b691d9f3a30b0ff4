"""Scoring blocks of REINVENT4, held to what the package's scorer gives."""

import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from qdlaws.errors import BadData
from trainer.tasks.molecules.composite import read_objective
from trainer.tasks.molecules.reinvent_scoring import import_scoring
from trainer.tasks.molecules.score_function import score_function

pytest.importorskip("rdkit")

HERE = Path(__file__).parent
STAGES = tomllib.loads((HERE / "reinvent4.toml").read_text())["stage"]
RECORDED = pd.read_csv(HERE / "reinvent4_scores.csv")
"""By benchmarks/record_reinvent4.py from commit 4309467 (version 4.8.24) of the package."""


def block(kind, *endpoints, mean="geometric_mean", **component):
    return {"type": mean, "component": [{kind: {"endpoint": list(endpoints), **component}}]}


def test_the_imported_scores_are_those_of_the_package():
    objective, left_out = import_scoring(STAGES[0]["scoring"])
    assert left_out == []
    composite = read_objective(objective)
    rows = np.array(score_function(composite)(RECORDED.smiles.tolist()))
    # a transform is in single precision there: a value near 0 is wrong by some 1e-7, which
    # a geometric mean makes 3 % of the score; and what a filter removed scores 1e-8
    values = rows[:, 1::2][:, [not part.factor for part in composite.components]]
    sharp = ((values == 0) | (values > 0.001)).all(axis=1)
    assert sharp.mean() > 0.4
    np.testing.assert_allclose(rows[sharp, 0], RECORDED.score[sharp], rtol=2e-5, atol=2e-8)
    np.testing.assert_allclose(rows[:, 0], RECORDED.score, rtol=0.03, atol=2e-8)


def test_the_record_has_all_that_a_wrong_import_would_change():
    score = RECORDED.score
    assert (score < 1e-7).sum() > 3  # removed by an alert
    assert ((score > 1e-7) & (score < 0.01)).sum() > 10  # a zero that the floor has lifted
    assert (score > 0.4).sum() > 10


def test_what_has_no_counterpart_is_left_out_and_named():
    objective, left_out = import_scoring(STAGES[1]["scoring"])
    assert objective == {
        "mean": "arithmetic",
        "components": [{"objective": "qed", "name": "QED", "weight": 1.0}],
    }
    assert [line.partition(":")[0] for line in left_out] == [
        "component DockStream (Docking)",
        "component MMP (MMP)",
    ]


@pytest.mark.parametrize(
    ("scoring", "component"),
    [
        (block("sa-score", {}), {"objective": "sa", "transform": {"type": "linear"}}),
        (
            block(
                "TPSA", {"transform": {"type": "Step", "high": 90}}, params={"includeSandP": True}
            ),
            {
                "objective": "tpsa",
                "sulphur_and_phosphorus": True,
                "transform": {"type": "step", "low": 0.0, "high": 90},
            },
        ),
        (
            block("MatchingSubstructure", {"params": {"smarts": "CO", "use_chirality": True}}),
            {
                "objective": "smarts",
                "pattern": "CO",
                "chirality": True,
                "factor": True,
                "transform": {"type": "linear", "slope": 0.5, "offset": 0.5},
            },
        ),
        (
            block("CustomAlerts", {"params": {"smarts": ["C#C"]}, "weight": 0.79}),
            {"objective": "alerts", "patterns": ["C#C"], "factor": True},
        ),
    ],
)
def test_one_component(scoring, component):
    objective, left_out = import_scoring(scoring)
    (made,) = objective["components"]
    del made["name"]
    assert made == ({} if component.get("factor") else {"weight": 1.0}) | component
    assert left_out == []
    assert objective["floor"] == 1e-8


@pytest.mark.parametrize(
    ("endpoint", "kind", "words"),
    [
        ({"weight": 0}, "QED", "its weight is 0"),
        ({"transform": {"type": "value_mapping"}}, "QED", "no transform here is a value_mapping"),
        ({"transform": {"type": "sigmoid", "low": 1}}, "SlogP", "sigmoid of SlogP needs high"),
        ({"params": {"smarts": "C(("}}, "GroupCount", "is no SMARTS pattern"),
        ({"params": {}}, "GroupCount", "params.smarts is missing"),
        ({"params": {"descriptor": "MolMRR"}}, "RDKitDescriptors", "did you mean 'MolMR'"),
        ({"params": {"smiles": ["C"], "radius": 9}}, "TanimotoSimilarity", "a radius of 9"),
    ],
)
def test_a_component_that_cannot_be_taken_says_why(endpoint, kind, words):
    scoring = block("QED", {})
    scoring["component"].append({kind: {"endpoint": [endpoint]}})
    objective, left_out = import_scoring(scoring)
    assert len(objective["components"]) == 1
    (line,) = left_out
    assert line.startswith(f"component {kind} ")
    assert words in line
    assert "\n" not in line


def test_an_alert_that_is_no_pattern_is_dropped_and_named():
    scoring = block("custom_alerts", {"name": "A", "params": {"smarts": ["C#C", "C(("]}})
    objective, left_out = import_scoring(scoring)
    assert objective["components"][0]["patterns"] == ["C#C"]
    assert left_out == ["component custom_alerts (A): 'C((' is no SMARTS"]


def test_of_several_reference_molecules_the_first_counts_as_in_the_package():
    params = {"smiles": ["CCO", "CCN"], "radius": 2, "use_counts": True, "use_features": False}
    scoring = block("TanimotoSimilarity", {"name": "like", "params": params})
    objective, left_out = import_scoring(scoring)
    assert objective["components"][0]["query"] == "CCO"
    (line,) = left_out
    assert line.endswith("(like): reference molecules after the first of 2")


@pytest.mark.parametrize(
    ("scoring", "words"),
    [
        ({"type": "median"}, "scoring.type = 'median': one of geometric_mean"),
        (block("QED", {}) | {"use_pumas": True}, "pumas are not read"),
        (block("DockStream", {}), "no component that can be taken over: component DockStream"),
        ({"type": "custom_sum", "component": [3]}, "a list of tables"),
        ({"type": "custom_sum", "component": [{"QED": {}}]}, "a list of endpoints"),
    ],
)
def test_a_block_that_is_none_is_refused_in_one_line(scoring, words):
    with pytest.raises(BadData, match=words):
        import_scoring(scoring)
