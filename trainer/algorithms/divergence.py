"""Step → a divergence per token, (B, T), named by the gradient that it gives.

``level`` says of what: ``token``, the conditional divergences summed over the states that the
samples visit; ``sequence``, the divergence of whole completions, spread in equal parts over their
tokens (weigh it with ``sequence_sum``).

With u = π/π_ref, on samples of the policy k2 = ½·log²u has the gradient of the *reverse* KL and
k3 = 1/u + log u − 1 that of the *forward* KL, whatever their names elsewhere; as numbers in a log
both estimate the reverse one. So values and gradients are two things, and :func:`_graded` sets
them apart: a clamp on a value never silences the pull on the policy.

>>> step = Step(
...     logp=torch.tensor([[-1.0, -1.0]], requires_grad=True),
...     old_logp=torch.tensor([[-1.5, -1.0]]),
...     ref_logp=torch.tensor([[-2.0, -1.0]]),
...     advantage=torch.ones(1, 2),
...     mask=torch.ones(1, 2, dtype=torch.bool),
...     entropy=torch.tensor([[0.5, 0.7]]),
... )
>>> for term in (
...     reverse, reverse_weighted, forward, js_policy_half, js_reference_half,
...     forward_stored, js_stored, alpha_stored, negative_entropy, old_distance,
... ):
...     print(term.__name__, [round(x, 2) for x in term(step).flatten().tolist()])
reverse [0.5, 0.0]
reverse_weighted [0.61, 0.0]
forward [0.37, 0.0]
js_policy_half [0.19, 0.0]
js_reference_half [-0.31, -0.0]
forward_stored [0.72, 0.0]
js_stored [0.41, 0.0]
alpha_stored [0.93, 0.0]
negative_entropy [-0.5, -0.7]
old_distance [0.5, 0.0]
>>> reverse(step, level="sequence").sum().item()  # of the whole completion; see ``Level``
0.5
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from trainer.algorithms.declaration import declares
from trainer.types import Step

__all__ = [
    "Level",
    "alpha_stored",
    "forward",
    "forward_stored",
    "js_policy_half",
    "js_reference_half",
    "js_stored",
    "negative_entropy",
    "old_distance",
    "reverse",
    "reverse_weighted",
]

Level = Literal["token", "sequence"]
"""A divergence per token, or of whole completions."""
LOG_RATIO_LIMIT = 20.0  # e^±20: beyond it a single sample would own the batch


# ── on samples of the policy ──────────────────────────────────────────────────────────────────


@declares("reference")
def reverse(step: Step, level: Level = "token") -> Tensor:
    """k2 = ½·log²u: the gradient of KL(π‖π_ref) on samples of the policy."""
    log_u = _log_ratio(step, level)
    return _graded(_spread(log_u.square() / 2, step, level), log_u, step.logp)


@declares("reference")
def reverse_weighted(step: Step, level: Level = "token") -> Tensor:
    """ρ·k3: again the gradient of KL(π‖π_ref), unbiased off policy too.

    d(ρ·k3) = ρ·(k3 + 1 − 1/u)·∇log π = ρ·log u·∇log π. So a trainer that multiplies k3 by the
    importance ratio turns its forward-KL gradient into the reverse one.
    """
    log_u, log_rho = _log_ratio(step, level), _sum(step.logp - step.old_logp, step, level)
    rho = log_rho.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    return _graded(_spread(rho * _k3(log_u), step, level), rho * log_u, step.logp)


@declares("reference")
def forward(step: Step, level: Level = "token") -> Tensor:
    """k3 = 1/u + log u − 1: the gradient of KL(π_ref‖π) on samples of the policy."""
    log_u = _log_ratio(step, level)
    return _graded(_spread(_k3(log_u), step, level), 1 - torch.exp(-log_u), step.logp)


@declares("reference")
def js_policy_half(step: Step, level: Level = "token") -> Tensor:
    """½·KL(π‖M), M = (π + π_ref)/2, on samples of the policy; needs the reference online.

    E_π h(u) with h = log(2u/(u + 1)) has the factor h + u·h' = h + 1/(u + 1) on ∇log π.
    """
    log_u = _log_ratio(step, level)
    h = torch.log(torch.tensor(2.0).to(log_u)) + torch.nn.functional.logsigmoid(log_u)
    factor = h + torch.sigmoid(-log_u)
    return _graded(_spread(h / 2, step, level), factor / 2, step.logp)


# ── on stored samples of the reference (DPH-RL, arXiv 2509.07430): E_ref f(u), per token ────────


@declares("reference")
def forward_stored(step: Step, value_limit: float = 10.0) -> Tensor:
    """u − 1 − log u: KL(π_ref‖π). Values are clamped as published; the pull u − 1 is not."""
    log_u = _log_ratio(step, "token")
    u = log_u.exp()
    return _graded((u - 1 - log_u).clamp_max(value_limit), u - 1, step.logp)


@declares("reference")
def js_stored(step: Step) -> Tensor:
    """u·log u − (u + 1)·log((u + 1)/2): **twice** the Jensen–Shannon divergence, as published."""
    log_u = _log_ratio(step, "token")
    u = log_u.exp()
    log_mean = torch.log1p(u) - torch.log(torch.tensor(2.0).to(u))
    return _graded(u * log_u - (u + 1) * log_mean, u * (log_u - log_mean), step.logp)


@declares("reference")
def js_reference_half(step: Step) -> Tensor:
    """½·KL(π_ref‖M), M = (π + π_ref)/2, on stored samples: −½·log((u + 1)/2)."""
    log_u = _log_ratio(step, "token")
    log_mean = torch.log1p(log_u.exp()) - torch.log(torch.tensor(2.0).to(log_u))
    return _graded(-log_mean / 2, -torch.sigmoid(log_u) / 2, step.logp)


@declares("reference")
def alpha_stored(step: Step, alpha: float = 0.2) -> Tensor:
    """(u^{1−α} − (1−α)u − α)/(α(α−1)): α → 1 is the forward KL, α → 0 the reverse one."""
    log_u = _log_ratio(step, "token")
    u, power = log_u.exp(), torch.exp((1 - alpha) * log_u)
    value = (power - (1 - alpha) * u - alpha) / (alpha * (alpha - 1))
    return _graded(value, (u - power) / alpha, step.logp)


# ── of the policy alone ───────────────────────────────────────────────────────────────────────


@declares("entropy")
def negative_entropy(step: Step) -> Tensor:
    """−H of the policy at every token: an entropy bonus is this term with a positive weight."""
    if step.entropy is None:
        raise ValueError("negative_entropy needs the exact entropy of every token, with gradient")
    return -step.entropy


def old_distance(step: Step) -> Tensor:
    """The distance of log π from log π_old: the penalty of KL-Cov's tokens (arXiv 2505.22617)."""
    return (step.logp - step.old_logp).abs()


