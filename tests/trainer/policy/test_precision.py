"""Mixed precision: bfloat16 products, float32 weights, gradients and log-probabilities."""

import copy
from dataclasses import replace

import pytest
import torch

from tests.helpers.small_run import config_of, largest_gap, rows, save_model, weights
from tests.helpers.tiny_policy import KEYS, PROMPTS, example_logp, same, tiny_policy
from trainer.distributed.world import World
from trainer.loop import resume, train
from trainer.policy import frozen_reference, token_log_probs
from trainer.policy.model import narrowed_reference
from trainer.sampling import mismatch, sample
from trainer.training.rollout import collect
from trainer.training.setup import load_models, make_context, start


def mixed(policy):
    return replace(policy, products=torch.bfloat16)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_gradients_are_float32_and_those_of_float32_up_to_bfloat16_rounding(kind):
    policy = tiny_policy(kind, spread=2.0)
    parameters = list(policy.model.parameters())
    exact = torch.autograd.grad(example_logp(policy).sum(), parameters)
    logp = example_logp(mixed(policy))
    assert logp.dtype == torch.float32
    rounded = torch.autograd.grad(logp.sum(), parameters)
    assert all(gradient.dtype == torch.float32 for gradient in rounded)
    one, other = (torch.cat([g.flatten() for g in grads]) for grads in (exact, rounded))
    assert not torch.equal(one, other)
    assert torch.cosine_similarity(one, other, dim=0) > 0.999


@pytest.mark.parametrize("options", [{}, {"tie_word_embeddings": True}])
def test_the_reference_has_the_numbers_of_the_policy_in_half_the_bytes(options):
    policy = mixed(tiny_policy(spread=2.0, **options))
    reference = narrowed_reference(frozen_reference(policy))
    assert torch.equal(example_logp(reference), example_logp(policy).detach())
    products = [part for part in reference.model.modules() if type(part) is torch.nn.Linear]
    assert {part.weight.dtype for part in products} == {torch.bfloat16}
    assert {weight.dtype for weight in policy.model.parameters()} == {torch.float32}
    assert reference.dtype == torch.float32


@pytest.mark.parametrize("options", [{}, {"tie_word_embeddings": True}, {"head_dim": 6}])
@pytest.mark.parametrize("padded", [False, True])
def test_sampler_and_scorer_agree_up_to_rounding(options, padded):
    policy = mixed(tiny_policy(spread=2.0, **options))
    prompts = PROMPTS if padded else [[1]] * 8
    drawn = sample(policy, prompts, KEYS, limit=20)
    scored = token_log_probs(policy, prompts, drawn.tokens, drawn.mask, entropy=True)
    gap = mismatch(drawn.logp, scored.logp, drawn.mask)
    assert 0 < gap.largest < 0.05
    torch.testing.assert_close(drawn.entropy, scored.entropy.detach(), atol=0.05, rtol=0)


def test_large_llamas_take_the_quick_step_in_mixed_precision_only(monkeypatch):
    from trainer.sampling import llama

    used = []
    step = llama.LlamaStep.__call__
    monkeypatch.setattr(
        llama.LlamaStep, "__call__", lambda self, *a: used.append(1) or step(self, *a)
    )
    monkeypatch.setattr(llama, "LARGEST", 10)
    policy = tiny_policy()
    sample(policy, PROMPTS, KEYS, limit=5)
    assert not used
    sample(mixed(policy), PROMPTS, KEYS, limit=5)
    assert used


def test_sampling_in_mixed_precision_uses_the_present_weights():
    policy = mixed(tiny_policy())
    sample(policy, PROMPTS, KEYS, limit=20)
    moved = replace(policy, model=copy.deepcopy(policy.model))
    for one in (policy, moved):
        torch.manual_seed(3)
        with torch.no_grad():
            for weight in one.model.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
    same(policy, *(sample(one, PROMPTS, KEYS, limit=20) for one in (policy, moved)), 0)


def test_the_first_update_has_a_ratio_of_exactly_one(model, monkeypatch):
    """Several updates of a batch: rollouts are scored anew, in the precision of the gradient."""
    import trainer.training.update as module

    config = config_of(model, "recipe=grpo", "epochs=2", "precision=bf16")
    context = make_context(config, World())
    assert context.policy.products == torch.bfloat16
    assert context.reference.products == torch.bfloat16
    progress = start(context)
    batch, _ = collect(context, progress)
    gaps = []
    apply = module._apply

    def noted(context, optimizer, step, totals):
        gaps.append(totals.gap)
        return apply(context, optimizer, step, totals)

    monkeypatch.setattr(module, "_apply", noted)
    figures = module.update(context, batch, progress.knobs, module.make_optimizer(context), 0)
    assert 0 < figures["mismatch"] < 0.05
    assert gaps[0] == 0
    assert gaps[1] > 0


def test_a_run_in_mixed_precision_is_resumed_to_the_bit(model, tmp_path):
    config = config_of(model, "precision=bf16", "recipe.kl=0.1")
    train(config, tmp_path / "whole")
    train(config, tmp_path / "cut")
    for path in sorted((tmp_path / "cut" / "checkpoints" / "step-000006").iterdir()):
        path.unlink()
    (tmp_path / "cut" / "summary.json").unlink()
    resume(tmp_path / "cut")
    assert rows(tmp_path / "cut") == rows(tmp_path / "whole")
    assert largest_gap(weights(tmp_path / "cut", 6), weights(tmp_path / "whole", 6)) == 0
    first = rows(tmp_path / "whole")[0]
    assert first["phase"] == "eval"
    assert first["kl"] == 0
    kept = weights(tmp_path / "whole", 6)
    assert {tensor.dtype for tensor in kept.values()} == {torch.float32}


def test_another_model_as_reference_is_in_the_precision_of_the_run(model):
    config = config_of(model, "precision=bf16", f"policy.reference={model}")
    policy, reference = load_models(config)
    assert policy.products == reference.products == torch.bfloat16
    assert torch.equal(example_logp(policy).detach(), example_logp(reference))
