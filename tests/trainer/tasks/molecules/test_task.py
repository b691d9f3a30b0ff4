"""The molecules task through its public names."""

import math
import os
import sys

import numpy as np
import pytest

from qdlaws.errors import QdlawsError
from trainer.tasks import make_task

pytest.importorskip("rdkit")

TEXTS = ["CCO", "OCC", "not one", "c1ccccc1O", "", "CCO "]
KEYS = ["CCO", "CCO", None, "Oc1ccccc1", None, "CCO"]


def scored(task, texts=TEXTS):
    return task.score(list(task.prompts()) * len(texts), texts)


@pytest.fixture
def user_module(tmp_path, monkeypatch):
    """Scores of a user's: of a list, of one SMILES, and a faulty one."""
    (tmp_path / "my_scores.py").write_text(
        "def many(smiles):\n    return [len(s) / 10 for s in smiles]\n\n"
        "def one(smiles: str) -> float:\n    return len(smiles) / 10\n\n"
        "def some(smiles: str):\n    return {'N': None, 'I': float('inf')}.get(smiles[-1], 0.5)\n\n"
        "def unannotated(one_smiles):\n    return one_smiles.count('C')\n\n"
        "def broken(one):\n    return len(one.strip()) / 0\n\n"
        "def short(smiles):\n    return [1.0]\n\n"
        "def leaves(smiles: str):\n    if smiles[-1] == 'N': raise SystemExit\n    return 1.0\n\n"
        "def process(smiles: str):\n    import os\n    return os.getpid()\n\n"
        "number = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_scores"
    sys.modules.pop("my_scores", None)


def test_valid_molecules_score_their_qed_and_others_zero():
    from rdkit import Chem
    from rdkit.Chem import QED

    scores = scored(make_task("molecules"))
    expected = [0.0 if k is None else QED.qed(Chem.MolFromSmiles(k)) for k in KEYS]
    np.testing.assert_array_equal(scores.score, expected)
    np.testing.assert_array_equal(scores.valid, [k is not None for k in KEYS])
    np.testing.assert_array_equal(np.isnan(scores.parts["qed"]), ~scores.valid)
    assert (scores.failed, scores.capped, scores.spent) == (0, 0, False)


def test_invalid_strings_can_be_dropped_instead():
    scores = scored(make_task("molecules", invalid="nan"))
    np.testing.assert_array_equal(np.isnan(scores.score), ~scores.valid)
    assert scores.failed == 2


def test_keys_are_canonical():
    task = make_task("molecules")
    assert task.keys(task.prompts() * len(TEXTS), TEXTS) == KEYS


def test_a_blank_inside_is_no_molecule():
    # rdkit would read the second word as a name
    assert make_task("molecules").keys([], ["CCO phenol"]) == [None]


def test_one_unconditional_prompt():
    task = make_task("molecules", prompt="<start>")
    for split in ("train", "eval"):
        (prompt,) = task.prompts(split)
        assert (prompt.number, prompt.text) == (0, "<start>")
    with pytest.raises(QdlawsError, match="no split 'cross'"):
        task.prompts("cross")


def test_traits_follow_the_objective():
    def ends(objective, **options):
        traits = make_task("molecules", objective=objective, **options).traits
        return traits.lowest, traits.highest, traits.binary

    assert ends("qed") == (0, 1, False)
    assert ends("logp") == (None, None, False)
    assert ends({"objective": "smarts", "pattern": "C"}) == (0, 1, True)
    raw = {"objective": "sa", "transform": {"type": "linear"}}
    assert ends(raw) == (0, 10, False)  # an invalid string scores 0, below any sa
    assert ends(raw, invalid="nan") == (1, 10, False)
    assert make_task("molecules").traits.many_prompts is False


def test_components_are_logged():
    objective = [
        {"objective": "qed", "weight": 2},
        {"objective": "logp", "transform": {"type": "double_sigmoid", "low": 1, "high": 4}},
    ]
    scores = scored(make_task("molecules", objective=objective))
    parts = scores.parts
    assert list(parts) == ["qed", "qed (raw)", "logp", "logp (raw)"]
    ok = scores.valid
    mean = (parts["qed"][ok] ** 2 * parts["logp"][ok]) ** (1 / 3)
    np.testing.assert_allclose(scores.score[ok], mean, rtol=1e-12)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_function_of_the_user_is_an_objective(user_module, workers):
    for name in ("many", "one"):
        task = make_task("molecules", objective=f"{user_module}:{name}", workers=workers)
        np.testing.assert_array_equal(scored(task).score, [0.3, 0.3, 0, 0.9, 0, 0.3])
        task.close()


def test_a_missing_score_is_dropped_and_counted(user_module):
    task = make_task("molecules", objective=f"{user_module}:some")
    scores = scored(task, ["CC", "CN", "x", "CI"])
    np.testing.assert_array_equal(scores.score, [0.5, np.nan, 0, np.nan])
    np.testing.assert_array_equal(scores.valid, [True, True, False, True])
    assert scores.failed == 2
    assert scores.failure == "the score is not a number"
    assert scored(task, ["CC", "x"]).failure == ""


def test_the_user_states_the_range_and_the_call_of_a_function(user_module):
    spec = {"objective": f"{user_module}:unannotated", "batch": False, "low": 0, "high": 9}
    task = make_task("molecules", objective=spec)
    assert (task.traits.lowest, task.traits.highest) == (0, 9)
    assert scored(task).score[0] == 2


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("my_scores:nothing", "my_scores has no nothing"),
        ("my_scores:number", "not a function"),
        ("no_such_module:f", "No module named 'no_such_module'"),
    ],
)
def test_a_missing_function_is_refused_before_the_run(user_module, objective, words):
    for workers in (0, 1):
        with pytest.raises(QdlawsError) as caught:
            make_task("molecules", objective=objective, workers=workers)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_function_without_annotation_is_tried_with_the_list_and_then_one_by_one(
    user_module, workers
):
    task = make_task("molecules", objective=f"{user_module}:unannotated", workers=workers)
    np.testing.assert_array_equal(scored(task, ["CC", "CCO"]).score, [2, 2])
    np.testing.assert_array_equal(scored(task, ["CCC"]).score, [3])
    task.close()


