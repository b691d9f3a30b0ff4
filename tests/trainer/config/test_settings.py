"""Configurations: TOML in and out, settings, near names, stages."""

import os
import tomllib

import pytest

from qdlaws.errors import BadData
from trainer.config import (
    Config,
    at_step,
    load_config,
    presets,
    read_config,
    to_toml,
    with_settings,
)


@pytest.mark.parametrize("name", presets())
def test_bundled_configurations_load_and_come_back_the_same(name):
    config = load_config(name)
    assert read_config(tomllib.loads(to_toml(config))) == config
    short = load_config(name, ["steps=20", "seed=1"])
    assert (short.train.steps, short.train.seed) == (20, 1)


def test_there_is_a_bundled_configuration_for_every_task_and_family():
    tasks = {load_config(name).task.name for name in presets()}
    recipes = {load_config(name).recipe.name for name in presets()}
    assert {"molecules", "arithmetic", "sql", "stories"} <= tasks
    assert {"reinvent", "grpo", "rloo", "dapo", "darling", "mara", "kl_cov", "nsr"} <= recipes
    assert any(name.startswith("dph") for name in recipes)


def test_settings_find_their_section():
    config = with_settings(
        Config(), ["lr=1e-3", "recipe=grpo", "recipe.kl=.5", "task.objective=sa"]
    )
    assert config.train.lr == 1e-3
    assert (config.recipe.name, config.recipe.kl) == ("grpo", 0.5)
    assert config.task.options == {"objective": "sa"}


def test_a_number_for_a_name_a_word_for_a_list_and_none_for_no_value_pass():
    config = with_settings(Config(), ["project=2024", "sinks=wandb", "recipe.kl=none", "lr=1"])
    assert config.log.project == "2024"
    assert config.log.sinks == ("wandb",)
    assert config.recipe.kl is None
    assert isinstance(config.train.lr, float)


OLD = """\
[task]
name = "dataset"
rewards = ["my.module:reward"]
columns = {answer = "gold", "a b" = [1, {c = 2.0}]}

[train]
betas = [0.9, 0.999]

[[stages]]
at = 3
"train.lr" = 1.0
"""


def test_inline_tables_and_lists_survive_writing():
    config = read_config(tomllib.loads(OLD))
    assert config.task.options["columns"] == {"answer": "gold", "a b": [1, {"c": 2.0}]}
    assert read_config(tomllib.loads(to_toml(config))) == config


def test_another_task_or_recipe_drops_the_options_of_the_last():
    config = with_settings(Config(), ["recipe=dapo", "recipe.cache=.3", "task=arithmetic"])
    assert config.task.options == {}
    assert with_settings(config, ["recipe=rloo"]).recipe.options == {}
    assert with_settings(config, ["recipe=dapo"]).recipe.options == {"cache": 0.3}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("stpes=3", "did you mean 'steps'"),
        ("train.lrr=1", "did you mean 'lr'"),
        ("trian.lr=1", "did you mean 'train'"),
        ("steps=many", "train.steps = 'many': a whole number was needed"),
        ("steps=true", "train.steps = True: a whole number was needed"),
        ("lr=fast", "train.lr = .fast.: a number was needed"),
        ("keep=1", "say which of eval.keep, checkpoint.keep"),
        ("eval.keep=1", "true or false was needed"),
        ("log.sinks=3", "a list was needed"),
        ("every=5", "say which of eval.every, checkpoint.every"),
        ("dtype=float3", "did you mean 'float32'"),
        ("betas=[0.9]", "a list of length 2 was needed"),
        ("steps", "key=value was needed"),
        ("stages=[{at=1, policy.model='x'}]", "cannot change policy.model"),
        ("stages=[{at=1, precision='bf16'}]", "cannot change train.precision"),
        ("precision=bf61", "did you mean 'bf16'"),
        ("stages=[{train.lr=1}]", "at=STEP"),
        ("stages=[{at=1, lr=0}]", "train.lr = 0: a number above 0 was"),
        ("stages=[{at=1, train.lrr=1}]", "unknown key 'lrr'"),
        ("seed=-1", "train.seed = -1: a whole number of at least 0"),
        ("seed=9223372036854775808", "train.seed = 9223372036854775808: a whole number <="),
    ],
)
def test_bad_settings_say_what_is_right(setting, message):
    with pytest.raises(BadData, match=message):
        with_settings(Config(), [setting])


def test_files_that_cannot_be_read_are_one_line(tmp_path):
    with pytest.raises(BadData, match="did you mean 'demo'"):
        load_config("demmo")
    (tmp_path / "bad.toml").write_text("[train\n")
    with pytest.raises(BadData, match="no TOML"):
        load_config(tmp_path / "bad.toml")
    with pytest.raises(BadData, match="No such file"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 50_000)
    with pytest.raises(BadData, match="no TOML"):
        load_config(tmp_path / "deep.toml")
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(BadData, match="cannot read"):
        load_config(tmp_path / "pipe.toml")


def test_later_stages_win():
    config = with_settings(Config(), ["stages=[{at=5, lr=2.0}, {at=3, train={lr=1.0, limit=9}}]"])
    assert [at_step(config, s).train.lr for s in (2, 3, 4, 5)] == [5e-4, 1.0, 1.0, 2.0]
    assert at_step(config, 5).train.limit == 9
    assert read_config(tomllib.loads(to_toml(config))) == config
