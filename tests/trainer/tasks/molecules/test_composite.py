"""Several scores under a mean: configurations, ranges, arithmetic, one-line refusals."""

import math

import pytest

from qdlaws.errors import BadData, QdlawsError
from trainer.tasks.molecules.composite import mean_of, read_objective
from trainer.tasks.molecules.objectives import Range
from trainer.tasks.molecules.score_function import columns, score_function

pytest.importorskip("rdkit")

LOGP = {
    "objective": "logp", "weight": 3,
    "transform": {"type": "double_sigmoid", "low": 1, "high": 4},
}  # fmt: skip
MINE = {"name": "mine", "mean": "geometric", "components": [{"objective": "qed"}, LOGP]}


def rows(objective, *smiles):
    composite = read_objective(objective)
    return [
        dict(zip(columns(composite), r, strict=True)) for r in score_function(composite)(smiles)
    ]


def test_means_by_hand():
    values, weights = [0.25, 1.0, 0.5], [1, 2, 1]
    assert mean_of("geometric", values, weights) == pytest.approx((0.25 * 0.5) ** 0.25, rel=1e-14)
    assert mean_of("arithmetic", values, weights) == pytest.approx(2.75 / 4, rel=1e-14)
    assert mean_of("product", values, weights) == pytest.approx(0.125, rel=1e-14)
    assert mean_of("sum", values, weights) == pytest.approx(2.75, rel=1e-14)
    assert mean_of("geometric", [0.0, 1.0], [1, 5]) == 0
    assert math.isnan(mean_of("arithmetic", [math.nan, 1.0], [1, 1]))
    assert mean_of("geometric", [0.3], [7]) == 0.3
    with pytest.raises(BadData, match="give it a transform"):
        mean_of("geometric", [-0.1, 1.0], [1, 1])


def test_components_are_weighted_transformed_and_reported():
    from rdkit import Chem
    from rdkit.Chem import QED, Crippen

    smiles = "Cc1ccccc1CCO"
    (row,) = rows(MINE, smiles)
    mol = Chem.MolFromSmiles(smiles)
    assert list(row) == ["score", "qed", "qed (raw)", "logp", "logp (raw)"]
    assert row["qed"] == row["qed (raw)"] == QED.qed(mol)
    assert row["logp (raw)"] == Crippen.MolLogP(mol)
    assert row["logp"] == pytest.approx(1 / (1 + 10 ** (-1.5 * (Crippen.MolLogP(mol) - 1))))
    assert row["score"] == pytest.approx((row["qed"] * row["logp"] ** 3) ** 0.25, rel=1e-12)


def test_a_list_and_names_are_short_forms():
    assert rows(["qed", LOGP], "CCO") == rows(MINE, "CCO")
    assert rows("qed", "CCO")[0]["score"] == rows({"objective": "qed"}, "CCO")[0]["score"]


def test_a_published_objective_shows_its_parts_and_can_be_a_part():
    names = list(rows("osimertinib_mpo", "CCO")[0])
    assert names[1::2] == ["like osimertinib", "not too like it", "tpsa", "logp"]
    (row,) = rows([{"objective": "osimertinib_mpo", "weight": 2}, "qed"], "COc1ccccc1")
    (alone,) = rows("osimertinib_mpo", "COc1ccccc1")
    assert row["osimertinib_mpo"] == alone["score"]
    assert row["score"] == pytest.approx((alone["score"] ** 2 * row["qed"]) ** (1 / 3), rel=1e-12)


def test_equal_names_get_numbers():
    two = [{"objective": "similarity", "query": q} for q in ("CCO", "CCN")]
    assert list(rows(two, "CCO")[0])[1::2] == ["similarity", "similarity 2"]


def test_a_weight_scales_a_sum_of_one():
    (row,) = rows({"mean": "sum", "components": [{"objective": "qed", "weight": 4}]}, "CCO")
    assert row["score"] == pytest.approx(4 * row["qed"], rel=1e-15)