def test_the_users_own_exception_is_shown_where_neither_way_works(user_module):
    task = make_task("molecules", objective=f"{user_module}:broken")
    with pytest.raises(QdlawsError) as caught:
        scored(task)
    assert "raised ZeroDivisionError" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_list_with_too_few_scores_is_not_believed_one_by_one(user_module, workers):
    task = make_task("molecules", objective=f"{user_module}:short", workers=workers)
    with pytest.raises(QdlawsError, match=r"returned 1 scores for \d+ SMILES"):
        scored(task)
    task.close()


@pytest.mark.parametrize("workers", [0, 1])
def test_sys_exit_in_a_score_is_the_failure_of_one_molecule(user_module, workers):
    task = make_task("molecules", objective=f"{user_module}:leaves", workers=workers)
    prompt = task.prompts()[0]
    scores = task.score([prompt] * 2, ["CCN", "CCO"])
    assert np.isnan(scores.score).tolist() == [True, False]
    assert scores.failure == "SystemExit: "
    task.close()


def test_a_function_of_the_user_runs_in_a_process_with_a_time_limit(user_module):
    task = make_task("molecules", objective=f"{user_module}:process")
    score = task.score(task.prompts(), ["C"]).score[0]
    task.close()
    same = make_task("molecules", objective=f"{user_module}:process", workers=0)
    assert score != same.score(same.prompts(), ["C"]).score[0] == os.getpid()
    assert make_task("molecules").oracle.workers == 0
    assert (task.oracle.workers, task.oracle.timeout) == (1, 10.0)
    two = make_task("molecules", objective=f"{user_module}:process", workers=2)
    two.close()
    assert (two.oracle.workers, two.oracle.timeout) == (2, 10.0)


def test_tdc_without_its_package_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "tdc", None)
    with pytest.raises(QdlawsError) as caught:
        make_task("molecules", objective="jnk3", workers=0)
    assert "needs PyTDC (pip install PyTDC)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tdc_scores_where_it_is_installed(tmp_path, monkeypatch):
    # a stand-in with TDC's interface: its model files cannot be had in a test
    (tmp_path / "tdc.py").write_text(
        "class Oracle:\n"
        "    def __init__(self, name):\n        self.name = name\n"
        "    def __call__(self, smiles):\n"
        "        if isinstance(smiles, list):\n            return [len(s) / 10 for s in smiles]\n"
        "        return 0.0  # as TDC answers one alone, whatever went wrong\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tdc", raising=False)
    task = make_task("molecules", objective=[{"objective": "gsk3b"}, "qed"])
    assert next(iter(scored(task).parts)) == "gsk3b"
    assert scored(task).parts["gsk3b"][0] == 0.3
    sys.modules.pop("tdc", None)


