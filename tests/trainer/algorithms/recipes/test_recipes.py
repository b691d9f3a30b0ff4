"""The live knobs and the plant that a recipe states are those that the exact bandit computes."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from tests.helpers.two_blocks import BLOCKS, GOOD, second_block
from trainer.algorithms import shaping
from trainer.algorithms.objective import credit, objective
from trainer.algorithms.recipes import (
    RECIPES,
    darling,
    dph_alpha,
    dph_js,
    grpo,
    mara,
    mara_forward,
    reinvent_mara,
    reverse_kl,
)
from trainer.analysis.exact_bandit import (
    mara_forward_optimum,
    mara_optimum,
    random_bandit,
    total_variation,
)
from trainer.analysis.plant import (
    exact_gradient,
    live_knobs,
    read_plant,
    settle,
    steering_knob,
    sweep,
)
from trainer.types import Knobs, Rollouts

NAMES = [
    *("reinforce", "reinvent", "rloo", "grpo", "dr_grpo", "dapo", "entropy_bonus", "darling"),
    *("mara", "mara_forward", "reinvent_mara", "dph_forward", "dph_js", "dph_alpha", "reverse_kl"),
    *("clip_cov", "kl_cov", "psr", "nsr", "w_reinforce", "pass_at_k"),
]


def test_names():
    assert list(RECIPES) == NAMES
    assert [make().name for make in RECIPES.values()] == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_live_is_what_the_exact_bandit_says(name, seed):
    recipe = RECIPES[name]()
    assert live_knobs(recipe, seed=seed) == recipe.live


@pytest.mark.parametrize("name", NAMES)
def test_plant_is_what_the_exact_bandit_says(name):
    recipe = RECIPES[name]()
    if not recipe.live:
        assert recipe.plant is None
        return
    assert read_plant(sweep(recipe)) == recipe.plant


@pytest.mark.parametrize("name", [n for n in NAMES if RECIPES[n]().plant in ("tilt", "monotone")])
def test_every_live_knob_moves_the_state_of_a_steerable_recipe(name):
    recipe = RECIPES[name]()
    for knob in sorted(recipe.live - {steering_knob(recipe)}):
        swept = sweep(replace(recipe, knobs=replace(recipe.knobs, kl=0.3, entropy=0.3)), knob=knob)
        assert read_plant(swept) == recipe.plant


def test_darling_lifts_the_entropy_a_little_before_it_falls():
    """Far inside the reference's reach diversity is worth more than reward: no fold, but a bump."""
    swept = sweep(RECIPES["darling"](), values=(4.0, 2.0, 0.3))
    h = [state.entropy for state in swept.loosening]
    assert h[0] < h[1] < h[0] + 0.02
    assert read_plant(swept) == "monotone"


# ── variants ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "options",
    [
        {"fusion": "correct_only"},
        {"quality": "group_min"},
        {"quality": "sigmoid"},
        {"closure": False},
    ],
    ids=str,
)
def test_darlings_variants_state_the_plant_that_the_bandit_computes(options):
    recipe = darling(**options)
    assert read_plant(sweep(recipe)) == recipe.plant
    assert live_knobs(recipe) == recipe.live


def test_the_sum_of_quality_and_diversity_spreads_the_policy_as_the_kl_is_loosened():
    recipe = darling(fusion="add")
    states = sweep(recipe, values=(3.0, 0.3)).loosening
    assert states[0].entropy < states[1].entropy < 3.92
    assert recipe.plant == "folded"


@pytest.mark.parametrize("alpha", [0.2, 0.7, 0.9])
def test_the_alpha_divergence_folds_below_one_half(alpha):
    recipe = dph_alpha(alpha=alpha)
    assert read_plant(sweep(recipe)) == recipe.plant == ("monotone" if alpha > 0.5 else "folded")


def test_js_by_definition_folds_too():
    recipe = dph_js(definition=True)
    assert read_plant(sweep(recipe, values=(100.0, 30.0, 10.0, 3.0))) == recipe.plant == "folded"


