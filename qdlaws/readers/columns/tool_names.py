"""The names under which each tool logs quality, diversity, entropy and KL.

The same key means different things in different tools, so a name is only read within the dialect
of its tool. A name is a regular expression over the whole key; trackers add ``train/`` in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

from qdlaws.core.kinds import EntropyKind as E
from qdlaws.core.run_rows import KL_KIND, TOOL
from qdlaws.readers.columns import generic_names as guesses

__all__ = [
    "AUXILIARY",
    "CLOCK",
    "DIALECTS",
    "NO_ENTROPY",
    "PREFIXED",
    "RUN_CODE",
    "Dialect",
    "Names",
    "dialect_of",
    "is_measured",
    "is_run_name",
    "is_wanted",
    "to_reference",
]

Names = tuple[tuple[str, str], ...]
"""(pattern of a key, kind), the preferred first; ``{}`` in a kind stands for the group."""

PREFIXED = (
    r"(?!.*(?:tim(?:e|ing)|per_|max|total|last|best|every|warmup|_in_)).+[/_](?:global_)?step"
)
"""A step with a word before it, ``system/step`` or ``env_step``; nothing that lasts or limits."""
CLOCK = (
    "step",
    r"train/global_step|eval/global_step|global_step|trainer/global_step",
    r"steps?|n_?steps?|num_steps?|Step",
    "iterations?|iter|updates?|num_updates",
    "training/global_step",
    PREFIXED,
    "_step",
    "oracle_calls|n_oracle_calls",
    "episodes?|global_steps",
    "(?:train/)?epochs?",
)
"""Names of the step, the preferred first: ``rollout/step`` before W&B's count of log calls."""

ROLES = ("quality", "diversity", "entropy", "kl")
RUN_CODE = "\0"
"""How the name of a column begins that numbers the runs of a table."""
REFERENCE, PRIOR = "the reference", "the prior"
BEHAVIOUR, OLD = "the sampling policy", "the policy before the update"
AUXILIARY = "auxiliary"
"""How the kind of an evaluation begins that is only taken where it is asked for."""


def _kl(estimator: str, unit: str, reference: str = REFERENCE) -> str:
    """The kind of a KL column: its estimator, its unit, and the policy on the other side."""
    return f"{estimator}, {unit}, against {reference}"


@dataclass(frozen=True)
class Dialect:
    """The names of one tool; a log with a key that matches ``marks`` is that tool's."""

    tool: str
    marks: str
    quality: Names = ()
    diversity: Names = ()
    entropy: Names = ()
    kl: Names = ()
    eval_quality: Names = ()
    eval_diversity: Names = ()
    eval_entropy: Names = ()
    eval_kl: Names = ()
    evaluates: bool = False
    """It evaluates on fresh samples: a few evaluations are still better than rollouts."""

    def names(self, role: str, evaluation: bool) -> Names:
        """The names for quality, diversity, entropy or kl, of one series."""
        names: Names = getattr(self, f"eval_{role}" if evaluation else role)
        return names


OURS = Dialect(  # as trackers name it; an evaluation's column is plain in the log
    TOOL,
    marks="eval/n_samples",
    quality=(("train/quality", "train_quality"), ("train/reward", "train_reward")),
    diversity=(("train/diversity", "diversity"),),
    entropy=(("train/entropy", E.UNKNOWN),),
    kl=(("train/kl", _kl("kind not stated", "unit not stated")),),
    eval_quality=(("eval/quality", "eval_quality"), ("eval/reward", "eval_reward")),
    eval_diversity=(("eval/diversity", "diversity"),),
    eval_entropy=(("eval/entropy", E.UNKNOWN),),
    eval_kl=(("eval/kl", KL_KIND),),
    evaluates=True,
)

VERL = Dialect(
    "verl",
    marks=r"actor/pg_loss|critic/score/mean|critic/rewards/mean|actor/ppo_kl|val-core/.+",
    quality=(
        ("critic/score/mean", "train_reward"),
        ("critic/rewards/mean", "train_reward_after_kl"),
    ),
    entropy=(
        ("actor/entropy", E.TOKEN),
        ("actor/entropy_loss", E.TOKEN),
    ),
    kl=(
        ("actor/kl_loss", _kl("k3 unless kl_loss_type says otherwise", "per token")),
        ("actor/reward_kl_penalty", _kl("k1", "mean over sequences of the token mean")),
        ("critic/kl", _kl("k1", "mean over sequences of the token mean")),
        ("actor/token_kl/mean", _kl("log-ratio", "per token", "the teacher")),
        ("actor/ppo_kl", _kl("k1", "per token", OLD)),
        ("rollout_corr/kl", _kl("k1", "per token", BEHAVIOUR)),
    ),
    eval_quality=(
        (r"val-core/.+/(\w+)/mean@\d+", "validation_{}"),
        (r"val/test_score/.+", "validation_score"),
        (r"val-aux/.+/(\w+)/mean@\d+", f"{AUXILIARY} validation_{{}}"),
    ),
)

