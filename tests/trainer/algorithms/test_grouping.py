"""Sums and moments within groups, and rows that mean the same."""

import pytest
import torch

from trainer.algorithms import grouping

GROUP = torch.tensor([0, 0, 0, 1])


def test_moments_of_a_group_with_frequency_weights_are_those_of_the_repeated_samples():
    x = torch.tensor([1.0, 4.0, 9.0, 5.0], dtype=torch.float64)
    count = torch.tensor([2.0, 1.0, 0.0, 3.0], dtype=torch.float64)
    repeated = torch.tensor([1.0, 1.0, 4.0], dtype=torch.float64)
    assert grouping.group_size(GROUP, count).tolist() == [3, 3, 3, 3]
    assert grouping.group_mean(x, GROUP, count)[0].item() == pytest.approx(repeated.mean().item())
    assert grouping.group_std(x, GROUP, count)[0].item() == pytest.approx(repeated.std().item())
    assert grouping.group_max(x, GROUP).tolist() == [9, 9, 9, 5]


def test_a_group_of_dropped_samples_has_mean_and_deviation_zero():
    x, none = torch.rand(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    assert grouping.group_mean(x, GROUP, none).tolist() == [0] * 4
    assert grouping.group_std(x, GROUP, none).tolist() == [0] * 4


def test_a_weighted_quantile_is_the_smallest_value_with_the_share_below():
    x = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)
    count = torch.tensor([1.0, 8.0, 1.0], dtype=torch.float64)
    for share, value in ((0.5, 1.0), (0.8, 1.0), (0.81, 2.0), (0.9, 2.0), (0.91, 3.0)):
        assert grouping.weighted_quantile(x, share, count).item() == value


def test_equal_keys_relate_rows_of_one_prompt_only():
    same = grouping.equal_keys(["ethanol", "methane", "ethanol", "ethanol"], GROUP)
    assert same.triu(1).nonzero().tolist() == [[0, 2]]


def test_a_row_without_a_key_equals_only_itself():
    same = grouping.equal_keys([None, None, 3, 3], GROUP)
    assert torch.equal(same, torch.eye(4, dtype=torch.bool))