def test_the_baseline_that_the_authors_of_dph_ran_has_the_forward_gradient():
    assert read_plant(sweep(reverse_kl(k3=True))) == reverse_kl(k3=True).plant == "monotone"
    bandit = random_bandit(prompts=2, actions=6)
    knobs, z = Knobs(kl=0.3), bandit.ref_logits + torch.arange(6.0)
    forward, reverse = (exact_gradient(reverse_kl(k3=k3), bandit, z, knobs) for k3 in (True, False))
    same = replace(grpo(), policy=reverse_kl().policy, reduce=reverse_kl().reduce)
    torch.testing.assert_close(forward, exact_gradient(same, bandit, z, knobs))
    assert (forward - reverse).abs().max() > 0.01


# ── MARA's optimum (systems.md §4.5) ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0])
@pytest.mark.parametrize(
    ("make", "optimum"),
    [
        (mara, mara_optimum),
        (mara_forward, mara_forward_optimum),
    ],
)
def test_the_recipes_settle_in_their_optimum(make, optimum, beta):
    state = settle(make(threshold=1.0), BLOCKS, Knobs(kl=beta), BLOCKS.ref_logits)
    assert total_variation(state.policy, optimum(BLOCKS, beta, 1.0)).item() < 1e-4


@pytest.mark.parametrize("filter", ["usual", "none"])
@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0])
def test_reinvent_on_the_reward_of_mara_settles_in_its_optimum(beta, filter):
    recipe = reinvent_mara(threshold=1.0, filter=filter)
    knobs = Knobs(kl=1.0, reward_scale=1 / beta)
    state = settle(recipe, BLOCKS, knobs, BLOCKS.ref_logits)
    assert total_variation(state.policy, mara_optimum(BLOCKS, beta, 1.0)).item() < 1e-4


def test_the_augmented_likelihood_of_a_good_molecule_is_the_anchors():
    """(log π_ref(z) + σR(z) − log π(y))² for the good, REINVENT's own for the rest."""
    score = torch.tensor([0.9, 0.85, 0.5, 0.95, 0.0], dtype=torch.float64)
    ref = torch.tensor([-3.0, -9.0, -4.0, -2.0, -5.0], dtype=torch.float64)
    factor = torch.tensor([1.0, 1.0, 1.0, 0.0, 1.0], dtype=torch.float64)  # the fourth: a repeat
    logp = torch.tensor([-4.0, -7.0, -6.0, -3.0, -2.0], dtype=torch.float64)
    mask = torch.ones(5, 1, dtype=torch.bool)
    batch = Rollouts.of(
        score, torch.zeros(5), mask, logp[:, None], ref[:, None], filter_factor=factor
    )
    recipe = reinvent_mara(sigma=20.0, threshold=0.8)
    credited = credit(recipe, batch, recipe.knobs)
    loss = objective(recipe, credited, logp[:, None], recipe.knobs)
    target = torch.stack([ref[0] + 18, ref[0] + 18, ref[2] + 10, ref[3], ref[4]])
    assert loss.item() == pytest.approx((target - logp).square().mean().item(), rel=1e-12)


def test_algorithm_one_over_corrects_under_the_forward_kl():
    wrong = replace(
        mara_forward(threshold=1.0), shape=(shaping.scaled, partial(shaping.mara, threshold=1.0))
    )
    state = settle(wrong, BLOCKS, Knobs(kl=0.1), BLOCKS.ref_logits)
    good = state.policy[0, GOOD]
    assert second_block(state.policy) > 0.8
    assert (good.max() / good.min()).item() > 500


def test_the_optimum_of_mara_beside_graded_rewards():
    """Where bad actions keep some mass the closed forms and the recipes still agree."""
    bandit = random_bandit(actions=20, seed=3)
    for make, optimum in ((mara, mara_optimum), (mara_forward, mara_forward_optimum)):
        state = settle(make(threshold=0.7), bandit, Knobs(kl=0.3), bandit.ref_logits)
        assert state.end == "settled"
        assert total_variation(state.policy, optimum(bandit, 0.3, 0.7)).item() < 1e-5
