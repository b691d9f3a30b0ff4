"""The bonus for novelty: REINVENT4's numbers, and runs that learn it, keep it and go on with it."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from qdlaws.errors import BadData, BadLog
from tests.helpers.small_run import config_of, largest_gap, rows, save_model, weights
from tests.helpers.tiny_policy import tiny_policy
from trainer.algorithms.recipes import reinvent
from trainer.distributed.world import World
from trainer.loop import resume, train
from trainer.policy import frozen_reference, token_log_probs
from trainer.training.checkpoint import folder_of
from trainer.training.novelty import NoveltyNetworks, random_network, rescaled
from trainer.training.rollout import collect
from trainer.training.setup import make_context, start

NOVELTY = (
    "recipe=reinvent",
    "recipe.novelty=true",
    "recipe.novelty_lr=0.01",
    "recipe.minscore=0.1",
)
PROMPTS = [[1], [1, 4], [1], [1, 4, 5]]
TOKENS = torch.tensor([[4, 5, 6, 2], [7, 2, 0, 0], [9, 9, 2, 0], [5, 4, 2, 0]])
MASK = TOKENS > 0
RECORD = json.loads(Path(__file__).with_name("reinvent4_novelty.json").read_text())
"""By benchmarks/record_reinvent4.py from commit 4309467 (version 4.8.24) of the package."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("novelty") / "model")


def networks(lr=1e-2, **options):
    policy = tiny_policy(**options)
    return NoveltyNetworks(random_network(frozen_reference(policy), 0), policy, lr)


def sequence_log_probs(policy):
    return token_log_probs(policy, PROMPTS, TOKENS, MASK).logp.sum(1)


class TabulatedModel(torch.nn.Module):
    """Gives row i of a batch the log-probability features[i]·w at its one token."""

    def __init__(self, w):
        super().__init__()
        self.w = torch.nn.Parameter(torch.tensor(w, dtype=torch.float64))


