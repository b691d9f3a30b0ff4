"""Completions, the protocol of samplers, and the mismatch of sampler and trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from trainer.policy import Policy

__all__ = ["Completions", "Mismatch", "Sampler", "completions", "mismatch"]


@dataclass(frozen=True)
class Completions:
    """Sampled tokens; EOS counts as one of them, the tokens after it do not."""

    tokens: Tensor  # (B, T) long, padded
    mask: Tensor  # (B, T) bool
    logp: Tensor  # (B, T) at the sampling temperature, over the allowed tokens; 0 off the mask
    entropy: Tensor  # (B, T) exact, nats; 0 off the mask
    truncated: Tensor  # (B,) bool: the limit came before EOS

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def length(self) -> Tensor:
        """Tokens of each completion, (B,)."""
        return self.mask.sum(1)

    def texts(self, policy: Policy) -> list[str]:
        """Each completion as a string, special tokens left out."""
        rows = zip(self.tokens.tolist(), self.length.tolist(), strict=True)
        texts: list[str] = policy.tokenizer.batch_decode(
            [tokens[:length] for tokens, length in rows],
            skip_special_tokens=True,
            clean_up_tokenization_spaces=False,
        )
        return texts

    def rows(self, index: Tensor | slice) -> Completions:
        """Some of the completions, in the order of the index, at the same width."""
        return Completions(
            self.tokens[index],
            self.mask[index],
            self.logp[index],
            self.entropy[index],
            self.truncated[index],
        )

    @classmethod
    def cat(cls, parts: Sequence[Completions]) -> Completions:
        """Several one after the other, padded to the longest."""
        width = max(part.tokens.shape[1] for part in parts)

        def joined(name: str, filling: float) -> Tensor:
            grids = [getattr(part, name) for part in parts]
            pad = torch.nn.functional.pad
            return torch.cat([pad(g, (0, width - g.shape[1]), value=filling) for g in grids])

        filling = next((int(p.tokens[~p.mask][0]) for p in parts if not bool(p.mask.all())), 0)
        return cls(
            joined("tokens", filling),
            joined("mask", False),
            joined("logp", 0.0),
            joined("entropy", 0.0),
            torch.cat([part.truncated for part in parts]),
        )


class Sampler(Protocol):
    """A rollout engine: a function that gives a completion for every prompt."""

    def __call__(
        self,
        policy: Policy,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[tuple[int, ...]],
        *,
        limit: int,
        temperature: float = 1.0,
        batch_size: int | None = None,
    ) -> Completions:
        """One completion per prompt, of at most ``limit`` tokens, EOS included.

        ``keys[i]`` = (seed, phase, step, prompt, sample) names the noise of row i.
        Log-probabilities are those of the softmax of logits / temperature over
        ``policy.allowed``.
        """
        ...


@dataclass(frozen=True)
class Mismatch:
    """The differences between the log-probabilities of sampler and trainer, over tokens."""

    mean: float
    """Mean |log π_trained − log π_sampled|."""
    largest: float
    k1: float
    """Mean of log π_sampled − log π_trained: unbiased for KL(sampler ‖ trainer), and noisy."""
    k3: float
    """Mean of ρ − 1 − log ρ, ρ = π_trained / π_sampled: the same KL, never negative."""


def mismatch(sampled_logp: Tensor, trained_logp: Tensor, mask: Tensor) -> Mismatch:
    """The mismatch of sampler and trainer on the sampled tokens; NaN where there are none.

    k1, k3 after Schulman 2020, "Approximating KL divergence".
    """
    gap = (trained_logp.detach()[mask] - sampled_logp.detach()[mask]).double()
    if gap.numel() == 0:
        return Mismatch(*[float("nan")] * 4)
    k3 = torch.expm1(gap) - gap
    parts = gap.abs().mean(), gap.abs().max(), -gap.mean(), k3.mean()
    return Mismatch(*torch.stack(parts).tolist())


def completions(policy: Policy, tokens: Tensor, logp: Tensor, entropy: Tensor) -> Completions:
    """Completions made of drawn tokens, (B, T) each, which go on after EOS."""
    ended = tokens == policy.eos
    mask = ended.cumsum(1) - ended.long() == 0
    width = int(mask.any(0).sum())
    tokens, mask = tokens[:, :width], mask[:, :width]
    return Completions(
        tokens.masked_fill(~mask, policy.pad),
        mask,
        logp[:, :width].masked_fill(~mask, 0.0),
        entropy[:, :width].masked_fill(~mask, 0.0),
        ~ended.any(1),
    )
