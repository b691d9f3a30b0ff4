"""Every key of a configuration, as TOML with comments, as a page, and as a JSON schema.

All three are made of the same list (:func:`trainer.config.keys.section_keys`), so that what an
editor, a reader of the docs and ``qdtrain config`` are told is what the code takes.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any, get_type_hints

import msgspec

from qdlaws.errors import BadData
from trainer.config import Config
from trainer.config.keys import Key, option_keys, section_keys, toml_text
from trainer.tasks.task import nearest

__all__ = ["annotated_toml", "json_schema", "markdown_page"]

OPEN = ("task", "recipe", "control")
"""Sections that take the options of what their ``name`` chooses."""
COMMON = {
    "task": ("equivalence", "equivalence_threshold", "equivalence_short_words"),
    "recipe": (),
    "control": ("turn",),
}
"""Options that every task, recipe or controller takes; the section's docstring describes them."""


def annotated_toml(config: Config) -> str:
    """A whole configuration as TOML; above each key its meaning, its type and its default."""
    blocks = []
    for section, keys in _sections().items():
        values = getattr(config, section)
        lines = [f"[{section}]"]
        for key in keys:
            lines += _commented(key, getattr(values, key.name))
        if section in OPEN:
            given = dict(values.options)
            options = _options(section).get(values.name, [])
            if options or given:
                lines.append(f"# ---- options of {section} {values.name}")
            for key in options:
                lines += _commented(key, given.pop(key.name, key.default))
            if values.name in _makers(section):
                _refuse_unknown(section, values.name, given)
            lines += [f"{name} = {toml_text(value)}" for name, value in given.items()]
        blocks.append("\n".join(lines))
    for stage in config.stages:
        name = [f"name = {toml_text(stage.name)}"] if stage.name else []
        changes = [f"{toml_text(key)} = {toml_text(value)}" for key, value in stage.set.items()]
        blocks.append("\n".join(["[[stages]]", f"at = {stage.at}", *name, *changes]))
    return "\n\n".join(blocks) + "\n"


def _refuse_unknown(section: str, name: str, given: Mapping[str, Any]) -> None:
    """BadData, with the nearest right name, for an option that a bundled maker does not take."""
    for option in given:
        if option not in COMMON[section]:
            keys = [*_sections()[section], *_options(section)[name]]
            names = [*(key.name for key in keys), *COMMON[section]]
            raise BadData(f"{section} {name} has no option {option!r}{nearest(option, names)}")


def json_schema() -> dict[str, Any]:
    """The JSON schema of a configuration, for editors that complete and check TOML files."""
    (_, *_), definitions = msgspec.json.schema_components([Config])
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A configuration of qdtrain",
        "type": "object",
        "additionalProperties": False,
        "properties": {},
    }
    kinds = get_type_hints(Config)
    for section, keys in _sections().items():
        known = definitions[kinds[section].__name__]["properties"]
        properties = {key.name: _described(known[key.name], key) for key in keys}
        table = {"type": "object", "properties": properties, "additionalProperties": False}
        if section in OPEN:
            table["additionalProperties"] = True
            table["allOf"] = [
                {
                    "if": {"properties": {"name": {"const": name}}, "required": ["name"]},
                    "then": {"properties": {key.name: _described({}, key) for key in options}},
                }
                for name, options in _options(section).items()
                if options
            ]
        schema["properties"][section] = table
    schema["properties"]["stages"] = {
        "type": "array",
        "description": 'Changes from a step on; keys may be dotted, such as "train.lr".',
        "items": {"type": "object", "required": ["at"], "additionalProperties": True},
    }
    return schema


def markdown_page() -> str:
    """The page of all keys: a table for every section, task, recipe and controller."""
    lines = [
        "# Configuration",
        "",
        "Made by `python docs/configuration.py` from the code. A configuration is a TOML file;",
        "every key has a default, so a file holds what it changes. `qdtrain config NAME` prints a",
        "whole one with comments, `qdtrain config --schema` the JSON schema for an editor, and",
        "`--set key=value` changes one key of a command.",
        "",
    ]
    for section, keys in _sections().items():
        doc = (inspect.getdoc(get_type_hints(Config)[section]) or "").replace("``", "`")
        lines += [f"## [{section}]", "", doc, "", *_table(keys), ""]
        for name, options in _options(section).items() if section in OPEN else ():
            if options:
                lines += [f"### {section} `{name}`", "", *_table(options), ""]
    stage = _stage_keys()
    lines += ["## [[stages]]", "", "Changes of some keys from a step on.", "", *_table(stage), ""]
    return "\n".join(lines)


# ---------------------------------------------------------------------- the keys


def _sections() -> dict[str, list[Key]]:
    kinds = get_type_hints(Config)
    return {name: section_keys(kind) for name, kind in kinds.items() if name != "stages"}


def _stage_keys() -> list[Key]:
    from trainer.config import Stage

    return section_keys(Stage)


def _options(section: str) -> dict[str, list[Key]]:
    """name → the options of each task, recipe or controller."""
    return {name: option_keys(make, out) for name, (make, out) in _makers(section).items()}


def _makers(section: str) -> Mapping[str, tuple[Callable[..., Any], tuple[str, ...]]]:
    """name → the function that makes it, and those of its parameters that are no options."""
    if section == "task":
        from trainer.tasks import TASKS, task_maker

        return {name: (task_maker(name), ()) for name in TASKS}
    if section == "recipe":
        from trainer.algorithms.recipes import RECIPES

        return {name: (make, ()) for name, make in RECIPES.items()}
    from trainer.control.controllers import CONTROLLERS

    return {name: (make, ("dial", "goal")) for name, make in CONTROLLERS.items()}


# ---------------------------------------------------------------------- the words


def _commented(key: Key, value: Any) -> list[str]:
    """The comment of a key and the key; without a value the key stands in the comment."""
    default = "" if value == key.default else f"; default {key.default_text}"
    words = f"{_sentence(key.meaning)} ({key.type}{default})".strip()
    lines = textwrap.wrap(words, 94, initial_indent="# ", subsequent_indent="#   ")
    if value is Parameter.empty:
        return [*lines, f"# {key.name} = …   (must be given)"]
    if value is None:
        return [*lines, f"# {key.name} = none"]
    return [*lines, f"{key.name} = {toml_text(value)}"]


def _described(schema: Mapping[str, Any], key: Key) -> dict[str, Any]:
    """The schema of a value with its meaning and default."""
    known = {name: value for name, value in schema.items() if name != "default"}
    default = (
        {}
        if key.default is Parameter.empty or callable(key.default)
        else {"default": list(key.default) if isinstance(key.default, tuple) else key.default}
    )
    choices = {"enum": list(key.choices)} if key.choices and not known else {}
    return {**known, **choices, **default, "description": f"{_sentence(key.meaning)} ({key.type})"}


def _table(keys: list[Key]) -> list[str]:
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    for key in keys:
        meaning = _sentence(key.meaning).replace("|", "\\|")
        kind = key.type.replace("|", "\\|")
        rows.append(f"| `{key.name}` | {kind} | `{key.default_text}` | {meaning} |")
    return rows


def _sentence(text: str) -> str:
    """The words with a capital and a full stop."""
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text.endswith((".", ")")) else ".")
