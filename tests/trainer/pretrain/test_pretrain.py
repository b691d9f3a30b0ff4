"""A small prior from start to end: it learns, is stored whole, repeats to the bit, and resumes."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from qdlaws.errors import BadData, NotEnoughData
from qdlaws.measure import Estimate
from trainer.policy.tokenizer import character_tokenizer
from trainer.pretrain import PretrainOptions, pretrain
from trainer.pretrain.datasets import corpus, text_rows
from trainer.pretrain.display import Silent, line
from trainer.pretrain.evaluation import Seen, holds, measure_molecules, share
from trainer.pretrain.maximum_likelihood import Row, Schedule, batch_loss, batches, fit, mean_loss
from trainer.pretrain.model import build_model
from trainer.pretrain.model_card import read_seen
from trainer.pretrain.smiles_corpus import bundled_smiles


class Notes(Silent):
    """Keeps what a display is told."""

    def __init__(self):
        self.losses, self.phases, self.found = [], [], []

    def phase(self, name):
        self.phases.append(name)

    def tell(self, step, steps, loss):
        self.losses.append(loss)

    def measured(self, number, found):
        self.found.append((number, found))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    file = tmp_path_factory.mktemp("corpus") / "200.smi"
    file.write_text("\n".join(bundled_smiles()[:200]))
    return PretrainOptions(
        out=file.parent / "prior",
        smiles=file,
        size="32-2-2-64",
        epochs=4,
        batch_tokens=1024,
        rounds=1,
        round_samples=100,
        round_epochs=1,
        polish=2,
        polish_samples=32,
        samples=60,
        seed=5,
        threads=1,
    )


@pytest.fixture(scope="module")
def made(small):
    notes = Notes()
    return pretrain(small, notes), notes


def test_the_loss_falls_and_the_round_runs(made, small):
    _, notes = made
    assert np.mean(notes.losses[-5:]) < 0.7 * np.mean(notes.losses[:5])
    assert [phase for phase in notes.phases if "round 1" in phase]
    numbers = [number for number, _ in notes.found]
    assert numbers == [0, 1, 2, None]  # trained, a round, polished, as stored
    assert notes.found[2][1]["polished"] == 2
    own = notes.found[1][1]["own"]
    assert own > 0
    assert notes.found[1][1]["examples"] == len(corpus(small).real) + own


def test_it_loads_as_any_model_and_is_stored_in_half_precision(made):
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


def test_the_card_tells_how_to_repeat_it(made, small):
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
    known = corpus(small)
    seen = read_seen(folder)
    assert seen.holds([text for _, text in known.real]).all()
    assert not seen.holds([text for _, text in known.out]).any()


def test_the_same_seed_gives_the_same_weights(made, small, tmp_path):
    again = pretrain(replace(small, out=tmp_path / "prior"))
    other = pretrain(replace(small, out=tmp_path / "other", seed=6, rounds=0, polish=0))
    first = (made[0] / "model.safetensors").read_bytes()
    assert (again / "model.safetensors").read_bytes() == first
    assert (other / "model.safetensors").read_bytes() != first


def test_a_stopped_training_goes_on_to_the_same_weights(made, small, tmp_path):
    class Stop(Notes):
        def phase(self, name):
            if name.startswith("polishing"):
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


def test_selfies_are_spelled_and_read_as_molecules(small, tmp_path):
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


# ---------------------------------------------------------------- the pieces


def test_rows_count_from_the_completion_on():
    tokenizer = character_tokenizer(["ab=cd"])
    (row,) = text_rows([("ab=", "cd")], tokenizer)
    assert tokenizer.decode(row.ids, skip_special_tokens=True) == "ab=cd"
    assert (row.ids[0], row.ids[-1], row.first) == (1, 2, 4)
    assert text_rows([("ab=", "cd")], tokenizer, completion_only=False)[0].first == 1
    assert text_rows([("", "x")], tokenizer) == []  # an unknown symbol
    assert text_rows([("", "a")], tokenizer)[0].first == 1


def test_batches_hold_every_row_once_and_keep_the_budget():
    rng = np.random.default_rng(0)
    rows = [Row(tuple([1] * int(n))) for n in rng.integers(3, 60, size=2000)]
    made = batches(rows, 1000, rng)
    assert sorted(np.concatenate(made).tolist()) == list(range(2000))
    padded = [len(part) * max(len(rows[i].ids) for i in part) for part in made]
    assert max(padded) <= 1000
    assert sum(len(row.ids) for row in rows) > 0.9 * sum(padded)  # little padding
    assert [len(part) for part in batches([Row((1,) * 50)] * 3, 10, rng)] == [1, 1, 1]


def test_the_loss_is_the_one_of_transformers(small):
    tokenizer = character_tokenizer(["abcde"])
    model = build_model(small, tokenizer)
    rows = text_rows([("ab", "cde"), ("a", "b")], tokenizer)
    one, two = rows
    labels = [torch.tensor([[-100] * r.first + list(r.ids[r.first :])]) for r in rows]
    theirs = [
        model(input_ids=torch.tensor([r.ids]), labels=label).loss.item()
        for r, label in zip(rows, labels, strict=True)
    ]
    counts = [len(one.ids) - one.first, len(two.ids) - two.first]
    expected = np.average(theirs, weights=counts)
    assert batch_loss(model, rows).item() == pytest.approx(expected, rel=1e-5)
    assert mean_loss(model, rows, budget=1) == pytest.approx(expected, rel=1e-5)
    assert math.isnan(mean_loss(model, [], budget=1))


def test_the_learning_rate_warms_up_and_falls():
    schedule = Schedule(0.02, steps=100, warmup=0.1)
    rates = [schedule.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.002)
    assert max(rates) == pytest.approx(0.02)
    assert int(np.argmax(rates)) in (9, 10)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[-1] < 0.02 * 0.02


def test_part_of_an_epoch_is_part_of_its_batches(small):
    model = build_model(small, character_tokenizer(["abc"]))
    rows = [Row((1, 4, 5, 2))] * 100
    seen = []
    fit(model, rows, epochs=2.5, peak=0.01, budget=40, seed=(0,), tell=lambda *a: seen.append(a))
    assert seen[-1][:2] == (25, 25)


def test_weights_do_not_depend_on_the_global_generator(small):
    tokenizer = character_tokenizer(["abc"])
    torch.manual_seed(1)
    first = build_model(small, tokenizer).state_dict()
    after = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(after, torch.rand(1))  # nor does building one disturb it
    second = build_model(small, tokenizer).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_measures_of_molecules():
    seen = Seen.of(["CCO"])
    found = measure_molecules(["OCC", "CCN", "CCN", None, "C1CC", ""], seen)
    assert found["valid"].value == 3 / 6
    assert found["unique"].value == pytest.approx(2 / 3)
    assert found["novel"].value == pytest.approx(2 / 3)  # OCC is ethanol
    assert found["diversity"].value > 0
    assert set(measure_molecules(["C1CC", ""], seen)) == {"valid"}
    assert math.isnan(share(0, 0, "none").value)


def test_targets_need_two_errors_to_spare():
    targets = {"valid": 0.9}
    assert holds({"valid": Estimate(0.93, 0.01, 1000, "v")}, targets, ["valid"])
    assert not holds({"valid": Estimate(0.91, 0.01, 1000, "v")}, targets, ["valid"])
    assert not holds({}, targets, ["valid"])


def test_seen_remembers_across_files_and_unions():
    both = Seen.of(["a", "b"]) | Seen.of(["c"])
    assert both.holds(["a", "b", "c", "d"]).tolist() == [True, True, True, False]
    assert len(Seen.of(["a", "a"])) == 1


def test_lines_are_readable():
    found = {"own": 12_345, "loss": 0.5848, "valid": Estimate(0.912, 0.009, 9, "v", share=True)}
    assert line(found) == "own 12,345, loss 0.5848, valid 91.2 ± 0.9 %"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "big"}, "60k, 250k, 1m or width"),
        ({"size": "30-2-4-64"}, "even multiple"),
        ({"size": "32-0-2-64"}, "above 0"),
        ({"epochs": 0}, "epochs=0"),
        ({"held_out": 1.5}, "share from 0 to 1"),
        ({"representation": "inchi"}, "smiles or selfies"),
        ({"task": "sql"}, "one corpus"),
    ],
)
def test_bad_options_are_named(small, change, message):
    with pytest.raises(BadData, match=message):
        replace(small, **change)


def test_a_corpus_without_molecules_is_refused(small, tmp_path):
    file = tmp_path / "none.smi"
    file.write_text("x\ny\n")
    with pytest.raises(NotEnoughData, match="nothing is left"):
        pretrain(replace(small, smiles=file, out=tmp_path / "p"))


def test_a_task_without_corpus_is_refused(tmp_path, monkeypatch):
    (tmp_path / "bare_task.py").write_text(
        "class Bare:\n    def close(self): pass\n\ndef make(): return Bare()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadData, match="bare_task:make has no corpus"):
        corpus(PretrainOptions(out=tmp_path, task="bare_task:make"))


def test_a_prior_of_a_task_is_measured_by_the_task(tmp_path):
    options = PretrainOptions(
        out=tmp_path / "sums", task="arithmetic", size="32-1-2-64", examples=300, epochs=2,
        samples=40, longest=32, threads=1,
    )  # fmt: skip
    record = json.loads((pretrain(options) / "prior.json").read_text())
    assert record["command"].startswith("qdtrain pretrain --task arithmetic")
    assert set(record["measured"]) >= {"valid", "score"}
    assert record["measured"]["score"]["n"] == 40
