"""samples(): the record of an evaluation, and what importing the package costs."""

import json
import subprocess
import sys

import numpy as np
import pytest

from qdlaws import measure
from qdlaws.errors import BadData


def test_the_record_of_molecules_has_the_fields_of_an_evaluation(smiles):
    rng = np.random.default_rng(0)
    texts = [*smiles[:190], *["C(C"] * 10]
    scores = rng.random(200)
    scores[:3] = np.nan
    logprobs = [-rng.random(rng.integers(3, 9)) for _ in texts]
    record = measure.samples(texts, scores, logprobs, kind="molecule", temperature=1.0)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    valid = measure.read_molecules(texts)
    quality = measure.mean_score(scores, valid=valid.valid)
    assert record["quality"] == quality.value
    assert record["quality_se"] == quality.se
    assert record["quality_kind"] == "mean_score"
    assert record["quality_valid"] > record["quality"]
    assert record["n_samples"] == 200
    assert record["n_failed"] == 3
    assert record["valid_share"] == pytest.approx(valid.valid.mean())
    diversity = measure.internal_diversity(texts)
    assert (record["diversity"], record["diversity_se"]) == (diversity.value, diversity.se)
    assert record["diversity_kind"] == "internal_diversity"
    assert record["diversity_unique"] == measure.internal_diversity(texts, unique=True).value
    assert record["unique_share_m"] == record["scaffold_count_m"] == 50
    assert record["unique_share_se"] is not None
    assert record["entropy_kind"] == "token_nll"
    assert record["entropy_temperature"] == 1.0


def test_exact_entropies_are_preferred_and_a_sum_is_a_sequence_nll():
    texts, scores = ["CCO", "CCN", "CCC", "CCF"], [0.1, 0.2, 0.3, 0.4]
    entropies = [[1.0, 2.0], [1.0], [3.0], [2.0, 2.0]]
    exact = measure.samples(texts, scores, [[-1.0]] * 4, entropies)
    assert exact["entropy_kind"] == "token_entropy"
    assert exact["entropy"] == pytest.approx(11 / 6)
    summed = measure.samples(texts, scores, [-3.0, -4.0, -5.0, -6.0])
    assert summed["entropy_kind"] == "sequence_nll"
    assert summed["entropy"] == pytest.approx(4.5)
    nothing = measure.samples(texts, scores)
    assert nothing["entropy"] is None
    assert nothing["entropy_kind"] is None


def test_record_of_texts_compares_within_a_prompt():
    texts = ["a b", "a b", "c d", "e f"]
    prompts = ["p", "p", "q", "q"]
    record = measure.samples(texts, [1, 0, 1, 1], prompts=prompts, kind="text")
    assert record["diversity"] == pytest.approx(0.5)  # 0 within p, 1 within q
    assert record["diversity_kind"] == "edit_distance_tokens_within_prompt"
    assert record["n_prompts"] == 2
    assert record["quality"] == pytest.approx(0.75)
    assert record["quality_se"] == pytest.approx(0.25)
    assert record["pass@1"] == pytest.approx(0.75)
    assert record["pass@2"] == pytest.approx(1.0)
    same = measure.samples(texts, [1, 0, 1, 1], kind="text", same=measure.exact())
    assert same["diversity_kind"] == "distinct_pairs"
    assert same["diversity"] == pytest.approx(5 / 6)
    by_embedding = measure.samples(
        texts, [1, 0, 1, 1], kind="text", embed=lambda t: np.eye(len(t)), full=True
    )
    assert by_embedding["diversity_kind"] == "embedding_cosine"
    assert by_embedding["vendi_m"] >= 1


def test_collapse_and_total_failure_give_numbers_or_none():
    record = measure.samples(["CCO"] * 50, [0.5] * 50, full=True)
    assert record["diversity"] == 0
    assert record["unique_share"] == pytest.approx(1 / 12)  # among m = 12
    assert record["diversity_unique"] is None
    broken = measure.samples(["C("] * 8, [float("nan")] * 8, full=True)
    assert broken["diversity"] is None
    assert broken["quality"] == 0  # invalid strings score 0 over all samples …
    assert broken["quality_valid"] is None  # … and there is no valid one
    assert broken["valid_share"] == 0
    assert json.dumps(broken, allow_nan=False)


def test_contradictory_input_is_refused():
    with pytest.raises(BadData, match="one score a text"):
        measure.samples(["CCO"], [0.1, 0.2])
    with pytest.raises(BadData, match="one prompt a text"):
        measure.samples(["CCO"], [0.1], prompts=["a", "b"])
    with pytest.raises(BadData, match="'molecule' or 'text'"):
        measure.samples(["CCO"], [0.1], kind="picture")
    with pytest.raises(BadData, match="contradicts"):
        measure.samples(["CCO"], [0.1], valid=[False])


def test_all_public_names_are_there():
    for name in measure.__all__:
        assert callable(getattr(measure, name))


def test_import_is_light():
    code = (
        "import sys, qdlaws.measure;"
        "heavy = {'rdkit', 'torch', 'transformers', 'scipy.stats', 'matplotlib'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    bare = "import sys, qdlaws; print('rdkit' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", bare], text=True).strip() == "False"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
