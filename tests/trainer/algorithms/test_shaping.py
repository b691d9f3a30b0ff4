import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from scipy.sparse.csgraph import connected_components

from tests.helpers.tiny_world import sampled
from trainer.algorithms import shaping
from trainer.analysis.exact_bandit import random_bandit
from trainer.types import Knobs, Rollouts

KNOBS = Knobs(kl=0.5, reward_scale=2.0)


def rollouts(score, group=None, **rest):
    score = torch.tensor(score, dtype=torch.float64)
    group = torch.zeros(len(score), dtype=torch.long) if group is None else torch.tensor(group)
    mask = rest.pop("mask", torch.ones(len(score), 1).bool())
    logp = rest.pop("old_logp", torch.zeros(mask.shape).double())
    return Rollouts.of(score, group, mask, logp, **rest)


def relation(*pairs, size):
    same = torch.eye(size).bool()
    for i, j in pairs:
        same[i, j] = same[j, i] = True
    return same


# ── simple ones ───────────────────────────────────────────────────────────────────────────────


def test_scale_and_kl_in_reward():
    batch = rollouts(
        [1.0, 0.5],
        mask=torch.tensor([[1, 1], [1, 0]]).bool(),
        old_logp=torch.tensor([[-1.0, -2.0], [-1.0, 99.0]]).double(),
        ref_logp=torch.tensor([[-2.0, -2.5], [-0.5, 77.0]]).double(),
    )
    got = shaping.kl_in_reward(shaping.scaled(batch, KNOBS), KNOBS).reward
    assert got.tolist() == pytest.approx([2 * 1 - 0.5 * (-3 + 4.5), 2 * 0.5 - 0.5 * (-1 + 0.5)])


def test_overlong_is_dapos_ramp():
    """Limit 20 and cache 4: free up to 16, then down in equal parts to −1 at 20."""
    length = torch.tensor([10, 16, 17, 18, 20])
    mask = torch.arange(20)[None, :] < length[:, None]
    batch = rollouts([0.0] * 5, mask=mask, limit=20)
    assert shaping.overlong(batch, KNOBS).reward.tolist() == pytest.approx([0, 0, -0.25, -0.5, -1])
    cut = rollouts([0.0] * 5, mask=mask, limit=20, truncated=torch.tensor([1, 0, 0, 0, 0]).bool())
    assert shaping.overlong(cut, KNOBS).reward[0] == -1


def test_signed_and_correct_read_raw_scores():
    batch = rollouts([1.0, 0.0, math.nan])
    doubled = batch.rewarded(batch.reward * 100)
    assert shaping.signed(doubled, KNOBS, positive=0.1).reward.tolist() == [0.1, -1.0, 0.0]
    assert shaping.correct(doubled, KNOBS).reward.tolist() == [1.0, 0.0, 0.0]


def test_the_diversity_filter_multiplies_the_reward_by_its_factor():
    batch = rollouts([0.9, 0.9, 0.1], filter_factor=torch.tensor([0.0, 1.0, 0.5]).double())
    assert shaping.diversity_filter(batch, KNOBS).reward.tolist() == [0.0, 0.9, 0.05]
    assert shaping.diversity_filter(rollouts([0.9]), KNOBS).reward.tolist() == [0.9]


def test_batch_normalised_divides_everything_by_one_scalar_of_the_raw_scores():
    batch = rollouts([0.0, 1.0, math.nan, 0.5], group=[0, 0, 1, 1])
    raised = batch.rewarded(batch.reward + 3)
    got = shaping.batch_normalised(raised, KNOBS).reward
    assert got.tolist() == pytest.approx([6.0, 8.0, 6.0, 7.0])  # std of 0, 1, .5 is one half
    same = rollouts([0.7, 0.7])
    assert shaping.batch_normalised(same, KNOBS).reward.tolist() == [0.7, 0.7]


# ── DARLING ───────────────────────────────────────────────────────────────────────────────────


def test_the_papers_example():
    """Two equivalent jokes among four: 2/3 each, the others 3/3."""
    same = relation((0, 1), size=4)
    group, count = torch.zeros(4, dtype=torch.long), torch.ones(4).double()
    for closure in (True, False):
        got = shaping.distinctness(same, group, count, closure)
        assert got.tolist() == pytest.approx([2 / 3, 2 / 3, 1, 1])


def test_closure_and_pairs_differ_where_the_relation_is_a_chain():
    same = relation((0, 1), (1, 2), size=4)
    group, count = torch.zeros(4, dtype=torch.long), torch.ones(4).double()
    assert shaping.distinctness(same, group, count, True).tolist() == pytest.approx(
        [1 / 3, 1 / 3, 1 / 3, 1]
    )
    assert shaping.distinctness(same, group, count, False).tolist() == pytest.approx(
        [2 / 3, 1 / 3, 2 / 3, 1]
    )


