"""The bundled priors are measures by name, load in float32, and are as good as their cards say."""

import json
import math

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from qdlaws.errors import BadData
from trainer.policy import bundled_priors, load_policy
from trainer.policy.bundled_priors import PRIORS, model_source, prior_path
from trainer.pretrain.evaluation import measure_answers, measure_molecules
from trainer.pretrain.model import sample_texts
from trainer.pretrain.model_card import read_corpus_hashes
from trainer.tasks import make_task

MOLECULES = [name for name in PRIORS if name.startswith("molecules")]
TEXTS = ["arithmetic", "sql", "stories"]
SAMPLES = 200


def card(name):
    return json.loads((prior_path(name) / "prior.json").read_text())


def fresh(name, prompts):
    policy = load_policy(prior_path(name), dtype="float32")
    limit = card(name)["options"]["longest"] or 120 + 280 * (name in TEXTS)
    return sample_texts(policy.model, policy.tokenizer, prompts, key=(3, 50, 0), limit=limit)


@pytest.mark.parametrize("name", PRIORS)
def test_transformers_loads_a_bundled_prior_unchanged(name):
    model = AutoModelForCausalLM.from_pretrained(prior_path(name))
    tokenizer = AutoTokenizer.from_pretrained(prior_path(name))
    assert sum(p.numel() for p in model.parameters()) == card(name)["parameters"]
    assert model.config.vocab_size == len(tokenizer)
    assert all(math.isfinite(p.abs().max().item()) for p in model.parameters())


@pytest.mark.parametrize("name", MOLECULES)
def test_fresh_molecules_are_valid_distinct_and_new(name):
    measures = measure_molecules(fresh(name, [""] * SAMPLES), read_corpus_hashes(prior_path(name)))
    stated = card(name)["measured"]
    for share in ("valid", "novel"):
        value, n = stated[share]["value"], measures[share].n
        # what the card says of 1,000 samples, within four standard errors of these 200
        tolerance = 4 * math.sqrt(value * (1 - value) * (1 / n + 1 / stated[share]["n"]))
        assert abs(measures[share].value - value) < tolerance
    if name != "molecules-60k":
        assert measures["valid"].value >= 0.8
        assert measures["unique"].value >= 0.95
        assert measures["novel"].value >= 0.6
    assert measures["diversity"].value >= 0.85


@pytest.mark.parametrize("name", TEXTS)
def test_fresh_answers_score_as_the_card_says(name):
    task = make_task(name)
    questions = task.prompts("eval")
    prompts = [questions[number % len(questions)] for number in range(SAMPLES)]
    measures = measure_answers(task, fresh(name, [p.text for p in prompts]), prompts)
    task.close()
    stated = card(name)["measured"]["score"]
    tolerance = 4 * math.hypot(measures["score"].se, stated["se"])
    assert abs(measures["score"].value - stated["value"]) < tolerance
    assert 0.2 < measures["score"].value < 0.9  # room to learn, and something to start from


def test_cards_have_the_command_and_the_folders_are_small():
    for name in PRIORS:
        stated = card(name)
        assert stated["command"].startswith("qdtrain pretrain ")
        assert stated["command"].endswith(f"--out data/priors/{name}")
        assert stated["command"] in (prior_path(name) / "README.md").read_text()
    folders = [prior_path(name) for name in PRIORS]
    assert sum(f.stat().st_size for folder in folders for f in folder.iterdir()) < 6 * 2**20


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("molecules-25k", "molecules-250k"), ("Molecules-1M", "molecules-1m"), ("storys", "stories")],
)
def test_a_misspelt_prior_is_refused_without_a_look_at_the_hub(
    name, nearest, tmp_path, monkeypatch
):
    with pytest.raises(BadData, match=f"no model is called '{name}' .did you mean '{nearest}'"):
        model_source(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    assert model_source(name) == name  # a folder of that name is one
    assert model_source("gpt2") == "gpt2"
    assert model_source("mine/molecules-25k") == "mine/molecules-25k"


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(BadData, match="did you mean 'molecules-250k'"):
        prior_path("molecules250k")


def test_a_prior_is_beside_the_packages_where_pip_installed_them_into_a_folder(
    tmp_path, monkeypatch
):
    """``pip install --target`` brought the priors along, and none of them was seen."""
    prior = tmp_path / "share" / "qdlaws" / "priors" / "bandit"
    prior.mkdir(parents=True)
    (prior / "config.json").write_text("{}")
    module = tmp_path / "trainer" / "policy" / "bundled_priors.py"
    monkeypatch.setattr(bundled_priors, "__file__", str(module))
    assert prior_path("bandit") == prior
