"""The plant of a combination of pieces: where its KL is and what divides its advantage decide."""

from functools import partial

import pytest
import torch

from trainer.algorithms import advantage, divergence, shaping, surrogate, weighting
from trainer.algorithms.objective import Recipe, Term
from trainer.algorithms.recipes import RECIPES, reinforce, rloo
from trainer.analysis.exact_bandit import forward_optimum, random_bandit, tilt, total_variation
from trainer.analysis.plant import KNOBS, exact_gradient, live_knobs, read_plant, settle, sweep
from trainer.types import Knobs

SEQUENCE = weighting.sequence_sum
K2 = Term(partial(divergence.reverse, level="sequence"), knob="kl", reduce=SEQUENCE)
K3 = Term(partial(divergence.forward, level="sequence"), knob="kl", reduce=SEQUENCE)


def combination(of, terms=(), shape=(shaping.scaled,)):
    """A recipe that is an advantage and a place of its KL, and nothing else."""
    return Recipe(
        "combination",
        "–",
        policy=surrogate.score_function,
        advantage=of,
        reduce=SEQUENCE,
        shape=shape,
        terms=terms,
        live=frozenset({"kl"}),
    )


IN_REWARD = (shaping.scaled, shaping.kl_in_reward)


@pytest.mark.parametrize("of", [advantage.raw, advantage.leave_one_out])
@pytest.mark.parametrize(("terms", "shape"), [((), IN_REWARD), ((K2,), (shaping.scaled,))])
def test_raw_advantage_and_reverse_kl_of_the_sequence_is_the_tilt(of, terms, shape):
    recipe = combination(of, terms, shape)
    assert live_knobs(recipe) == {"kl", "reward_scale"}
    assert read_plant(sweep(recipe)) == "tilt"
    bandit = random_bandit()
    for factor in (1.0, 7.0):  # only the ratio sets the target
        knobs = Knobs(kl=0.1 * factor, reward_scale=factor)
        state = settle(recipe, bandit, knobs, bandit.ref_logits)
        assert total_variation(state.policy, tilt(bandit, 0.1)).item() < 1e-4


def test_raw_advantage_and_k3_is_monotone_and_not_the_tilt():
    recipe = combination(advantage.raw, (K3,))
    swept = sweep(recipe)
    assert read_plant(swept) == "monotone"
    bandit = random_bandit()
    for state in swept.loosening:
        want = forward_optimum(bandit.reward, bandit.reference, state.knobs.kl)
        assert total_variation(state.policy, want).item() < 1e-5
    last = swept.loosening[-1]
    assert total_variation(last.policy, tilt(bandit, last.knobs.kl)).item() > 0.03


def test_group_std_and_k3_is_monotone_with_a_dead_scale():
    recipe = combination(advantage.group_standardised, (K3,))
    assert live_knobs(recipe) == {"kl"}
    swept = sweep(recipe, values=(4.0, 1.0, 0.3, 0.1))
    assert read_plant(swept) == "monotone"
    assert swept.loosening[0].entropy > 2.9
    assert swept.loosening[-1].entropy < 0.5


def test_group_std_and_kl_in_the_reward_never_settles():
    """0/0 at the optimum: however close, the step keeps its length."""
    recipe = combination(advantage.group_standardised, (), IN_REWARD)
    assert live_knobs(recipe) == {"kl", "reward_scale"}
    bandit = random_bandit()
    near = tilt(bandit, 0.3).log() + 1e-3 * torch.randn(1, 50, dtype=torch.float64)
    knobs = Knobs(kl=0.3)

    def step_length(recipe):
        g = exact_gradient(recipe, bandit, near, knobs) / near.softmax(-1)
        return (near.softmax(-1) * g.square()).sum().sqrt().item()

    assert step_length(recipe) > 0.9
    assert step_length(combination(advantage.raw, (), IN_REWARD)) < 1e-3
    scaled = combination(advantage.leave_one_out, (), (*IN_REWARD, shaping.batch_normalised))
    assert step_length(scaled) < 3e-3


@pytest.mark.parametrize("term", [divergence.reverse, divergence.reverse_weighted])
def test_group_std_and_a_reverse_kl_gradient_folds(term):
    """β ≤ .6 collapses from the reference; β = 2 ends where its start sends it."""
    recipe = combination(advantage.group_standardised, (Term(term, knob="kl"),))
    assert read_plant(sweep(recipe, values=(4.0, 2.0, 0.6))) == "folded"
    bandit = random_bandit()
    assert settle(recipe, bandit, Knobs(kl=0.6), bandit.ref_logits).end == "collapsed"
    corner = torch.full((1, 50), -30.0).double()
    corner[0, bandit.reward.argmax()] = 0
    from_corner = settle(recipe, bandit, Knobs(kl=2.0), corner)
    from_reference = settle(recipe, bandit, Knobs(kl=2.0), bandit.ref_logits)
    assert from_corner.end == "collapsed"
    assert from_reference.entropy > 1


def test_the_remedy_is_one_scalar_that_divides_the_kl_too():
    """One scalar of the raw scores on the whole shaped reward keeps the tilt, over 3 prompts.

    The same scalar on the reward alone, with the KL in the loss, feeds the policy's own spread
    back into the ratio: on one prompt that folds just as the group's standard deviation does.
    """
    bandit = random_bandit(prompts=3)
    whole = combination(advantage.leave_one_out, (), (*IN_REWARD, shaping.batch_normalised))
    assert read_plant(sweep(whole, bandit=bandit), bandit) == "tilt"
    partly = combination(advantage.leave_one_out, (K2,), (shaping.scaled, shaping.batch_normalised))
    assert read_plant(sweep(partly, (1.0, 0.3))) == "folded"


def test_a_sweep_needs_a_live_knob():
    with pytest.raises(ValueError, match="no live knob"):
        sweep(RECIPES["dr_grpo"]())
    assert set(KNOBS) == set(vars(Knobs()))
    assert rloo().live == reinforce().live
