import itertools
import statistics

import pytest
import torch

from trainer.algorithms import advantage
from trainer.algorithms.grouping import divided, group_std, weighted_quantile

ONE = torch.zeros(8, dtype=torch.long)
TWO = torch.tensor([0, 1, 0, 1, 0, 1, 0, 1])
ALL = torch.ones(8, dtype=torch.float64)
REWARD = torch.tensor([0.3, 0.9, 0.1, 0.4, 0.8, 0.2, 0.6, 0.7], dtype=torch.float64)


def test_leave_one_out_is_the_mean_of_the_others():
    got = advantage.leave_one_out(REWARD, TWO, ALL)
    for i in range(8):
        others = [REWARD[j].item() for j in range(8) if j != i and TWO[j] == TWO[i]]
        assert got[i].item() == pytest.approx(REWARD[i].item() - statistics.mean(others))


def test_leave_one_out_is_a_multiple_of_centred():
    torch.testing.assert_close(
        advantage.leave_one_out(REWARD, TWO, ALL), 4 / 3 * advantage.centred(REWARD, TWO, ALL)
    )


def test_group_standardised_against_the_standard_library():
    got = advantage.group_standardised(REWARD, ONE, ALL, eps=0.0)
    values = REWARD.tolist()
    want = [(r - statistics.mean(values)) / statistics.stdev(values) for r in values]
    assert got.tolist() == pytest.approx(want)


def test_a_dropped_sample_shrinks_n():
    count = ALL.clone()
    count[3] = 0
    kept = torch.arange(8) != 3
    for piece in (
        advantage.leave_one_out,
        advantage.centred,
        advantage.group_standardised,
    ):
        with_hole = piece(REWARD, TWO, count)[kept]
        without = piece(REWARD[kept], TWO[kept], ALL[kept])
        torch.testing.assert_close(with_hole, without)


def test_counts_are_repetitions():
    reward, group = torch.tensor([0.2, 0.5, 0.9]).double(), torch.zeros(3, dtype=torch.long)
    count = torch.tensor([2.0, 3.0, 1.0]).double()
    times = count.long()
    repeated = (
        reward.repeat_interleave(times),
        group.repeat_interleave(times),
        torch.ones(6).double(),
    )
    for piece in (advantage.leave_one_out, advantage.group_standardised, advantage.pass_at_k):
        torch.testing.assert_close(
            piece(reward, group, count).repeat_interleave(times), piece(*repeated)
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_rewards_and_lone_samples_give_no_signal(dtype):
    for piece in (
        advantage.leave_one_out,
        advantage.centred,
        advantage.group_standardised,
    ):
        lone = piece(torch.tensor([0.7], dtype=dtype), ONE[:1], torch.ones(1, dtype=dtype))
        assert lone.abs().max() == 0
        nobody = piece(REWARD.to(dtype), TWO, torch.zeros(8, dtype=dtype))
        assert torch.isfinite(nobody).all()
        same = piece(torch.full((8,), 0.5, dtype=dtype), TWO, torch.ones(8, dtype=dtype))
        assert same.abs().max() < 1e-6


def pass_at_k_by_subsets(reward, k):
    """Mean over the k-subsets with i of their standardised maximum."""
    subsets = list(itertools.combinations(range(len(reward)), k))
    best = [max(reward[i] for i in subset) for subset in subsets]
    mean, spread = statistics.mean(best), statistics.pstdev(best)
    return [
        statistics.mean((b - mean) / spread for b, s in zip(best, subsets, strict=True) if i in s)
        for i in range(len(reward))
    ]


@pytest.mark.parametrize(("right", "k"), [(2, 4), (1, 4), (4, 4), (3, 2), (1, 1), (5, 3)])
def test_pass_at_k_is_the_mean_over_all_subsets(right, k):
    reward = torch.tensor([1.0] * right + [0.0] * (8 - right)).double()
    got = advantage.pass_at_k(reward, ONE, ALL, k=k, eps=0.0)
    assert got.tolist() == pytest.approx(pass_at_k_by_subsets(reward.tolist(), k))


def test_pass_at_k_numbers_of_the_reference():
    reward = torch.tensor([1.0, 1.0] + [0.0] * 6).double()
    got = advantage.pass_at_k(reward, ONE, ALL, k=4)
    assert got[0].item() == pytest.approx(0.522, abs=5e-4)
    assert got[2].item() == pytest.approx(-0.174, abs=5e-4)
    assert got.sum().item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("right", [0, 5, 6, 7, 8])
def test_pass_at_k_is_silent_where_every_subset_succeeds_or_none_does(right):
    reward = torch.tensor([1.0] * right + [0.0] * (8 - right)).double()
    assert advantage.pass_at_k(reward, ONE, ALL, k=4).abs().max() == 0


def test_pass_at_k_needs_k_answers():
    reward, group = torch.tensor([1.0, 0.0, 0.0]).double(), ONE[:3]
    assert advantage.pass_at_k(reward, group, ALL[:3], k=4).abs().max() == 0


def test_helpers():
    torch.testing.assert_close(
        divided(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])), torch.tensor([0.0, 0.5])
    )
    assert group_std(REWARD, ONE, ALL)[0].item() == pytest.approx(statistics.stdev(REWARD.tolist()))
    assert weighted_quantile(REWARD, 0.5, ALL).item() == pytest.approx(0.4)
    assert weighted_quantile(REWARD, 1.0, ALL).item() == pytest.approx(0.9)
    only = torch.zeros(8).double()
    only[4] = 3
    assert weighted_quantile(REWARD, 0.1, only).item() == pytest.approx(0.8)


def test_risk_seeking_is_the_mean_at_one_end_and_the_best_at_the_other():
    reward = torch.tensor([0.0, 0.2, 1.0, 0.5]).double()
    group, count = torch.tensor([0, 0, 0, 1]), torch.ones(4).double()
    mean = advantage.risk_sensitive(reward, group, count, risk=1e-6)
    torch.testing.assert_close(mean, advantage.centred(reward, group, count), atol=1e-6, rtol=0)
    best = advantage.risk_sensitive(reward, group, count, risk=2000.0) * 2000
    assert best.tolist() == pytest.approx([-1, -1, 2, 0])


def test_a_quantile_baseline_learns_from_the_rare_side_of_a_prompt():
    """One right of five: b = 0, wrong ones get nothing; four of five: b = 1, right ones do not."""
    group, count = torch.zeros(5, dtype=torch.long), torch.ones(5).double()
    hard = torch.tensor([1.0, 0, 0, 0, 0]).double()
    got = advantage.quantile_baseline(hard, group, count)
    assert got.tolist() == pytest.approx([2.5, 0, 0, 0, 0], rel=1e-4)
    easy = advantage.quantile_baseline(1 - hard, group, count)
    assert easy.tolist() == pytest.approx([-2.5, 0, 0, 0, 0], rel=1e-4)
    for equal in (hard * 0, hard * 0 + 1):
        assert advantage.quantile_baseline(equal, group, count).abs().sum() == 0