def test_clusters_are_those_of_scipy():
    rng = torch.Generator().manual_seed(3)
    for _ in range(20):
        same = torch.rand(30, 30, generator=rng) < 0.03
        same = same | same.T
        label = shaping._components(same)
        _, want = connected_components(same.numpy(), directed=False)
        want = torch.tensor(want)
        assert torch.equal(label[:, None] == label[None, :], want[:, None] == want[None, :])


def test_darling_fuses_by_the_product_with_a_floor():
    batch = rollouts([1.0, 1.0, 0.5, 0.0], equivalent=relation((0, 1), size=4))
    assert shaping.darling(batch, KNOBS).reward.tolist() == pytest.approx([2 / 3, 2 / 3, 0.5, 0])
    alike = rollouts([1.0] * 3, equivalent=torch.ones(3, 3).bool())
    assert shaping.darling(alike, KNOBS).reward.tolist() == pytest.approx([0.1] * 3)


def test_darling_of_groups_failures_and_lone_samples():
    batch = rollouts(
        [1.0, math.nan, 1.0, 1.0],
        group=[0, 0, 0, 1],
        equivalent=torch.ones(4, 4).bool(),
    )
    # the failed one is nobody's companion, and the other prompt's answer is nobody's either
    assert shaping.darling(batch, KNOBS).reward[[0, 2, 3]].tolist() == pytest.approx([0.1, 0.1, 1])


def test_other_fusions_and_qualities():
    batch = rollouts([-2.0, -1.0, 3.0, -2.0], equivalent=relation((0, 3), size=4))
    shifted = shaping.darling(batch, KNOBS, quality="group_min").reward
    assert shifted.tolist() == pytest.approx([0, 1, 5, 0])
    squashed = shaping.darling(batch, KNOBS, quality="sigmoid").reward
    assert squashed[0].item() == pytest.approx(2 / 3 / (1 + math.exp(2)))
    added = shaping.darling(batch, KNOBS, fusion="add").reward
    assert added.sum().item() == pytest.approx(0, abs=1e-9)
    only = rollouts([1.0, 1.0, 0.0, 1.0], equivalent=relation((0, 1), (2, 3), size=4))
    right = shaping.darling(only, KNOBS, fusion="correct_only").reward
    assert right.tolist() == pytest.approx([0.5, 0.5, 0.0, 1.0])


def test_where_fewer_than_two_are_right_correct_only_gives_the_floor():
    """As the released partition_correct: a lone right answer is not counted as distinct."""
    batch = rollouts([1.0, 0.0, 0.0, 1.0, 1.0], [0, 0, 0, 1, 1], equivalent=relation(size=5))
    got = shaping.darling(batch, KNOBS, fusion="correct_only").reward
    assert got.tolist() == pytest.approx([0.1, 0.0, 0.0, 1.0, 1.0])


def test_darling_asks_who_is_the_same():
    with pytest.raises(ValueError, match="equivalent"):
        shaping.darling(rollouts([1.0]), KNOBS)


# ── what is common is worth less ──────────────────────────────────────────────────────────────


def test_the_likeliest_of_a_prompt_loses_most():
    """Ranks 0, 1, 2 by the mean over tokens: r·(1 − .25·rank/3); another prompt ranks by itself."""
    logp = torch.tensor([[-1.0, -1.0], [-3.0, 0.0], [-0.5, -0.5], [-9.0, -9.0]]).double()
    mask = torch.tensor([[1, 1], [1, 0], [1, 1], [1, 1]]).bool()
    batch = rollouts([1.0, 1.0, 1.0, 1.0], [0, 0, 0, 1], mask=mask, old_logp=logp)
    got = shaping.unlikely(batch, KNOBS).reward.tolist()
    assert got == pytest.approx([1 - 0.25 / 3, 1.0, 1 - 0.5 / 3, 1.0])


def test_a_row_that_stands_for_many_samples_has_their_mean_rank():
    batch = rollouts([1.0, 1.0], old_logp=torch.tensor([[-2.0], [-1.0]]).double())
    many = replace(batch, count=torch.tensor([4.0, 2.0]).double())
    four = rollouts(
        [1.0] * 6, old_logp=torch.tensor([-2.0, -2.0, -2.0, -2.0, -1.0, -1.0])[:, None].double()
    )
    one_by_one = shaping.unlikely(four, KNOBS).reward
    assert shaping.unlikely(many, KNOBS).reward.tolist() == pytest.approx(
        [one_by_one[:4].mean().item(), one_by_one[4:].mean().item()]
    )