def test_workers_budget_and_overlap():
    here, there = make_task("molecules"), make_task("molecules", workers=1, timeout=60)
    texts = [text for _, text in here.corpus(40, seed=1)]
    prompts = list(here.prompts()) * len(texts)
    pending = there.submit(prompts, texts)
    assert pending.result().score.tobytes() == here.score(prompts, texts).score.tobytes()
    there.close()

    capped = make_task("molecules", budget=2)
    scores = scored(capped, ["CC", "CCC", "CCCC", "CC"])
    np.testing.assert_array_equal(np.isnan(scores.score), [False, False, True, False])
    assert (scores.capped, scores.failed, scores.spent) == (1, 0, True)
    assert capped.report()["oracle_calls"] == 2
    evaluated = capped.score_for("evaluation", list(capped.prompts()) * 2, ["CCCC", "CCCCC"])
    assert np.isfinite(evaluated.score).all()
    report = capped.report()
    assert (report["oracle_calls"], report["oracle_other_calls"]) == (2, 2)


def test_a_resumed_task_has_the_memory_of_its_oracle():
    one, two = make_task("molecules"), make_task("molecules")
    first = scored(one)
    two.load_state(one.state_dict())
    np.testing.assert_array_equal(scored(two).score, first.score)
    assert two.report()["oracle_calls"] == 2


def test_measures_have_their_kinds_and_sample_sizes():
    from qdlaws import measure

    task = make_task("molecules")
    texts = [text for _, text in task.corpus(60, seed=2)]
    texts += texts[:20] + ["no molecule"] * 20
    result = task.measure(list(task.prompts()) * len(texts), texts)
    assert result["diversity"] == measure.internal_diversity(texts)
    assert result["diversity_unique"] == measure.internal_diversity(texts, unique=True)
    assert result["valid_share"].value == 0.8
    assert {
        e.m for n, e in result.items() if n in ("unique_share", "scaffold_count", "circles")
    } == {25}
    for name in ("unique_share", "scaffold_entropy", "scaffold_count", "circles"):
        assert result[name].se > 0, name


@pytest.mark.parametrize("texts", [["CC", "x"], ["x"], []])
def test_measures_of_one_molecule_are_nan_and_not_zero(texts):
    task = make_task("molecules")
    full = task.measure(list(task.prompts()) * 8, ["CC", "CCO", "CCN", "CCC"] * 2)
    result = task.measure(list(task.prompts()) * len(texts), texts)
    assert set(result) == set(full)
    assert {n: e.kind for n, e in result.items()} == {n: e.kind for n, e in full.items()}
    for name, estimate in result.items():
        if name != "valid_share":
            assert math.isnan(estimate.value), name
            assert "two make a pair" in estimate.reason


def test_a_corpus_is_reproducible_and_valid():
    task = make_task("molecules", prompt="<s>")
    pairs = task.corpus(50, seed=3)
    assert pairs == task.corpus(50, seed=3)
    assert pairs != task.corpus(50, seed=4)
    assert {prompt for prompt, _ in pairs} == {"<s>"}
    assert None not in task.keys([], [text for _, text in pairs])


def test_texts_can_be_selfies():
    selfies = pytest.importorskip("selfies")
    task = make_task("molecules", representation="selfies")
    texts = [selfies.encoder("CCO"), selfies.encoder("c1ccccc1O"), "[no such]", ""]
    assert task.keys([], texts) == ["CCO", "Oc1ccccc1", None, None]
    plain = scored(make_task("molecules"), ["CCO", "c1ccccc1O"])
    np.testing.assert_array_equal(scored(task, texts).score, [*plain.score, 0, 0])
    assert all(text.startswith("[") for _, text in task.corpus(5, seed=0))


def test_selfies_without_its_package_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "selfies", None)
    with pytest.raises(QdlawsError, match="pip install selfies"):
        make_task("molecules", representation="selfies")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"objectve": "qed"}, "did you mean 'objective'"),
        ({"invalid": "none"}, "'zero' or 'nan' was needed"),
        ({"representation": "selfie"}, "did you mean 'selfies'"),
        ({"objective": ["qed"], "mean": "geometrc"}, "did you mean 'geometric'"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, words):
    with pytest.raises(QdlawsError) as caught:
        make_task("molecules", **options)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
