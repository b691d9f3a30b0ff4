"""Replayed and pre-sampled completions become rows of the batch that is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qdlaws.errors import BadData
from trainer.algorithms.replay import Memory
from trainer.policy import Policy, encode_prompts
from trainer.tasks.task import Prompt
from trainer.training.context import RunContext, encoded, log_probs, one_number
from trainer.training.progress import Progress
from trainer.types import ReferencePlan

__all__ = ["Rows", "rehearsed", "replay", "replayed", "seeded", "shared_log_probs"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Completions with what was scored, before the reference has read them."""

    tokens: Tensor
    mask: Tensor
    ids: list[list[int]]
    logp: Tensor
    ref: Tensor | None  # NaN in rows where it is not known
    scores: Any
    group: Tensor
    stored: Tensor  # (B,) bool: drawn from the reference before the run

    @staticmethod
    def cat(blocks: list[Rows], pad: int) -> Rows:
        """One under the other, filled up to the widest."""
        if len(blocks) == 1:
            return blocks[0]
        width = max(b.mask.shape[1] for b in blocks)

        def wide(x: Tensor, value: float) -> Tensor:
            return torch.nn.functional.pad(x, (0, width - x.shape[1]), value=value)

        refs = [b.logp * torch.nan if b.ref is None else b.ref for b in blocks]
        return Rows(
            torch.cat([wide(b.tokens, pad) for b in blocks]),
            torch.cat([wide(b.mask, False) for b in blocks]),
            [i for b in blocks for i in b.ids],
            torch.cat([wide(b.logp, 0.0) for b in blocks]),
            torch.cat([wide(r, torch.nan) for r in refs]),
            np.concatenate([b.scores for b in blocks]),
            torch.cat([b.group for b in blocks]),
            torch.cat([b.stored for b in blocks]),
        )


def replay(
    context: RunContext,
    progress: Progress,
    prompts: list[Prompt],
    texts: list[str],
    keys: Sequence[Any] | None,
    scores: Any,
) -> tuple[Memory | None, list[Any]]:
    """The memory after this batch, and what is drawn from it: this batch's best may be among it.

    ``scores`` are those that the diversity filter left.
    """
    if progress.memory is None or context.recipe.replay is None:
        return None, []
    rng = torch.Generator().manual_seed(one_number(context.config.train.seed, progress.step, 21))
    assert keys is not None
    stored_keys = {entry[1] for entry in progress.memory.keys if isinstance(entry, tuple)}
    entries, values = [], []
    for prompt, text, key, value in zip(prompts, texts, keys, scores, strict=True):
        if key is None or str(key) in stored_keys:
            continue
        stored_keys.add(str(key))
        entries.append((prompt.text, str(key), text))
        values.append(float(value))
    memory = progress.memory.remember(entries, values)
    best = dict(zip(memory.keys, memory.scores, strict=True))
    return memory, [(entry, best[entry]) for entry in memory.draw(rng)]


def seeded(context: RunContext, memory: Memory) -> Memory:
    """The memory with the answers of the plan's file of seeds, scored; unchanged without one.

    The first word of a line is an answer; what the policy cannot write within its limit, repeats
    and invalid answers are left out. The calls of an oracle count as training's.
    """
    if not memory.plan.seeds:
        return memory
    path, prompt = Path(memory.plan.seeds), context.prompts[0]
    if len(context.prompts) > 1:
        raise BadData(f"seeds = {path}: {context.task.name} has many prompts, seeds are for one")
    try:
        words = [line.split()[0] for line in path.read_text().splitlines() if line.split()]
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(f"seeds = {path}: cannot be read ({error})") from None
    texts = [text for text in dict.fromkeys(words) if _can_write(context, text)]
    prompts = [prompt] * len(texts)
    score = context.task.score
    scores = context.world.broadcast(score(prompts, texts) if context.world.leads else None)
    assert scores is not None
    first: dict[str, tuple[str, float]] = {}
    for text, key, value in zip(
        texts, context.task.keys(prompts, texts), scores.score.tolist(), strict=True
    ):
        if key is not None and np.isfinite(value):
            first.setdefault(str(key), (text, value))
    if not first:
        raise BadData(f"seeds = {path}: none of its {len(words)} lines is an answer with a score")
    entries = [(prompt.text, key, text) for key, (text, _) in first.items()]
    return memory.remember(entries, [value for _, value in first.values()])


def _can_write(context: RunContext, text: str) -> bool:
    """Whether the policy has the tokens for a text and may write so many."""
    tokenizer = context.policy.tokenizer
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return len(ids) < context.config.train.limit and tokenizer.decode(ids) == text


def replayed(context: RunContext, drawn: list[Any], group: int) -> Rows:
    """Remembered completions as ordinary rows: scored then, log-probabilities of now."""
    policy = context.policy
    texts = [entry[2] for entry, _ in drawn]
    rows = [
        [*policy.tokenizer(text, add_special_tokens=False)["input_ids"], policy.eos]
        for text in texts
    ]
    tokens, mask = _padded(rows, policy)
    ids = encode_prompts(policy, [entry[0] for entry, _ in drawn])
    logp = shared_log_probs(context, policy, ids, tokens, mask)
    scores = np.array([value for _, value in drawn])
    groups, no = torch.full((len(rows),), group), torch.zeros(len(rows), dtype=torch.bool)
    return Rows(tokens, mask, ids, logp, None, scores, groups, no)


def rehearsed(context: RunContext, progress: Progress, group: int) -> Rows:
    """Stored samples of the reference, with the log-probabilities that they had."""
    assert context.stored is not None
    plan, train = context.recipe.presamples or ReferencePlan(), context.config.train
    per_step = context.rehearsed_rows or plan.rows(train.prompts * train.samples)
    rows = context.stored.at(progress.step, per_step, train.seed)
    by_number = {prompt.number: prompt for prompt in context.task.prompts("train")}
    ids = encoded(context.policy, [by_number[int(n)] for n in rows.prompt.tolist()])
    device = context.policy.device
    mask = rows.mask.to(device)
    ref = rows.ref_logp.double().to(device)
    blank = torch.full((len(rows),), torch.nan, dtype=torch.float64)
    return Rows(
        rows.tokens.to(device),
        mask,
        ids,
        torch.where(mask, ref, 0.0),
        ref,
        blank.numpy(),
        torch.arange(group, group + len(rows)),
        torch.ones(len(rows), dtype=torch.bool),
    )


def _padded(rows: list[list[int]], policy: Policy) -> tuple[Tensor, Tensor]:
    width = max(len(row) for row in rows)
    tokens = torch.full((len(rows), width), policy.pad, dtype=torch.long)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = True
    return tokens.to(policy.device), mask.to(policy.device)


def shared_log_probs(
    context: RunContext, policy: Policy, ids: list[list[int]], tokens: Tensor, mask: Tensor
) -> Tensor:
    """log π of rows that all processes have, each working on its share."""
    share = context.world.mine(len(ids))
    mine = slice(share.start, share.stop)
    temperature = context.config.train.temperature
    part = log_probs(context, policy, ids[mine], tokens[mine], mask[mine], temperature)
    return context.world.gather_rows(part)
