"""A context is made from a configuration; what does not fit together is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from qdlaws.errors import BadData
from trainer.algorithms.replay import Memory, StoredSamples, confirm, partition
from trainer.algorithms.suitability import refusal
from trainer.config import Config
from trainer.distributed.sharding import shard
from trainer.distributed.world import World
from trainer.errors import RunFailed
from trainer.policy import LoraOptions, Policy, frozen_reference, load_policy
from trainer.policy.bundled_priors import PRIORS, prior_path
from trainer.policy.model import has_adapters
from trainer.sampling import Sampler, sample, sample_generate
from trainer.tasks import capabilities, make_task
from trainer.tasks.task import Prompt, find_object, nearest
from trainer.training.context import Phase, RunContext, draw, log_probs
from trainer.training.progress import Progress
from trainer.training.recipe_config import build
from trainer.types import ReferencePlan

__all__ = ["load_models", "make_context", "start", "with_stage"]


def load_models(config: Config) -> tuple[Policy, Policy]:
    """The policy to train and its frozen reference."""
    given = config.policy
    lora = LoraOptions(rank=given.lora_rank, alpha=given.lora_alpha) if given.lora_rank else None
    options: dict[str, Any] = {
        "device": None if given.device == "auto" else given.device,
        "dtype": given.dtype,
        "trust_remote_code": given.trust_remote_code,
    }
    policy = load_policy(
        _source(given.model),
        lora=lora,
        gradient_checkpointing=given.gradient_checkpointing,
        **options,
    )
    if given.reference is None:
        return policy, frozen_reference(policy)
    reference = frozen_reference(load_policy(_source(given.reference), **options))
    if reference.allowed.shape != policy.allowed.shape:
        raise BadData(
            f"the reference {given.reference} has {reference.allowed.shape[0]} tokens, "
            f"the policy {policy.allowed.shape[0]}: they must share a vocabulary"
        )
    return policy, reference


def _spread_models(config: Config, world: World) -> tuple[Policy, Policy]:
    """Both, each process keeping a part of either; they are read on the CPU first."""
    wanted = config.policy.device
    device = "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"
    given = load_models(replace(config, policy=replace(config.policy, device="cpu")))
    for model in {id(p.model): p.model for p in given}.values():  # one, where it has adapters
        shard(model.get_base_model() if has_adapters(model) else model, world, device)
    policy, reference = (replace(p, allowed=p.allowed.to(device)) for p in given)
    return policy, reference


def _source(name: str) -> str | Path:
    return prior_path(name) if name in PRIORS else name


def make_context(config: Config, world: World, folder: Path | None = None) -> RunContext:
    """All that a step works with; refused in one line where recipe and task do not fit."""
    if config.train.threads is not None:
        torch.set_num_threads(config.train.threads)
    spread = config.policy.shard and world.size > 1
    policy, reference = _spread_models(config, world) if spread else load_models(config)
    task = make_task(config.task.name, **config.task.options)
    context = RunContext(
        config, world, policy, reference, task, _recipe(config), _sampler(config), ()
    )
    context = _fitted(context)
    if context.recipe.presamples is not None:
        return _with_rehearsal(context, context.recipe.presamples, folder)
    return context


def with_stage(context: RunContext, config: Config) -> RunContext:
    """The context under another stage's configuration; weights and reference stay."""
    if config == context.config:
        return context
    task = context.task
    if config.task != context.config.task:
        capabilities.close(task)
        task = make_task(config.task.name, **config.task.options)
    changed = replace(
        context, config=config, task=task, recipe=_recipe(config), sampler=_sampler(config)
    )
    fitted = _fitted(changed)
    return fitted if context.stored is None else replace(fitted, prompts=context.prompts)