ASYNC_GRPO = Dialect(
    "trl-async-grpo",
    marks=r"(?:train/)?perf/weight_sync_s",
    quality=((r"(?:train/)?reward", "train_reward"),),
    entropy=((r"(?:train/)?entropy", E.TOKEN),),
    kl=((r"(?:train/)?kl", _kl("k3", "per token", BEHAVIOUR)),),
    eval_quality=((r"eval[_/]reward", "eval_reward"),),
    eval_entropy=((r"eval[_/]entropy", E.TOKEN),),
)

TRL_OLD = Dialect(
    "trl-ppo",
    marks="(?:train/)?objective/(?:kl|scores|rlhf_reward)",
    quality=(
        (r"(?:train/)?objective/scores", "train_reward"),
        (r"(?:train/)?objective/rlhf_reward", "train_reward_after_kl"),
    ),
    entropy=(
        (r"(?:train/)?policy/entropy_avg", E.TOKEN),
        (r"(?:train/)?objective/entropy", E.SEQUENCE_NLL),
    ),
    kl=((r"(?:train/)?objective/kl", _kl("k1", "per sequence (sum)")),),
    eval_quality=((r"eval[_/](?:objective/)?(?:scores|reward)", "eval_reward"),),
)

REWARD_FUNCTION = r"rewards/([^/]+?)(?:/mean)?"
TRL = Dialect(
    "trl",
    marks=r"(?:train/)?(?:reward_std|frac_reward_zero_std|completions?/mean_length|"
    r"completion_length|rewards/[^/]+/mean)|eval[_/]reward_std",
    quality=(
        ("(?:train/)?reward", "train_reward"),
        (rf"(?:train/)?{REWARD_FUNCTION}", "train_reward_{}"),
    ),
    entropy=(("(?:train/)?entropy(?:/mean)?", E.TOKEN),),
    kl=(("(?:train/)?kl", _kl("k3 (GRPO) or k1 (RLOO), the log does not say which", "per token")),),
    eval_quality=(
        ("eval[_/]reward", "eval_reward"),
        (rf"eval[_/]{REWARD_FUNCTION}", "eval_reward_{}"),
    ),
    eval_entropy=(("eval[_/]entropy(?:/mean)?", E.TOKEN),),
    eval_kl=(("eval[_/]kl", _kl("k3 (GRPO) or k1 (RLOO)", "per token")),),
)

OPENRLHF = Dialect(
    "openrlhf",
    marks=r"(?:train/)?(?:logprobs_diff|rollout/reward_mean|group_reward_std|vllm_kl|actor_lr)",
    quality=(
        ("(?:train/)?rollout/reward_mean", "train_reward"),
        ("(?:train/)?reward", "train_reward"),
        ("(?:train/)?return", "train_return"),
    ),
    entropy=(("(?:train/)?entropy_loss", E.TOKEN),),  # named a loss, it is an entropy
    kl=(("(?:train/)?kl", _kl("k1 clamped to ±10 unless configured otherwise", "per token")),),
    eval_quality=(
        (r"(?:eval/)?eval_.+_pass1", "eval_pass1"),
        (r"(?:eval/)?eval_.+_pass\d+", "eval_pass_k"),
    ),
)

PRIME_RL = Dialect(
    "prime-rl",
    marks=r"mismatch_kl/all/mean|entropy/all/mean|train/agg/.+|reward/all/mean",
    quality=(
        (r"train/agg/all/(?:.+/)?reward/mean", "train_reward"),
        (r"train/agg/effective/(?:.+/)?reward/mean", "train_reward_of_effective_rollouts"),
        ("reward/all/mean|reward/mean", "train_reward"),
        (r"train/.+/reward/mean|reward/.+/mean", "train_reward"),
    ),
    entropy=(("entropy/all/mean|entropy/mean", E.TOKEN),),
    kl=(("mismatch_kl/(?:all/)?mean", _kl("k3", "per token", BEHAVIOUR)),),
    eval_quality=(
        (r"eval/agg/all/(?:.+/)?reward/mean", "eval_reward"),
        (r"eval/.+/(?:avg|mean)@\d+", "eval_score"),
        (r"eval/.+/reward/mean", "eval_reward"),
    ),
)

PRIOR_KL = _kl("k1 (prior NLL − agent NLL)", "per sequence", PRIOR)
REINVENT_TB = Dialect(
    "reinvent4-tensorboard",
    marks=r"(?:.*/)?Average total score|NLL/agent",
    quality=((r"(?:.*/)?Average total score", "mean_score"),),
    diversity=(("1 − iSIM", "1 − iSIM"),),
    entropy=((r"(?:.*/)?NLL/agent|(?:.*/)?Loss.*likelihood.*/agent NLL", E.SEQUENCE_NLL),),
    kl=(("prior − agent NLL", PRIOR_KL),),
)

