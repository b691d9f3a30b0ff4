"""The nouns of a configuration: one frozen dataclass a section. Defaults are for a laptop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = [
    "CheckpointOptions",
    "Config",
    "ControlOptions",
    "EvalOptions",
    "LogOptions",
    "Named",
    "PolicyOptions",
    "RecipeOptions",
    "Stage",
    "TrainOptions",
]


@dataclass(frozen=True)
class PolicyOptions:
    """What is trained, and from what it is told apart."""

    model: str = "molecules-250k"
    """A bundled prior, a folder, or a hub id."""
    reference: str | None = None
    """The frozen reference; None: the model itself as it was before the run."""
    device: str = "auto"
    dtype: Literal["float32", "float64", "bfloat16", "auto"] = "float32"
    lora_rank: int = 0
    """Rank of LoRA adapters; 0 trains all weights."""
    lora_alpha: int = 32
    gradient_checkpointing: bool = False
    trust_remote_code: bool = False
    shard: bool = False
    """Spread the weights over the processes (fully_shard) instead of copying them to each."""


@dataclass(frozen=True)
class TrainOptions:
    """One optimizer step and how many of them; the batch is prompts × samples."""

    steps: int = 150
    prompts: int = 1
    """Different prompts of a step."""
    samples: int = 64
    """Completions of each prompt: the group."""
    seed: int = 0
    limit: int = 64
    """Longest completion, in tokens."""
    temperature: float = 1.0
    graphs: bool = False
    """Record the decoding step of a small model on a GPU and replay it (CUDA graphs)."""
    sampler: str = "engine"
    """``engine``, ``generate`` (that of transformers), or a ``package.module:function`` of the type
    trainer.sampling.Sampler, such as one over vLLM."""
    epochs: int = 1
    """Passes over the same rollouts."""
    minibatches: int = 1
    """Optimizer steps of a pass."""
    micro_rows: int | None = None
    """Most rows of a forward pass; None: as many as ``micro_tokens`` allows."""
    micro_tokens: int = 4096
    """Most tokens, padding included, of a forward pass. Rows of like length go together, so that
    few of them are padding; on a GPU with room, more is faster."""
    recompute: bool | None = None
    """Score the rollouts anew with the trainer before the first update; None: where sampler and
    trainer may differ, which is with a sampler of one's own, and in bfloat16 with several updates
    per batch."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup: int = 0
    clip_norm: float = 1.0
    mask_truncated: bool = False
    """Completions that the limit cut give no gradient."""
    redraws: int = 3
    """Rounds of fresh prompts for groups that dynamic sampling drops."""
    max_kl: float = 500.0
    """Nats per completion at which a run counts as broken and is stopped."""
    threads: int | None = None


@dataclass(frozen=True)
class EvalOptions:
    """Fresh samples every so many steps."""

    every: int = 10
    samples: int = 400
    final: int | None = None
    """Samples of the last evaluation; None: as many as of the others."""
    prompts: int | None = None
    """Most prompts that are asked; the samples are spread over them evenly."""
    split: str = "eval"
    temperature: float | None = None
    """None: that of training."""
    keep: bool = True
    """Write the completions as a table."""


@dataclass(frozen=True)
class CheckpointOptions:
    """When to save and how much to keep."""

    every: int | None = None
    """Steps; None: at every evaluation."""
    keep: int | None = None
    """How many of the newest stay, beside the one that the advice names; None: all."""


@dataclass(frozen=True)
class LogOptions:
    """Where else the metrics go; metrics.jsonl is always written."""

    sinks: tuple[str, ...] = ()
    """``tensorboard``, ``wandb``, ``mlflow``."""
    project: str = "qdlaws"


@dataclass(frozen=True)
class Named:
    """A section that names something and passes the rest of its keys on to it."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def flat(self) -> dict[str, Any]:
        """As it stands in the file."""
        return {"name": self.name, **self.options}


@dataclass(frozen=True)
class RecipeOptions:
    """The algorithm, its knobs at the start, and the rest of its own options."""

    name: str = "rloo"
    kl: float | None = None
    """None: what the recipe publishes."""
    reward_scale: float | None = None
    entropy: float | None = None
    normalise: Literal["recipe", "none", "batch", "group"] = "recipe"
    """Divide the reward's signal by nothing, by one scalar of the batch, or by the group's std."""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ControlOptions:
    """Who turns the knobs, towards what, and whether the run may end early."""

    name: str = "fixed"
    advise: bool = True
    """Ask for advice at every evaluation and write it down."""
    stop: bool = False
    """End when the advice says so, by statements that hold at every look."""
    min_diversity: float | None = None
    min_entropy: float | None = None
    price: float | None = None
    target_quality: float | None = None
    min_gain_per_step: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def goal(self) -> dict[str, float]:
        """The wishes that were stated."""
        names = ("min_diversity", "min_entropy", "price", "target_quality", "min_gain_per_step")
        return {n: getattr(self, n) for n in names if getattr(self, n) is not None}


@dataclass(frozen=True)
class Stage:
    """Changes from the update after step ``at`` on: ``set`` holds dotted keys and values."""

    at: int
    set: Mapping[str, Any]
    name: str = ""


@dataclass(frozen=True)
class Config:
    """A whole run."""

    policy: PolicyOptions = field(default_factory=PolicyOptions)
    task: Named = field(default_factory=lambda: Named("molecules", {"objective": "qed"}))
    recipe: RecipeOptions = field(default_factory=RecipeOptions)
    train: TrainOptions = field(default_factory=TrainOptions)
    eval: EvalOptions = field(default_factory=EvalOptions)
    checkpoint: CheckpointOptions = field(default_factory=CheckpointOptions)
    control: ControlOptions = field(default_factory=ControlOptions)
    log: LogOptions = field(default_factory=LogOptions)
    stages: tuple[Stage, ...] = ()
