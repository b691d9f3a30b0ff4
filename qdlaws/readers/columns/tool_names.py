"""The names under which each tool logs quality, diversity, entropy and KL.

The same key means different things in different tools, so a name is only read within the dialect
of its tool. A name is a regular expression over the whole key; trackers add ``train/`` in front.
``docs/reading.md`` says for each tool which release or commit its names were read from. The module
is long because it is one table, whose order counts: a tool that writes another's names comes first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache, lru_cache

from qdlaws.core.kinds import EntropyKind as E
from qdlaws.core.run_rows import KL_KIND, TOOL
from qdlaws.readers.columns import generic_names as guesses
from qdlaws.readers.columns.dialect import (
    AUXILIARY,
    BEHAVIOUR,
    OLD,
    PRIOR,
    ROLES,
    Dialect,
)
from qdlaws.readers.columns.dialect import kl_kind as _kl
from qdlaws.readers.columns.generic_names import CLOCK, RUN_CODE
from qdlaws.readers.columns.likelihoods import AGENT_NLL, PRIOR_MINUS_AGENT

__all__ = ["DIALECTS", "NO_ENTROPY", "OURS", "PLAIN", "dialect_of", "is_measured", "is_wanted"]

OURS = Dialect(  # as trackers name it; an evaluation's column is plain in the log
    TOOL,
    marks=("eval/n_samples", "eval/(?:quality|reward|diversity|entropy)"),
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

ROLL = Dialect(  # writes verl's names too, so it is looked for first
    "roll",
    marks=(
        r"system/(?:global_)?step",
        "system/batch_size|system/samples",
        "(?:.+/)?critic/entropy/mean",
        "(?:.+/)?critic/correct/mean",
        "(?:.+/)?critic/token_level_rewards_mean/mean",
        "(?:.+/)?critic/score_distribution/.+",
        "val_correct/.+",
    ),
    quality=(("critic/score/mean", "train_reward"), ("rollout/score/mean", "train_reward")),
    entropy=(("critic/entropy/mean", E.TOKEN),),
    kl=(
        ("actor/kl_loss", _kl("k3 unless configured otherwise", "per token")),
        ("critic/kl", _kl("k1", "mean over sequences of the token mean")),
        ("actor/approxkl", _kl("k1", "per token", OLD)),
    ),
    eval_quality=(
        ("val_correct/all/mean", "validation_correct"),
        ("val/score/mean", "validation_score"),
    ),
)

VERL = Dialect(
    "verl",
    marks=(
        "actor/pg_loss", "critic/score/mean", "critic/rewards/mean", "actor/ppo_kl",
        "actor/entropy", "actor/entropy_loss", "actor/kl_loss", "actor/reward_kl_penalty",
        "actor/pg_clipfrac", "val-(?:core|aux)/.+", "val/test_score/.+", "training/global_step",
        "response_length/clip_ratio",
    ),
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
)  # fmt: skip

ASYNC_GRPO = Dialect(
    "trl-async-grpo",
    marks=(r"(?:train/)?perf/weight_sync_s", "(?:train/)?reward_std", "(?:train/)?ratio/?.*"),
    quality=((r"(?:train/)?reward", "train_reward"),),
    entropy=((r"(?:train/)?entropy", E.TOKEN),),
    kl=((r"(?:train/)?kl", _kl("k3", "per token", BEHAVIOUR)),),
    eval_quality=((r"eval[_/]reward", "eval_reward"),),
    eval_entropy=((r"eval[_/]entropy", E.TOKEN),),
)

TRL_OLD = Dialect(
    "trl-ppo",
    marks=(
        "(?:train/)?objective/kl", "(?:train/)?objective/scores", "(?:train/)?objective/entropy",
        "(?:train/)?objective/rlhf_reward", "(?:train/)?policy/entropy_avg",
    ),
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
)  # fmt: skip

REWARD_FUNCTION = r"rewards/([^/]+?)(?:/mean)?"
TRL = Dialect(
    "trl",
    marks=(
        "(?:train/|eval[_/])?reward_std",
        "(?:train/|eval[_/])?frac_reward_zero_std",
        "(?:train/|eval[_/])?completions?(?:/.+|_length)",
        "(?:train/|eval[_/])?rewards/[^/]+(?:/(?:mean|std))?",
        "(?:train/|eval[_/])?clip_ratio(?:/.+)?",
        "(?:train/)?(?:grad_norm|learning_rate|num_tokens)",
    ),
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
    marks=(
        "(?:train/)?logprobs_diff", "(?:train/)?rollout/reward_mean", "(?:train/)?vllm_kl",
        "(?:train/)?rollout/truncated_rate", "(?:train/)?group_reward_std", "(?:train/)?actor_lr",
        "(?:train/)?actor_grad_norm", "(?:train/)?return", "(?:train/)?policy_loss",
    ),
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
)  # fmt: skip

PRIME_RL = Dialect(
    "prime-rl",
    marks=(
        "mismatch_kl/all/mean", "entropy/all/mean", "kl_ent_ratio/mean", "reward/all/mean",
        r"train/(?:agg/)?(?:all|effective)/.+/mean", r"train/.+/(?:all|effective)/.+/reward/mean",
        "optim/(?:lr|grad_norm)",
    ),
    quality=(
        (r"train/agg/all/(?:.+/)?reward/mean", "train_reward"),
        (r"train/agg/effective/(?:.+/)?reward/mean", "train_reward_of_effective_rollouts"),
        ("reward/all/mean|reward/mean", "train_reward"),
        (r"train/.+/all/(?:.+/)?reward/mean", "train_reward"),
        (r"train/.+/reward/mean|reward/.+/mean", "train_reward"),
    ),
    entropy=(("entropy/all/mean|entropy/mean", E.TOKEN),),
    kl=(("mismatch_kl/(?:all/)?mean", _kl("k3", "per token", BEHAVIOUR)),),
    eval_quality=(
        (r"eval/agg/all/(?:.+/)?reward/mean", "eval_reward"),
        (r"eval/.+/(?:avg|mean)@\d+", "eval_score"),
        (r"eval/.+/reward/mean", "eval_reward"),
    ),
)  # fmt: skip

NEMO_RL = Dialect(
    "nemo-rl",
    marks=(
        "train/approx_entropy", "train/gen_kl_error", "train/token_mult_prob_error",
        "train/probs_ratio", "train/sampling_importance_ratio", "train/global_valid_toks",
    ),
    quality=(("train/reward", "train_reward"), ("train/mean_total_reward", "train_reward")),
    entropy=(("train/approx_entropy", E.TOKEN_NLL),),
    kl=(
        ("train/kl_penalty", _kl("k3 unless configured otherwise", "per token")),
        ("train/gen_kl_error", _kl("k3", "per token", BEHAVIOUR)),
    ),
    eval_quality=(("validation/accuracy", "validation_reward"),),
)  # fmt: skip

SKYRL = Dialect(
    "skyrl",
    marks=(
        "policy/policy_entropy", "reward/avg_raw_reward", "loss/avg_final_rewards",
        r"reward/avg_pass_at_\d+", "policy/policy_loss", "eval/all/avg_score",
        "generate/avg_num_tokens",
    ),
    quality=(
        ("reward/avg_raw_reward", "train_reward"),
        ("loss/avg_final_rewards", "train_reward_after_kl"),
    ),
    entropy=(("policy/policy_entropy", E.TOKEN),),
    kl=(
        ("policy/policy_kl", _kl("k3 unless configured otherwise", "per token")),
        ("loss/avg_kl", _kl("kind not stated", "per token")),
    ),
    eval_quality=(("eval/all/avg_score", "eval_reward"), ("eval/.+/avg_score", "eval_reward")),
)  # fmt: skip

SLIME = Dialect(
    "slime",
    marks=(
        "rollout/raw_reward", "train/pg_clipfrac", "train/ppo_kl", "train/entropy_loss",
        "rollout/response_lengths", "rollout/(?:ref_)?log_probs", "train/pg_loss",
    ),
    quality=(("rollout/raw_reward", "train_reward"),),
    entropy=(
        ("rollout/entropy", E.TOKEN),
        ("train/entropy_loss", E.TOKEN),  # named a loss, it is an entropy
    ),
    kl=(
        ("train/kl_loss", _kl("k1 unless kl_loss_type says otherwise", "per token")),
        ("train/ppo_kl", _kl("k1", "per token", OLD)),
    ),
    eval_quality=((r"eval/(?!step$)[^/]+(?<!_ratio)(?<!-pass@\d)", "eval_reward"),),
)  # fmt: skip

AREAL_ACTOR = r"(?:ppo|grpo)_actor"
AREAL = Dialect(
    "areal",
    marks=(
        rf"{AREAL_ACTOR}/task_reward/avg", rf"{AREAL_ACTOR}/update/entropy/avg",
        rf"{AREAL_ACTOR}/update/actor_loss/avg", rf"{AREAL_ACTOR}/no_eos_ratios/avg",
        rf"{AREAL_ACTOR}/kl_rewards/avg", "eval-rollout/reward", "timeperf/.+",
    ),
    quality=(
        (rf"{AREAL_ACTOR}/task_reward/avg", "train_reward"),
        ("rollout/reward", "train_reward"),
    ),
    entropy=((rf"{AREAL_ACTOR}/update/entropy/avg", E.TOKEN),),
    kl=(
        (rf"{AREAL_ACTOR}/update/approx_kl/avg", _kl("k1", "per token", OLD)),
        (rf"{AREAL_ACTOR}/update/behave_approx_kl/avg", _kl("k1", "per token", BEHAVIOUR)),
    ),
    eval_quality=(("eval-rollout/reward", "eval_reward"),),
)  # fmt: skip

XTUNER = Dialect(
    "xtuner",
    marks=(
        "entropy/rollout", "entropy/train", "response/rewards/mean", "response/advantages/mean",
        r"train_metrics/worker_\d+/.+",
    ),
    quality=(
        ("response/raw_rewards/mean", "train_reward"),
        ("response/rewards/mean", "train_reward"),
    ),
    entropy=(("entropy/train", E.TOKEN_NLL), ("entropy/rollout", E.TOKEN_NLL)),
    eval_quality=(("eval/accuracy", "eval_accuracy"), (r"eval/.+/accuracy", "eval_accuracy")),
)  # fmt: skip

TINKER = Dialect(
    "tinker",
    marks=(
        "optim/entropy", r"optim/kl_sample_train_v\d", "env/all/reward/total", "progress/batch",
        "progress/done_frac", "optim/lr",
    ),
    quality=(
        ("env/all/reward/total", "train_reward"),
        (r"env/.+/reward/total", "train_reward"),
        ("reward/total", "train_reward"),
    ),
    entropy=(("optim/entropy", E.TOKEN_NLL),),
    kl=(
        ("kl_policy_base", _kl("k1", "per token")),
        (r"optim/kl_sample_train_v\d", _kl("k1 (v1), k2 (v2)", "per token", BEHAVIOUR)),
    ),
    eval_quality=(
        (r"test/env/all/reward/total", "eval_reward"),
        (r"test/.+/(?:correct|reward/total|accuracy)", "eval_score"),
    ),
)  # fmt: skip

PRIOR_KL = _kl("k1 (prior NLL − agent NLL)", "per sequence", PRIOR)
REINVENT_TB = Dialect(
    "reinvent4-tensorboard",
    marks=(
        r"(?:.*/)?Average total score",
        r"(?:.*/)?NLL/agent|(?:.*/)?Loss.*likelihood.*/agent NLL",
        "(?:.*/)?Fraction of valid SMILES",
        "iSIM: Average similarity",
    ),
    quality=((r"(?:.*/)?Average total score", "mean_score"),),
    diversity=(("1 − iSIM", "1 − iSIM"),),
    entropy=((r"(?:.*/)?NLL/agent|(?:.*/)?Loss.*likelihood.*/agent NLL", E.SEQUENCE_NLL),),
    kl=((PRIOR_MINUS_AGENT, PRIOR_KL),),
)

REINVENT_3 = Dialect(
    "reinvent3-tensorboard",
    marks=("Average score", "nll/avg/(?:agent|prior)", "Valid SMILES", "Number of SMILES found"),
    quality=(("Average score", "mean_score"),),
    entropy=((AGENT_NLL, E.SEQUENCE_NLL),),
    kl=((PRIOR_MINUS_AGENT, PRIOR_KL),),
)

REINVENT_TABLE = Dialect(
    "reinvent-likelihoods",
    marks=("(?i)agent_likelihoods?", "(?i)prior_likelihoods?"),
    entropy=((AGENT_NLL, E.SEQUENCE_NLL),),
    kl=((PRIOR_MINUS_AGENT, PRIOR_KL),),
)

NANO_AHA = Dialect(
    "nano-aha-moment",
    marks=(r"train/reward_metrics/.+", "train/rewards", "train/kl_penalty"),
    quality=(("train/rewards", "train_reward"),),
    entropy=(("train/entropy", E.TOKEN_NLL_TWICE_AVERAGED),),
    kl=(("train/kl_penalty", _kl("k3", "per token")),),
    eval_quality=(("eval/rewards", "eval_reward"),),
)

MOLECULES = Dialect(  # tables of molecules, summed up by our own reader
    "molecules",
    marks=("valid_fraction", "unique_fraction"),
    quality=(("quality", "mean_score"),),
    diversity=(("diversity", "internal_diversity"),),
    entropy=(("entropy", E.SEQUENCE_NLL),),
    kl=(("kl", PRIOR_KL),),
)

SYMBOLS = Dialect(  # tables in the symbols of the laws
    "symbols",
    marks=("R", "H", "D", "KL"),
    quality=(("R", "unknown"),),
    diversity=(("D", "unknown"),),
    entropy=(("H", E.UNKNOWN),),
    kl=(("KL", guesses.UNSTATED),),
)

PLAIN = Dialect(
    "plain",
    marks=(),
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
    OURS, ROLL, VERL, ASYNC_GRPO, TRL_OLD, PRIME_RL, NEMO_RL, SKYRL, AREAL, XTUNER, SLIME,
    OPENRLHF, REINVENT_TB, REINVENT_3, REINVENT_TABLE, TINKER, NANO_AHA, MOLECULES, TRL,
    SYMBOLS, PLAIN,
)  # fmt: skip
"""In the order in which they are looked for: a tool that writes another's names comes first."""


