"""An export is the model of a checkpoint, whether it was saved whole or in parts."""

import pytest
import torch

from qdlaws.errors import BadData
from tests.helpers.small_run import config_of, largest_gap, save_model, weights
from trainer.distributed.world import World
from trainer.loop import train
from trainer.policy import load_policy
from trainer.training import checkpoint
from trainer.training.evaluate_checkpoint import evaluate_checkpoint
from trainer.training.export_checkpoint import export_checkpoint
from trainer.training.setup import make_context
from trainer.training.update import make_optimizer


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    train(config_of(save_model(folder / "model"), "steps=2"), folder / "run")
    return folder / "run"


def _gap(exported, run):
    model = load_policy(exported, device="cpu").model
    return largest_gap(dict(model.state_dict()), weights(run, 2))


def test_the_model_of_a_run_is_its_newest_checkpoint(run, tmp_path):
    assert _gap(export_checkpoint(run, tmp_path / "model"), run) == 0
    assert not list((tmp_path / "model").glob("optimizer*"))


def test_parts_are_put_together_with_the_optimizer(run, tmp_path):
    """One process writes its only part; a run, an export and a resume read it."""
    config = config_of(run.parent / "model", "steps=2")
    context = make_context(config, World())
    saved, state = checkpoint.load_state(run, 2)
    checkpoint.load_trained(context.policy, saved)
    optimizer = make_optimizer(context)
    checkpoint.load_optimizer(optimizer, saved)
    (tmp_path / "config.toml").write_bytes((run / "config.toml").read_bytes())
    half = checkpoint.new_folder(tmp_path, 2)
    checkpoint.save_in_parts(half, context.policy, optimizer)
    state = {**state, "sizes": {}}
    in_parts = checkpoint.save_checkpoint(tmp_path, 2, context.policy, half, state)
    assert _gap(export_checkpoint(in_parts, tmp_path / "model", trust=True), run) == 0
    fresh = make_optimizer(context)
    checkpoint.load_optimizer(fresh, in_parts)
    before, after = optimizer.state_dict()["state"], fresh.state_dict()["state"]
    assert before.keys() == after.keys()
    for number, values in before.items():
        for name, value in values.items():
            assert torch.equal(value, after[number][name])
    with pytest.raises(BadData, match="qdtrain export"):
        evaluate_checkpoint(str(in_parts), trust=True)


def test_a_folder_that_is_no_run_or_not_empty_is_refused(run, tmp_path):
    with pytest.raises(BadData, match=r"no config\.toml"):
        export_checkpoint(tmp_path, tmp_path / "model")
    with pytest.raises(BadData, match="not empty"):
        export_checkpoint(run, run)
