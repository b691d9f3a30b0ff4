"""What every recipe says of itself, against the exact bandit."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from trainer.algorithms import advantage, divergence, shaping, surrogate
from trainer.algorithms import weighting as weigh
from trainer.algorithms.objective import Recipe, Term
from trainer.algorithms.recipes import (
    RECIPES,
    dph_alpha,
    dph_js,
    mara,
    mara_forward,
    reinforce,
    rloo,
)
from trainer.analysis.exact_bandit import (
    Bandit,
    decaying_bandit,
    entropy,
    forward_optimum,
    mara_forward_optimum,
    mara_optimum,
    random_bandit,
    tilt,
    total_variation,
)
from trainer.analysis.plant import (
    KNOBS,
    exact_gradient,
    live_knobs,
    read_plant,
    settle,
    steering_knob,
    sweep,
)
from trainer.types import Knobs

NAMES = [
    *("reinforce", "reinvent", "rloo", "grpo", "dr_grpo", "dapo", "entropy_bonus", "darling"),
    *("mara", "mara_forward", "dph_forward", "dph_js", "dph_alpha", "reverse_kl"),
    *("clip_cov", "kl_cov", "psr", "nsr", "w_reinforce", "pass_at_k"),
]
SEQUENCE = weigh.sequence_sum
K2 = Term(partial(divergence.reverse, level="sequence"), knob="kl", reduce=SEQUENCE)
K3 = Term(partial(divergence.forward, level="sequence"), knob="kl", reduce=SEQUENCE)


def pieces(of, terms=(), shape=(shaping.scaled,)):
    """A row of control.md §1: an advantage and where its KL is."""
    return Recipe(
        "row",
        "–",
        policy=surrogate.score_function,
        advantage=of,
        reduce=SEQUENCE,
        shape=shape,
        terms=terms,
        live=frozenset({"kl"}),
    )


IN_REWARD = (shaping.scaled, shaping.kl_in_reward)


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


# ── the table of control.md §1 ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("of", [advantage.raw, advantage.leave_one_out])
@pytest.mark.parametrize(("terms", "shape"), [((), IN_REWARD), ((K2,), (shaping.scaled,))])
def test_raw_advantage_and_reverse_kl_of_the_sequence_is_the_tilt(of, terms, shape):
    row = pieces(of, terms, shape)
    assert live_knobs(row) == {"kl", "reward_scale"}
    assert read_plant(sweep(row)) == "tilt"
    bandit = random_bandit()
    for factor in (1.0, 7.0):  # only the ratio sets the target
        knobs = Knobs(kl=0.1 * factor, reward_scale=factor)
        state = settle(row, bandit, knobs, bandit.ref_logits)
        assert total_variation(state.policy, tilt(bandit, 0.1)).item() < 1e-4


def test_raw_advantage_and_k3_is_monotone_and_not_the_tilt():
    row = pieces(advantage.raw, (K3,))
    swept = sweep(row)
    assert read_plant(swept) == "monotone"
    bandit = random_bandit()
    for state in swept.loosening:
        want = forward_optimum(bandit.reward, bandit.reference, state.knobs.kl)
        assert total_variation(state.policy, want).item() < 1e-5
    last = swept.loosening[-1]
    assert total_variation(last.policy, tilt(bandit, last.knobs.kl)).item() > 0.03


def test_group_std_and_k3_is_monotone_with_a_dead_scale():
    row = pieces(advantage.group_standardised, (K3,))
    assert live_knobs(row) == {"kl"}
    swept = sweep(row, values=(4.0, 1.0, 0.3, 0.1))
    assert read_plant(swept) == "monotone"
    assert swept.loosening[0].entropy > 2.9
    assert swept.loosening[-1].entropy < 0.5


def test_group_std_and_kl_in_the_reward_never_settles():
    """0/0 at the optimum: however close, the step keeps its length."""
    row = pieces(advantage.group_standardised, (), IN_REWARD)
    assert live_knobs(row) == {"kl", "reward_scale"}
    bandit = random_bandit()
    near = tilt(bandit, 0.3).log() + 1e-3 * torch.randn(1, 50, dtype=torch.float64)
    knobs = Knobs(kl=0.3)

    def step_length(recipe):
        g = exact_gradient(recipe, bandit, near, knobs) / near.softmax(-1)
        return (near.softmax(-1) * g.square()).sum().sqrt().item()

    assert step_length(row) > 0.9
    assert step_length(pieces(advantage.raw, (), IN_REWARD)) < 1e-3
    scaled = pieces(advantage.leave_one_out, (), (*IN_REWARD, shaping.batch_normalised))
    assert step_length(scaled) < 3e-3


@pytest.mark.parametrize("term", [divergence.reverse, divergence.reverse_weighted])
def test_group_std_and_a_reverse_kl_gradient_folds(term):
    """β ≤ .6 collapses from the reference; β = 2 ends where its start sends it."""
    row = pieces(advantage.group_standardised, (Term(term, knob="kl"),))
    assert read_plant(sweep(row, values=(4.0, 2.0, 0.6))) == "folded"
    bandit = random_bandit()
    assert settle(row, bandit, Knobs(kl=0.6), bandit.ref_logits).end == "collapsed"
    corner = torch.full((1, 50), -30.0).double()
    corner[0, bandit.reward.argmax()] = 0
    from_corner = settle(row, bandit, Knobs(kl=2.0), corner)
    from_reference = settle(row, bandit, Knobs(kl=2.0), bandit.ref_logits)
    assert from_corner.end == "collapsed"
    assert from_reference.entropy > 1


def test_the_remedy_is_one_scalar_that_divides_the_kl_too():
    """One scalar of the raw scores on the whole shaped reward keeps the tilt, over 3 prompts.

    The same scalar on the reward alone, with the KL in the loss, feeds the policy's own spread
    back into the ratio: on one prompt that folds just as the group's standard deviation does.
    """
    bandit = random_bandit(prompts=3)
    whole = pieces(advantage.leave_one_out, (), (*IN_REWARD, shaping.batch_normalised))
    assert read_plant(sweep(whole, bandit=bandit), bandit) == "tilt"
    partly = pieces(advantage.leave_one_out, (K2,), (shaping.scaled, shaping.batch_normalised))
    assert read_plant(sweep(partly, (1.0, 0.3))) == "folded"


def test_darling_lifts_the_entropy_a_little_before_it_falls():
    """Far inside the reference's reach diversity is worth more than reward: no fold, but a bump."""
    swept = sweep(RECIPES["darling"](), values=(4.0, 2.0, 0.3))
    h = [state.entropy for state in swept.loosening]
    assert h[0] < h[1] < h[0] + 0.02
    assert read_plant(swept) == "monotone"


