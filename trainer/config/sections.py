"""The sections of a configuration: a frozen dataclass each. Defaults are for a laptop.

A limit on a value is part of its type and checked by msgspec when a configuration is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from msgspec import Meta

__all__ = [
    "CheckpointOptions",
    "Config",
    "ControlOptions",
    "EvalOptions",
    "LogOptions",
    "PolicyOptions",
    "RecipeOptions",
    "Stage",
    "TaskOptions",
    "TrainOptions",
]

Count = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]


@dataclass(frozen=True)
class PolicyOptions:
    """The model that is trained and the reference that it is compared with."""

    model: str = "molecules-250k"
    """A bundled prior, a folder, or a hub id."""
    reference: str | None = None
    """The frozen reference; None: the model itself as it was before the run."""
    device: str = "auto"
    """The processor: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; ``auto`` takes a GPU where there is
    one."""
    dtype: Literal["float32", "float64", "bfloat16", "auto"] = "float32"
    """Precision of the weights; ``auto`` takes that of the model's own files."""
    lora_rank: Natural = 0
    """Rank of LoRA adapters; 0 trains all weights."""
    lora_alpha: Count = 32
    """Scale of the LoRA adapters: they are multiplied by ``lora_alpha / lora_rank``."""
    train_layers: Natural = 0
    """Train only so many of the last layers, and neither embeddings nor output layer; 0 trains all
    weights."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, about a third slower."""
    trust_remote_code: bool = False
    """Let transformers run Python code that comes with the model. A file that says so needs
    ``--trust``."""
    shard: bool = False
    """Spread the weights over the processes (fully_shard) instead of copying them to each."""
    gather: bool = True
    """With ``shard``: rollouts, scoring and evaluations gather all weights on each process while
    they last. False: a layer at a time, for a policy of which no device holds a whole copy; slower,
    and ``train.sampler`` must be ``generate`` or one of the user's."""


@dataclass(frozen=True)
class TrainOptions:
    """The steps of a run: sampling and optimizer. The batch is prompts × samples."""

    steps: Count = 150
    """Training steps; each draws a batch, scores it and updates the policy."""
    prompts: Count = 1
    """Different prompts of a step."""
    samples: Count = 64
    """Completions of each prompt: the group."""
    seed: Seed = 0
    """Seed of all that is drawn by chance."""
    limit: Count = 64
    """Longest completion, in tokens."""
    temperature: Positive = 1.0
    """Temperature of sampling."""
    graphs: bool = False
    """Record the decoding step of a small model on a GPU and replay it (CUDA graphs)."""
    precision: Literal["float32", "bf16"] = "float32"
    """Precision of the matrix products in sampling, scoring and gradient; ``bf16`` computes them in
    bfloat16 while weights, sums and optimizer keep their precision: several times faster for models
    from about 10 million weights on where the processor has instructions for it."""
    sampler: str = "engine"
    """``engine``, ``generate`` (that of transformers), ``vllm`` (needs the package and a GPU; its
    rounding is corrected by importance weights), or a ``package.module:function`` of the type
    trainer.sampling.Sampler."""
    epochs: Count = 1
    """Passes over the same rollouts."""
    minibatches: Count = 1
    """Optimizer steps of a pass."""
    micro_rows: Count | None = None
    """Most rows of a forward pass; None: as many as ``micro_tokens`` allows."""
    micro_tokens: Count | None = None
    """Most tokens, padding included, of a forward pass. Rows of like length go together, so that
    few of them are padding. None: 2¹⁸ over the hidden size of the model, from 256 to 4,096, of
    which a CPU's caches hold a layer; 16,384 on a GPU."""
    ahead: Annotated[int, Meta(ge=0, le=1)] = 0
    """1: draw the next batch, in a thread and from a copy of the weights, while the policy learns
    from this one; its completions are then one update old, which the importance weights correct.
    Pays where scoring waits for an oracle or another device."""
    importance_cap: Positive = 2.0
    """Largest importance weight of a token that was drawn ahead or by vLLM (truncated importance
    sampling)."""
    packed: bool | None = None
    """Score rows without padding and a prompt of many rows once, where the model is a plain Llama
    or Qwen2; false: by transformers' own forward pass. None: true, written down when a run begins,
    so that a run from before there was a choice goes on as it began."""
    recompute: bool | None = None
    """Score the rollouts anew with the trainer before the first update; None: where sampler and
    trainer may differ, which is with a sampler of the user's, and in bfloat16, pure or mixed, with
    several updates per batch."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """The optimizer."""
    lr: Positive = 5e-4
    """Learning rate."""
    betas: tuple[float, float] = (0.9, 0.999)
    """The two decay rates of AdamW."""
    weight_decay: NonNegative = 0.0
    """Weight decay of the optimizer."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Course of the learning rate after the warm-up; ``linear`` and ``cosine`` fall to 0 at the
    last step."""
    warmup: Natural = 0
    """Steps in which the learning rate rises from 0."""
    clip_norm: Positive = 1.0
    """Largest norm of a gradient; a larger one is scaled down to it."""
    mask_truncated: bool = False
    """Completions that the limit cut give no gradient."""
    redraws: Natural = 3
    """Rounds of fresh prompts for groups that dynamic sampling drops."""
    max_kl: Positive = 500.0
    """Nats per completion at which a run counts as broken and is stopped."""
    threads: Count | None = None
    """Processor threads of torch; None: as many as torch takes, noted so that a resumed run takes
    the same."""


@dataclass(frozen=True)
class EvalOptions:
    """Evaluations: fresh samples every so many steps."""

    every: Count = 10
    """Steps from one evaluation to the next."""
    samples: Annotated[int, Meta(ge=4)] = 400
    """Completions of an evaluation: at least 4, so that the figures have a standard error."""
    final: Count | None = None
    """Samples of the last evaluation; None: as many as of the others."""
    prompts: Count | None = None
    """Most prompts of an evaluation; the samples are spread over them evenly."""
    split: str = "eval"
    """The prompts of evaluations: ``eval`` are held out, ``train`` are those of training."""
    temperature: Positive | None = None
    """Temperature of the samples; None: that of training."""
    keep: bool = True
    """Write the completions as a table."""


@dataclass(frozen=True)
class CheckpointOptions:
    """When a run saves checkpoints, and how many it keeps."""

    every: Count | None = None
    """Steps from one checkpoint to the next; None: one at every evaluation."""
    keep: Natural | None = None
    """How many of the newest stay, beside the one that the advice names; None: all."""
    parts: bool = False
    """With ``policy.shard``: each process writes its part of weights and optimizer, and none is
    gathered. ``qdtrain export`` makes a model of such a checkpoint."""


@dataclass(frozen=True)
class LogOptions:
    """Trackers that get the metrics too; metrics.jsonl is always written."""

    sinks: tuple[str, ...] = ()
    """``tensorboard``, ``wandb``, ``mlflow``."""
    project: str = "qdlaws"
    """Name of the project in W&B and of the experiment in MLflow."""


@dataclass(frozen=True)
class TaskOptions:
    """The task, by its name or as ``package.module:function``, and the options of that task.

    Every task takes ``equivalence``, which answers mean the same: a key, ``similarity:0.5``,
    ``learned:FOLDER`` or ``package.module:function`` of two texts; also ``equivalence_threshold``
    of a classifier and ``equivalence_short_words``, up to which words in common decide.
    """

    name: str = "molecules"
    """``molecules``, ``arithmetic``, ``sql``, ``stories``, ``dataset``, ``bandit``, or
    ``package.module:function``."""
    options: Mapping[str, Any] = field(default_factory=dict)
    in_process: bool = False
    """Run a task of the user's in the trainer's own process, such as for a debugger: there it has
    no time limit, and what it starts may outlive the run."""
    answer_seconds: Positive = 10.0
    """Most seconds of a completion for a task of the user's; one that hangs ends the run."""


