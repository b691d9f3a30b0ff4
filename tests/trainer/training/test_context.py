"""Micro-batches hold every row once, within the bounds of tokens and rows."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.tiny_policy import tiny_policy
from trainer.config import Config, with_settings
from trainer.training.context import micro_batches, most_tokens, one_number

PADDED = tiny_policy()
PACKED = replace(PADDED, packed=True)
LENGTHS = torch.tensor([5, 1, 9, 3, 3, 7])
PROMPTS = [[1, 8]] * 6


@pytest.mark.parametrize(("tokens", "rows"), [(20, 100), (1000, 2), (11, 3)])
def test_micro_batches_hold_every_row_once_within_their_bounds(tokens, rows):
    settings = [f"train.micro_tokens={tokens}", f"train.micro_rows={rows}"]
    parts = micro_batches(LENGTHS, PROMPTS, with_settings(Config(), settings), PADDED)
    assert sorted(torch.cat(parts).tolist()) == list(range(6))
    for part in parts:
        assert len(part) <= rows
        assert len(part) == 1 or int((LENGTHS[part] + 2).max()) * len(part) <= tokens


def test_rows_of_a_micro_batch_are_alike_in_length():
    config = with_settings(Config(), ["train.micro_rows=2", "train.micro_tokens=1000"])
    parts = micro_batches(LENGTHS, PROMPTS, config, PADDED)
    assert [LENGTHS[part].tolist() for part in parts] == [[1, 3], [3, 5], [7, 9]]


@pytest.mark.parametrize(("tokens", "rows"), [(21, 100), (1000, 2), (11, 3), (1000, 100)])
def test_packed_micro_batches_count_a_prompt_once(tokens, rows):
    settings = [f"train.micro_tokens={tokens}", f"train.micro_rows={rows}"]
    prompts = [[1, 8, 8], [1], [1, 8, 8], [1], [1, 8, 8], [1]]
    parts = micro_batches(LENGTHS, prompts, with_settings(Config(), settings), PACKED)
    assert torch.cat(parts).tolist() == [1, 3, 5, 4, 0, 2]  # short prompts, then short completions
    for part in parts:
        read = {tuple(prompts[i]) for i in part.tolist()}
        size = int(LENGTHS[part].sum()) + sum(len(prompt) for prompt in read)
        assert len(part) <= rows
        assert len(part) == 1 or size <= tokens


def test_packed_micro_batches_hold_prompts_of_like_length():
    prompts = [[1] * n for n in (9, 2, 8, 3, 9, 2)]
    config = with_settings(Config(), ["train.micro_rows=3"])
    parts = micro_batches(torch.full((6,), 4), prompts, config, PACKED)
    assert [sorted(len(prompts[i]) for i in part.tolist()) for part in parts] == [
        [2, 2, 3],
        [8, 9, 9],
    ]


@pytest.mark.parametrize(("width", "tokens"), [(16, 4096), (128, 2048), (4096, 256)])
def test_wide_models_read_fewer_tokens_at_once_unless_it_is_configured(width, tokens):
    policy = tiny_policy()
    policy.model.config.hidden_size = width
    assert most_tokens(Config(), policy) == tokens
    assert most_tokens(with_settings(Config(), ["train.micro_tokens=7"]), policy) == 7


def test_without_rows_there_are_no_micro_batches():
    assert micro_batches(torch.tensor([], dtype=torch.long), [], Config(), PADDED) == []


def test_a_seed_of_several_numbers_depends_on_each_and_their_order():
    paths = [(1, 2), (2, 1), (1, 2, 1), (1, 3), (1,), (1, 0), (1, 0, 0), (1, 2, 0)]
    seeds = {one_number(*path) for path in paths}
    assert len(seeds) == len(paths)
    assert one_number(1, 2) == one_number(1, 2)
    assert all(0 <= seed < 2**63 for seed in seeds)