NO_ENTROPY = {
    "trl": "TRL logs it from 0.22 on",
    "verl": "actor.calculate_entropy=True logs it",
    "openrlhf": "--actor.entropy_coef 0 logs it",
}
"""How to get an entropy into the next log, for tools that leave it out."""


def dialect_of(tool: str, columns: Iterable[str]) -> Dialect:
    """The dialect of a tool, or of the tool two of whose marks these columns bear, or the plain.

    In a file of the transformers trainer one mark will do: the file is the other.
    """
    dialects = {d.tool: d for d in DIALECTS}
    dialects |= {"ms-swift": TRL, "reinvent4": MOLECULES, "reinvent4-log": MOLECULES}
    dialects |= {"saturn": MOLECULES}
    if tool in dialects:
        return dialects[tool]
    names = list(columns)
    if (dialect := next((d for d in DIALECTS if d.is_written_in(names)), None)) is not None:
        return dialect
    family = (TRL_OLD, TRL) if tool == "trainer" else ()
    return next((d for d in family if d.is_written_in(names, 1)), PLAIN)


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
        *(mark for d in DIALECTS for mark in d.marks),
        r".*(?:_se|/se|_std|/std|n_samples|batch_size)",
    )


@cache
def _role_patterns(roles: tuple[str, ...]) -> tuple[str, ...]:
    each = (d.names(r, e) for d in DIALECTS for r in roles for e in (False, True))
    return tuple(pattern for names in each for pattern, _ in names)
