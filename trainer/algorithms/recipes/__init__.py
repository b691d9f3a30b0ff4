"""The published algorithms, one short function each; a default is the paper's, or says whose.

``RECIPES`` maps each name to its function; ``RECIPES["grpo"]()`` is a :class:`Recipe`.
``live`` and ``plant`` are what the exact bandit of :mod:`trainer.analysis.plant` says of each;
tested.

>>> for make in (
...     reinforce, reinvent, rloo, grpo, dr_grpo, dapo, entropy_bonus, reinvent_mara,
...     darling, mara, mara_forward, dph_forward, dph_js, dph_alpha, reverse_kl,
...     gspo, cispo, sapo, clip_cov, kl_cov, nsr, psr, w_reinforce, pass_at_k,
...     flowrl, grpo_unlikeliness, ips_grpo, qae, rs_grpo, ucpo,
... ):
...     print(make.__name__, sorted(make().live), make().plant)
reinforce ['kl', 'reward_scale'] tilt
reinvent ['reward_scale'] tilt
rloo ['kl', 'reward_scale'] tilt
grpo ['kl'] monotone
dr_grpo [] None
dapo ['reward_scale'] None
entropy_bonus ['entropy', 'reward_scale'] monotone
reinvent_mara ['reward_scale'] monotone
darling ['kl', 'reward_scale'] monotone
mara ['kl', 'reward_scale'] monotone
mara_forward ['kl', 'reward_scale'] monotone
dph_forward ['kl'] monotone
dph_js ['kl'] folded
dph_alpha ['kl'] folded
reverse_kl ['kl'] folded
gspo [] None
cispo [] None
sapo [] None
clip_cov [] None
kl_cov ['kl'] None
nsr [] None
psr [] None
w_reinforce [] None
pass_at_k [] None
flowrl ['reward_scale'] folded
grpo_unlikeliness ['kl'] unsettled
ips_grpo ['kl'] folded
qae [] None
rs_grpo ['kl', 'reward_scale'] monotone
ucpo ['kl'] monotone

Some need a constant that nobody published; ``ILLUSTRATIONS`` has one to look at them with:

>>> differential_smoothing(correct=0.1, wrong=0.1).name, outcome_exploration(weight=0.1).name
('differential_smoothing', 'outcome_exploration')
>>> sorted(ILLUSTRATIONS), illustrated("grpo").name, len(RECIPES)
(['differential_smoothing', 'outcome_exploration'], 'grpo', 32)
"""

from __future__ import annotations

from collections.abc import Callable

from trainer.algorithms.objective import Recipe
from trainer.algorithms.recipes.diversity import (
    darling,
    dph_alpha,
    dph_forward,
    dph_js,
    mara,
    mara_forward,
    reverse_kl,
)
from trainer.algorithms.recipes.off_policy import cispo, gspo, sapo
from trainer.algorithms.recipes.policy_gradient import (
    dapo,
    dr_grpo,
    entropy_bonus,
    grpo,
    reinforce,
    reinvent,
    reinvent_mara,
    rloo,
)
from trainer.algorithms.recipes.selective import clip_cov, kl_cov, nsr, pass_at_k, psr, w_reinforce
from trainer.algorithms.recipes.spreading import (
    differential_smoothing,
    flowrl,
    grpo_unlikeliness,
    ips_grpo,
    outcome_exploration,
    qae,
    rs_grpo,
    ucpo,
)

__all__ = [
    "ILLUSTRATIONS",
    "RECIPES",
    "cispo",
    "clip_cov",
    "dapo",
    "darling",
    "differential_smoothing",
    "dph_alpha",
    "dph_forward",
    "dph_js",
    "dr_grpo",
    "entropy_bonus",
    "flowrl",
    "grpo",
    "grpo_unlikeliness",
    "gspo",
    "illustrated",
    "ips_grpo",
    "kl_cov",
    "mara",
    "mara_forward",
    "nsr",
    "outcome_exploration",
    "pass_at_k",
    "psr",
    "qae",
    "reinforce",
    "reinvent",
    "reinvent_mara",
    "reverse_kl",
    "rloo",
    "rs_grpo",
    "sapo",
    "ucpo",
    "w_reinforce",
]

RECIPES: dict[str, Callable[..., Recipe]] = {
    recipe.__name__: recipe
    for recipe in (
        reinforce,
        reinvent,
        rloo,
        grpo,
        dr_grpo,
        dapo,
        entropy_bonus,
        darling,
        mara,
        mara_forward,
        reinvent_mara,
        dph_forward,
        dph_js,
        dph_alpha,
        reverse_kl,
        clip_cov,
        kl_cov,
        psr,
        nsr,
        w_reinforce,
        pass_at_k,
        grpo_unlikeliness,
        rs_grpo,
        qae,
        ucpo,
        ips_grpo,
        flowrl,
        differential_smoothing,
        outcome_exploration,
        gspo,
        cispo,
        sapo,
    )
}
"""The published algorithms by name; each function makes a recipe with the defaults of its paper."""

ILLUSTRATIONS: dict[str, dict[str, float]] = {
    "differential_smoothing": {"correct": 0.05, "wrong": 0.05},
    "outcome_exploration": {"weight": 0.2},
}
"""Values of required options for tables and the exact bandit: no recommendation."""


def illustrated(name: str) -> Recipe:
    """The recipe of this name with its defaults, and illustrative values of what it requires."""
    return RECIPES[name](**ILLUSTRATIONS.get(name, {}))
