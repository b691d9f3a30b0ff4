"""Names that need no tool: clocks, runs, phases, and quantities of tables of unknown origin."""

from __future__ import annotations

import re
from functools import lru_cache

from qdlaws.core.kinds import EntropyKind as E

__all__ = [
    "CLOCK", "DIVERSITY", "ENTROPY", "KL", "PREFIXED", "QUALITY", "RUN_CODE", "UNSTATED",
    "is_held_out", "is_phase_name", "is_run_name", "is_spread", "is_step_name",
]  # fmt: skip

RUN_CODE = "\0"
"""How the name of a column begins that numbers the runs, or the phases, of a table."""
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

UNSTATED = "the log does not say which estimator, unit or reference"

_HELD = r"(?:eval(?:uation)?|val(?:id(?:ation)?)?|test|held_?out)"
_PREFIX = rf"(?i)(?:.*[/.])?(?:(?:train(?:ing)?|rollout|{_HELD})[-_ ])?"
_MEAN = r"(?:[_/ ](?:mean|avg|average))?"
_AVERAGE = r"(?:(?:mean|avg|average)[ _/]?)?"
_ACCURACY = r"acc(?:uracy)?|pass@?_?1|success_rate|solve_rate|fitness|objective|win_?rate"

QUALITY = (
    (rf"{_PREFIX}{_AVERAGE}quality{_MEAN}", "quality"),
    (rf"{_PREFIX}{_AVERAGE}(?:rewards?|scores?|returns?){_MEAN}", "reward"),
    (rf"{_PREFIX}(?:ep_rew_mean|episode_(?:return|reward)(?:_mean)?|episodic_return)", "return"),
    (rf"(?i)(?:.*[/_. ])?(?:{_ACCURACY}){_MEAN}", "accuracy"),
)
DIVERSITY = (
    (rf"{_PREFIX}{_AVERAGE}(diversity){_MEAN}", "{}"),
    (rf"{_PREFIX}(int(?:ernal)?_?div(?:ersity)?\w*)", "{}"),
    (rf"{_PREFIX}(\w*(?:diversity|distinct|vendi|uniqueness|unique_fraction)\w*)", "{}"),
)
ENTROPY = (
    (rf"{_PREFIX}{_AVERAGE}token_entropy{_MEAN}", E.TOKEN),
    (rf"{_PREFIX}{_AVERAGE}sequence_entropy{_MEAN}", E.SEQUENCE),
    (rf"{_PREFIX}{_AVERAGE}token_nll{_MEAN}", E.TOKEN_NLL),
    (rf"{_PREFIX}{_AVERAGE}sequence_nll{_MEAN}", E.SEQUENCE_NLL),
    (rf"{_PREFIX}{_AVERAGE}(?:policy_|actor_)?entropy{_MEAN}", E.UNKNOWN),
    (rf"{_PREFIX}{_AVERAGE}(?:nll|neg_log_prob){_MEAN}", E.UNKNOWN),
)
KL = ((rf"{_PREFIX}{_AVERAGE}(?:approx_)?kl(?:[_/](?:mean|ref|div|divergence))?", UNSTATED),)


def is_held_out(name: str) -> bool:
    """Whether a name says that it was measured on data kept apart from training."""
    return re.fullmatch(rf"(?i){_HELD}[-_/. ].*", name) is not None


def is_spread(name: str) -> bool:
    """Whether a name is that of an error or an extreme beside a mean, not of the mean itself."""
    ending = r"(?i).*[_/](?:se|sem|stderr|std|stddev|sd|var|min|max|median|p\d+)"
    return re.fullmatch(ending, name) is not None


def is_step_name(name: str) -> bool:
    """Whether a column of this name counts the steps."""
    return any(re.fullmatch(pattern, name) for pattern in CLOCK)


@lru_cache(maxsize=1 << 16)
def is_run_name(name: str) -> bool:
    """Whether a column of this name tells the runs of one table apart."""
    words = r"(?i)(?:run|experiment|exp|trial|model)(?:[_ ]?(?:id|name))?|(?:random_)?seed"
    return re.fullmatch(words, name) is not None


@lru_cache(maxsize=1 << 16)
def is_phase_name(name: str) -> bool:
    """Whether a column of this name may say which rows are training and which evaluation."""
    return re.fullmatch(r"(?i)type|kind|phase|split|mode|stage|event|subset", name) is not None
