"""What a person is told about a key is what the code takes."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from qdlaws.errors import BadData
from trainer.algorithms.recipes import RECIPES
from trainer.cli.config_reference import annotated_toml, json_schema, markdown_page
from trainer.config import (
    Config,
    RecipeOptions,
    TaskOptions,
    load_config,
    presets,
    read_config,
    with_settings,
)
from trainer.config.keys import option_keys, section_keys
from trainer.control.controllers import CONTROLLERS
from trainer.tasks import TASKS, task_maker

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize("name", [None, *presets()])
def test_the_annotated_configuration_reads_back_the_same(name):
    config = load_config(name) if name else Config()
    again = read_config(tomllib.loads(annotated_toml(config)))
    for section in ("policy", "train", "eval", "checkpoint", "log"):
        assert getattr(again, section) == getattr(config, section)
    for section in ("task", "recipe", "control"):
        written, given = getattr(again, section), getattr(config, section)
        assert written.name == given.name
        # options that were not given stand there too, with their defaults
        assert given.options.items() <= written.options.items()


def test_stages_and_options_of_the_users_stand_in_it():
    config = with_settings(
        Config(), ['stages=[{at=5, name="late", "train.lr"=0.001}]', "task.name=my.tasks:make"]
    )
    text = annotated_toml(with_settings(config, ["task.width=3"]))
    assert read_config(tomllib.loads(text)).stages == config.stages
    assert "width = 3" in text


def test_every_key_says_what_it_means():
    kinds = {name: type(getattr(Config(), name)) for name in vars(Config()) if name != "stages"}
    silent = [
        f"{section}.{key.name}"
        for section, kind in kinds.items()
        for key in section_keys(kind)
        if not key.meaning
    ]
    for section, makers, others in (
        ("task", {name: task_maker(name) for name in TASKS}, ()),
        ("recipe", RECIPES, ()),
        ("control", CONTROLLERS, ("dial", "goal")),
    ):
        silent += [
            f"{section} {name}: {key.name}"
            for name, make in makers.items()
            for key in option_keys(make, others)
            if not key.meaning
        ]
    assert silent == []


def test_the_page_and_the_schema_are_those_of_the_code():
    assert (DOCS / "configuration.md").read_text() == markdown_page()
    assert json.loads((DOCS / "configuration.schema.json").read_text()) == json_schema()


def test_the_schema_holds_every_key_with_limits_and_choices():
    schema = json_schema()["properties"]
    assert schema["train"]["properties"]["steps"]["minimum"] == 1
    assert "adamw" in schema["train"]["properties"]["optimizer"]["enum"]
    options = {
        each["if"]["properties"]["name"]["const"]: each["then"]["properties"]
        for each in schema["task"]["allOf"]
    }
    assert options["arithmetic"]["high"]["default"] == 40
    assert options["dataset"]["diversity"]["enum"] == ["ngrams", "equivalence", "embedding"]


def test_no_option_of_a_task_or_recipe_has_the_name_of_a_key_of_its_section():
    """The key would win, and the option could not be set."""
    for section, makers in (
        (TaskOptions, [task_maker(name) for name in TASKS]),
        (RecipeOptions, list(RECIPES.values())),
    ):
        keys = {key.name for key in section_keys(section)}
        for make in makers:
            assert keys & {key.name for key in option_keys(make)} == set(), make


def test_a_key_that_nothing_takes_is_refused_with_the_nearest():
    with pytest.raises(BadData, match=r"recipe rloo has no option 'klx'.*did you mean 'kl'"):
        annotated_toml(load_config("guided", ["recipe.klx=1"]))
    config = load_config("arithmetic", ["task.equivalence=similarity:0.5"])
    assert 'equivalence = "similarity:0.5"' in annotated_toml(config)
