"""The context of a run: what every step works with; drawing and scoring completions in batches.

Everything random is keyed by (seed, phase, step, place in the stream, sample): a run is a function
of its configuration, whatever the batching and the number of processes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from qdlaws.errors import BadData
from trainer.algorithms.objective import Recipe
from trainer.algorithms.replay import StoredSamples
from trainer.config import Config
from trainer.distributed.sharding import passes
from trainer.distributed.world import World
from trainer.policy import Policy, encode_messages, encode_prompts, token_log_probs
from trainer.sampling import Completions, Sampler
from trainer.tasks import capabilities
from trainer.tasks.equivalence import Relation
from trainer.tasks.task import Prompt, Task
from trainer.training.novelty import NoveltyNetworks

__all__ = [
    "Phase",
    "RunContext",
    "draw",
    "encoded",
    "log_probs",
    "micro_batches",
    "one_number",
]


CACHED_NUMBERS = 2**18
"""Tokens times hidden size at which a gradient was quickest on a CPU."""
FEWEST_TOKENS, MOST_TOKENS, GPU_TOKENS = 256, 4096, 16384


class Phase:
    """What a random number is for."""

    TRAIN, EVAL, PRESAMPLE, CONFIRM, REFERENCE, FINAL = range(1, 7)


@dataclass(frozen=True, eq=False)
class RunContext:
    """What a step works with: set up once, changed by stages only."""

    config: Config
    world: World
    policy: Policy
    reference: Policy
    task: Task
    recipe: Recipe
    sampler: Sampler
    prompts: Sequence[Prompt]
    stored: StoredSamples | None = None
    rehearsed_rows: int | None = None
    """Stored samples of a step, where an earlier version of this program began the run."""
    head: torch.nn.Module | None = None
    """The network that learns log Z, where the recipe has one."""
    novelty: NoveltyNetworks | None = None
    """The two networks of a bonus for novelty, where the recipe has one."""
    relation: Relation | None = None
    """Which answers mean the same, where the task's keys do not say it."""

    def close(self) -> None:
        """Ends the processes that the task and its equivalence hold."""
        capabilities.close(self.task)
        if self.relation is not None:
            self.relation.close()

    @property
    def trained(self) -> list[torch.nn.Parameter]:
        """The weights that an optimizer step changes: the policy's, then the head's."""
        head = [] if self.head is None else list(self.head.parameters())
        return [*(p for p in self.policy.model.parameters() if p.requires_grad), *head]

    @property
    def foreign(self) -> bool:
        """Whether somebody else's sampler draws: what it says of its tokens is checked."""
        return self.config.train.sampler not in ("engine", "generate")


# ---------------------------------------------------------------------- drawing


def draw(
    context: RunContext,
    prompts: Sequence[Prompt],
    keys: Sequence[tuple[int, ...]],
    temperature: float,
) -> tuple[Completions, list[list[int]], list[str]]:
    """Completions of these prompts by the policy, their prompts' tokens, and their texts."""
    ids = encoded(context.policy, prompts)
    with passes(context.policy.model):
        drawn = context.sampler(
            context.policy, ids, keys, limit=context.config.train.limit, temperature=temperature
        )
    if context.foreign:
        drawn = _completed(context, drawn, ids, temperature)
    return drawn, ids, drawn.texts(context.policy) if len(ids) else []


def _completed(
    context: RunContext, drawn: Completions, ids: list[list[int]], temperature: float
) -> Completions:
    """Another sampler's completions; entropies that it did not know (NaN) are the policy's."""
    if len(drawn) != len(ids) or drawn.mask.shape[1] > context.config.train.limit:
        raise BadData(
            f"train.sampler {context.config.train.sampler} was asked for {len(ids)} completions of "
            f"at most {context.config.train.limit} tokens and gave {tuple(drawn.tokens.shape)}"
        )
    unknown = bool(torch.isnan(drawn.entropy[drawn.mask]).any())
    if not any(context.world.gather([unknown])):
        return drawn
    _, entropy = _scored(context, context.policy, ids, drawn.tokens, drawn.mask, temperature, True)
    return replace(drawn, entropy=entropy)


def encoded(policy: Policy, prompts: Sequence[Prompt]) -> list[list[int]]:
    """Token ids of each row; a prompt that stands many times is encoded once."""
    table: dict[int, list[int]] = {}
    for prompt in prompts:
        if id(prompt) in table:
            continue
        messages = prompt.data.get("messages")
        if messages is None:
            table[id(prompt)] = encode_prompts(policy, [prompt.text])[0]
        else:
            table[id(prompt)] = encode_messages(policy, messages)
    return [table[id(prompt)] for prompt in prompts]


