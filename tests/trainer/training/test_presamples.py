"""Pre-sampling is a step of its own: a context samples nothing, and stored samples are reread."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from qdlaws.errors import BadData, BadLog
from tests.helpers.small_run import config_of, save_model
from trainer.config import with_settings
from trainer.distributed.world import World
from trainer.training.evaluate_checkpoint import evaluate_checkpoint
from trainer.training.presamples import presample
from trainer.training.rollout import collect
from trainer.training.setup import make_context, start


def dph_config(model):
    return config_of(
        model, "recipe=dph_forward", "recipe.threshold=1", "task.binary=true", "train.limit=2"
    )


def test_a_context_is_made_without_sampling_and_presamples_are_drawn_once(tmp_path):
    context = make_context(dph_config(save_model(tmp_path / "model")), World())
    drawn = []
    sampler = context.sampler

    def counting(*args, **options):
        drawn.append(1)
        return sampler(*args, **options)

    context = type(context)(**{**vars(context), "sampler": counting})
    assert context.stored is None
    first = presample(context, tmp_path / "run")
    calls = len(drawn)
    assert calls > 0
    again = presample(context, tmp_path / "run")
    assert len(drawn) == calls
    assert torch.equal(first.stored.tokens, again.stored.tokens)
    assert torch.equal(first.stored.ref_logp, again.stored.ref_logp)
    assert [p.number for p in again.prompts] == [p.number for p in first.prompts]
    assert len(first.prompts) < len(context.prompts)


def test_damaged_presamples_are_one_line_that_names_the_file(tmp_path):
    context = make_context(dph_config(save_model(tmp_path / "model")), World())
    path = tmp_path / "run" / "rehearsal.safetensors"
    presample(context, tmp_path / "run")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadLog, match=r"rehearsal\.safetensors is damaged.*remove it"):
        presample(context, tmp_path / "run")


def test_a_recipe_without_presamples_keeps_its_context(tmp_path):
    context = make_context(config_of(save_model(tmp_path / "model")), World())
    assert presample(context, tmp_path / "run") is context
    assert not (tmp_path / "run").exists()


def test_a_model_is_evaluated_under_its_recipe_without_presampling(tmp_path):
    from trainer.config import to_toml

    model = save_model(tmp_path / "model")
    (tmp_path / "dph.toml").write_text(to_toml(dph_config(model)))
    row = evaluate_checkpoint(str(model), str(tmp_path / "dph.toml"), samples=40)
    assert row["n_samples"] == 40


def rehearsed_rows_of_a_step(context):
    batch, _ = collect(context, start(context))
    return int(batch.rollouts.stored.sum())


def test_a_step_rehearses_a_share_of_its_batch(tmp_path):
    """An eighth as released, 256 beside 2,048: of 4 prompts with 4 samples that is 2 rows."""
    config = dph_config(save_model(tmp_path / "model"))
    context = presample(make_context(config, World()), tmp_path / "run")
    assert rehearsed_rows_of_a_step(context) == 2
    config = with_settings(config, ["recipe.share=0.5", "recipe.attempts=4"])
    context = make_context(config, World())
    assert context.recipe.presamples.attempts == 4
    assert rehearsed_rows_of_a_step(presample(context, tmp_path / "other")) == 8


def test_a_run_from_before_the_share_goes_on_with_its_256_rows(tmp_path):
    config = dph_config(save_model(tmp_path / "model"))
    presample(make_context(config, World()), tmp_path / "run")
    path = tmp_path / "run" / "rehearsal.safetensors"
    tensors = load_file(path)
    del tensors["share"]
    save_file(tensors, path)
    context = presample(make_context(config, World()), tmp_path / "run")
    assert rehearsed_rows_of_a_step(context) == 256


@pytest.mark.parametrize("setting", ["recipe.share=0", "recipe.attempts=0"])
def test_a_plan_that_rehearses_nothing_is_refused(setting, tmp_path):
    config = with_settings(dph_config(save_model(tmp_path / "model")), [setting])
    with pytest.raises(BadData, match="at least one attempt and a share above 0"):
        make_context(config, World())
