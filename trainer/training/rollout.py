"""One optimizer batch: prompts taken from the stream, completions drawn, scored, made Rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainer.algorithms.declaration import declaration_of, with_declared_inputs
from trainer.algorithms.grouping import equal_keys
from trainer.algorithms.weighting import mixed_groups
from trainer.distributed.world import World
from trainer.errors import RunFailed
from trainer.sampling import Completions
from trainer.tasks import capabilities
from trainer.tasks.task import Prompt, Scores
from trainer.training.context import Phase, RunContext, draw, log_probs, micro_batches
from trainer.training.progress import Progress
from trainer.training.replay_rows import Rows, rehearsed, replay, replayed, shared_log_probs
from trainer.types import Rollouts

__all__ = ["Batch", "collect"]


@dataclass(frozen=True, eq=False)
class Batch:
    """Rollouts with the tokens that they are of; rows are those of all processes."""

    rollouts: Rollouts
    tokens: Tensor  # (B, T)
    ids: list[list[int]]  # the prompts' tokens
    facts: dict[str, float]


@dataclass(frozen=True, eq=False)
class _Round:
    """What one round of drawing gave, rows of all processes."""

    prompts: list[Prompt]
    places: Tensor  # (B,) in the stream of prompts
    drawn: Completions
    ids: list[list[int]]
    texts: list[str]
    scores: Scores
    ref: Tensor | None  # (B, T)

    def rows(self, index: Tensor) -> _Round:
        """Some of them."""
        places = index.tolist()
        there = index.to(self.drawn.mask.device)
        return _Round(
            [self.prompts[i] for i in places],
            self.places[index],
            self.drawn.rows(there),
            [self.ids[i] for i in places],
            [self.texts[i] for i in places],
            _rows_of(self.scores, places),
            None if self.ref is None else self.ref[there],
        )


def collect(context: RunContext, progress: Progress) -> tuple[Batch, Progress]:
    """The batch of the next step and the progress after it.

    Where the recipe needs redraws (dynamic sampling of DAPO), fresh prompts are drawn in place of
    those whose samples it drops, for a bounded number of rounds.
    """
    config = context.config.train
    redraws = "redraws" in context.recipe.needs
    rounds: list[_Round] = []
    cursor, missing = progress.cursor, config.prompts
    while missing > 0 and len(rounds) < (config.redraws if redraws else 1):
        rounds.append(_round(context, progress, cursor, missing))
        cursor += missing
        kept = rounds[-1].places[_kept_rows(context, rounds[-1])]
        missing = missing - len(torch.unique(kept)) if redraws else 0
    drawn = sum(len(r.texts) for r in rounds)
    if len(rounds) > 1:
        rounds = [r.rows(_kept_rows(context, r)) for r in rounds]
    made, progress = _batch(context, progress, rounds)
    return made, replace(progress, cursor=cursor, samples=progress.samples + drawn)


def _round(context: RunContext, progress: Progress, cursor: int, count: int) -> _Round:
    """Each process draws and scores its share of the next prompts; all see the whole."""
    world, train = context.world, context.config.train
    places = range(cursor, cursor + count)
    prompts = [q for q in _stream(context, places) for _ in range(train.samples)]
    share = world.mine(count)
    mine = prompts[share.start * train.samples : share.stop * train.samples]
    keys = [
        (train.seed, Phase.TRAIN, progress.step, place, sample)
        for place in places[share.start : share.stop]
        for sample in range(train.samples)
    ]
    drawn, ids, texts = draw(context, mine, keys, train.temperature)
    scores, ref = _score_and_refer(context, mine, texts, drawn, ids, progress.knobs.kl)
    whole = Completions(
        world.gather_rows(drawn.tokens, context.policy.pad),
        world.gather_rows(drawn.mask),
        world.gather_rows(drawn.logp),
        world.gather_rows(drawn.entropy),
        world.gather_rows(drawn.truncated),
    )
    return _Round(
        prompts,
        torch.tensor([place for place in places for _ in range(train.samples)]),
        whole,
        world.gather(ids),
        world.gather(texts),
        _gather_scores(world, scores),
        None if ref is None else world.gather_rows(ref),
    )


def _stream(context: RunContext, places: range) -> list[Prompt]:
    """The prompts at these places of an endless stream: every turn all of them, shuffled anew."""
    n = len(context.prompts)
    order: dict[int, Any] = {}
    rows = []
    for place in places:
        turn, offset = divmod(place, n)
        if turn not in order:
            rng = np.random.default_rng([context.config.train.seed, 11, turn])
            order[turn] = rng.permutation(n)
        rows.append(context.prompts[int(order[turn][offset])])
    return rows


def _score_and_refer(
    context: RunContext,
    prompts: list[Prompt],
    texts: list[str],
    drawn: Completions,
    ids: list[list[int]],
    kl: float,
) -> tuple[Scores, Tensor | None]:
    """Scores by the task while the reference reads the same completions.

    At kl = 0 nobody reads what most recipes would ask of the reference: the policy's own
    log-probabilities stand in for it then, and a forward pass is saved.
    """

    def refer() -> Tensor | None:
        if not context.recipe.reads_reference(kl=1.0):
            return None
        if not context.recipe.reads_reference(kl):
            return drawn.logp.double()
        temperature = context.config.train.temperature
        return log_probs(context, context.reference, ids, drawn.tokens, drawn.mask, temperature)

    if context.world.size > 1 and capabilities.scores_centrally(context.task):
        return _central_scores(context, prompts, texts), refer()  # in step with the other processes
    with ThreadPoolExecutor(1) as pool:
        scores = pool.submit(context.task.score, prompts, texts)
        ref = refer()
        return scores.result(), ref


def _central_scores(context: RunContext, prompts: list[Prompt], texts: list[str]) -> Scores:
    """The leading process asks the oracle that counts its calls, for all."""
    world = context.world
    counts = world.gather([len(texts)])
    every_prompt, every_text = world.gather(prompts), world.gather(texts)
    whole = world.broadcast(context.task.score(every_prompt, every_text) if world.leads else None)
    assert whole is not None
    begin = sum(counts[: world.rank])
    return _rows_of(whole, list(range(begin, begin + len(texts))))


def _rows_of(scores: Scores, rows: list[int]) -> Scores:
    over = None if scores.over_budget is None else scores.over_budget[rows]
    parts = {name: values[rows] for name, values in scores.parts.items()}
    score, valid = scores.score[rows], scores.valid[rows]
    return Scores(score, valid, parts, over, scores.spent, scores.failure)


def _gather_scores(world: World, scores: Scores) -> Scores:
    every = [s for s in world.gather([scores]) if len(s)]
    if len(every) <= 1:
        return every[0] if every else scores
    names = list(every[0].parts)
    over = [s.over_budget for s in every if s.over_budget is not None]
    return Scores(
        np.concatenate([s.score for s in every]),
        np.concatenate([s.valid for s in every]),
        {name: np.concatenate([s.parts[name] for s in every]) for name in names},
        np.concatenate(over) if len(over) == len(every) else None,
        any(s.spent for s in every),
        next((s.failure for s in every if s.failure), ""),
    )


def _kept_rows(context: RunContext, part: _Round) -> Tensor:
    """Numbers of the rows that the recipe's redrawing keepers keep."""
    kept = torch.ones(len(part.texts), dtype=torch.bool)
    for keep in context.recipe.keep:
        if "redraws" in declaration_of(keep).needs:
            kept &= keep(with_declared_inputs(keep, _round_rollouts(part)))
    return kept.nonzero().squeeze(1)


