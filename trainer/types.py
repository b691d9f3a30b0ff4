"""The nouns of the trainer: Knobs, Rollouts, Step, and what a recipe says it rehearses.

Axes, in this order only: B samples, T tokens. A mask is True where the token counts.

>>> batch = Rollouts.of(
...     score=torch.tensor([1.0, 0.0]),
...     group=torch.tensor([0, 0]),
...     mask=torch.tensor([[True, True], [True, False]]),
...     old_logp=torch.tensor([[-1.0, -2.0], [-1.0, 0.0]]),
... )
>>> batch.length.tolist()
[2, 1]
>>> step = Step(batch.old_logp, batch.old_logp, None, torch.ones(2, 2), batch.mask)
>>> step.ratio.tolist()
[[1.0, 1.0], [1.0, 1.0]]
>>> Knobs(kl=0.05)
Knobs(kl=0.05, reward_scale=1.0, entropy=0.0)
>>> Traits("mine", many_prompts=True, binary=True, lowest=0, highest=1, equivalence=False).binary
True

What a recipe keeps and rehearses:

>>> ReplayPlan(size=100).per_step, ReferencePlan().rows(fresh=64), HeadPlan().layers
(10, 8, 3)
>>> FilterPlan(by="scaffold", penalty="step").bucket, NoveltyPlan().lr
(25, 0.0001)
>>> "scaffold" in get_args(BucketKind), "erf" in get_args(PenaltyCurve)
(True, True)
>>> "tilt" in get_args(Plant)
True
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal, get_args

import torch
from torch import Tensor

from qdlaws.errors import BadData
from trainer.knobs import Knobs, Plant

__all__ = [
    "BucketKind",
    "FilterPlan",
    "HeadPlan",
    "Knobs",
    "NoveltyPlan",
    "PenaltyCurve",
    "Plant",
    "ReferencePlan",
    "ReplayPlan",
    "Rollouts",
    "Step",
    "Traits",
]

BucketKind = Literal["usual", "scaffold", "topological", "similar", "same"]
"""What shares a bucket of the diversity filter.

``usual``: what the task takes for alike, scaffolds of molecules and answers of one meaning
elsewhere. ``scaffold``: identical Murcko scaffolds. ``topological``: the same with all atoms and
bonds made alike. ``similar``: scaffolds of a Dice similarity of atom pairs. ``same``: no buckets,
every repeat of an answer is penalised alike.
"""
PenaltyCurve = Literal["step", "linear", "sigmoid", "erf", "tanh"]
"""How the worth of an answer falls as its bucket fills."""


@dataclass(frozen=True)
class ReferencePlan:
    """DPH: which prompts to rehearse, and how many stored reference samples a step takes."""

    attempts: int = 8
    threshold: int = 6
    """A prompt with at least so many correct attempts is near-perfect (paper: Llama 6, Qwen 7)."""
    share: float = 0.125
    """Rehearsed rows of a step for each fresh one; released: 256 beside 2,048."""

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 < self.share <= 8:
            raise BadData(
                f"attempts={self.attempts}, share={self.share:g}: at least one attempt and a share "
                "above 0, up to 8, were needed"
            )

    def rows(self, fresh: int) -> int:
        """Stored samples that join a batch of so many fresh ones: at least one."""
        return max(1, round(self.share * fresh))


@dataclass(frozen=True)
class HeadPlan:
    """FlowRL: a small network that learns log Z of a prompt from the policy's hidden states."""

    layers: int = 3

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise BadData(f"layers={self.layers}: a head of at least one layer was needed")


@dataclass(frozen=True)
class ReplayPlan:
    """REINVENT: how many of the best samples so far are kept, and how many join each batch."""

    size: int = 50
    per_step: int = 10
    seeds: str = ""
    """A file of answers, one a line, that are in the memory from the start."""

    def __post_init__(self) -> None:
        _require_count("memory", self.size)
        _require_count("replayed", self.per_step)


