"""Each recipe needs what its pieces declare, no more and no less, checked on its gradient."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from qdlaws.errors import BadData
from trainer.algorithms import advantage, shaping, surrogate, weighting
from trainer.algorithms.declaration import declaration_of, declares
from trainer.algorithms.objective import Recipe, Term, credit, objective
from trainer.algorithms.recipes import RECIPES, dph_js, grpo, illustrated, kl_cov, rloo
from trainer.types import Knobs, ReferencePlan, Rollouts

EVERY_RECIPE = {name: illustrated(name) for name in RECIPES}
EVERY_RECIPE["dph_js by its definition"] = dph_js(definition=True)
ROWS, TOKENS = 8, 2


def batch(**changes):
    """Two groups of fresh samples, and two stored samples of the reference."""
    rng = torch.Generator().manual_seed(0)
    logp = -torch.rand(2, ROWS + 2, TOKENS, generator=rng, dtype=torch.float64) - 0.5
    given = {
        "score": torch.tensor([0.0, 0.2, 0.9, 1.0, 0.1, 0.9, 1.0, 0.8, 0.0, 0.0]),
        "group": torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 3]),
        "mask": torch.ones(ROWS + 2, TOKENS, dtype=torch.bool),
        "old_logp": logp[0],
        "ref_logp": logp[1],
        "stored": torch.arange(ROWS + 2) >= ROWS,
        "equivalent": torch.eye(ROWS + 2, dtype=torch.bool),
        "seen": torch.zeros(ROWS + 2, dtype=torch.long),
        "filter_factor": torch.ones(ROWS + 2, dtype=torch.float64),
        "truncated": torch.zeros(ROWS + 2, dtype=torch.bool),
    }
    return Rollouts.of(**given | changes)


def gradient(recipe, rollouts, kl=0.1, entropy_slope=1.0):
    logp = (rollouts.old_logp * 1.1).requires_grad_()
    knobs = Knobs(kl=kl, reward_scale=1.0, entropy=0.1)
    rng = torch.Generator().manual_seed(0)
    credited = credit(recipe, rollouts, knobs, logp, rng)
    loss = objective(recipe, credited, logp, knobs, entropy=entropy_slope * logp.square())
    return torch.autograd.grad(loss, logp)[0]


def other_reference(rows):
    """The batch's reference log-probabilities, in these rows those of other completions."""
    ref = batch().ref_logp.clone()
    ref[rows] = ref[rows].flip(0)
    return ref


def effective_needs(recipe):
    """The needs whose data change the recipe's gradient, of those that are data of a batch."""
    fresh, stored = slice(0, ROWS), slice(ROWS, None)
    alike = torch.block_diag(torch.ones(3, 3), torch.eye(ROWS - 1)).bool()
    full = torch.full((ROWS + 2,), 100)
    halved = torch.linspace(0, 1, ROWS + 2, dtype=torch.float64)

    def moves(kl=0.1, **changes):
        return not torch.equal(
            gradient(recipe, batch(), kl), gradient(recipe, batch(**changes), kl)
        )

    needs = set()
    if moves(kl=0.0, ref_logp=other_reference(fresh)):
        needs.add("reference")
    elif moves(ref_logp=other_reference(fresh)):
        needs.add("reference_if_kl")
    if moves(ref_logp=other_reference(stored)):
        needs.add("presamples")
    if moves(equivalent=alike):
        needs.add("equivalence")
    if moves(seen=full):
        needs.add("buckets")
    if moves(filter_factor=halved):
        needs.add("filter")
    if not torch.equal(gradient(recipe, batch()), gradient(recipe, batch(), entropy_slope=2.0)):
        needs.add("entropy")
    if not torch.equal(
        gradient(recipe, batch())[:4], gradient(recipe, batch(score=batch_of_equal_scores()))[:4]
    ):
        needs |= {"redraws"} & keeps_only_mixed_groups(recipe)
    return needs


def batch_of_equal_scores():
    return torch.tensor([0.9] * 4 + [0.1, 0.9, 1.0, 0.8] + [0.0, 0.0])


def keeps_only_mixed_groups(recipe):
    """``{"redraws"}`` where a prompt of equal scores has no weight at all."""
    equal = batch(score=batch_of_equal_scores())
    credited = credit(recipe, equal, Knobs(kl=0.1), equal.old_logp, torch.Generator())
    return {"redraws"} if credited.weight[:4].abs().max() == 0 else set()


@pytest.mark.parametrize("name", list(EVERY_RECIPE))
def test_a_recipe_needs_the_data_that_its_gradient_depends_on(name):
    recipe = EVERY_RECIPE[name]
    declared = recipe.needs - recipe.task_needs - {"replay"}
    assert declared == effective_needs(recipe)


def test_a_declared_need_that_is_never_used_is_seen():
    @declares("reference", "entropy")
    def idle(rollouts, knobs):
        return rollouts

    recipe = replace(rloo(), shape=(*rloo().shape, idle))
    assert {"reference", "entropy"} <= recipe.needs
    assert effective_needs(recipe) == {"reference_if_kl"}


