"""Recipe: an algorithm as a value; what the optimizer batch decides, and a micro-batch's loss.

:func:`credit` is called once per optimizer batch, :func:`objective` once per micro-batch.

>>> from trainer.algorithms import advantage, divergence, shaping, surrogate, weighting
>>> mine = Recipe(
...     name="mine",
...     paper="none",
...     shape=(shaping.scaled,),
...     advantage=advantage.centred,
...     policy=surrogate.score_function,
...     terms=(Term(divergence.reverse, knob="kl"),),
...     reduce=weighting.sequence_sum,
... )
>>> mask = torch.ones(2, 1, dtype=torch.bool)
>>> logp = torch.full((2, 1), -1.0)
>>> batch = Rollouts.of(torch.tensor([1.0, 0.0]), torch.tensor([0, 0]), mask, logp, logp)
>>> credited = credit(mine, batch, Knobs(kl=0.1))
>>> isinstance(credited, Credit), credited.advantage.flatten().tolist()
(True, [0.5, -0.5])
>>> objective(mine, credited, logp.clone().requires_grad_(), Knobs(kl=0.1)).item()
0.0
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from qdlaws.errors import BadData
from trainer.algorithms.declaration import declaration_of, with_declared_inputs
from trainer.types import (
    FilterPlan,
    HeadPlan,
    Knobs,
    NoveltyPlan,
    Plant,
    ReferencePlan,
    ReplayPlan,
    Rollouts,
    Step,
)

__all__ = ["Credit", "Recipe", "Term", "credit", "objective"]

Shape = Callable[[Rollouts, Knobs], Rollouts]
Advantage = Callable[[Tensor, Tensor, Tensor], Tensor]  # reward, group, count -> (B,)
Adjust = Callable[[Rollouts, Tensor, Knobs], Tensor]  # rollouts, advantage, knobs -> (B,)
PerToken = Callable[[Step], Tensor]  # -> (B, T)
Reduce = Callable[[Tensor, Tensor, int], Tensor]  # mask, count, limit -> (B, T)
Keep = Callable[[Rollouts], Tensor]  # -> (B,) bool
Select = Callable[[Step, "torch.Generator | None"], Tensor]  # -> (B, T) bool


@dataclass(frozen=True)
class Term:
    """One thing beside the policy loss: strength · Σ weight · loss."""

    loss: PerToken
    knob: Literal["kl", "entropy"]
    """The field of Knobs that is its strength."""
    scale: float = 1.0
    rows: Literal["fresh", "stored"] = "fresh"
    """On what was sampled now, or on stored samples of the reference."""
    only: Select | None = None
    """Its tokens; None: all."""
    reduce: Reduce | None = None
    """Its own reduction; None: the recipe's. Sequence-level terms take ``sequence_sum``."""

    @property
    def needs(self) -> frozenset[str]:
        """What its loss and its selector declare, given where and how strongly they act.

        Stored samples bring their reference log-probabilities; a term whose strength is the KL's
        vanishes with it.
        """
        needs = set(declaration_of(self.loss).needs)
        if "reference" in needs and (self.rows == "stored" or self.knob == "kl"):
            needs.remove("reference")
            needs |= {"reference_if_kl"} if self.rows == "fresh" else set()
        return frozenset(needs | declaration_of(self.only).needs)


