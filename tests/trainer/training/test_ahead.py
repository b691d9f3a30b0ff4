"""Rollouts one step ahead: their weights, their staleness, resuming, and what is refused."""

from dataclasses import replace

import pytest
import torch

from qdlaws.errors import BadData
from tests.helpers.small_run import config_of, largest_gap, rows, save_model, weights
from trainer.loop import resume, train
from trainer.training.ahead import check_ahead
from trainer.training.update import truncated_importance


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def ahead_run(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "ahead"
    train(config_of(model, "ahead=1", "eval.every=3"), folder)
    return folder


def steps(folder):
    return [row for row in rows(folder) if row["phase"] == "train"]


def test_every_batch_but_the_first_after_an_evaluation_is_one_update_old(ahead_run):
    assert [row["staleness"] for row in steps(ahead_run)] == [0, 1, 1, 0, 1, 1]


def test_stale_batches_differ_from_the_present_policy_and_fresh_ones_do_not(ahead_run):
    for row in steps(ahead_run):
        if row["staleness"]:
            assert row["mismatch"] > 1e-3
            assert row["importance"] != 1
        else:
            assert row["mismatch"] < 1e-5
            assert row["importance"] == pytest.approx(1, abs=1e-5)


def test_the_first_step_is_that_of_a_run_without(ahead_run, model, tmp_path):
    train(config_of(model, "eval.every=3"), tmp_path / "plain")
    first, plain = steps(ahead_run), steps(tmp_path / "plain")
    assert first[0]["reward"] == plain[0]["reward"]
    assert first[0]["grad_norm"] == pytest.approx(plain[0]["grad_norm"], rel=1e-4)
    assert "staleness" not in plain[0]
    # The second batch has the same noise, and the weights of before the first update.
    assert first[1]["train_entropy"] != plain[1]["train_entropy"]


def test_a_run_ahead_is_resumed_to_the_bit(ahead_run, model, tmp_path):
    folder = tmp_path / "cut"
    train(config_of(model, "ahead=1", "eval.every=3"), folder)
    for path in sorted((folder / "checkpoints" / "step-000006").iterdir()):
        path.unlink()
    (folder / "summary.json").unlink()
    resume(folder)
    assert rows(folder) == rows(ahead_run)
    assert largest_gap(weights(folder, 6), weights(ahead_run, 6)) == 0


def test_importance_weights_are_truncated_and_one_where_nothing_is_known():
    now = torch.tensor([[0.0, -1.0, -1.0], [-2.0, -1.0, 0.0]])
    drawn = torch.tensor([[-3.0, -1.0, torch.nan], [-1.0, -1.0, -9.0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    weight = truncated_importance(now, drawn, mask, 2.0)
    torch.testing.assert_close(
        weight, torch.tensor([[2.0, 1.0, 1.0], [float(torch.exp(torch.tensor(-1.0))), 1.0, 1.0]])
    )


def test_the_importance_weighted_gradient_is_that_of_fresh_samples():
    """Over all outcomes of one token: Σ μ·min(π/μ, cap)·f = Σ π·f while no weight is cut."""
    torch.manual_seed(0)
    now, drawn = (torch.randn(1, 9).double().log_softmax(-1) for _ in range(2))
    value = torch.randn(1, 9).double()
    mask = torch.ones(1, 9, dtype=torch.bool)
    weight = truncated_importance(now, drawn, mask, 1e6)
    stale = (drawn.exp() * weight * value).sum()
    torch.testing.assert_close(stale, (now.exp() * value).sum())


def test_what_cannot_draw_ahead_is_refused(model):
    config = config_of(model, "ahead=1")
    check_ahead(replace(config, train=replace(config.train, ahead=0)), 2)
    with pytest.raises(BadData, match="one process"):
        check_ahead(config, 2)
    with pytest.raises(BadData, match="graphs"):
        check_ahead(replace(config, train=replace(config.train, graphs=True)), 1)