def test_the_needs_that_are_no_data_of_a_batch_are_plans():
    assert "replay" in RECIPES["reinvent"]().needs
    assert "replay" not in RECIPES["reinvent"](replay=False).needs
    with pytest.raises(BadData, match="mine has a term on stored samples: it needs a presamples"):
        replace(RECIPES["dph_forward"](), name="mine", presamples=None)
    with pytest.raises(BadData, match="mine shapes by a diversity filter: it needs a filter plan"):
        replace(RECIPES["reinvent"](), name="mine", filter=None)
    assert "filter" not in RECIPES["reinvent"](filter="none").needs
    assert RECIPES["dph_forward"]().presamples == ReferencePlan(threshold=6)


def test_a_kl_of_zero_spares_the_reference_unless_it_is_always_read():
    always = {name for name, recipe in EVERY_RECIPE.items() if recipe.reads_reference(0.0)}
    ever = {name for name, recipe in EVERY_RECIPE.items() if recipe.reads_reference(0.1)}
    assert always == {"reinvent", "reinvent_mara", "mara", "mara_forward", "flowrl"}
    assert {"rloo", "grpo", "darling", "reverse_kl", "dph_js by its definition"} <= ever
    assert not ever & {"dr_grpo", "dapo", "nsr", "clip_cov", "dph_forward", "kl_cov"}


# ── pieces of the user's own ──────────────────────────────────────────────────────────────────


def reads_ref_logp(rollouts, knobs):
    return rollouts.rewarded(rollouts.reward + rollouts.ref_logp.sum(1))


def reads_ref_logp_by_method(rollouts, knobs):
    return rollouts.rewarded(rollouts.reward + rollouts.sequence_ref_logp())


def subtracts_ref_logp(rollouts, knobs):
    return rollouts.rewarded((rollouts.old_logp - rollouts.ref_logp).sum(1))


def indexes_equivalent(rollouts, knobs):
    return rollouts.rewarded(rollouts.reward * rollouts.equivalent[0])


def stacks_seen(rollouts, knobs):
    return rollouts.rewarded(torch.stack([rollouts.reward, rollouts.seen])[0])


@pytest.mark.parametrize(
    ("piece", "field", "need"),
    [
        (reads_ref_logp, "ref_logp", "reference"),
        (reads_ref_logp_by_method, "ref_logp", "reference"),
        (subtracts_ref_logp, "ref_logp", "reference"),
        (indexes_equivalent, "equivalent", "equivalence"),
        (stacks_seen, "seen", "buckets"),
    ],
)
def test_a_shaping_piece_that_reads_what_it_does_not_declare_is_refused(piece, field, need):
    recipe = replace(grpo(), shape=(piece,))
    message = f"{piece.__name__} reads {field} without declaring it.*declares\\('{need}'\\)"
    with pytest.raises(BadData, match=message):
        credit(recipe, batch(), Knobs(kl=0.1))
    declared = declares(need)(lambda rollouts, knobs: piece(rollouts, knobs))
    credit(replace(recipe, shape=(declared,)), batch(), Knobs(kl=0.1))
    assert need in replace(recipe, shape=(declared,)).needs


def test_losses_keepers_and_selectors_are_held_to_their_declarations_too():
    def surprise(step):
        return step.ref_logp - step.logp

    def keeps_distinct(rollouts):
        return rollouts.equivalent.sum(1) < 3

    def far_tokens(step, rng):
        return step.logp - step.ref_logp > 0

    pull = Term(lambda step: step.logp, knob="kl", only=far_tokens)
    for recipe, name in (
        (replace(grpo(), policy=surprise), "surprise"),
        (replace(grpo(), terms=(Term(surprise, knob="kl"),)), "surprise"),
        (replace(grpo(), keep=(keeps_distinct,)), "keeps_distinct"),
        (replace(grpo(), silence=far_tokens), "far_tokens"),
        (replace(grpo(), terms=(pull,)), "far_tokens"),
    ):
        with pytest.raises(BadData, match=f"{name} reads"):
            gradient(recipe, batch())


def test_bound_options_and_callable_objects_keep_the_declaration():
    @declares("buckets")
    class Filter:
        def __call__(self, rollouts, knobs):
            return rollouts

    assert declaration_of(partial(partial(shaping.mara, threshold=0.5))).needs == {"reference"}
    assert declaration_of(Filter()).needs == {"buckets"}
    assert declaration_of(lambda step: step).needs == set()
    with pytest.raises(BadData, match="no need is called 'referense'"):
        declares("referense")


def test_a_recipe_of_undeclared_pieces_needs_nothing():
    plain = Recipe(
        name="plain",
        paper="–",
        policy=surrogate.score_function,
        advantage=advantage.raw,
        reduce=weighting.sequence_sum,
    )
    assert plain.needs == frozenset()
    assert not kl_cov().reads_reference(1.0)