@dataclass(frozen=True)
class RecipeOptions:
    """The algorithm, its knobs at the start, and the other options of that algorithm."""

    name: str = "rloo"
    """The recipe; ``qdtrain recipes`` lists them."""
    kl: NonNegative | None = None
    """Strength of the divergence from the reference; None: what the recipe publishes."""
    reward_scale: NonNegative | None = None
    """Factor of the reward; none: what the recipe publishes."""
    entropy: float | None = None
    """Weight of the entropy bonus; none: what the recipe publishes."""
    normalise: Literal["recipe", "none", "batch", "group"] = "recipe"
    """Divide the reward's signal by nothing, by one scalar of the batch, or by the group's std."""
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ControlOptions:
    """The controller that turns the knobs, its goal, and whether the run may end early.

    Every controller but ``fixed`` takes ``turn``, the knob to turn: ``reward_scale``, ``kl`` or
    ``entropy``; without it, the first of them that is live in the recipe (entropy controllers
    prefer the entropy bonus).
    """

    name: str = "fixed"
    """``fixed``, ``kl_target``, ``entropy_target``, ``stepped_entropy`` or ``law_guided``."""
    advise: bool = True
    """Ask for advice at every evaluation and write it down."""
    stop: bool = False
    """End the run when the advice is to stop, by tests that are valid at every evaluation."""
    min_diversity: float | None = None
    """Goal: diversity stays at this or above."""
    min_entropy: float | None = None
    """Goal: policy entropy stays at this or above, in nats."""
    price: float | None = None
    """Goal: the most quality that a unit of diversity may cost."""
    target_quality: float | None = None
    """Goal: quality to reach."""
    min_gain_per_step: float | None = None
    """Goal: the least gain of quality per step that is worth going on for."""
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def goal(self) -> dict[str, float]:
        """The parts of the goal that were given."""
        names = ("min_diversity", "min_entropy", "price", "target_quality", "min_gain_per_step")
        return {n: getattr(self, n) for n in names if getattr(self, n) is not None}


@dataclass(frozen=True)
class Stage:
    """Changes from the update after step ``at`` on: ``set`` holds dotted keys and values."""

    at: Natural
    """The stage holds for the update after this step."""
    set: Mapping[str, Any]
    """Dotted keys and their values from then on."""
    name: str = ""
    """A name for the reader."""


@dataclass(frozen=True)
class Config:
    """The configuration of a run."""

    policy: PolicyOptions = field(default_factory=PolicyOptions)
    task: TaskOptions = field(
        default_factory=lambda: TaskOptions("molecules", {"objective": "qed"})
    )
    recipe: RecipeOptions = field(default_factory=RecipeOptions)
    train: TrainOptions = field(default_factory=TrainOptions)
    eval: EvalOptions = field(default_factory=EvalOptions)
    checkpoint: CheckpointOptions = field(default_factory=CheckpointOptions)
    control: ControlOptions = field(default_factory=ControlOptions)
    log: LogOptions = field(default_factory=LogOptions)
    stages: tuple[Stage, ...] = ()
