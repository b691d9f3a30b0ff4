"""A sampler of the user's: the trainer scores its samples anew and logs the mismatch."""

import pytest
import torch

from qdlaws.errors import BadData, QdlawsError
from tests.helpers.small_run import config_of, largest_gap, rows, save_model, weights
from trainer.loop import train


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"), torch.float64)


def run(model, folder, *settings):
    # The pass of transformers rounds to float32 where its sampler does.
    train(config_of(model, "policy.dtype=float64", "steps=4", "packed=false", *settings), folder)
    lines = rows(folder)
    return [[r for r in lines if r["phase"] == phase] for phase in ("train", "eval")]


@pytest.fixture(scope="module")
def reference_run(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "reference"
    return folder, *run(model, folder)


@pytest.mark.parametrize(("name", "gap"), [("rough", 0.125), ("silent", None)])
def test_old_log_probs_are_the_trainers_and_the_mismatch_is_logged(
    name, gap, model, reference_run, tmp_path
):
    folder, trains, evals = reference_run
    trained, evaluated = run(
        model, tmp_path / name, f"sampler=tests.helpers.foreign_sampler:{name}"
    )
    assert largest_gap(weights(tmp_path / name, 4), weights(folder, 4)) < 1e-9
    for row, same in zip(trained, trains, strict=True):
        assert row["mismatch"] == (None if gap is None else pytest.approx(gap, rel=1e-6))
        assert row["train_entropy"] == pytest.approx(same["train_entropy"], rel=1e-9)
    for row, same in zip(evaluated, evals, strict=True):
        for column in ("kl", "entropy", "quality", "diversity"):
            assert row[column] == pytest.approx(same[column], rel=1e-9, abs=1e-12), column


def test_without_recomputing_the_mismatch_is_still_logged(model, reference_run, tmp_path):
    trained, _ = run(
        model, tmp_path / "as-is", "sampler=tests.helpers.foreign_sampler:rough", "recompute=false"
    )
    assert trained[0]["mismatch"] == pytest.approx(0.125, rel=1e-6)
    assert reference_run[1][0]["mismatch"] < 1e-12


@pytest.mark.parametrize(
    ("sampler", "error", "message"),
    [
        ("engin", BadData, r"did you mean 'engine'.*'package.module:function' was needed"),
        ("tests.helpers.foreign_sampler:nothing", QdlawsError, "foreign_sampler has no nothing"),
        ("tests.helpers.foreign_sampler:short", BadData, r"asked for 32 completions.*gave \(31"),
    ],
)
def test_samplers_that_do_not_fit_are_refused_in_one_line(sampler, error, message, model, tmp_path):
    with pytest.raises(error, match=message):
        train(config_of(model, f"sampler={sampler}"), tmp_path / "bad")
