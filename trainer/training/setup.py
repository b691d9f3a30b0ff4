"""A context is made from a configuration; what does not fit together is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from qdlaws.errors import BadData
from trainer.algorithms.replay import Memory
from trainer.algorithms.suitability import refusal
from trainer.config import Config
from trainer.distributed.sharding import shard
from trainer.distributed.world import World
from trainer.policy import LoraOptions, Policy, frozen_reference, load_policy
from trainer.policy.bundled_priors import model_source
from trainer.policy.model import has_adapters, narrowed_reference
from trainer.policy.packed import fits_packed
from trainer.sampling import Sampler, sample, sample_generate
from trainer.sampling.vllm import VllmSampler
from trainer.tasks import capabilities, make_task
from trainer.tasks.equivalence import task_with_relation
from trainer.tasks.task import Prompt, Task, nearest
from trainer.tasks.task_process import open_task
from trainer.training.context import RunContext, one_number
from trainer.training.novelty import NoveltyNetworks, random_network
from trainer.training.partition_head import make_head
from trainer.training.progress import Progress
from trainer.training.recipe_config import build
from trainer.training.replay_rows import seeded
from trainer.user_code import find_object

__all__ = ["load_models", "make_context", "start", "with_stage"]


def load_models(config: Config) -> tuple[Policy, Policy]:
    """The policy to train and its frozen reference, both in the precision of the run."""
    given = config.policy
    products = torch.bfloat16 if config.train.precision == "bf16" else None
    lora = None
    if given.lora_rank:
        lora = LoraOptions(given.lora_rank, given.lora_alpha, seed=config.train.seed)
    options: dict[str, Any] = {
        "device": None if given.device == "auto" else given.device,
        "dtype": given.dtype,
        "trust_remote_code": given.trust_remote_code,
    }
    policy = load_policy(
        model_source(given.model),
        lora=lora,
        train_layers=given.train_layers,
        gradient_checkpointing=given.gradient_checkpointing,
        **options,
    )
    policy = replace(policy, products=products, packed=_packs(config, policy))
    if given.reference is None:
        reference = frozen_reference(policy)
    else:
        other = load_policy(model_source(given.reference), **options)
        other = replace(other, products=products, packed=_packs(config, other))
        reference = frozen_reference(other)
    if reference.allowed.shape != policy.allowed.shape:
        raise BadData(
            f"the reference {given.reference} has {reference.allowed.shape[0]} tokens, "
            f"the policy {policy.allowed.shape[0]}: they must share a vocabulary"
        )
    # fully_shard wants weights of one type
    return policy, reference if given.shard else narrowed_reference(reference)


def _packs(config: Config, policy: Policy) -> bool:
    """Whether this model's rows are packed; a model in parts is called as transformers has it."""
    return bool(config.train.packed) and not config.policy.shard and fits_packed(policy.model)


def _spread_models(config: Config, world: World) -> tuple[Policy, Policy]:
    """Both, each process keeping a part of either; they are read on the CPU first."""
    wanted = config.policy.device
    device = "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
    given = load_models(replace(config, policy=replace(config.policy, device="cpu")))
    for model in {id(p.model): p.model for p in given}.values():  # one, where it has adapters
        bare = model.get_base_model() if has_adapters(model) else model
        shard(bare, world, device, config.policy.gather)
    policy, reference = (replace(p, allowed=p.allowed.to(device)) for p in given)
    return policy, reference


def make_context(config: Config, world: World) -> RunContext:
    """All that a step works with; refused in one line where recipe and task do not fit.

    Nothing is sampled and nothing is written here.
    """
    if config.train.threads is not None:
        torch.set_num_threads(config.train.threads)
    if config.checkpoint.parts and not config.policy.shard:
        raise BadData("checkpoint.parts = true needs policy.shard = true: else there are no parts")
    spread = config.policy.shard and world.size > 1
    if spread and not config.policy.gather and config.train.sampler == "engine":
        raise BadData(
            "policy.gather = false needs train.sampler = 'generate': the engine reads whole weights"
        )
    policy, reference = _spread_models(config, world) if spread else load_models(config)
    task, relation = task_with_relation(config.task.name, config.task.options, _maker(config))
    context = RunContext(
        config,
        world,
        policy,
        reference,
        task,
        _recipe(config),
        _sampler(config),
        (),
        relation=relation,
    )
    fitted = _with_novelty(_fitted(context))
    plan = fitted.recipe.head
    if plan is None:
        return fitted
    if spread:
        raise BadData("a head cannot be spread over processes: recipe.head = false, or no shard")
    return replace(fitted, head=make_head(policy, plan, config.train.seed))


