"""A small prior from start to end: it learns, is stored whole, repeats to the bit, and resumes."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from qdlaws.errors import BadData, NotEnoughData
from tests.helpers.pretraining import Notes
from trainer.pretrain import PretrainOptions, pretrain
from trainer.pretrain.datasets import load_corpus
from trainer.pretrain.model_card import read_corpus_hashes
from trainer.pretrain.resume_state import PhaseStore, State


def test_the_loss_falls_and_every_phase_is_measured(made, small):
    _, notes = made
    assert np.mean(notes.losses[-5:]) < 0.7 * np.mean(notes.losses[:5])
    assert [phase for phase in notes.phases if "round 1" in phase]
    numbers = [number for number, _ in notes.measures]
    assert numbers == [0, 1, 2, None]  # trained, a round, polished, as stored
    assert notes.measures[2][1]["polished"] == 2
    group = notes.measures[1][1]["own"]
    assert group > 0
    assert notes.measures[1][1]["examples"] == len(load_corpus(small).real) + group


def test_a_prior_loads_as_any_model_and_is_stored_in_half_precision(made):
    from safetensors import safe_open
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, _ = made
    with safe_open(folder / "model.safetensors", "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.dtype == torch.float32
    assert model.lm_head.weight.data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    ids = model.generate(**tokenizer([""] * 3, return_tensors="pt"), max_new_tokens=8)
    assert ids.shape[0] == 3


def test_the_policy_loads_in_float32_and_samples(made):
    from trainer.policy import encode_prompts, load_policy
    from trainer.sampling import sample

    policy = load_policy(made[0], dtype="float32")
    assert {p.dtype for p in policy.model.parameters()} == {torch.float32}
    drawn = sample(policy, encode_prompts(policy, [""] * 4), [(0, i) for i in range(4)], limit=10)
    assert all(" " not in text for text in drawn.texts(policy))


def test_the_model_card_has_the_command_that_repeats_it(made, small):
    folder, _ = made
    record = json.loads((folder / "prior.json").read_text())
    assert record["command"] == small.command()
    assert f"--smiles {small.smiles} --size 32-2-2-64" in record["command"]
    assert "--seed 5 --threads 1" in record["command"]
    assert record["corpus"]["read"] == 200
    assert record["measured"]["valid"]["n"] == 60
    assert record["versions"]["torch"] == torch.__version__
    assert record["command"] in (folder / "README.md").read_text()
    assert "drug-like" not in (folder / "README.md").read_text()  # a corpus of the user's
    corpus = load_corpus(small)
    hashes = read_corpus_hashes(folder)
    assert hashes.contains([text for _, text in corpus.real]).all()
    assert not hashes.contains([text for _, text in corpus.held_out]).any()


def test_the_same_seed_gives_the_same_weights(made, small, tmp_path):
    again = pretrain(replace(small, out=tmp_path / "prior"))
    other = pretrain(replace(small, out=tmp_path / "other", seed=6, rounds=0, polish=0))
    first = (made[0] / "model.safetensors").read_bytes()
    assert (again / "model.safetensors").read_bytes() == first
    assert (other / "model.safetensors").read_bytes() != first


def test_a_stopped_training_goes_on_to_the_same_weights(made, small, tmp_path):
    class Stop(Notes):
        def phase(self, name):
            if name.startswith("validity"):
                raise KeyboardInterrupt

    here = replace(small, out=tmp_path / "prior")
    with pytest.raises(KeyboardInterrupt):
        pretrain(here, Stop())
    assert not here.out.exists()
    with pytest.raises(BadData, match="other options"):
        pretrain(replace(here, epochs=5))
    notes = Notes()
    pretrain(here, notes)
    assert not [phase for phase in notes.phases if "training" in phase]  # none was done twice
    assert not (tmp_path / "prior.partial").exists()
    stored = (here.out / "model.safetensors").read_bytes()
    assert stored == (made[0] / "model.safetensors").read_bytes()


def test_a_folder_is_not_overwritten(made, small):
    with pytest.raises(BadData, match="exists already"):
        pretrain(small)


def test_a_prior_of_selfies_samples_molecules(small, tmp_path):
    pytest.importorskip("selfies")
    folder = pretrain(
        replace(small, out=tmp_path / "s", representation="selfies", rounds=0, polish=0, epochs=1)
    )
    record = json.loads((folder / "prior.json").read_text())
    # every SELFIES of the vocabulary is a molecule, however badly the model was trained
    assert record["measured"]["valid"]["value"] > 0.9
    assert record["representation"] == "selfies"


def test_texts_learn_the_completion_after_the_prompt(tmp_path):
    pairs = [(f"{n}=", f"{n}") for n in range(10, 100)]
    options = PretrainOptions(
        out=tmp_path / "copy", texts=pairs, size="32-2-2-64", epochs=60, batch_tokens=512,
        held_out=0.0, seed=1, threads=1,
    )  # fmt: skip
    notes = Notes()
    folder = pretrain(options, notes)
    # the two copied digits and the end are certain: nothing of log(90) nats is left
    assert notes.losses[-1] < 0.1
    assert json.loads((folder / "prior.json").read_text())["representation"] == "characters"


def test_a_corpus_without_molecules_is_refused(small, tmp_path):
    file = tmp_path / "none.smi"
    file.write_text("x\ny\n")
    with pytest.raises(NotEnoughData, match="nothing is left"):
        pretrain(replace(small, smiles=file, out=tmp_path / "p"))


def test_a_prior_of_a_task_is_measured_by_the_task(tmp_path):
    options = PretrainOptions(
        out=tmp_path / "sums", task="arithmetic", size="32-1-2-64", examples=300, epochs=2,
        samples=40, longest=32, threads=1,
    )  # fmt: skip
    record = json.loads((pretrain(options) / "prior.json").read_text())
    assert record["command"].startswith("qdtrain pretrain --task arithmetic")
    assert set(record["measured"]) >= {"valid", "score"}
    assert record["measured"]["score"]["n"] == 40


@pytest.mark.parametrize("how", ["cut", "emptied", "of another model"])
def test_a_damaged_phase_is_none_and_changes_nothing(how, tmp_path):
    store, state = PhaseStore(tmp_path), State(torch.nn.Linear(2, 2))
    path = tmp_path / "phase-1.pt"
    store.store(1, State(torch.nn.Linear(2, 3)) if how == "of another model" else state)
    if how != "of another model":
        path.write_bytes(path.read_bytes()[: 300 if how == "cut" else 0])
    before = state.model.weight.clone()
    assert not store.restore(1, state)
    assert torch.equal(state.model.weight, before)