def start(context: RunContext) -> Progress:
    """Where a run begins."""
    plan = context.recipe.replay
    memory = None if plan is None else Memory(plan)
    return Progress(knobs=context.recipe.knobs, memory=memory)


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
    if name not in SAMPLERS and ":" not in name:
        raise BadData(
            f"train.sampler = {name!r}{nearest(name, SAMPLERS)}: {', '.join(SAMPLERS)} or "
            "'package.module:function' was needed"
        )
    if config.train.graphs:
        if name != "engine":
            raise BadData(f"train.graphs is of the engine, and train.sampler is {name}")
        return partial(sample, graphs=True)
    return SAMPLERS.get(name) or find_object(name, "sampler")


def _fitted(context: RunContext) -> RunContext:
    """The context with its prompts and its recipe's needs; refused where it cannot run."""
    recipe, task = context.recipe, context.task
    reason = refusal(recipe, task.traits, recipe.knobs)
    if reason is not None:
        raise BadData(reason)
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


# ---------------------------------------------------------------------- DPH: before the first step


def _with_rehearsal(context: RunContext, plan: ReferencePlan, folder: Path | None) -> RunContext:
    """Pre-sampling: near-perfect prompts are rehearsed, the others explored (arXiv 2509.07430)."""
    path = None if folder is None else folder / "rehearsal.safetensors"
    if path is not None and path.exists():
        kept = load_file(path)
        stored = StoredSamples(kept["prompt"], kept["tokens"], kept["mask"], kept["ref_logp"])
        explored = set(kept["explored"].tolist())
    else:
        stored, explored, line = _presample(context, plan)
        if context.world.leads and path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            tensors = {**vars(stored), "explored": torch.tensor(sorted(explored))}
            save_file({k: v.contiguous().cpu() for k, v in tensors.items()}, path)
            (path.parent / "rehearsal.txt").write_text(line + "\n", encoding="utf-8")
        context.world.wait()
    if not explored:
        raise RunFailed("every prompt is near-perfect already: there is nothing to explore")
    prompts = [q for q in context.prompts if q.number in explored]
    return replace(context, prompts=prompts, stored=stored)


def _presample(context: RunContext, plan: ReferencePlan) -> tuple[StoredSamples, set[int], str]:
    """Attempts at every prompt by the reference; one more, confirmed, sample of the solved ones."""
    train = context.config.train
    of_reference = replace(context, policy=context.reference)
    prompts = list(context.prompts)
    rows = [q for q in prompts for _ in range(plan.attempts)]
    scores = _scores_of(of_reference, rows, Phase.PRESAMPLE)[0].view(len(prompts), plan.attempts)
    parts = partition(scores, plan)
    solved = [prompts[i] for i in parts.near_perfect.tolist()]
    explored = {prompts[i].number for i in parts.exploration.tolist()}
    if not solved:
        raise BadData(
            f"{context.recipe.name} rehearses prompts that the policy solves in {plan.threshold} "
            f"of {plan.attempts} attempts, but of {len(prompts)} there is none; lower threshold="
        )
    values, tokens, mask, ids = _scores_of(of_reference, solved, Phase.CONFIRM)
    ref = log_probs(context, context.reference, ids, tokens, mask, train.temperature)
    numbers = torch.tensor([q.number for q in solved])
    stored = confirm(StoredSamples(numbers, tokens.cpu(), mask.cpu(), ref.cpu()), values)
    line = f"{parts.summary()}; {len(stored)} samples of them were right again and are kept"
    return stored, explored, line


def _scores_of(context: RunContext, rows: list[Prompt], phase: int) -> tuple[Any, Any, Any, Any]:
    """Scores of one completion a row, with its tokens; each process draws its share."""
    world, train = context.world, context.config.train
    share = world.mine(len(rows))
    mine = rows[share.start : share.stop]
    keys = [(train.seed, phase, 0, q.number, share.start + i) for i, q in enumerate(mine)]
    drawn, ids, texts = draw(context, mine, keys, train.temperature)
    scores = context.task.score(mine, texts).score.tolist()
    return (
        torch.tensor(world.gather(scores), dtype=torch.float64),
        world.gather_rows(drawn.tokens, context.policy.pad),
        world.gather_rows(drawn.mask),
        world.gather(ids),
    )
