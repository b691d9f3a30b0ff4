import json
import subprocess
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from trainer.algorithms.recipes import RECIPES, darling, grpo, illustrated, mara, rloo
from trainer.algorithms.suitability import TASKS, refusal, unsure
from trainer.cli.app import app
from trainer.cli.recipe_table import as_dict
from trainer.control import refusal as steering_refusal
from trainer.types import Knobs, Traits

ONLY_BINARY = {
    *("dph_forward", "dph_js", "dph_alpha", "psr", "nsr", "w_reinforce", "pass_at_k"),
    *("qae", "ucpo", "differential_smoothing"),
}


def test_the_table():
    refused = {
        (recipe, task)
        for recipe in RECIPES
        for task, traits in TASKS.items()
        if refusal(illustrated(recipe), traits) is not None
    }
    assert refused == {
        (recipe, task) for recipe in ONLY_BINARY for task in ("molecules", "stories")
    } | {("grpo_unlikeliness", "molecules")}


@pytest.mark.parametrize("name", ["pass_at_k", "dph_forward", "dph_js", "dph_alpha"])
def test_pass_at_k_and_dph_need_many_prompts_and_binary_rewards(name):
    reason = refusal(RECIPES[name](), TASKS["molecules"])
    assert "many prompts" in reason
    assert "rewards of 0 or 1" in reason


def test_mara_needs_a_threshold_in_reach_and_a_kl():
    task = TASKS["molecules"]
    assert refusal(mara(threshold=1.0), task) is None
    assert "found 1.5 > 1" in refusal(mara(threshold=1.5), task)
    assert "kl > 0" in refusal(mara(), task, Knobs(kl=0.0))
    assert "kl > 0" in refusal(mara(threshold=None), task, Knobs(kl=0.0))


def test_darling_multiplies_nonnegative_rewards_of_known_meaning():
    task = Traits("mine", True, False, -3.0, 2.0, False)
    reason = refusal(darling(), task)
    assert "at least 0" in reason
    assert "-3" in reason
    assert "mean the same" in reason


def test_a_dataset_is_judged_when_its_data_are_known():
    assert unsure(mara(), TASKS["dataset"])
    assert unsure(darling(), TASKS["dataset"])
    assert not unsure(grpo(), TASKS["dataset"])
    assert not any(unsure(illustrated(name), TASKS["arithmetic"]) for name in RECIPES)


def test_a_controller_is_refused_with_the_remedy():
    assert steering_refusal(rloo(), "kl") is None
    assert "dead knob" in steering_refusal(grpo(), "reward_scale")
    assert "batch_normalised" in steering_refusal(RECIPES["reverse_kl"](), "kl")
    assert "add a KL" in steering_refusal(RECIPES["kl_cov"](), "kl")
    assert "live: none" in steering_refusal(RECIPES["dr_grpo"](), "kl")


# ── the command ───────────────────────────────────────────────────────────────────────────────


def test_recipes_as_json():
    done = CliRunner().invoke(app, ["recipes", "--json"])
    rows = json.loads(done.stdout)
    assert [row["name"] for row in rows] == list(RECIPES)
    keys = {"name", "paper", "shape", "advantage", "policy", "terms", "reduce", "keep", "rehearse"}
    for row in rows:
        assert keys | {"live", "plant", "tasks"} <= set(row)
        assert set(row["tasks"]) == set(TASKS)
    by_name = {row["name"]: row for row in rows}
    assert by_name["dapo"]["policy"] == "clipped(low=0.2, high=0.28)"
    assert by_name["grpo"]["live"] == ["kl"]
    assert by_name["dr_grpo"]["plant"] is None
    assert by_name["psr"]["tasks"]["molecules"]["fits"] == "no"
    assert "graded" in by_name["psr"]["tasks"]["molecules"]["reason"]


def test_the_recipes_open_with_the_table_of_tasks():
    done = CliRunner().invoke(app, ["recipes"])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert all(task in " ".join(lines[:4]) for task in TASKS)
    for word in (*RECIPES, "folded", "provisional", "qdtrain recipes NAME"):
        assert word in done.stdout
    assert "group_standardised" not in done.stdout  # what they are made of comes on request


def test_what_a_recipe_is_made_of_comes_on_request():
    done = CliRunner().invoke(app, ["recipes", "grpo", "ucpo"])
    assert done.exit_code == 0
    for word in ("group_standardised", "arXiv 2402.03300", "uniform_correct(tau=0.2)", "beta"):
        assert word in done.stdout
    assert "darling" not in done.stdout
    every = CliRunner().invoke(app, ["recipes", "--pieces"])
    assert all(name in every.stdout for name in RECIPES)
    wrong = CliRunner().invoke(app, ["recipes", "grop"])
    assert "did you mean 'grpo'" in str(wrong.exception)


def test_python_m_trainer_and_light_imports():
    code = """if True:
        import runpy, sys
        import trainer, trainer.cli.app
        heavy = {"torch", "rdkit", "lmfit", "transformers", "matplotlib"} & set(sys.modules)
        assert not heavy, heavy
        sys.argv = ["trainer", "recipes", "--json"]
        try:
            runpy.run_module("trainer", run_name="__main__")
        except SystemExit as done:
            assert not done.code
        heavy = {"rdkit", "lmfit", "transformers", "matplotlib"} & set(sys.modules)
        assert not heavy, heavy
    """
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.stderr == ""
    assert len(json.loads(shown.stdout)) == len(RECIPES) == 32


def test_names_of_composed_pieces_are_readable():
    recipe = replace(grpo(), silence=RECIPES["clip_cov"]().silence)
    assert as_dict(recipe)["silence"].startswith("covariance_band(share=0.0002")