TINKER = Dialect(
    "tinker",
    marks=r"optim/entropy|optim/kl_sample_train_v\d",
    quality=(("env/all/reward/total", "train_reward"), (r"env/.+/reward/total", "train_reward")),
    entropy=(("optim/entropy", E.TOKEN_NLL),),
    kl=(
        ("kl_policy_base", _kl("k1", "per token")),
        (r"optim/kl_sample_train_v\d", _kl("k1 (v1), k2 (v2)", "per token", BEHAVIOUR)),
    ),
    eval_quality=(
        (r"test/env/all/reward/total", "eval_reward"),
        (r"test/.+/(?:correct|reward/total|accuracy)", "eval_score"),
    ),
)

NANO_AHA = Dialect(
    "nano-aha-moment",
    marks=r"train/reward_metrics/.+",
    quality=(("train/rewards", "train_reward"),),
    entropy=(("train/entropy", E.TOKEN_NLL_TWICE_AVERAGED),),
    kl=(("train/kl_penalty", _kl("k3", "per token")),),
    eval_quality=(("eval/rewards", "eval_reward"),),
)

MOLECULES = Dialect(  # tables of molecules, summed up by our own reader
    "molecules",
    marks="valid_fraction",
    quality=(("quality", "mean_score"),),
    diversity=(("diversity", "internal_diversity"),),
    entropy=(("entropy", E.SEQUENCE_NLL),),
    kl=(("kl", PRIOR_KL),),
)

PLAIN = Dialect(
    "plain",
    marks=".*",
    quality=guesses.QUALITY,
    diversity=guesses.DIVERSITY,
    entropy=guesses.ENTROPY,
    kl=guesses.KL,
    eval_quality=tuple((p, f"eval_{k}") for p, k in guesses.QUALITY),
    eval_diversity=guesses.DIVERSITY,
    eval_entropy=guesses.ENTROPY,
    eval_kl=guesses.KL,
)

DIALECTS = (
    OURS, VERL, ASYNC_GRPO, TRL_OLD, PRIME_RL, OPENRLHF, REINVENT_TB, TINKER, NANO_AHA,
    MOLECULES, TRL, PLAIN,
)  # fmt: skip


NO_ENTROPY = {
    "trl": "TRL logs it from 0.22 on",
    "verl": "actor.calculate_entropy=True logs it",
    "openrlhf": "--actor.entropy_coef 0 logs it",
}
"""How to get an entropy into the next log, for tools that leave it out."""


def dialect_of(tool: str, columns: Iterable[str]) -> Dialect:
    """The dialect of a tool, or of the tool whose marks these columns bear, or the plain one."""
    dialects = {d.tool: d for d in DIALECTS}
    dialects |= {"ms-swift": TRL, "reinvent4": MOLECULES, "reinvent4-log": MOLECULES}
    dialects |= {"saturn": MOLECULES}
    if tool in dialects:
        return dialects[tool]
    names = list(columns)
    return next(d for d in DIALECTS if any(re.fullmatch(d.marks, name) for name in names))


def to_reference(kind: str) -> bool:
    """Whether a KL in these words is one to the reference (or prior), not to a recent policy."""
    return kind.endswith((REFERENCE, PRIOR, guesses.UNSTATED))


@lru_cache(maxsize=1 << 16)
def is_run_name(name: str) -> bool:
    """Whether a column of this name tells the runs of one table apart."""
    words = r"(?i)(?:run|experiment|exp|trial|model)(?:[_ ]?(?:id|name))?|(?:random_)?seed"
    return re.fullmatch(words, name) is not None


@lru_cache(maxsize=1 << 16)
def is_measured(name: str) -> bool:
    """Whether a column of this name may be a quality, a diversity or an entropy of some dialect."""
    return any(re.fullmatch(pattern, name) for pattern in _role_patterns(ROLES[:3]))


@lru_cache(maxsize=1 << 16)
def is_wanted(name: str) -> bool:
    """Whether a law could use a column of this name, in whatever dialect."""
    return any(re.fullmatch(pattern, name) for pattern in _wanted_patterns())


@cache
def _wanted_patterns() -> tuple[str, ...]:
    return (
        f"{RUN_CODE}.*",
        *CLOCK,
        *_role_patterns(ROLES),
        r".*(?:_se|/se|_std|/std|n_samples|batch_size)",
    )


@cache
def _role_patterns(roles: tuple[str, ...]) -> tuple[str, ...]:
    each = (d.names(r, e) for d in DIALECTS for r in roles for e in (False, True))
    return tuple(pattern for names in each for pattern, _ in names)