def _with_novelty(context: RunContext) -> RunContext:
    """The context with the two networks of a bonus for novelty where its recipe has one.

    Networks that there are already go on as they are.
    """
    plan, config = context.recipe.novelty, context.config
    if plan is None or context.novelty is not None:
        return context if plan is not None else replace(context, novelty=None)
    if config.policy.shard:
        raise BadData("policy.shard: the networks of recipe.novelty are not spread over processes")
    given = config.policy
    bare = replace(
        config,
        policy=replace(
            given, model=given.reference or given.model, reference=None, lora_rank=0, train_layers=0
        ),
        train=replace(config.train, precision="float32"),
    )
    learner, reference = load_models(bare)
    target = random_network(reference, one_number(config.train.seed, 22))
    return replace(context, novelty=NoveltyNetworks(target, learner, plan.lr))


def with_stage(context: RunContext, config: Config) -> RunContext:
    """The context under another stage's configuration; weights and reference stay."""
    if config == context.config:
        return context
    task, relation = context.task, context.relation
    if config.task != context.config.task:
        context.close()
        task, relation = task_with_relation(config.task.name, config.task.options, _maker(config))
    before, after = context.config.train, config.train
    same_sampler = (before.sampler, before.graphs) == (after.sampler, after.graphs)
    changed = replace(
        context,
        config=config,
        task=task,
        relation=relation,
        recipe=_recipe(config),
        sampler=context.sampler if same_sampler else _sampler(config),
    )
    fitted = _with_novelty(_fitted(changed))
    return fitted if context.stored is None else replace(fitted, prompts=context.prompts)


def start(context: RunContext) -> Progress:
    """Where a run begins."""
    plan = context.recipe.replay
    memory = None if plan is None else seeded(context, Memory(plan))
    return Progress(knobs=context.recipe.knobs, memory=memory)


def _maker(config: Config) -> Callable[..., Task]:
    """What makes the task; one of the user's in a process of its own."""
    given = config.task
    if given.in_process:
        return make_task
    return lambda name, **options: open_task(name, options, given.answer_seconds)


def _recipe(config: Config) -> Any:
    given = config.recipe
    return build(
        given.name,
        given.options,
        kl=given.kl,
        reward_scale=given.reward_scale,
        entropy=given.entropy,
        normalise=given.normalise,
    )


SAMPLERS: dict[str, Sampler] = {"engine": sample, "generate": sample_generate}


def _sampler(config: Config) -> Sampler:
    name = config.train.sampler
    names = (*SAMPLERS, "vllm")
    if name not in names and ":" not in name:
        raise BadData(
            f"train.sampler = {name!r}{nearest(name, names)}: {', '.join(names)} or "
            "'package.module:function' was needed"
        )
    if config.train.graphs:
        if name != "engine":
            raise BadData(f"train.graphs is of the engine, and train.sampler is {name}")
        return partial(sample, graphs=True)
    if name == "vllm":
        kind = "bfloat16" if config.train.precision == "bf16" else config.policy.dtype
        return VllmSampler(str(model_source(config.policy.model)), kind)
    return SAMPLERS.get(name) or find_object(name, "sampler")


def _fitted(context: RunContext) -> RunContext:
    """The context with its prompts and its recipe's needs; refused where it cannot run."""
    recipe, task = context.recipe, context.task
    traits = task.traits
    if context.relation is not None:
        traits = replace(traits, equivalence=True)
    reason = refusal(recipe, traits, recipe.knobs)
    if reason is not None:
        raise BadData(reason)
    if recipe.filter is not None:
        capabilities.check_filter(task, recipe.filter)
    prompts = _some(task.prompts("train"), f"task {task.name} has no prompt in its split 'train'")
    _some(
        task.prompts(context.config.eval.split),
        f"task {task.name} has no prompt in its split {context.config.eval.split!r}",
    )
    return replace(context, prompts=prompts)


def _some(prompts: Sequence[Prompt], otherwise: str) -> Sequence[Prompt]:
    if not len(prompts):
        raise BadData(otherwise)
    return prompts
