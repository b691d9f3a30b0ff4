"""One small batch of tensors on which recipes are held to the code that their authors released.

``benchmarks/fidelity.py`` runs the released functions on it and records their loss and gradient;
the tests compare every recipe of :data:`CASES` with that record.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from trainer.algorithms import advantage, weighting
from trainer.algorithms import recipes as published
from trainer.algorithms.objective import Recipe, credit, objective
from trainer.types import Knobs, Rollouts

__all__ = ["CASES", "Batch", "loss_and_gradient", "random_batch", "read_batch"]

Numbers = list[list[float]]


@dataclass(frozen=True)
class Batch:
    """Ten completions of two prompts, sampled, scored, and read by three policies."""

    score: list[float]  # (B,) 0 or 1
    group: list[int]  # (B,)
    length: list[int]  # (B,)
    old_logp: Numbers  # (B, T) of the sampler
    logp: Numbers  # (B, T) of the policy that is trained, some updates later
    ref_logp: Numbers  # (B, T)
    meaning: list[int]  # (B,) equal numbers mean the same

    def to_dict(self) -> dict[str, object]:
        """JSON values."""
        return asdict(self)

    @property
    def mask(self) -> Tensor:
        """(B, T): True for the tokens of each completion."""
        width = len(self.logp[0])
        return torch.arange(width)[None, :] < torch.tensor(self.length)[:, None]

    def rollouts(self, stored: bool = False) -> Rollouts:
        """The batch as recipes see it, or as samples of the reference that are rehearsed."""
        label, mask = torch.tensor(self.meaning), self.mask
        return Rollouts.of(
            torch.tensor(self.score, dtype=torch.float64),
            torch.tensor(self.group),
            mask,
            torch.tensor(self.old_logp, dtype=torch.float64),
            torch.tensor(self.ref_logp, dtype=torch.float64),
            stored=torch.full((len(mask),), True) if stored else None,
            equivalent=label[:, None] == label[None, :],
        )


def random_batch(seed: int = 0) -> Batch:
    """Log-probabilities that moved by about .5 nats, so that every clip acts somewhere."""
    rng = torch.Generator().manual_seed(seed)
    old = -2 * torch.rand(10, 4, generator=rng, dtype=torch.float64)
    moved, apart = 0.5 * torch.randn(2, 10, 4, generator=rng, dtype=torch.float64)

    def rounded(x: Tensor) -> Numbers:
        return [[round(v, 6) for v in row] for row in x.tolist()]

    return Batch(
        score=[1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0],
        group=[0, 0, 0, 0, 0, 1, 1, 1, 1, 1],
        length=[4, 3, 2, 4, 3, 2, 4, 3, 4, 4],
        old_logp=rounded(old),
        logp=rounded(old + moved),
        ref_logp=rounded(old + apart),
        meaning=[0, 1, 0, 2, 1, 3, 4, 3, 4, 5],
    )


def read_batch(path: str | Path) -> tuple[Batch, dict[str, dict[str, object]]]:
    """The recorded batch, and loss and gradient of the released functions by the case's name."""
    record = json.loads(Path(path).read_text(encoding="utf-8"))
    return Batch(**record["batch"]), record["released"]


def loss_and_gradient(case: str, batch: Batch) -> tuple[float, Tensor]:
    """The loss of the case's recipe on the batch and ∂ loss/∂ log π, (B, T)."""
    recipe, knobs, stored = CASES[case]()
    logp = torch.tensor(batch.logp, dtype=torch.float64).requires_grad_()
    credited = credit(recipe, batch.rollouts(stored), knobs, logp=logp)
    loss = objective(recipe, credited, logp, knobs)
    (gradient,) = torch.autograd.grad(loss, logp)
    return float(loss.detach()), gradient


# ---------------------------------------------------------------------- the cases

Case = tuple[Recipe, Knobs, bool]


def _fresh(recipe: Recipe, **changes: object) -> Case:
    """The recipe without its KL, reduced as the released script does."""
    changed = replace(recipe, terms=(), **changes)  # type: ignore[arg-type]
    return changed, replace(recipe.knobs, kl=0.0), False


def _rehearsed(recipe: Recipe) -> Case:
    """The divergence on stored samples alone, at strength 1."""
    return recipe, Knobs(kl=1.0), True


TOKENS = weighting.token_mean
CASES: dict[str, Callable[[], Case]] = {
    "grpo": lambda: _fresh(published.grpo(dual=3.0), reduce=TOKENS),
    "dapo": lambda: (replace(published.dapo(dual=3.0), shape=()), Knobs(), False),
    "dr_grpo": lambda: _fresh(published.dr_grpo()),
    "rloo": lambda: _fresh(
        published.rloo(), shape=(), policy=published.grpo(dual=3.0).policy, reduce=TOKENS
    ),
    "gspo": lambda: _fresh(published.gspo()),
    "cispo": lambda: _fresh(published.cispo()),
    "sapo": lambda: _fresh(published.sapo()),
    "kl_cov": lambda: (published.kl_cov(share=0.2), Knobs(kl=1.0), False),
    "grpo_unlikeliness": lambda: _fresh(published.grpo_unlikeliness()),
    "rs_grpo": lambda: _fresh(published.rs_grpo()),
    "ucpo": lambda: _fresh(published.ucpo()),
    "differential_smoothing": lambda: _fresh(published.differential_smoothing(0.1, 0.1)),
    "pass_at_k": lambda: _fresh(published.pass_at_k(k=2)),
    "w_reinforce": lambda: _fresh(published.w_reinforce()),
    "darling": lambda: _fresh(published.darling(dual=3.0)),
    "darling correct_only": lambda: _fresh(published.darling(dual=3.0, fusion="correct_only")),
    "flowrl": lambda: (published.flowrl(), Knobs(reward_scale=15.0), False),
    "dph_forward": lambda: _rehearsed(published.dph_forward()),
    "dph_js": lambda: _rehearsed(published.dph_js()),
    "dph_alpha": lambda: _rehearsed(published.dph_alpha()),
    "reverse_kl k3": lambda: (
        replace(published.reverse_kl(k3=True), advantage=_nothing, policy=published.grpo().policy),
        Knobs(kl=1.0),
        False,
    ),
}
"""Recipe (and variant) → the recipe, its knobs, and whether the rows are rehearsed ones."""


def _nothing(reward: Tensor, group: Tensor, count: Tensor) -> Tensor:
    """No advantage: what is left is the divergence."""
    return 0 * advantage.raw(reward, group, count)
