"""What a recipe answers to its knobs, found out on the exact bandit.

``live_knobs``: does doubling a knob change the *direction* of the gradient? Asked off the
reference, off policy, with mixed rewards: at the reference, on policy or with equal scores the
question is vacuous. ``sweep`` settles the policy at one knob value after another, down and up
again; ``read_plant`` says what the two ways have in common.

>>> from trainer.algorithms.recipes import RECIPES
>>> from trainer.analysis.exact_bandit import random_bandit
>>> recipe = RECIPES["rloo"]()
>>> KNOBS, sorted(live_knobs(recipe)), steering_knob(recipe)
(('kl', 'reward_scale', 'entropy'), ['kl', 'reward_scale'], 'kl')
>>> bandit = random_bandit(actions=10)
>>> knobs = Knobs(kl=0.5)
>>> exact_gradient(recipe, bandit, bandit.ref_logits, knobs).shape
torch.Size([1, 10])
>>> state = settle(recipe, bandit, knobs, bandit.ref_logits, steps=500)
>>> isinstance(state, State), state.end
(True, 'settled')
>>> swept = sweep(recipe, values=(2.0, 1.0), bandit=bandit)
>>> isinstance(swept, Sweep), read_plant(swept, bandit)
(True, 'tilt')
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from trainer.algorithms.grouping import group_mean
from trainer.algorithms.objective import Credit, Recipe, credit, objective
from trainer.analysis.exact_bandit import Bandit, entropy, random_bandit, tilt, total_variation
from trainer.types import Knobs, Plant, Rollouts

__all__ = [
    "KNOBS",
    "State",
    "Sweep",
    "exact_gradient",
    "live_knobs",
    "read_plant",
    "settle",
    "steering_knob",
    "sweep",
]

KNOBS = ("kl", "reward_scale", "entropy")
"""The knobs that a recipe may answer."""
Knob = Literal["kl", "reward_scale", "entropy"]

SETTLED = 1e-6  # largest remaining natural gradient, in units of the reward's range
COLLAPSED = 1e-3  # nats
PATIENCE = 150  # steps below it


@dataclass(frozen=True)
class State:
    """Where the policy came to rest."""

    knobs: Knobs
    policy: Tensor  # (P, A)
    end: Literal["settled", "collapsed", "moving"]

    @property
    def entropy(self) -> float:
        """H of the policy, in nats, averaged over the prompts."""
        return float(entropy(self.policy).mean())


@dataclass(frozen=True)
class Sweep:
    """The settled states from the tight end to the loose one, and on the way back."""

    knob: str
    loosening: tuple[State, ...]
    tightening: tuple[State, ...]  # in the order of ``loosening``


def exact_gradient(
    recipe: Recipe, bandit: Bandit, logits: Tensor, knobs: Knobs, behaviour: Tensor | None = None
) -> Tensor:
    """∂ loss/∂ logits of the whole population, (P, A); on policy unless ``behaviour`` differs."""
    z = logits.detach().requires_grad_()
    rehearse = any(term.rows == "stored" for term in recipe.terms)
    rollouts = bandit.population(logits if behaviour is None else behaviour, rehearse)
    logp = z.log_softmax(-1)
    per_token = bandit.spread(logp, rehearse)
    h = torch.special.entr(logp.exp()).sum(-1, keepdim=True).expand_as(logp)
    rng = torch.Generator().manual_seed(0)  # a random choice of tokens is the same at any knob
    credited = credit(recipe, rollouts, knobs, logp=per_token, rng=rng)
    log_z = None if recipe.head is None else _best_log_z(credited, per_token, rollouts)
    loss = objective(recipe, credited, per_token, knobs, bandit.spread(h, rehearse), log_z)
    (gradient,) = torch.autograd.grad(loss, z)
    return gradient


def _best_log_z(credited: Credit, logp: Tensor, rollouts: Rollouts) -> Tensor:
    """log Z of each prompt, (B, 1), at which a head that could say anything would rest."""
    mask, ref_logp = credited.mask, credited.ref_logp
    assert ref_logp is not None
    logp = torch.where(mask, logp.detach(), 0.0)
    gap = torch.where(mask, logp - ref_logp, 0.0).sum(1) / mask.sum(1)
    weight = torch.where(mask, logp - credited.old_logp, 0.0).sum(1).exp() * rollouts.count
    return group_mean(credited.advantage[:, 0] - gap, rollouts.group, weight)[:, None]


def live_knobs(recipe: Recipe, seed: int = 0, tolerance: float = 1e-9) -> frozenset[str]:
    """The knobs whose doubling turns the gradient of the exact bandit."""
    bandit = random_bandit(prompts=3, actions=12, longest=4, levels=4, seed=seed)
    rng = torch.Generator().manual_seed(seed + 1)
    behaviour, policy = (
        bandit.ref_logits + 0.5 * torch.randn(3, 12, generator=rng, dtype=torch.float64)
        for _ in range(2)
    )
    knobs = Knobs(kl=0.1, reward_scale=1.5, entropy=0.1)
    base = exact_gradient(recipe, bandit, policy, knobs, behaviour).flatten()
    live = set()
    for knob in KNOBS:
        turned = replace(knobs, **{knob: 2 * getattr(knobs, knob)})
        other = exact_gradient(recipe, bandit, policy, turned, behaviour).flatten()
        if 1 - float(torch.cosine_similarity(base, other, dim=0)) > tolerance:
            live.add(knob)
    return frozenset(live)


def settle(recipe: Recipe, bandit: Bandit, knobs: Knobs, start: Tensor, steps: int = 4000) -> State:
    """The state that natural-gradient descent ends in from the logits ``start`` (P, A).

    In logits the natural gradient is the gradient over π. Every logit has its own step, halved
    when its direction turns and raised otherwise, so stiff and flat actions settle alike.
    """
    z, size = start.clone(), torch.full_like(start, 0.2)
    before = torch.zeros_like(z)
    scale, low_for = max(1.0, knobs.reward_scale), 0
    for _ in range(steps):
        policy = z.softmax(-1)
        # below e^-300 π is a denormal number and a quotient by it has no digits
        direction = -exact_gradient(recipe, bandit, z, knobs) / policy.clamp_min(1e-300)
        low_for = low_for + 1 if float(entropy(policy).max()) < COLLAPSED else 0
        if low_for == PATIENCE:  # a start at the corner has had its chance to leave it
            return State(knobs, policy, "collapsed")
        if float(direction.abs().max()) < SETTLED * scale:
            return State(knobs, policy, "collapsed" if low_for else "settled")
        size = torch.where(direction * before < 0, 0.5 * size, 1.1 * size).clamp(1e-12, 1e3)
        before = direction
        z = z + (size * direction).clamp(-1, 1)
        z = z - z.amax(-1, keepdim=True)
    return State(knobs, z.softmax(-1), "moving")


def steering_knob(recipe: Recipe) -> Knob | None:
    """The live knob a controller would turn: the KL, else the entropy bonus, else the scale."""
    order: tuple[Knob, ...] = ("kl", "entropy", "reward_scale")
    return next((knob for knob in order if knob in recipe.live), None)


def sweep(
    recipe: Recipe,
    values: tuple[float, ...] = (3.0, 1.0, 0.3, 0.1),
    bandit: Bandit | None = None,
    knob: Knob | None = None,
) -> Sweep:
    """Settled states along ``values`` (tight to loose) and back.

    The first starts at the reference, each other one where the last ended.
    ``values`` are strengths; the reward scale takes 1/value.
    """
    bandit = random_bandit() if bandit is None else bandit
    knob = knob or steering_knob(recipe)
    if knob is None:
        raise ValueError(f"{recipe.name} has no live knob to sweep")
    base = replace(recipe.knobs, reward_scale=1.0)
    setting = [
        replace(base, **{knob: 1 / value if knob == "reward_scale" else value}) for value in values
    ]
    z, down = bandit.ref_logits, []
    for knobs in setting:
        down.append(settle(recipe, bandit, knobs, z))
        z = _logits(down[-1])
    up = [down[-1]]
    for knobs in setting[-2::-1]:
        up.append(settle(recipe, bandit, knobs, _logits(up[-1])))
    return Sweep(knob, tuple(down), tuple(reversed(up)))


def read_plant(swept: Sweep, bandit: Bandit | None = None) -> Plant | None:
    """The word for a sweep; None where the knob moves nothing."""
    bandit = random_bandit() if bandit is None else bandit
    pairs = list(zip(swept.loosening, swept.tightening, strict=True))
    if any(state.end == "moving" for pair in pairs for state in pair):
        return "unsettled"
    if any(float(total_variation(a.policy, b.policy).max()) > 0.01 for a, b in pairs):
        return "folded"
    entropies = torch.tensor([state.entropy for state in swept.loosening])
    if float(entropies.max() - entropies.min()) < 0.01:
        return None
    # DARLING's own pull to spread lifts H by .007 of .57 nats before it falls: no fold to steer by
    if float(entropies.diff().max()) > 0.05 * float(entropies.max() - entropies.min()):
        return "folded"
    if all(_is_tilt(state, bandit) for state in swept.loosening):
        return "tilt"
    return "monotone"


def _is_tilt(state: State, bandit: Bandit) -> bool:
    if state.knobs.kl <= 0:
        return False
    wanted = tilt(bandit, state.knobs.kl, state.knobs.reward_scale)
    return float(total_variation(state.policy, wanted).max()) < 1e-3


def _logits(state: State) -> Tensor:
    return state.policy.clamp_min(1e-300).log()