def test_factors_multiply_the_mean_and_a_floor_keeps_a_zero_from_being_all():
    part = {"objective": "logp", "transform": {"type": "right_step", "high": 99}}
    alert = {"objective": "smarts", "pattern": "Cl", "inverse": True, "factor": True}
    half = {
        "objective": "smarts", "pattern": "O", "factor": True,
        "transform": {"type": "linear", "slope": 0.5, "offset": 0.5},
    }  # fmt: skip
    parts = [{"objective": "qed", "weight": 3}, part, alert, half]
    none, chloride, carbon = rows({"components": parts}, "CCO", "OCCCl", "CC")
    assert none["score"] == chloride["score"] == carbon["score"] == 0
    none, chloride, carbon = rows({"floor": 1e-8, "components": parts}, "CCO", "OCCCl", "CC")
    assert none["score"] == pytest.approx(none["qed"] ** 0.75 * 1e-2, rel=1e-9)
    assert chloride["score"] == 0
    assert carbon["score"] == pytest.approx(carbon["qed"] ** 0.75 * 1e-2 / 2, rel=1e-9)
    assert list(none)[1::2] == ["qed", "logp", "smarts", "smarts 2"]
    (only,) = rows([half], "CC")
    assert only["score"] == 0.5


UNIT, BINARY = Range(0.0, 1.0), Range(0.0, 1.0, binary=True)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        ("qed", UNIT),
        ("logp", Range()),
        ("plogp", UNIT),
        ("mw", Range(0.0, None)),
        (MINE, UNIT),
        ("osimertinib_mpo", UNIT),
        ({"objective": "smarts", "pattern": "C"}, BINARY),
        ({"objective": "logp", "transform": {"type": "right_step", "high": 2}}, BINARY),
        ({"mean": "sum", "components": ["qed", {"objective": "sa", "weight": 2}]}, Range(0.0, 3.0)),
        ({"objective": "sa", "transform": {"type": "linear", "slope": -1}}, Range(-10.0, -1.0)),
        ([{"objective": "smarts", "pattern": "C", "factor": True}, "alerts"], BINARY),
        (
            {
                "mean": "arithmetic",
                "components": [
                    {"objective": "sa", "transform": {"type": "linear", "slope": -1}},
                    {"objective": "alerts", "factor": True},
                ],
            },
            Range(-10.0, 0.0),
        ),
        ([{"objective": "mw", "factor": True}, "qed"], Range(0.0, None)),
    ],
)  # fmt: skip
def test_the_range_of_a_composite(objective, expected):
    result = read_objective(objective).range
    assert (result.low, result.high, result.binary) == pytest.approx(
        (expected.low, expected.high, expected.binary)
    )


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("qde", "did you mean 'qed'"),
        ("nothing like it", "no objective is called"),
        (7, "a name, a table or a list"),
        ({"objective": "similarity"}, "similarity needs query"),
        ({"objective": "similarity", "querry": "C"}, "did you mean 'query'"),
        ({"objective": "osimertinib_mpo", "query": "C"}, "has no options"),
        ({"objective": "osimertinib_mpo", "wieght": 2}, "(did you mean 'weight'?)"),
        ({"objective": "qed", "wieght": 2}, "(did you mean 'weight'?)"),
        ({"objective": "similarity", "wieght": 2}, "(did you mean 'weight'?)"),
        ({"objective": "my:score", "wieght": 2}, "(did you mean 'weight'?)"),
        ({"name": "qed"}, "a table with objective"),
        ({"components": []}, "at least one"),
        ({"components": ["qed"], "mean": "harmonic"}, "have geometric, arithmetic"),
        ({"components": ["qed"], "maen": "sum"}, "did you mean 'mean'"),
        ({"objective": "qed", "weight": 0}, "a positive number"),
        ({"objective": "qed", "transform": "sigmoid"}, "a table with type"),
        (["qed", "logp"], "logp can be negative"),
        ({"objective": "jnk3", "query": "C"}, "has no options"),
        (
            {"mean": "arithmetic", "components": ["qed", {"objective": "logp", "factor": True}]},
            "logp can be negative and a factor cannot",
        ),
        ({"components": ["qed"], "floor": -1}, "a number from 0 to 1"),
        ([{"objective": "qed", "factor": "yes"}, "sa"], "true or false"),
        ([{"objective": "qed", "factor": True, "weight": 2}, "sa"], "has no weight"),
        ({"objective": "a.b:c", "bacth": True}, "did you mean 'batch'"),
    ],
)
def test_bad_objectives_are_refused_in_one_line(objective, words):
    with pytest.raises(QdlawsError) as caught:
        read_objective(objective)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