def log_probs(
    context: RunContext,
    policy: Policy,
    ids: Sequence[Sequence[int]],
    tokens: Tensor,
    mask: Tensor,
    temperature: float,
) -> Tensor:
    """log π of the tokens without gradient, (B, T), in micro-batches."""
    return _scored(context, policy, ids, tokens, mask, temperature)[0]


def _scored(
    context: RunContext,
    policy: Policy,
    ids: Sequence[Sequence[int]],
    tokens: Tensor,
    mask: Tensor,
    temperature: float,
    entropy: bool = False,
) -> tuple[Tensor, Tensor]:
    """log π of the tokens and, where asked for, the entropy at each, (B, T) both."""
    out = torch.zeros(2, *mask.shape, dtype=torch.float64, device=mask.device)
    with passes(policy.model), torch.inference_mode():
        for rows in micro_batches(mask.sum(1), ids, context.config, policy):
            width = int(mask[rows].sum(1).max())
            got = token_log_probs(
                policy,
                [ids[i] for i in rows.tolist()],
                tokens[rows, :width],
                mask[rows, :width],
                temperature=temperature,
                entropy=entropy,
            )
            out[0, rows, :width] = got.logp.double()
            if got.entropy is not None:
                out[1, rows, :width] = got.entropy.double()
    return out[0].clone(), out[1].clone()


def most_tokens(config: Config, policy: Policy) -> int:
    """Tokens of a forward pass: those of the configuration, or as many as suit the device."""
    if config.train.micro_tokens is not None:
        return config.train.micro_tokens
    if policy.device.type != "cpu":
        return GPU_TOKENS
    model = policy.model.config.get_text_config(decoder=True)
    fitting = CACHED_NUMBERS // max(getattr(model, "hidden_size", 1), 1)
    return min(max(fitting, FEWEST_TOKENS), MOST_TOKENS)


def micro_batches(
    lengths: Tensor, ids: Sequence[Sequence[int]], config: Config, policy: Policy
) -> list[Tensor]:
    """Rows that go through the model together: alike in length, within the bounds of ``config``.

    ``lengths`` are those of the completions, ``ids`` the tokens of their prompts. Where the policy
    is packed, rows of one prompt go together, and its tokens count once.
    """
    if not len(lengths):
        return []
    train = config.train
    most = most_tokens(config, policy)
    if policy.packed:
        return _packed_batches(lengths.tolist(), ids, train.micro_rows, most)
    total = lengths.cpu() + torch.tensor([len(prompt) for prompt in ids])
    order = torch.argsort(total, stable=True)
    parts: list[Tensor] = []
    begin = 0
    for end in range(1, len(order) + 1):
        rows = end - begin + 1
        full = end < len(order) and int(total[order[end]]) * rows > most
        many = train.micro_rows is not None and rows > train.micro_rows
        if end == len(order) or full or many:
            parts.append(order[begin:end])
            begin = end
    return parts


def _packed_batches(
    lengths: list[int], ids: Sequence[Sequence[int]], most_rows: int | None, most: int
) -> list[Tensor]:
    """Rows by the length of their prompt, by prompt, by length: what goes together is alike."""
    prompts = [tuple(prompt) for prompt in ids]
    number = {prompt: i for i, prompt in enumerate(dict.fromkeys(prompts))}
    parts: list[list[int]] = [[]]
    tokens, present = 0, set[int]()

    def place(row: int) -> tuple[int, int, int]:
        return len(prompts[row]), number[prompts[row]], lengths[row]

    for row in sorted(range(len(lengths)), key=place):
        prompt = number[prompts[row]]
        more = lengths[row] + (0 if prompt in present else len(prompts[row]))
        many = most_rows is not None and len(parts[-1]) == most_rows
        if parts[-1] and (many or tokens + more > most):
            parts.append([])
            tokens, present = 0, set()
            more = lengths[row] + len(prompts[row])
        parts[-1].append(row)
        tokens += more
        present.add(prompt)
    return [torch.tensor(part) for part in parts]


def one_number(*path: int) -> int:
    """One seed of several numbers; of each of them, zeros at the end included."""
    if path[-1] == 0:  # NumPy fills short paths up with zeros, so (1, 0) would be (1,)
        path = (*path, len(path))
    return int(np.random.SeedSequence(path).generate_state(1, np.uint64)[0] >> np.uint64(1))
