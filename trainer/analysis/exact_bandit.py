"""The exact bandit: categorical policies whose optima are known, for tests and for teaching.

One "completion" is one action. Every action is a row that stands for n·π(a) samples, so a batch
is the exact population and its gradient the exact expectation: nothing is sampled.

>>> bandit = random_bandit(actions=20, seed=1)
>>> isinstance(bandit, Bandit), bandit.reference.shape
(True, torch.Size([1, 20]))
>>> best = tilt(bandit, beta=0.2)  # where RLOO with this KL settles
>>> bool(entropy(best) < entropy(bandit.reference))
True
>>> total_variation(best, bandit.reference).round(decimals=2).tolist()
[0.41]
>>> forward = forward_optimum(bandit.reward, bandit.reference, beta=0.2)
>>> mara = mara_optimum(bandit, beta=0.2, threshold=0.8)
>>> [bool(entropy(p) > 0) for p in (forward, mara, mara_forward_optimum(bandit, 0.2, 0.8))]
[True, True, True]
>>> int(decaying_bandit().reward.sum())
50
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.types import Rollouts

__all__ = [
    "Bandit",
    "decaying_bandit",
    "entropy",
    "forward_optimum",
    "mara_forward_optimum",
    "mara_optimum",
    "random_bandit",
    "tilt",
    "total_variation",
]

POPULATION = 1e9  # samples that an exact batch stands for; n/(n − 1) is then 1 to the ninth digit


@dataclass(frozen=True)
class Bandit:
    """P prompts, A actions: their rewards, the reference, their lengths and meanings."""

    reward: Tensor  # (P, A) float64
    ref_logits: Tensor  # (P, A)
    length: Tensor  # (A,) tokens; the first is the choice, the rest follow from it
    meaning: Tensor  # (A,) equal numbers mean the same

    @property
    def reference(self) -> Tensor:
        """π_ref, (P, A)."""
        return self.ref_logits.softmax(-1)

    def population(
        self, behaviour: Tensor, rehearse: bool = False, size: float = POPULATION
    ) -> Rollouts:
        """All actions of all prompts as one batch, drawn from the logits ``behaviour`` (P, A).

        With ``rehearse`` the same actions follow as stored samples of the reference.
        """
        prompts, actions = self.reward.shape
        logp, ref = behaviour.detach().log_softmax(-1), self.ref_logits.log_softmax(-1)
        group = torch.arange(prompts).repeat_interleave(actions)
        same = self.meaning.repeat(prompts)
        batch = {
            "score": self.reward.flatten(),
            "group": group,
            "mask": self._mask().repeat(prompts, 1),
            "old_logp": self.spread(logp),
            "ref_logp": self.spread(ref),
            "count": size * logp.exp().flatten(),
        }
        if rehearse:
            batch["stored"] = torch.arange(2 * len(group)) >= len(group)
            same = same.repeat(2)
            for name in ("score", "group", "mask", "old_logp", "ref_logp"):
                batch[name] = torch.cat([batch[name], batch[name]])
            batch["count"] = torch.cat([batch["count"], size * ref.exp().flatten()])
        return Rollouts.of(
            **batch, limit=int(self.length.max()), equivalent=same[:, None] == same[None, :]
        )

    def spread(self, per_action: Tensor, rehearse: bool = False) -> Tensor:
        """(P, A) → (B, T): the value on the first token, zeros on those that follow from it."""
        rows = per_action.reshape(-1, 1)
        rows = torch.cat([rows, rows]) if rehearse else rows
        return torch.nn.functional.pad(rows, (0, int(self.length.max()) - 1))

    def _mask(self) -> Tensor:
        return torch.arange(int(self.length.max()))[None, :] < self.length[:, None]


def random_bandit(
    prompts: int = 1, actions: int = 50, longest: int = 1, levels: int | None = None, seed: int = 0
) -> Bandit:
    """Rewards uniform on [0, 1] (or on ``levels`` equal steps), a log-normal reference."""
    rng = torch.Generator().manual_seed(seed)
    reward = torch.rand(prompts, actions, generator=rng, dtype=torch.float64)
    if levels is not None:
        reward = (reward * levels).floor() / (levels - 1)
    return Bandit(
        reward=reward,
        ref_logits=torch.randn(prompts, actions, generator=rng, dtype=torch.float64),
        length=torch.randint(1, longest + 1, (actions,), generator=rng),
        meaning=torch.arange(actions),
    )


def decaying_bandit(actions: int = 100, decay: float = 20.3) -> Bandit:
    """Two equal blocks of good actions, 5–29 and 70–94, under π_ref ∝ exp(−i/decay)."""
    i = torch.arange(actions, dtype=torch.float64)
    good = ((i >= 5) & (i < 30)) | ((i >= 70) & (i < 95))
    return Bandit(
        reward=good.to(torch.float64)[None],
        ref_logits=(-i / decay)[None],
        length=torch.ones(actions, dtype=torch.long),
        meaning=torch.arange(actions),
    )


def tilt(bandit: Bandit, beta: float, scale: float = 1.0) -> Tensor:
    """Optimum of E[s·R] − β·KL(π‖π_ref): π ∝ π_ref·exp(s·R/β), (P, A)."""
    return (bandit.ref_logits + scale * bandit.reward / beta).softmax(-1)


def forward_optimum(
    reward: Tensor, reference: Tensor, beta: float, iterations: int = 200
) -> Tensor:
    """Optimum of E[R] − β·KL(π_ref‖π): β·π_ref/(Λ − R), Λ the root of Σ = 1, (P, A).

    ``reference`` need not sum to one, as MARA's substituted one does not.
    """
    top = reward.amax(-1, keepdim=True)
    at_top = torch.where(reward == top, reference, 0.0).amax(-1, keepdim=True)
    low, high = top + beta * at_top, top + beta * reference.sum(-1, keepdim=True)
    for _ in range(iterations):
        middle = (low + high) / 2
        heavy = (beta * reference / (middle - reward)).sum(-1, keepdim=True) > 1
        low, high = torch.where(heavy, middle, low), torch.where(heavy, high, middle)
    policy = beta * reference / (high - reward)
    return policy / policy.sum(-1, keepdim=True)


def mara_optimum(bandit: Bandit, beta: float, threshold: float) -> Tensor:
    """Optimum of MARA under the reverse KL: flat on the good set, π_ref·exp(R/β) elsewhere."""
    good = bandit.reward >= threshold
    anchor, anchor_reward = _anchor(bandit, good)
    logits = bandit.ref_logits.log_softmax(-1) + bandit.reward / beta
    return torch.where(good, anchor + anchor_reward / beta, logits).softmax(-1)


def mara_forward_optimum(bandit: Bandit, beta: float, threshold: float) -> Tensor:
    """Optimum of MARA, Algorithm 2, under the forward KL."""
    good = bandit.reward >= threshold
    anchor, anchor_reward = _anchor(bandit, good)
    reward = torch.where(good, anchor_reward, bandit.reward)
    return forward_optimum(reward, torch.where(good, anchor.exp(), bandit.reference), beta)


def entropy(policy: Tensor) -> Tensor:
    """H = −Σ p log p of each prompt, (P,)."""
    h: Tensor = torch.special.entr(policy)
    return h.sum(-1)


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """½·Σ|p − q| of each prompt, (P,)."""
    return (p - q).abs().sum(-1) / 2


def _anchor(bandit: Bandit, good: Tensor) -> tuple[Tensor, Tensor]:
    """log π_ref and reward of the likeliest good action of each prompt, (P, 1) each."""
    logp = torch.where(good, bandit.ref_logits.log_softmax(-1), -torch.inf)
    best, where = logp.max(-1, keepdim=True)
    return best, bandit.reward.gather(-1, where)
