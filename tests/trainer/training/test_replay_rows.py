"""REINVENT's inception in a run: seeds, filtered scores, and the drawing after the batch."""

import json

import pytest

from qdlaws.errors import BadData
from tests.helpers.small_run import config_of, rows, save_model
from trainer.distributed.world import World
from trainer.loop import train
from trainer.training.setup import make_context, start


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model") / "weights")


def reinvent(model, *settings):
    single = ["recipe=reinvent", "task.letters=a", "train.prompts=1", "train.samples=8"]
    return config_of(model, *single, *settings)


def saved_state(folder, step):
    return json.loads((folder / f"checkpoints/step-{step:06d}/state.json").read_text())


def test_seeds_are_scored_and_in_the_memory_before_the_first_step(model, tmp_path):
    file = tmp_path / "seeds.smi"
    file.write_text("aab first of its meaning\naba\nzz\n\nbbb\naaaa\naab\n" + "a" * 30 + "\n")
    config = reinvent(model, f"recipe.seeds={file}", "recipe.memory=4")
    context = make_context(config, World())
    memory = start(context).memory
    # "zz" has no token, the long one is over the limit, "aba" means what "aab" means
    assert memory.keys == (
        ("a:", "aaaa", "aaaa"),
        ("a:", "aab", "aab"),
        ("a:", "bbb", "bbb"),
    )
    assert memory.scores == (1.0, pytest.approx(2 / 3), 0.0)
    assert context.task.asked == 4
    train(config, tmp_path / "run")
    assert len(saved_state(tmp_path / "run", 6)["memory"]["keys"]) == 4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["recipe.seeds=nowhere.smi"], "seeds = nowhere.smi: cannot be read"),
        (["recipe.seeds=FILE"], "none of its 2 lines is an answer with a score"),
        (["recipe.seeds=FILE", "task.letters=ab"], "letters has many prompts, seeds are for one"),
    ],
)
def test_useless_seeds_are_refused_in_one_line(settings, words, model, tmp_path):
    (tmp_path / "zz.smi").write_text("zz\nyy\n")
    given = [s.replace("FILE", str(tmp_path / "zz.smi")) for s in settings]
    with pytest.raises(BadData, match=words):
        start(make_context(reinvent(model, *given), World()))


def test_the_memory_holds_what_the_filter_left_of_a_score(model, tmp_path):
    """A bucket is a meaning here: of each the first answer counts, the second is worth nothing."""
    strict = ["recipe.bucket=1", "recipe.minscore=0", "recipe.memory=40", "steps=2"]
    train(reinvent(model, *strict), tmp_path / "run")
    state = saved_state(tmp_path / "run", 2)
    counts = dict(state["filter"]["counts"])
    assert sum(counts.values()) > len(counts)  # some meaning came twice
    assert rows(tmp_path / "run")[-1]["step"] == 2
    shares = [r["filtered_share"] for r in rows(tmp_path / "run") if r["phase"] == "train"]
    repeats = sum(n - 1 for n in counts.values())
    assert sum(shares) * 8 == pytest.approx(repeats)


def test_a_filter_that_the_task_cannot_offer_is_refused_with_those_it_has(model):
    with pytest.raises(BadData, match="filter = 'topological': letters has usual, same"):
        make_context(reinvent(model, "recipe.filter=topological"), World())
    assert make_context(reinvent(model, "recipe.filter=same"), World()).recipe.filter.by == "same"
    assert make_context(reinvent(model, "recipe.filter=none"), World()).recipe.filter is None


@pytest.mark.parametrize("by", ["topological", "similar", "same"])
def test_a_run_on_molecules_takes_every_filter(by, tmp_path):
    pytest.importorskip("rdkit")
    settings = ["policy.model=molecules-60k", "task=molecules", "train.limit=30", "steps=2"]
    reuse = ["train.prompts=1", "train.samples=8", "recipe=reinvent", "eval.samples=8"]
    config = config_of("molecules-60k", *settings, *reuse, f"recipe.filter={by}")
    train(config, tmp_path / "run")
    state = saved_state(tmp_path / "run", 2)["filter"]
    assert (state["buckets"] != []) == (by == "similar")
    assert state["answers"]
