"""The log-probabilities and exact entropies of given completions under a policy, with gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from qdlaws.errors import BadData
from trainer.policy.model import Policy
from trainer.policy.packed import output_log_probs, pack, packed_hidden

__all__ = [
    "LogProbs",
    "allowed_logits",
    "check_length",
    "check_temperature",
    "forward_arguments",
    "token_log_probs",
]

CHUNK = 2**25  # logits whose float32 copies are alive at once; more are recomputed in backward


@dataclass(frozen=True)
class LogProbs:
    """Per token of a batch of completions; 0 where the mask is False."""

    logp: Tensor  # (B, T) log π(token) at the temperature, over the allowed tokens
    entropy: Tensor | None  # (B, T) −Σ π log π there, nats


def token_log_probs(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    tokens: Tensor,
    mask: Tensor,
    *,
    temperature: float = 1.0,
    entropy: bool = False,
) -> LogProbs:
    """log π of each completion token given its prompt and the tokens before it.

    π is the softmax of logits / temperature over the allowed tokens, in float32 or better.
    Prompt and completion are read as one sequence without a gap, so that models need neither an
    attention mask nor position ids; logits are made for tokens under the mask only. A policy that
    is packed reads all rows as one sequence, and a prompt of many rows once
    (:mod:`trainer.policy.packed`).

    Parameters
    ----------
    policy : the model; of a frozen reference no gradient is kept
    prompts : tokens of each prompt, as :func:`encode_prompts` gives them
    tokens : (B, T), the completions
    mask : (B, T) bool, True for the tokens that count
    temperature : of the softmax
    entropy : whether the entropy −Σ π log π at every token is wanted too

    Returns
    -------
    LogProbs
        ``logp`` and ``entropy`` (None unless wanted), (B, T) each.
    """
    tokens, mask = tokens.to(policy.device), mask.to(policy.device)
    if tokens.shape != mask.shape or len(prompts) != len(tokens):
        raise BadData(
            f"token_log_probs: {len(prompts)} prompts, tokens {tuple(tokens.shape)} and mask "
            f"{tuple(mask.shape)} do not fit together"
        )
    zeros = torch.zeros(tokens.shape, dtype=policy.dtype, device=policy.device)
    if not bool(mask.any()):
        return LogProbs(zeros, zeros.clone() if entropy else None)
    width = int(mask.any(0).nonzero().max()) + 1
    check_length(policy, prompts, width)
    if policy.packed:
        per_token = _packed(policy, prompts, tokens, mask, width, temperature, entropy)
        logp, *spread = (zeros.index_put((mask,), values) for values in per_token)
        return LogProbs(logp, *spread) if spread else LogProbs(logp, None)
    ids, row, column = _sequences(policy, prompts, tokens[:, :width], mask[:, :width])
    checkpointing = torch.is_grad_enabled() and _recomputes(policy.model)
    with (
        policy.speaking(training=checkpointing and not policy.frozen) as model,
        _output_restricted(model.get_output_embeddings(), row, column),
    ):
        logits = model(input_ids=ids, use_cache=False).logits
        per_token = _of_logits(
            policy, logits.view(len(row), -1), tokens[mask], temperature, entropy
        )
    logp, *spread = (zeros.index_put((mask,), values) for values in per_token)
    return LogProbs(logp, *spread) if spread else LogProbs(logp, None)


def _packed(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    tokens: Tensor,
    mask: Tensor,
    width: int,
    temperature: float,
    entropy: bool,
) -> list[Tensor]:
    """log π of the masked tokens and, where wanted, the entropy at each, (N,) both."""
    check_temperature(temperature)
    packed = pack(prompts, tokens[:, :width], mask[:, :width], policy.dtype)
    recompute = torch.is_grad_enabled() and not policy.frozen and _recomputes(policy.model)
    with policy.speaking() as model:
        hidden = packed_hidden(model, packed, policy.products, recompute=recompute)
        logp, spread = output_log_probs(
            hidden, model.lm_head.weight, policy.allowed, tokens[mask], temperature, entropy
        )
    return [logp] if spread is None else [logp, spread]


def allowed_logits(policy: Policy, logits: Tensor, temperature: float) -> Tensor:
    """logits / temperature, −∞ for tokens that are not allowed, in float32 or better."""
    check_temperature(temperature)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    return wide.masked_fill(~policy.allowed, -torch.inf)


def check_length(policy: Policy, prompts: Sequence[Sequence[int]], limit: int) -> None:
    """Refuses, in one line, an empty prompt and one too long for the model with its completion."""
    lengths = [len(prompt) for prompt in prompts]
    if min(lengths) == 0:
        raise BadData(f"prompt {lengths.index(0)} has no tokens; at least one, BOS, is needed")
    longest = policy.longest
    if longest is not None and max(lengths) + limit > longest:
        raise BadData(
            f"a prompt of {max(lengths)} tokens and a completion of {limit} are more than the "
            f"{longest} tokens that the model reads"
        )


def check_temperature(temperature: float) -> None:
    """Refuses, in one line, a temperature that is not a positive number."""
    if not 0 < temperature < float("inf"):
        raise BadData(f"temperature is {temperature}; needed: a number above 0")


def forward_arguments(model: Any) -> frozenset[str]:
    """The names of the arguments that a model's forward takes."""
    return frozenset(signature(type(model).forward).parameters)