@dataclass(frozen=True)
class Recipe:
    """An algorithm: plain functions, and what they need of the trainer, the task and the user.

    Compose a new one with ``dataclasses.replace(recipe, …)`` or from the pieces; options of a
    piece are bound with ``functools.partial``. What a piece needs it declares itself, see
    :mod:`trainer.algorithms.declaration`.
    """

    name: str
    paper: str
    policy: PerToken
    advantage: Advantage
    reduce: Reduce
    shape: tuple[Shape, ...] = ()
    adjust: tuple[Adjust, ...] = ()
    """What is done to the advantages with the rollouts in sight, in this order."""
    terms: tuple[Term, ...] = ()
    keep: tuple[Keep, ...] = ()
    silence: Select | None = None
    """Tokens whose policy loss is zeroed; they still count in the reduction."""
    replay: ReplayPlan | None = None
    """The best samples so far that join every batch."""
    filter: FilterPlan | None = None
    """The diversity filter whose factors the shaping reads."""
    novelty: NoveltyPlan | None = None
    """The bonus for novelty by a random network that the shaping reads."""
    head: HeadPlan | None = None
    """A network that learns log Z of a prompt, trained and saved with the policy."""
    presamples: ReferencePlan | None = None
    """Samples of the reference, stored before the first step, that join every batch."""
    knobs: Knobs = field(default_factory=Knobs)
    """The published strengths."""
    live: frozenset[str] = frozenset()
    """The knobs that change the direction of the gradient."""
    plant: Plant | None = None
    """How the settled state answers the live knobs; None where no knob moves it."""
    task_needs: frozenset[str] = frozenset()
    """What the task and the knobs must bring: many_prompts, binary, nonnegative, kl."""
    threshold: float | None = None
    """A score that must be within the task's range, as MARA's τ."""
    provisional: bool = False
    """It rests on an abstract or on another's code: neither paper nor released code was read."""

    def __post_init__(self) -> None:
        if self.presamples is None and any(term.rows == "stored" for term in self.terms):
            raise BadData(f"{self.name} has a term on stored samples: it needs a presamples plan")
        if ("log_partition" in declaration_of(self.policy).needs) != (self.head is not None):
            raise BadData(f"{self.name}: a loss that reads log Z and a head belong together")
        if self.filter is None and "filter" in self.needs:
            raise BadData(f"{self.name} shapes by a diversity filter: it needs a filter plan")
        if ("novelty" in self.needs) != (self.novelty is not None):
            raise BadData(f"{self.name}: a bonus for novelty and its plan belong together")
        if self.novelty is not None and (self.filter is None or self.filter.by == "same"):
            raise BadData(
                f"{self.name}: novelty is of the answers that count in a bucket of the diversity "
                "filter: it needs filter = usual, scaffold, topological or similar"
            )

    @property
    def needs(self) -> frozenset[str]:
        """All that a run must bring: ``task_needs``, and what the pieces and plans declare.

        See :data:`trainer.algorithms.declaration.Need`; ``replay`` and ``presamples`` stand for
        the two plans.
        """
        pieces: tuple[object, ...] = (
            *(*self.shape, self.advantage, *self.adjust, self.policy, self.reduce),
            *(*self.keep, self.silence),
        )
        needs = set(self.task_needs).union(*(declaration_of(piece).needs for piece in pieces))
        needs.update(*(term.needs for term in self.terms))
        needs |= {"replay"} if self.replay is not None else set()
        needs |= {"presamples"} if self.presamples is not None else set()
        return frozenset(needs - {"reference_if_kl"} if "reference" in needs else needs)

    def reads_reference(self, kl: float) -> bool:
        """Whether log π_ref of what was just sampled matters at this strength of the KL."""
        return "reference" in self.needs or ("reference_if_kl" in self.needs and kl != 0)

    @property
    def kl_in_reward(self) -> bool:
        """Whether shaping subtracts the divergence to the reference from the reward."""
        return any(declaration_of(piece).kl_in_reward for piece in self.shape)

    @property
    def selects_tokens(self) -> bool:
        """Whether tokens are chosen by the current policy's log-probabilities (Clip-Cov)."""
        return self.silence is not None or any(term.only is not None for term in self.terms)


@dataclass(frozen=True)
class Credit:
    """All that the optimizer batch decides: slices of it are the micro-batches."""

    old_logp: Tensor  # (B, T)
    ref_logp: Tensor | None  # (B, T)
    advantage: Tensor  # (B, T)
    mask: Tensor  # (B, T) bool
    weight: Tensor  # (B, T) of the policy loss
    term_weights: tuple[Tensor, ...]  # (B, T) each

    def rows(self, index: Tensor | slice) -> Credit:
        """The same for some rows of the batch."""
        ref = None if self.ref_logp is None else self.ref_logp[index]
        return Credit(
            self.old_logp[index],
            ref,
            self.advantage[index],
            self.mask[index],
            self.weight[index],
            tuple(w[index] for w in self.term_weights),
        )