# ── variants ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("alpha", [0.2, 0.7, 0.9])
def test_the_alpha_divergence_folds_below_one_half(alpha):
    recipe = dph_alpha(alpha=alpha)
    assert read_plant(sweep(recipe)) == recipe.plant == ("monotone" if alpha > 0.5 else "folded")


def test_js_by_definition_folds_too():
    recipe = dph_js(definition=True)
    assert read_plant(sweep(recipe, values=(100.0, 30.0, 10.0, 3.0))) == recipe.plant == "folded"


# ── MARA's optimum (systems.md §4.5) ──────────────────────────────────────────────────────────

BLOCKS = decaying_bandit()
GOOD = BLOCKS.reward[0] == 1
SECOND = torch.arange(100) >= 70


def second_block(policy):
    return (policy[0, SECOND & GOOD].sum() / policy[0, GOOD].sum()).item()


def evenness(policy):
    good = policy[0, GOOD] / policy[0, GOOD].sum()
    return (entropy(good) / torch.log(GOOD.sum().double())).item()


@pytest.mark.parametrize("beta", [0.01, 0.1, 1.0])
def test_optima_of_the_two_blocks(beta):
    vanilla, ours = tilt(BLOCKS, beta), mara_optimum(BLOCKS, beta, 1.0)
    assert second_block(vanilla) == pytest.approx(0.039, abs=1e-3)
    assert evenness(vanilla) == pytest.approx(0.85, abs=5e-3)
    assert second_block(ours) == pytest.approx(0.5, abs=1e-9)
    assert evenness(ours) == pytest.approx(1.0, abs=1e-9)
    forward = mara_forward_optimum(BLOCKS, beta, 1.0)
    assert second_block(forward) == pytest.approx(0.5, abs=1e-6)


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


# ── optima ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("beta", [0.05, 0.5])
def test_closed_forms_are_optima(beta):
    """No small move along the simplex does better, checked by the gradient of the objective."""
    bandit = random_bandit(prompts=3, actions=9)
    reference = bandit.reference

    def reverse(p):
        return (p * bandit.reward - beta * p * (p / reference).log()).sum()

    def forward(p):
        return (p * bandit.reward - beta * reference * (reference / p).log()).sum()

    optimum = forward_optimum(bandit.reward, reference, beta)
    for objective, policy in ((reverse, tilt(bandit, beta)), (forward, optimum)):
        z = policy.log().requires_grad_()
        (g,) = torch.autograd.grad(objective(z.softmax(-1)), z)
        assert g.abs().max() < 1e-9


def test_mara_ratios_of_the_paper():
    """Rewards .75 and 1, log π_ref −4.05 and −5.95: the better one overtakes below β = .132."""
    bandit = Bandit(
        reward=torch.tensor([[0.75, 1.0]]).double(),
        ref_logits=torch.tensor([[-4.05, -5.95]]).double(),
        length=torch.ones(2, dtype=torch.long),
        meaning=torch.arange(2),
    )
    for beta, second_wins in ((0.10, True), (0.131, True), (0.132, False), (0.15, False)):
        assert bool(tilt(bandit, beta)[0, 1] > tilt(bandit, beta)[0, 0]) is second_wins


def test_a_sweep_needs_a_live_knob():
    with pytest.raises(ValueError, match="no live knob"):
        sweep(RECIPES["dr_grpo"]())
    assert set(KNOBS) == set(vars(Knobs()))
    assert rloo().live == reinforce().live
