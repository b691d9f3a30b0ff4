"""The files of a run: those that a task appends to are told from a user's own."""

import pytest

from tests.helpers.small_run import config_of, save_model
from trainer.distributed.world import World
from trainer.training.evaluation import evaluate
from trainer.training.run_writer import RunWriter
from trainer.training.setup import make_context


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    return make_context(config_of(save_model(tmp_path_factory.mktemp("model"))), World())


@pytest.fixture(scope="module")
def evaluation(context):
    return evaluate(context, 0, 8)


def test_rows_of_a_killed_process_go_and_a_users_files_stay(context, evaluation, tmp_path):
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "all.csv").write_text("0,left\n")
    (samples / "notes.csv").write_text("mine")
    writer = RunWriter(tmp_path, context.config, World(), None)
    writer.keep(context, evaluation, 0)
    writer.keep(context, evaluation, 0)
    assert len((samples / "all.csv").read_text().splitlines()) == 16
    assert (samples / "notes.csv").read_text() == "mine"
    sizes = writer.sizes()
    assert set(sizes) == {"metrics.jsonl", "advice.jsonl", "samples/all.csv"}
    assert sizes["samples/all.csv"] == (samples / "all.csv").stat().st_size


def test_rows_up_to_the_checkpoint_stay_when_a_run_is_resumed(context, evaluation, tmp_path):
    samples = tmp_path / "samples"
    samples.mkdir()
    (samples / "all.csv").write_text("0,saved\n")
    writer = RunWriter(tmp_path, context.config, World(), None, ["samples/all.csv"])
    writer.keep(context, evaluation, 2)
    assert (samples / "all.csv").read_text().startswith("0,saved\n2,")