def credit(
    recipe: Recipe,
    rollouts: Rollouts,
    knobs: Knobs,
    logp: Tensor | None = None,
    rng: torch.Generator | None = None,
) -> Credit:
    """Advantages, token choices and weights of one optimizer batch.

    ``logp`` is the current policy's log π, detached; None on policy, where it is the sampler's.
    Every statistic of the recipe is taken here, over the whole batch.
    """
    zero = torch.zeros_like(rollouts.count)
    fresh = replace(rollouts, count=torch.where(rollouts.stored, zero, rollouts.count))
    stored_count = torch.where(rollouts.stored, rollouts.count, zero)
    _check_reference(recipe, rollouts)
    shaped = fresh
    for shape in recipe.shape:
        shaped = _shaped(shape, shaped, knobs)
    _check_reward(recipe, shaped)
    per_sample = recipe.advantage(shaped.reward, shaped.group, shaped.count)
    for adjust in recipe.adjust:
        per_sample = adjust(with_declared_inputs(adjust, shaped), per_sample, knobs)
    per_sample = torch.where(fresh.count > 0, per_sample, zero)
    kept = fresh.count
    for keep in recipe.keep:
        kept = torch.where(keep(with_declared_inputs(keep, fresh)), kept, zero)
    step = Step(
        logp=rollouts.old_logp if logp is None else logp.detach(),
        old_logp=rollouts.old_logp,
        ref_logp=shaped.ref_logp,
        advantage=per_sample[:, None].expand(rollouts.mask.shape),
        mask=rollouts.mask & (kept > 0)[:, None],
    )
    weight = recipe.reduce(rollouts.mask, kept, rollouts.limit)
    if recipe.silence is not None:
        weight = weight * ~recipe.silence(with_declared_inputs(recipe.silence, step), rng)
    weights = [
        _term_weight(term, recipe, rollouts, step, kept, stored_count, rng) for term in recipe.terms
    ]
    like = rollouts.old_logp
    return Credit(
        like,
        None if shaped.ref_logp is None else torch.nan_to_num(shaped.ref_logp).to(like),
        step.advantage.to(like),
        rollouts.mask,
        weight.to(like),
        tuple(w.to(like) for w in weights),
    )


def objective(
    recipe: Recipe,
    credited: Credit,
    logp: Tensor,
    knobs: Knobs,
    entropy: Tensor | None = None,
    log_z: Tensor | None = None,
) -> Tensor:
    """Loss of one micro-batch; over the micro-batches of a batch the losses add up.

    ``logp`` (B, T) is the policy's, with gradient; so is ``entropy``, where a term asks for it, and
    ``log_z`` (B, 1) of the head, where the recipe has one.
    """
    step = Step(
        logp=torch.where(credited.mask, logp, 0.0),
        old_logp=torch.where(credited.mask, credited.old_logp, 0.0),
        ref_logp=credited.ref_logp,
        advantage=credited.advantage,
        mask=credited.mask,
        entropy=None if entropy is None else torch.where(credited.mask, entropy, 0.0),
        log_z=log_z,
    )
    loss = (recipe.policy(with_declared_inputs(recipe.policy, step)) * credited.weight).sum()
    for term, weight in zip(recipe.terms, credited.term_weights, strict=True):
        strength = term.scale * getattr(knobs, term.knob)
        per_token = term.loss(with_declared_inputs(term.loss, step))
        loss = loss + strength * (per_token * weight).sum()
    return loss


def _shaped(piece: Shape, rollouts: Rollouts, knobs: Knobs) -> Rollouts:
    """The rollouts after one piece, which saw what it declares; what it did not see stays."""
    visible = with_declared_inputs(piece, rollouts)
    after = piece(visible, knobs)
    hidden = {
        name: value for name, value in vars(rollouts).items() if vars(visible)[name] is not value
    }
    return replace(after, **hidden)


def _term_weight(
    term: Term,
    recipe: Recipe,
    rollouts: Rollouts,
    step: Step,
    kept: Tensor,
    stored: Tensor,
    rng: torch.Generator | None,
) -> Tensor:
    count = kept if term.rows == "fresh" else stored
    weight = (term.reduce or recipe.reduce)(rollouts.mask, count, rollouts.limit)
    if term.only is None:
        return weight
    return weight * term.only(with_declared_inputs(term.only, step), rng)


def _check_reference(recipe: Recipe, rollouts: Rollouts) -> None:
    """One clear line where a term would need reference log-probabilities that are not there."""
    for term in recipe.terms:
        if "reference" not in declaration_of(term.loss).needs:
            continue
        rows = rollouts.stored if term.rows == "stored" else ~rollouts.stored
        rows = rows & (rollouts.count > 0)
        if rollouts.ref_logp is None:
            raise BadData(f"{recipe.name} needs ref_logp, but the batch has none")
        missing = (torch.isnan(rollouts.ref_logp) & rollouts.mask).any(1) & rows
        if bool(missing.any()):
            raise BadData(
                f"{recipe.name} needs ref_logp on {term.rows} samples; "
                f"{int(missing.sum())} of {int(rows.sum())} have NaN there"
            )


def _check_reward(recipe: Recipe, shaped: Rollouts) -> None:
    bad = ~torch.isfinite(shaped.reward) & (shaped.count > 0)
    if bool(bad.any()):
        raise BadData(
            f"{recipe.name}: shaping left {int(bad.sum())} of {int((shaped.count > 0).sum())} "
            "rewards without a finite value; are the reference log-probabilities there?"
        )
