"""The live knobs and the plant that a recipe states are those that the exact bandit computes."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from qdlaws.errors import BadData
from tests.helpers.two_blocks import BLOCKS, GOOD, evenness, second_block
from trainer.algorithms import shaping
from trainer.algorithms.objective import credit, objective
from trainer.algorithms.recipes import (
    ILLUSTRATIONS,
    RECIPES,
    cispo,
    darling,
    differential_smoothing,
    dph_alpha,
    dph_js,
    flowrl,
    grpo,
    grpo_unlikeliness,
    gspo,
    illustrated,
    ips_grpo,
    mara,
    mara_forward,
    outcome_exploration,
    reinvent_mara,
    reverse_kl,
    rs_grpo,
    sapo,
    ucpo,
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
from trainer.training.recipe_config import build
from trainer.types import Knobs, Rollouts

NAMES = [
    *("reinforce", "reinvent", "rloo", "grpo", "dr_grpo", "dapo", "entropy_bonus", "darling"),
    *("mara", "mara_forward", "reinvent_mara", "dph_forward", "dph_js", "dph_alpha", "reverse_kl"),
    *("clip_cov", "kl_cov", "psr", "nsr", "w_reinforce", "pass_at_k"),
    *("grpo_unlikeliness", "rs_grpo", "qae", "ucpo", "ips_grpo", "flowrl"),
    *("differential_smoothing", "outcome_exploration", "gspo", "cispo", "sapo"),
]


def test_names():
    assert list(RECIPES) == NAMES
    assert [illustrated(name).name for name in RECIPES] == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, 1])
def test_live_is_what_the_exact_bandit_says(name, seed):
    recipe = illustrated(name)
    assert live_knobs(recipe, seed=seed) == recipe.live


@pytest.mark.parametrize("name", NAMES)
def test_plant_is_what_the_exact_bandit_says(name):
    recipe = illustrated(name)
    if not recipe.live:
        assert recipe.plant is None
        return
    if recipe.plant == "unsettled":  # where GRPO has come to rest, it has not
        few = random_bandit(actions=10)
        ends = [settle(r, few, Knobs(kl=0.3), few.ref_logits, 600).end for r in (recipe, grpo())]
        assert ends == ["moving", "settled"]
        return
    if name == "ips_grpo":  # entropy rises as the KL is loosened: its ends say so
        assert read_plant(sweep(recipe, values=(3.0, 0.1))) == recipe.plant
        return
    assert read_plant(sweep(recipe)) == recipe.plant


@pytest.mark.parametrize("name", [n for n in NAMES if illustrated(n).plant in ("tilt", "monotone")])
def test_every_live_knob_moves_the_state_of_a_steerable_recipe(name):
    recipe = illustrated(name)
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


# ── recipes that keep right answers many ──────────────────────────────────────────────────────


def test_ips_grpo_without_a_kl_rests_at_the_rewards_themselves():
    bandit = random_bandit(actions=20, seed=2)
    state = settle(ips_grpo(), bandit, Knobs(kl=0.0), bandit.ref_logits)
    want = bandit.reward / bandit.reward.sum()
    assert state.end == "settled"
    assert total_variation(state.policy, want).item() < 1e-6


def test_ips_grpo_of_outcomes_shares_the_reward_of_one_among_its_wordings():
    """Two actions of one meaning and one of another, equal rewards: one half for each meaning."""
    bandit = replace(
        random_bandit(actions=3), reward=torch.ones(1, 3).double(), meaning=torch.tensor([0, 0, 1])
    )
    start = torch.tensor([[0.0, 1.0, 2.0]]).double()
    moved = exact_gradient(ips_grpo(), bandit, start, Knobs())
    assert moved[0, 2] > 0 > moved[0, 0]  # the commoner meaning is pushed down
    state = settle(ips_grpo(), bandit, Knobs(), start)
    assert state.policy[0, 2].item() == pytest.approx(0.5, abs=1e-6)


def test_ucpo_evens_out_right_answers_that_grpo_leaves_uneven():
    """Two blocks of right answers under a falling prior; where .03 of KL holds both recipes."""
    even = {}
    for make in (grpo, ucpo):
        knobs = Knobs(kl=0.03)
        even[make] = evenness(settle(make(), BLOCKS, knobs, BLOCKS.ref_logits).policy)
    assert even[ucpo] > even[grpo] + 0.005


def test_risk_seeking_goes_for_the_best_answer_where_the_mean_is_elsewhere():
    """One answer of reward 1 at 2 %, others of .6 and 0: its part of all that moves grows."""
    bandit = replace(
        random_bandit(actions=3),
        reward=torch.tensor([[1.0, 0.6, 0.0]]).double(),
        ref_logits=torch.tensor([[0.02, 0.58, 0.4]]).double().log(),
    )
    share = []
    for risk in (0.01, 2.0, 8.0):
        g = -exact_gradient(rs_grpo(risk=risk), bandit, bandit.ref_logits, Knobs())[0]
        share.append((g[0] / g.abs().sum()).item())
    assert share[0] < share[1] < share[2]
    assert share[2] == pytest.approx(0.5, abs=0.02)  # all that the others lose
    assert g[1] < 0  # the mediocre answer, which the mean would reinforce


def test_flowrl_at_its_target_has_no_gradient():
    """The state π ∝ π_ref·exp(scale·Â) of one-token answers solves the balance at that Â."""
    bandit, knobs = random_bandit(actions=12, seed=5), Knobs(reward_scale=0.4)
    state = settle(flowrl(), bandit, knobs, bandit.ref_logits)
    mean = (state.policy * bandit.reward).sum()
    spread = (state.policy * (bandit.reward - mean).square()).sum().sqrt()
    want = (bandit.ref_logits + 0.4 * (bandit.reward - mean) / spread).softmax(-1)
    assert state.end == "settled"
    assert total_variation(state.policy, want).item() < 1e-6


def test_a_head_at_its_optimum_gives_the_policy_the_gradient_of_the_group_form():
    bandit, knobs = random_bandit(prompts=2, actions=6, longest=3), Knobs(reward_scale=3.0)
    z = bandit.ref_logits + torch.arange(6.0)
    group, head = (exact_gradient(flowrl(head=h), bandit, z, knobs) for h in (False, True))
    torch.testing.assert_close(group, head)
    assert live_knobs(flowrl(head=True)) == flowrl(head=True).live
    with pytest.raises(BadData, match="belong together"):
        replace(flowrl(head=True), head=None)


def test_differential_smoothing_flattens_right_answers_and_not_wrong_ones():
    flat = settle(
        differential_smoothing(correct=0.3, wrong=0.0), BLOCKS, Knobs(kl=0.1), BLOCKS.ref_logits
    )
    plain = settle(grpo(), BLOCKS, Knobs(kl=0.1), BLOCKS.ref_logits)
    assert evenness(flat.policy) > evenness(plain.policy) + 0.02


@pytest.mark.parametrize(
    "make", [partial(outcome_exploration, weight=0.5), grpo_unlikeliness], ids=["batch", "rank"]
)
def test_what_is_common_gains_less_than_what_is_rare(make):
    """Of two right answers the prior's favourite gains less per sample than under plain GRPO."""
    bandit = replace(
        random_bandit(actions=3),
        reward=torch.tensor([[1.0, 1.0, 0.0]]).double(),
        ref_logits=torch.tensor([[0.6, 0.1, 0.3]]).double().log(),
    )
    share = {}
    for name, recipe in (("plain", grpo()), ("spread", make())):
        g = -exact_gradient(recipe, bandit, bandit.ref_logits, Knobs()) / bandit.reference
        share[name] = (g[0, 0] - g[0, 1]).item()
    assert share["plain"] == pytest.approx(0, abs=1e-6)
    assert share["spread"] < -0.1


def test_a_constant_that_nobody_published_must_be_chosen():
    for name in ILLUSTRATIONS:
        with pytest.raises(BadData, match=r"must be given: .*recipe"):
            build(name)
    assert [n for n in NAMES if illustrated(n).provisional] == [
        *("qae", "ips_grpo", "differential_smoothing", "outcome_exploration"),
    ]


def test_historical_exploration_has_the_plant_of_grpo():
    recipe = outcome_exploration(weight=0.2, how="historical")
    assert live_knobs(recipe) == recipe.live
    assert read_plant(sweep(recipe, values=(1.0, 0.3))) == recipe.plant


@pytest.mark.parametrize("make", [gspo, cispo, sapo])
def test_on_policy_the_surrogates_have_the_gradient_of_grpo(make):
    bandit = random_bandit(prompts=2, actions=6, longest=3)
    plain = replace(make(), policy=grpo().policy)
    off = bandit.ref_logits + torch.randn(2, 6, dtype=torch.float64) * 0.5
    same, other = (
        [exact_gradient(r, bandit, bandit.ref_logits, Knobs(), start) for r in (make(), plain)]
        for start in (None, off)
    )
    torch.testing.assert_close(*same)
    assert not torch.allclose(*other)


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