def test_rewards_over_the_share_of_the_outcome_and_less_for_repetition():
    same = relation((0, 1), (2, 3), size=4)
    batch = rollouts([1.0, 0.5, 1.0, 1.0], [0, 0, 0, 1], equivalent=same)
    over = shaping.inverse_probability(batch, KNOBS).reward
    assert over.tolist() == pytest.approx([1.5, 0.75, 3.0, 1.0])
    less = shaping.repeated_penalty(batch, KNOBS, penalty=0.6).reward
    assert less.tolist() == pytest.approx([0.8, 0.3, 1.0, 1.0])


def test_the_bonus_for_an_answer_falls_with_the_times_it_was_given():
    batch = rollouts([1.0, 0.0], seen=torch.tensor([0, 3]))
    got = shaping.rarely_seen_bonus(batch, KNOBS, bonus=0.4).reward
    assert got.tolist() == pytest.approx([1.4, 0.2])


# ── MARA ──────────────────────────────────────────────────────────────────────────────────────


def test_mara_lifts_good_samples_to_the_likeliest_one():
    ref = torch.tensor([[-1.0], [-3.0], [-2.0], [-0.1]]).double()
    batch = rollouts([0.9, 1.0, 0.8, 0.1], ref_logp=ref)
    got = shaping.mara(batch, KNOBS, threshold=0.8).reward
    assert got.tolist() == pytest.approx([0.9, 0.9 + 0.5 * 2, 0.9 + 0.5 * 1, 0.1])
    moved = shaping.mara_substituted(batch, KNOBS, threshold=0.8)
    assert moved.reward.tolist() == pytest.approx([0.9, 0.9, 0.9, 0.1])
    assert moved.sequence_ref_logp().tolist() == pytest.approx([-1, -1, -1, -0.1])


def test_mara_anchors_within_each_prompt_and_needs_a_good_sample():
    ref = torch.tensor([[-1.0], [-3.0], [-2.0], [-4.0]]).double()
    batch = rollouts([0.9, 0.9, 0.9, 0.1], group=[0, 0, 1, 2], ref_logp=ref)
    got = shaping.mara(batch, KNOBS, threshold=0.8).reward
    assert got.tolist() == pytest.approx([0.9, 0.9 + 1, 0.9, 0.1])
    nothing = shaping.mara(batch, KNOBS, threshold=2.0).reward
    assert nothing.tolist() == batch.reward.tolist()


def test_mara_percentile_is_taken_over_the_batch():
    ref = -torch.arange(10.0).double()[:, None]
    batch = rollouts(torch.arange(10).tolist(), group=[0, 1] * 5, ref_logp=ref)
    changed = shaping.mara(batch, Knobs(kl=1.0), threshold=None, percentile=70).reward
    # 7 of 10 at or below the score 6, so 6 … 9 are good: of each prompt the first is the anchor
    assert changed.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8 - 2 + 2, 9 - 2 + 2]


@pytest.mark.parametrize(
    "shape",
    [
        partial(shaping.mara, threshold=0.5),
        partial(shaping.mara_substituted, threshold=0.5),
        partial(shaping.mara, threshold=None),
        shaping.signed,
        shaping.correct,
        shaping.diversity_filter,
    ],
)
def test_no_threshold_moves_with_the_reward_scale(shape):
    batch = sampled(4)
    plain = shape(batch, KNOBS).reward != batch.reward
    scaled = batch.rewarded(1000 * batch.reward)
    turned = shape(scaled, KNOBS).reward != scaled.reward
    if shape in (shaping.signed, shaping.correct):  # these replace the reward altogether
        torch.testing.assert_close(shape(batch, KNOBS).reward, shape(scaled, KNOBS).reward)
    else:
        assert torch.equal(plain, turned)


def test_failed_scores_never_reach_a_reward():
    bandit = random_bandit(prompts=2, actions=6, longest=2)
    batch = bandit.population(bandit.ref_logits)
    score = batch.score.clone()
    score[[0, 7]] = math.nan
    holed = Rollouts.of(
        score,
        batch.group,
        batch.mask,
        batch.old_logp,
        batch.ref_logp,
        count=batch.count,
        equivalent=batch.equivalent,
        seen=torch.zeros(12, dtype=torch.long),
    )
    assert holed.count[[0, 7]].tolist() == [0, 0]
    strength = {"rarely_seen_bonus": {"bonus": 0.1}, "repeated_penalty": {"penalty": 0.1}}
    for name in shaping.__all__:
        if name != "distinctness":
            shaped = getattr(shaping, name)(holed, KNOBS, **strength.get(name, {}))
            assert torch.isfinite(shaped.reward[holed.count > 0]).all(), name