def _round_rollouts(part: _Round) -> Rollouts:
    """The rollouts of one round, for the keepers: scores, groups, lengths, and no equivalence."""
    drawn = part.drawn
    return Rollouts.of(
        torch.tensor(part.scores.score),
        part.places,
        drawn.mask.cpu(),
        drawn.logp.double().cpu(),
        None if part.ref is None else part.ref.cpu(),
        truncated=drawn.truncated.cpu(),
    )


def _count_mixed(part: _Round) -> int:
    """The number of prompts whose scores are not all equal."""
    return len(torch.unique(part.places[mixed_groups(_round_rollouts(part))]))


# ---------------------------------------------------------------------- Rollouts of what was drawn


def _batch(context: RunContext, progress: Progress, rounds: list[_Round]) -> tuple[Batch, Progress]:
    """Rollouts of everything drawn, with what is replayed or rehearsed behind it.

    The memories of the progress are then those after the batch.
    """
    drawn = Completions.cat([r.drawn for r in rounds])
    ids = [i for r in rounds for i in r.ids]
    texts = [t for r in rounds for t in r.texts]
    prompts = [q for r in rounds for q in r.prompts]
    scores = np.concatenate([r.scores.score for r in rounds])
    device, n = drawn.mask.device, len(texts)
    group = torch.unique(torch.cat([r.places for r in rounds]), return_inverse=True)[1]
    facts = _facts(rounds, drawn, group)
    if not np.isfinite(scores).any():
        spent = any(r.scores.spent for r in rounds)
        failure = next((r.scores.failure for r in rounds if r.scores.failure), "")
        why = "the oracle's budget is spent" if spent else "scoring failed on all of them"
        why += f" ({failure})" if failure and not spent else ""
        raise RunFailed(f"step {progress.step + 1}: none of {n} completions has a score: {why}")
    wants_same = "equivalence" in context.recipe.needs
    wants_keys = (wants_same and context.relation is None) or progress.memory is not None
    wants_keys = wants_keys or "outcomes" in context.recipe.needs
    keys = context.task.keys(prompts, texts) if wants_keys else None
    seen, buckets = None, progress.buckets
    if "buckets" in context.recipe.needs:
        names = capabilities.buckets(context.task, prompts, texts)
        seen, buckets = progress.buckets.seen(names), progress.buckets.add(names, scores.tolist())
    if "outcomes" in context.recipe.needs:
        assert keys is not None
        outcomes = [f"{q.number}:{key}" for q, key in zip(prompts, keys, strict=True)]
        seen = progress.buckets.seen(outcomes)
        buckets = progress.buckets.add(outcomes, scores.tolist(), threshold=-np.inf)
    factor, novelty, filter_memory, worth = None, None, progress.filter, scores
    if (plan := context.recipe.filter) is not None:
        known = progress.filter.buckets
        names, answers = capabilities.filter_buckets(context.task, prompts, texts, plan, known)
        factors, counted, filter_memory = progress.filter.filtered(
            plan, names, answers, scores.tolist()
        )
        factor = torch.tensor(factors, dtype=torch.float64)
        worth = scores * np.array(factors)
        facts["filtered_share"] = float(np.mean(np.array(factors) < 1))
        if context.novelty is not None:
            novelty = torch.zeros(n, dtype=torch.float64)
            novelty[counted] = _novelty(context, ids, drawn, counted)
            worth = worth + novelty.numpy()
    ref = _wide([r.ref for r in rounds], drawn.mask.shape[1])
    no = torch.zeros(n, dtype=torch.bool)
    blocks = [Rows(drawn.tokens, drawn.mask, ids, drawn.logp.double(), ref, scores, group, no)]
    memory, remembered = replay(context, progress, prompts, texts, keys, worth)
    if remembered:
        blocks.append(replayed(context, remembered, int(group.max()) + 1))
    if context.stored is not None and len(context.stored):
        blocks.append(rehearsed(context, progress, int(group.max()) + 2))
    whole = Rows.cat(blocks, context.policy.pad)
    extra = len(whole.ids) - n
    truncated = torch.cat([drawn.truncated.cpu(), torch.zeros(extra, dtype=torch.bool)])
    count = torch.ones(len(whole.ids), dtype=torch.float64)
    if context.config.train.mask_truncated:
        count[truncated] = 0
    same = None
    if wants_same:
        same = torch.eye(len(whole.ids), dtype=torch.bool)
        same[:n, :n] = _equivalent(context, prompts, texts, keys, group)
    if seen is not None:
        seen = torch.cat([seen, seen.new_zeros(extra)])
    if factor is not None:
        factor = torch.cat([factor, factor.new_ones(extra)])
    if novelty is not None:  # what is replayed was remembered with its bonus
        novelty = torch.cat([novelty, novelty.new_zeros(extra)])
    ref_logp = _reference(context, whole)
    rollouts = Rollouts.of(
        torch.as_tensor(whole.scores).to(device),
        whole.group.to(device),
        whole.mask,
        whole.logp,
        ref_logp,
        count=count.to(device),
        stored=whole.stored.to(device),
        limit=context.config.train.limit,
        equivalent=None if same is None else same.to(device),
        seen=None if seen is None else seen.to(device),
        filter_factor=None if factor is None else factor.to(device),
        novelty=None if novelty is None else novelty.to(device),
        truncated=truncated.to(device),
    )
    if ref is not None and context.recipe.reads_reference(progress.knobs.kl):
        gap = torch.where(drawn.mask, drawn.logp.double() - ref, 0.0).sum(1)
        facts["train_kl"] = float(gap.mean())
    after = replace(progress, memory=memory, buckets=buckets, filter=filter_memory)
    return Batch(rollouts, whole.tokens, whole.ids, facts), after


