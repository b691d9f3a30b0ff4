"""FlowRL's head: it reads prompts, learns log Z, and is carried by checkpoints."""

import pytest
import torch
from safetensors.torch import load_file

from qdlaws.errors import BadData, BadLog
from tests.helpers.small_run import config_of, largest_gap, rows, save_model, weights
from trainer.distributed.world import World
from trainer.loop import resume, train
from trainer.training.checkpoint import folder_of
from trainer.training.partition_head import load_head, log_partition, make_head
from trainer.training.setup import make_context
from trainer.types import HeadPlan

FLOW = ("recipe=flowrl", "recipe.head=true", "recipe.scale=1.0")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("head") / "model")


def test_a_prompt_has_one_log_z_whatever_stands_beside_it(model):
    context = make_context(config_of(model, *FLOW), World())
    head = context.head
    torch.nn.init.normal_(head[-1].weight)
    short, long = [1, 4], [1, 5, 6, 7, 8]
    both = log_partition(context.policy, head, [short, long, short])
    assert both.shape == (3, 1)
    assert both[0] == both[2] != both[1]
    alone = log_partition(context.policy, head, [short])
    torch.testing.assert_close(both[:1], alone)
    both.sum().backward()
    touched = [p.grad is not None for p in context.policy.model.parameters()]
    assert any(touched)  # as released: the gradient flows on into the policy


def test_a_run_trains_its_head_and_goes_on_with_it_after_a_break(model, tmp_path):
    train(config_of(model, *FLOW), tmp_path / "whole")
    first = load_file(folder_of(tmp_path / "whole", 0) / "head.safetensors")
    last = load_file(folder_of(tmp_path / "whole", 6) / "head.safetensors")
    assert not torch.equal(first["6.bias"], last["6.bias"])
    train(config_of(model, *FLOW, "train.steps=4"), tmp_path / "part")
    text = (tmp_path / "part" / "config.toml").read_text()
    (tmp_path / "part" / "config.toml").write_text(text.replace("steps = 4", "steps = 6"))
    resume(tmp_path / "part", trust=True)
    assert largest_gap(weights(tmp_path / "whole", 6), weights(tmp_path / "part", 6)) == 0
    again = load_file(folder_of(tmp_path / "part", 6) / "head.safetensors")
    assert all(torch.equal(last[name], again[name]) for name in last)
    losses = [r["loss"] for r in rows(tmp_path / "whole") if "loss" in r]
    assert losses == [r["loss"] for r in rows(tmp_path / "part") if "loss" in r]


def test_a_head_of_another_shape_or_without_its_file_is_one_line(model, tmp_path):
    policy = make_context(config_of(model), World()).policy
    with pytest.raises(BadLog, match=r"head\.safetensors does not fit"):
        load_head(make_head(policy, HeadPlan(), 0), tmp_path)
    with pytest.raises(BadData, match="at least one layer"):
        make_context(config_of(model, *FLOW, "recipe.layers=0"), World())
    assert make_context(config_of(model), World()).head is None