@dataclass(frozen=True)
class FilterPlan:
    """REINVENT's diversity filter: which answers share a bucket, and how a full one is penalised.

    See :mod:`trainer.algorithms.diversity_filter`.
    """

    by: BucketKind = "usual"
    bucket: int = 25
    """Answers that a bucket takes."""
    minscore: float = 0.4
    """The score from which an answer counts in its bucket."""
    similarity: float = 0.4
    """Least similarity of two scaffolds that share a bucket, of ``similar`` alone."""
    penalty: PenaltyCurve = "step"
    multiplier: float = 0.5
    """On the score of a repeated answer, of ``same`` alone."""

    def __post_init__(self) -> None:
        _require_choice("filter", self.by, (*get_args(BucketKind), "none"))
        _require_choice("penalty", self.penalty, get_args(PenaltyCurve))
        _require_count("bucket", self.bucket)
        for name in ("minscore", "similarity", "multiplier"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise BadData(f"found {name} = {value!r}: a number from 0 to 1 was needed")


@dataclass(frozen=True)
class NoveltyPlan:
    """REINVENT4's bonus for novelty: a network learns what a random one says of the answers.

    See :mod:`trainer.training.novelty`.
    """

    lr: float = 1e-4
    """Of the network that learns."""

    def __post_init__(self) -> None:
        if not self.lr > 0:
            raise BadData(f"found novelty_lr = {self.lr!r}: a number above 0 was needed")


def _require_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        near = get_close_matches(str(value), choices, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise BadData(f"found {name} = {value!r}{hint}; there are {', '.join(choices)}")


def _require_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadData(f"found {name} = {value!r}: a whole number of at least 1 was needed")


@dataclass(frozen=True)
class Rollouts:
    """One optimizer batch: what was sampled, how it scored, what the two older policies say of it.

    ``score`` is what the task said and never changes; ``reward`` is what shaping has made of it.
    Both are float64, whatever the policy's type.
    """

    score: Tensor  # (B,) NaN where scoring failed
    reward: Tensor  # (B,) finite
    group: Tensor  # (B,) samples of one prompt share a number
    mask: Tensor  # (B, T) bool
    old_logp: Tensor  # (B, T) of the policy that sampled
    ref_logp: Tensor | None  # (B, T) of the frozen reference; NaN in rows where it was not asked
    count: Tensor  # (B,) how many samples the row stands for: 1; 0 dropped; n·π(y) in exact sums
    stored: Tensor  # (B,) bool: drawn from the reference before the run, rehearsed now
    limit: int  # longest completion allowed, in tokens
    equivalent: Tensor | None = None  # (B, B) bool: the two say the same thing
    seen: Tensor | None = None  # (B,) earlier samples in the same bucket
    filter_factor: Tensor | None = None  # (B,) by what the diversity filter multiplies the score
    novelty: Tensor | None = None  # (B,) what the bonus for novelty adds to the score
    truncated: Tensor | None = None  # (B,) bool: stopped by the limit

    @classmethod
    def of(
        cls,
        score: Tensor,
        group: Tensor,
        mask: Tensor,
        old_logp: Tensor,
        ref_logp: Tensor | None = None,
        *,
        count: Tensor | None = None,
        stored: Tensor | None = None,
        limit: int | None = None,
        equivalent: Tensor | None = None,
        seen: Tensor | None = None,
        filter_factor: Tensor | None = None,
        novelty: Tensor | None = None,
        truncated: Tensor | None = None,
    ) -> Rollouts:
        """A batch with the usual rest: one sample a row, failed scores dropped, nothing stored."""
        stored = torch.zeros_like(mask[:, 0]) if stored is None else stored
        count = torch.ones_like(score) if count is None else count
        score, count = score.double(), count.double()  # equal scores must give a spread of 0
        usable = torch.isfinite(score)
        return cls(
            score=score,
            reward=torch.where(usable, score, 0),
            group=group,
            mask=mask,
            old_logp=old_logp.detach(),
            ref_logp=None if ref_logp is None else ref_logp.detach(),
            count=torch.where(usable | stored, count, 0),
            stored=stored,
            limit=mask.shape[1] if limit is None else limit,
            equivalent=equivalent,
            seen=seen,
            filter_factor=filter_factor,
            novelty=novelty,
            truncated=truncated,
        )

    @property
    def length(self) -> Tensor:
        """Tokens of each sample, (B,)."""
        return self.mask.sum(1)

    def mean_old_logp(self) -> Tensor:
        """Mean over the tokens of each sample of the sampler's log π, (B,)."""
        inside = torch.where(self.mask, self.old_logp, torch.zeros_like(self.old_logp))
        return inside.sum(1) / self.length.clamp_min(1)

    def sequence_ref_logp(self) -> Tensor:
        """log π_ref(y) of the whole sample, (B,): a sum, never divided by the length."""
        if self.ref_logp is None:
            raise ValueError("this recipe needs ref_logp, the log-probabilities of the reference")
        return torch.where(self.mask, self.ref_logp, torch.zeros_like(self.ref_logp)).sum(1)

    def rewarded(self, reward: Tensor) -> Rollouts:
        """The same batch with another reward."""
        return replace(self, reward=reward)


@dataclass(frozen=True)
class Step:
    """What a loss sees of one micro-batch."""

    logp: Tensor  # (B, T) of the policy being trained, with gradient
    old_logp: Tensor  # (B, T)
    ref_logp: Tensor | None  # (B, T)
    advantage: Tensor  # (B, T)
    mask: Tensor  # (B, T) bool
    entropy: Tensor | None = None  # (B, T) exact −Σ p log p at every token, with gradient
    log_z: Tensor | None = None  # (B, 1) log Z of the prompt by the head, with gradient

    @property
    def ratio(self) -> Tensor:
        """ρ = π/π_old per token, (B, T)."""
        return torch.exp(self.logp - self.old_logp)

    def is_clipped(self, low: float, high: float) -> Tensor:
        """True where the clipped surrogate has no gradient, (B, T)."""
        held = self.ratio.clamp(1 - low, 1 + high)
        return held * self.advantage < self.ratio * self.advantage


@dataclass(frozen=True)
class Traits:
    """What a recipe may ask of a task; None where only the user's own data can tell."""

    name: str
    many_prompts: bool | None
    binary: bool | None
    """Scores are 0 or 1."""
    lowest: float | None
    highest: float | None
    equivalence: bool | None
    """The task can say whether two completions mean the same."""
