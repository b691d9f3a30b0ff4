import numpy as np
import pytest
import torch

from tests.helpers.tiny_world import sampled
from trainer.algorithms import weighting as weigh
from trainer.types import Rollouts, Step

MASK = torch.tensor([[1, 1, 1], [1, 0, 0], [1, 1, 0]]).bool()
COUNT = torch.tensor([1.0, 1.0, 1.0]).double()


def test_reductions_by_hand():
    x = torch.tensor([[1.0, 2.0, 3.0], [10.0, 0.0, 0.0], [4.0, 6.0, 0.0]]).double()

    def total(reduce):
        return (reduce(MASK, COUNT, 5) * x).sum().item()

    assert total(weigh.token_mean) == pytest.approx((6 + 10 + 10) / 6)
    assert total(weigh.sequence_mean) == pytest.approx((2 + 10 + 5) / 3)
    assert total(weigh.sequence_sum) == pytest.approx((6 + 10 + 10) / 3)
    assert total(weigh.fixed_length) == pytest.approx((6 + 10 + 10) / 3 / 5)


REDUCTIONS = [weigh.token_mean, weigh.sequence_mean, weigh.sequence_sum, weigh.fixed_length]


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_a_dropped_sample_is_as_if_it_were_not_there(reduce):
    count = torch.tensor([1.0, 0.0, 1.0]).double()
    weight = reduce(MASK, count, 5)
    kept = torch.tensor([0, 2])
    assert weight[1].abs().max() == 0
    torch.testing.assert_close(weight[kept], reduce(MASK[kept], COUNT[kept], 5))


@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_a_batch_of_nothing_weighs_nothing(reduce):
    assert reduce(MASK, 0 * COUNT, 5).abs().max() == 0
    assert torch.isfinite(reduce(torch.zeros_like(MASK), COUNT, 5)).all()


def test_mixed_groups_reads_raw_scores():
    score = torch.tensor([1.0, 1.0, 0.0, 1.0, float("nan"), 1.0])
    group = torch.tensor([0, 0, 1, 1, 2, 2])
    batch = Rollouts.of(score, group, torch.ones(6, 2).bool(), torch.zeros(6, 2))
    assert weigh.mixed_groups(batch).tolist() == [False, False, True, True, False, False]
    assert weigh.mixed_groups(batch.rewarded(torch.arange(6.0))).tolist()[0] is False


def tokens(seed=0, rows=40, length=25):
    rng = torch.Generator().manual_seed(seed)
    logp = -torch.rand(rows, length, generator=rng, dtype=torch.float64) * 6
    advantage = torch.randn(rows, 1, generator=rng, dtype=torch.float64).expand(rows, length) * 2
    mask = torch.rand(rows, length, generator=rng) < 0.8
    old = logp + 0.5 * torch.randn(rows, length, generator=rng, dtype=torch.float64)
    return Step(logp, old, None, advantage, mask)


def covariances(step):
    """The definition, by numpy over the valid tokens."""
    logp, advantage = step.logp[step.mask].numpy(), step.advantage[step.mask].numpy()
    return (logp - logp.mean()) * (advantage - advantage.mean())


def test_covariance_is_the_definition_and_its_mean_the_covariance():
    s = tokens()
    got = weigh.covariance(s)[s.mask].numpy()
    np.testing.assert_allclose(got, covariances(s), atol=1e-12)
    pair = np.stack([s.logp[s.mask].numpy(), s.advantage[s.mask].numpy()])
    assert got.mean() == pytest.approx(np.cov(pair, ddof=0)[0, 1])


@pytest.mark.parametrize("share", [2e-3, 0.02, 0.1])
def test_kl_cov_takes_the_top_share(share):
    s = tokens()
    chosen = weigh.covariance_top(s, None, share=share)
    cov = covariances(s)
    quota = max(1, int(share * len(cov)))
    assert chosen.sum().item() == quota
    assert not (chosen & ~s.mask).any()
    assert set(np.argsort(cov)[-quota:]) == set(np.flatnonzero(chosen[s.mask].numpy()))


def test_clip_cov_draws_from_the_band_and_spares_what_ppo_clips():
    s = tokens()
    draw = torch.Generator().manual_seed(1)
    chosen = weigh.covariance_band(
        s, draw, share=0.02, low=1.0, high=5.0, clip_low=0.2, clip_high=0.2
    )
    cov, n = covariances(s), int(s.mask.sum())
    ratio, sign = s.ratio[s.mask].numpy(), s.advantage[s.mask].numpy()
    clipped = ((ratio > 1.2) & (sign > 0)) | ((ratio < 0.8) & (sign < 0))
    pool = set(np.flatnonzero((cov > 1) & (cov < 5) & ~clipped))
    took = set(np.flatnonzero(chosen[s.mask].numpy()))
    assert clipped.any()
    assert len(took) == int(0.02 * n) < len(pool)
    assert took <= pool
    assert not (chosen & ~s.mask).any()


def test_clip_cov_is_uniform_over_its_pool():
    s = tokens(rows=8, length=10)
    rng = torch.Generator().manual_seed(0)
    one = {"share": 1e-9, "percentiles": True, "low": 50.0, "high": 80.0}  # one token at a time
    hits = sum(weigh.covariance_band(s, rng, **one).double() for _ in range(3000))
    pool = weigh.covariance_band(s, rng, **{**one, "share": 1.0})
    seen = hits[pool]
    assert hits.sum() == 3000
    assert hits[~pool].sum() == 0
    # 3000 draws over the pool: chi-square within its 99.9 % range for the pool's size (about 18)
    fair = 3000 / len(seen)
    assert ((seen - fair) ** 2 / fair).sum() < 45


def test_clip_cov_takes_a_small_pool_whole_and_an_empty_one_not_at_all():
    s = tokens(rows=6, length=8)
    assert weigh.covariance_band(s, None, share=1.0, low=1.0, high=5.0).sum() > 1
    assert weigh.covariance_band(s, None, low=900.0, high=901.0).sum() == 0
    nothing = Step(s.logp, s.old_logp, None, s.advantage, torch.zeros_like(s.mask))
    assert weigh.covariance_band(nothing, None).sum() == 0
    assert weigh.covariance_top(nothing, None).sum() == 0


def test_row_keepers():
    batch = sampled(0)
    assert (weigh.only_correct(batch) ^ weigh.only_wrong(batch)).all()