def _novelty(
    context: RunContext, ids: list[list[int]], drawn: Completions, rows: list[int]
) -> Tensor:
    """The novelty of these rows; all processes see all of them and learn the same."""
    networks = context.novelty
    assert networks is not None
    prompts, tokens, mask = [ids[i] for i in rows], drawn.tokens[rows], drawn.mask[rows]
    parts = micro_batches(mask.sum(1), prompts, context.config, networks.learner)
    return networks.novelty(prompts, tokens, mask, parts)


def _equivalent(
    context: RunContext,
    prompts: list[Prompt],
    texts: list[str],
    keys: Sequence[Any] | None,
    group: Tensor,
) -> Tensor:
    """Which rows mean the same, (B, B): by the task's keys, or a relation within each group."""
    if context.relation is None:
        assert keys is not None
        return equal_keys(keys, group)
    same = torch.zeros(len(texts), len(texts), dtype=torch.bool)
    for number in range(int(group.max()) + 1):
        rows = (group == number).nonzero().squeeze(1)
        places = rows.tolist()
        table = context.relation.matrix([prompts[i] for i in places], [texts[i] for i in places])
        same[rows[:, None], rows[None, :]] = torch.from_numpy(table)
    return same


def _wide(parts: Sequence[Tensor | None], width: int) -> Tensor | None:
    """Reference log-probabilities of several rounds, filled up to the widest."""
    present = [part for part in parts if part is not None]
    if not present:
        return None
    return torch.cat([torch.nn.functional.pad(p, (0, width - p.shape[1])) for p in present])