# ── helpers ───────────────────────────────────────────────────────────────────────────────────


def _graded(value: Tensor, factor: Tensor, logp: Tensor) -> Tensor:
    """A term with this value whose gradient is ``factor``·∇logp."""
    return value.detach() + factor.detach() * (logp - logp.detach())


def _k3(log_u: Tensor) -> Tensor:
    return torch.exp(-log_u) + log_u - 1


def _log_ratio(step: Step, level: Level) -> Tensor:
    """log u of the token or of its whole completion, clamped, (B, T)."""
    if step.ref_logp is None:
        raise ValueError("a divergence to the reference needs ref_logp")
    log_u = _sum(step.logp - step.ref_logp, step, level)
    return log_u.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)


def _sum(x: Tensor, step: Step, level: Level) -> Tensor:
    """``x`` at its tokens, or the sum over the completion at every one of its tokens; no grad."""
    x = torch.where(step.mask, x.detach(), torch.zeros_like(x))
    return x if level == "token" else x.sum(1, keepdim=True) * step.mask


def _spread(value: Tensor, step: Step, level: Level) -> Tensor:
    """A value of the whole completion in equal parts on its tokens; a token's stays."""
    if level == "token":
        return value
    return value * step.mask / step.mask.sum(1, keepdim=True).clamp_min(1)
