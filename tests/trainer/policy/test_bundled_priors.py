"""The bundled priors are found by name, load in float32, and are as good as their cards say."""

import json
import math

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from qdlaws.errors import BadData
from trainer.policy import load_policy
from trainer.policy.bundled_priors import PRIORS, prior_path
from trainer.pretrain.evaluation import measure_answers, measure_molecules
from trainer.pretrain.model_card import read_seen
from trainer.pretrain.sample import draw
from trainer.tasks import make_task

MOLECULES = [name for name in PRIORS if name.startswith("molecules")]
TEXTS = ["arithmetic", "sql", "stories"]
SAMPLES = 200


def card(name):
    return json.loads((prior_path(name) / "prior.json").read_text())


def fresh(name, prompts):
    policy = load_policy(prior_path(name), dtype="float32")
    limit = card(name)["options"]["longest"] or 120 + 280 * (name in TEXTS)
    return draw(policy.model, policy.tokenizer, prompts, key=(3, 50, 0), limit=limit)


@pytest.mark.parametrize("name", PRIORS)
def test_it_loads_unchanged_by_transformers(name):
    model = AutoModelForCausalLM.from_pretrained(prior_path(name))
    tokenizer = AutoTokenizer.from_pretrained(prior_path(name))
    assert sum(p.numel() for p in model.parameters()) == card(name)["parameters"]
    assert model.config.vocab_size == len(tokenizer)
    assert all(math.isfinite(p.abs().max().item()) for p in model.parameters())


@pytest.mark.parametrize("name", MOLECULES)
def test_fresh_molecules_are_valid_distinct_and_new(name):
    found = measure_molecules(fresh(name, [""] * SAMPLES), read_seen(prior_path(name)))
    said = card(name)["measured"]
    for share in ("valid", "novel"):
        value, n = said[share]["value"], found[share].n
        # what the card says of 1,000 samples, within four standard errors of these 200
        room = 4 * math.sqrt(value * (1 - value) * (1 / n + 1 / said[share]["n"]))
        assert abs(found[share].value - value) < room
    if name != "molecules-60k":
        assert found["valid"].value >= 0.8
        assert found["unique"].value >= 0.95
        assert found["novel"].value >= 0.6
    assert found["diversity"].value >= 0.85


@pytest.mark.parametrize("name", TEXTS)
def test_fresh_answers_score_as_the_card_says(name):
    task = make_task(name)
    asked = task.prompts("eval")
    prompts = [asked[number % len(asked)] for number in range(SAMPLES)]
    found = measure_answers(task, fresh(name, [p.text for p in prompts]), prompts)
    task.close()
    said = card(name)["measured"]["score"]
    room = 4 * math.hypot(found["score"].se, said["se"])
    assert abs(found["score"].value - said["value"]) < room
    assert 0.2 < found["score"].value < 0.9  # room to learn, and something to start from


def test_cards_have_the_command_and_the_folders_are_small():
    for name in PRIORS:
        said = card(name)
        assert said["command"].startswith("qdtrain pretrain ")
        assert said["command"].endswith(f"--out data/priors/{name}")
        assert said["command"] in (prior_path(name) / "README.md").read_text()
    folders = [prior_path(name) for name in PRIORS]
    assert sum(f.stat().st_size for folder in folders for f in folder.iterdir()) < 6 * 2**20


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(BadData, match="did you mean 'molecules-250k'"):
        prior_path("molecules250k")