def _reference(context: RunContext, rows: Rows) -> Tensor | None:
    """log π_ref: of stored samples as it was stored, of replayed ones computed now."""
    if not context.recipe.reads_reference(kl=1.0) or rows.ref is None:
        return rows.ref
    unknown = (torch.isnan(rows.ref) & rows.mask).any(1)
    if not bool(unknown.any()):
        return rows.ref
    missing = unknown.nonzero().squeeze(1)
    ids = [rows.ids[i] for i in missing.tolist()]
    computed = shared_log_probs(
        context, context.reference, ids, rows.tokens[missing], rows.mask[missing]
    )
    return rows.ref.index_copy(0, missing, computed)


def _facts(rounds: list[_Round], drawn: Completions, group: Tensor) -> dict[str, float]:
    """What the log says of the rollouts."""
    scores = np.concatenate([r.scores.score for r in rounds])
    valid = np.concatenate([r.scores.valid for r in rounds])
    nothing = valid.any() and not np.isfinite(scores[valid]).any()  # invalid ones have 0
    facts = {
        "reward": float("nan") if nothing else _mean(scores),
        "valid_share": float(valid.mean()),
        "failed": int((~np.isfinite(scores)).sum()),
        "truncated": float(drawn.truncated.double().mean()),
        "length": float(drawn.mask.sum(1).double().mean()),
        "train_entropy": float(drawn.entropy[drawn.mask].double().mean()),
        "mixed_share": sum(map(_count_mixed, rounds)) / (int(group.max()) + 1),
        "rollouts": len(scores),
    }
    for name in rounds[0].scores.parts:
        facts[f"reward/{name}"] = _mean(np.concatenate([r.scores.parts[name] for r in rounds]))
    return facts


def _mean(values: Any) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else float("nan")
