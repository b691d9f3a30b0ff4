"""The loop under a controller: decided from the log alone, replayed, resumed, refused."""

import json

import pytest

from qdlaws.errors import BadData
from tests.helpers.small_run import config_of, rows, save_model
from trainer.algorithms.recipes import RECIPES
from trainer.control import make_controller, replay, run_log
from trainer.knobs import Knobs
from trainer.loop import resume, train
from trainer.training.run_control import goal_of

STEERED = ["control=law_guided", "control.min_diversity=0.8", "steps=24", "kl=0.3", "lr=0.02"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def steered(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "steered"
    train(config_of(model, *STEERED), folder)
    return folder


def _ratios(folder):
    evals = [r for r in rows(folder) if r["phase"] == "eval"]
    return [r["reward_scale"] / r["kl_coef"] for r in evals]


def test_the_knobs_are_turned_and_every_decision_is_written(steered):
    advice = rows(steered, "advice.jsonl")
    assert [a["step"] for a in advice] == list(range(0, 25, 2))
    assert all(a["reasons"] for a in advice)
    assert len({round(r, 9) for r in _ratios(steered)}) > 1
    # the knobs of an evaluation's line are those that the decision before it set
    evals = [r for r in rows(steered) if r["phase"] == "eval"]
    for before, after in zip(advice, evals[1:], strict=False):
        assert before["knobs"]["kl"] == after["kl_coef"]
        assert before["knobs"]["reward_scale"] == after["reward_scale"]


def test_replaying_the_saved_log_gives_the_same_knobs(model, steered):
    start = Knobs(**json.loads((steered / "start.json").read_text())["knobs"])
    config = config_of(model, *STEERED)
    controller = make_controller("law_guided", RECIPES["rloo"](), start, goal_of(config))
    again = replay(controller, run_log(rows(steered)), start)
    advice = rows(steered, "advice.jsonl")
    assert [d.to_dict()["knobs"] for d in again] == [a["knobs"] for a in advice]


def test_killed_and_resumed_it_turns_the_same_knobs(model, steered, tmp_path):
    folder = tmp_path / "cut"
    train(config_of(model, *STEERED, "steps=13"), folder)
    for step in (12, 13):
        for path in (folder / "checkpoints" / f"step-{step:06d}").iterdir():
            path.unlink()
    (folder / "summary.json").unlink()
    path = folder / "config.toml"
    path.write_text(path.read_text().replace("steps = 13", "steps = 24"))
    resume(folder, trust=True)  # its configuration has changed
    assert _ratios(folder) == _ratios(steered)
    assert rows(folder) == rows(steered)


def test_without_a_strength_it_starts_where_the_frontier_foretells_the_floor(model, tmp_path):
    settings = [s for s in STEERED if not s.startswith(("kl", "steps"))]
    seen = []
    train(config_of(model, *settings, "steps=2"), tmp_path / "planned", seen.append)
    assert seen[0]["phase"] == "plan"
    assert seen[0]["words"].startswith("planned from 2,000 samples")
    plan = json.loads((tmp_path / "planned" / "plan.json").read_text())
    assert plan["table"][0]["kl"] == pytest.approx(0, abs=1e-9)
    begun = json.loads((tmp_path / "planned" / "start.json").read_text())
    assert 0 < begun["knobs"]["kl"] != RECIPES["rloo"]().knobs.kl
    assert begun["gain"] is None or begun["gain"] > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["recipe=reverse_kl"], "folded"),
        (["recipe=dr_grpo"], "dead knob"),
        (["recipe=rloo", "control.turn=entropy"], "dead knob"),
        (["recipe=rloo", "control.min_diversity=none"], "needs a goal"),
        (["recipe=rloo", "control.lookahead=3"], "no option 'lookahead'"),
        (["recipe=grpo", "control.turn=reward_scale"], "dead knob"),
    ],
)
def test_what_cannot_be_steered_is_refused_before_the_run(settings, message, model, tmp_path):
    wanted = ["control=law_guided", "control.min_diversity=0.8", *settings]
    with pytest.raises(BadData, match=message):
        train(config_of(model, *wanted), tmp_path / "refused")
    assert not (tmp_path / "refused" / "metrics.jsonl").exists()


def test_normalising_by_the_group_makes_a_recipe_that_cannot_be_steered(model, tmp_path):
    wanted = ["control=law_guided", "control.min_diversity=0.8", "recipe.normalise=group"]
    with pytest.raises(BadData):
        train(config_of(model, *wanted), tmp_path / "group")


def test_stopping_keeps_the_named_checkpoint_and_reports_what_was_saved(model, tmp_path):
    settings = ["control.advise=true", "control.stop=true", "control.min_gain_per_step=0.5"]
    done = train(config_of(model, *settings, "steps=80", "checkpoint.keep=1"), tmp_path / "early")
    assert done.ended == "stopped"
    summary = json.loads((tmp_path / "early" / "summary.json").read_text())
    assert summary["compute_saved"] == pytest.approx(1 - done.step / 80, abs=1e-4)
    assert (tmp_path / "early" / "checkpoints" / f"step-{done.kept:06d}" / "state.json").exists()
    with pytest.raises(BadData, match="stopped as advised"):
        resume(tmp_path / "early")


def test_a_floor_that_diversity_cannot_have_is_refused_without_a_controller_too(model, tmp_path):
    with pytest.raises(BadData, match=r"did you mean 0\.85"):
        train(config_of(model, "control.min_diversity=85", "steps=2"), tmp_path / "run")


def test_parts_of_a_policy_that_is_not_sharded_are_refused(model, tmp_path):
    with pytest.raises(BadData, match=r"needs policy\.shard"):
        train(config_of(model, "checkpoint.parts=true", "steps=2"), tmp_path / "run")