def test_novelty_and_learner_are_those_of_reinvent4_batch_by_batch(monkeypatch):
    """Both are linear in three features here; the package's own class made the numbers."""

    def linear(policy, prompts, tokens, mask):
        features = torch.tensor(prompts, dtype=torch.float64)
        logp = (features @ policy.model.w)[:, None]
        return type("LogProbs", (), {"logp": logp})

    monkeypatch.setattr("trainer.training.novelty.token_log_probs", linear)
    target, learner = (
        type("Policy", (), {"model": TabulatedModel(RECORD[name])})
        for name in ("target", "learner")
    )
    target.model.requires_grad_(False)
    pair = NoveltyNetworks(target, learner, RECORD["lr"])
    one = torch.ones(len(RECORD["batches"][0]["features"]), 1, dtype=torch.bool)
    for batch in RECORD["batches"]:
        parts = [torch.arange(0, 3), torch.arange(3, len(one))]
        novelty = pair.novelty(batch["features"], one.long(), one, parts)
        torch.testing.assert_close(novelty.tolist(), batch["novelty"], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(learner.model.w.tolist(), batch["weights"], rtol=1e-9, atol=0)
    assert len({tuple(batch["novelty"]) for batch in RECORD["batches"]}) == len(RECORD["batches"])


@pytest.mark.parametrize("tied", [True, False])
def test_the_novelty_is_the_rescaled_square_and_one_step_of_adam_follows(tied):
    ours, by_hand = networks(tie_word_embeddings=tied), tiny_policy(tie_word_embeddings=tied)
    adam = torch.optim.Adam(by_hand.model.parameters(), lr=1e-2)
    for _ in range(3):
        squares = (sequence_log_probs(by_hand) - sequence_log_probs(ours.target)).pow(2)
        wanted = rescaled(squares.detach())
        adam.zero_grad()
        squares.mean().backward()
        adam.step()
        parts = [torch.tensor([2, 0]), torch.tensor([1, 3])]  # the whole batch counts once
        novelty = ours.novelty(PROMPTS, TOKENS, MASK, parts)
        torch.testing.assert_close(novelty.float(), wanted, rtol=1e-4, atol=1e-5)
        assert novelty.min() == 0
        assert novelty.max() == pytest.approx(1, abs=1e-4)
    for one, other in zip(ours.learner.model.parameters(), by_hand.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_answers_that_were_learned_are_less_novel_than_one_that_was_not():
    pair = networks(lr=3e-3)
    first, whole = [torch.arange(3)], [torch.arange(4)]
    for _ in range(150):
        pair.novelty(PROMPTS[:3], TOKENS[:3], MASK[:3], first)
    assert pair.novelty(PROMPTS, TOKENS, MASK, whole).argmax() == 3
    assert pair.novelty([], TOKENS[:0], MASK[:0], []).shape == (0,)


def test_the_random_network_depends_on_the_seed_alone_and_is_never_trained():
    one, again, other = (random_network(frozen_reference(tiny_policy()), s) for s in (0, 0, 1))
    logps = [sequence_log_probs(p) for p in (one, again, other)]
    assert torch.equal(logps[0], logps[1])
    assert not torch.equal(logps[0], logps[2])
    pair = networks()
    before = sequence_log_probs(pair.target)
    pair.novelty(PROMPTS, TOKENS, MASK, [torch.arange(4)])
    assert torch.equal(before, sequence_log_probs(pair.target))


def test_the_bonus_is_added_behind_the_filter_and_remembered(model):
    context = make_context(config_of(model, *NOVELTY), World())
    batch, after = collect(context, start(context))
    fresh = batch.rollouts.novelty[:16]
    assert 0 < int((fresh > 0).sum()) < 16
    shaped = batch.rollouts
    for piece in context.recipe.shape:
        shaped = piece(shaped, context.recipe.knobs)
    worth = batch.rollouts.score * batch.rollouts.filter_factor + batch.rollouts.novelty
    torch.testing.assert_close(shaped.reward, context.recipe.knobs.reward_scale * worth)
    assert max(after.memory.scores) == pytest.approx(float(worth[:16].max()))
    plain = make_context(config_of(model, "recipe=reinvent"), World())
    assert plain.novelty is None
    assert collect(plain, start(plain))[0].rollouts.novelty is None


def test_a_run_with_novelty_goes_on_after_a_break_as_if_there_were_none(model, tmp_path):
    train(config_of(model, *NOVELTY), tmp_path / "whole")
    train(config_of(model, *NOVELTY, "train.steps=4"), tmp_path / "part")
    text = (tmp_path / "part" / "config.toml").read_text()
    (tmp_path / "part" / "config.toml").write_text(text.replace("steps = 4", "steps = 6"))
    resume(tmp_path / "part", trust=True)
    assert largest_gap(weights(tmp_path / "whole", 6), weights(tmp_path / "part", 6)) == 0
    assert rows(tmp_path / "whole") == rows(tmp_path / "part")
    first, last = (
        load_file(folder_of(tmp_path / "whole", s) / "novelty.safetensors") for s in (0, 6)
    )
    again = load_file(folder_of(tmp_path / "part", 6) / "novelty.safetensors")
    assert last.keys() == again.keys()
    assert all(torch.equal(last[name], again[name]) for name in last)
    assert any(not torch.equal(first[name], last[name]) for name in first)


def test_novelty_without_buckets_a_wrong_rate_and_a_lost_file_are_one_line(model, tmp_path):
    for filter in ("none", "same"):
        with pytest.raises(BadData, match="it needs filter = usual, scaffold"):
            reinvent(filter=filter, novelty=True)
    with pytest.raises(BadData, match="novelty_lr = 0: a number above 0"):
        reinvent(novelty=True, novelty_lr=0)
    with pytest.raises(BadLog, match=r"novelty\.safetensors does not fit"):
        make_context(config_of(model, *NOVELTY), World()).novelty.load(tmp_path)
    with pytest.raises(BadData, match=r"recipe\.novelty are not spread"):
        make_context(config_of(model, *NOVELTY, "policy.shard=true"), World())
