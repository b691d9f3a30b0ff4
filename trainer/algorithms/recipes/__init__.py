"""The published algorithms, one short function each; a default *is* the paper's.

``RECIPES`` maps each name to its function; ``RECIPES["grpo"]()`` is a :class:`Recipe`.
``live`` and ``plant`` are what the exact bandit of :mod:`trainer.analysis.plant` says of each;
tested.
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

__all__ = [
    "RECIPES",
    "clip_cov",
    "dapo",
    "darling",
    "dph_alpha",
    "dph_forward",
    "dph_js",
    "dr_grpo",
    "entropy_bonus",
    "grpo",
    "kl_cov",
    "mara",
    "mara_forward",
    "nsr",
    "pass_at_k",
    "psr",
    "reinforce",
    "reinvent",
    "reinvent_mara",
    "reverse_kl",
    "rloo",
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
    )
}
"""The published algorithms by name; each function makes a recipe with the defaults of its paper."""