def _recomputes(model: torch.nn.Module) -> bool:
    return any(getattr(part, "gradient_checkpointing", False) for part in model.modules())


def _sequences(
    policy: Policy, prompts: Sequence[Sequence[int]], tokens: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Prompt + completion + filling (B, S), and where each masked token is predicted (N,), (N,).

    The filling comes after all that counts, where no token can see it; it is an ordinary token,
    since models warn of pad tokens that come without an attention mask.
    """
    filling = int(policy.allowed.nonzero()[0])
    starts = torch.tensor([len(prompt) for prompt in prompts], device=policy.device)
    width = tokens.shape[1]
    ids = tokens.new_full((len(tokens), int(starts.max()) + width), filling)
    prompt_tokens = [token for prompt in prompts for token in prompt]
    inside = torch.arange(ids.shape[1], device=ids.device) < starts[:, None]
    ids[inside] = torch.tensor(prompt_tokens, device=ids.device)
    columns = starts[:, None] + torch.arange(width, device=ids.device)
    ids.scatter_(1, columns, tokens.masked_fill(~mask, filling))
    row, column = mask.nonzero(as_tuple=True)
    return ids, row, starts[row] + column - 1


@contextmanager
def _output_restricted(
    output_layer: torch.nn.Module, row: Tensor, column: Tensor
) -> Iterator[None]:
    """Within this context the output layer sees these positions only, as one sequence.

    A hook rather than a call of the layer, because some models scale or cap the logits after it.
    """

    def select(_: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (inputs[0][row, column][None], *inputs[1:])

    handle = output_layer.register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def _of_logits(
    policy: Policy, logits: Tensor, tokens: Tensor, temperature: float, entropy: bool
) -> list[Tensor]:
    """log π of the tokens and, where wanted, the entropy at each, (N,) both."""

    def piece(logits: Tensor, tokens: Tensor) -> tuple[Tensor, ...]:
        z = allowed_logits(policy, logits, temperature)
        total = z.logsumexp(-1)
        logp = z.gather(-1, tokens[:, None]).squeeze(-1) - total
        if not entropy:
            return (logp,)
        finite = z.masked_fill(~policy.allowed, 0.0)  # 0 · −∞ is not 0
        return logp, total - (torch.softmax(z, -1) * finite).sum(-1)

    rows = max(1, CHUNK // logits.shape[-1])
    if len(logits) <= rows:
        return list(piece(logits, tokens))
    pieces = zip(torch.split(logits, rows), torch.split(tokens, rows), strict=True)
    parts = [checkpoint(piece, *part, use_reentrant=False) for part in pieces]
    return [torch.cat(values) for values in zip(*parts, strict=True)]
