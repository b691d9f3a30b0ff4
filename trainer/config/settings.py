"""Configurations are read, changed and written: TOML in, TOML out.

Sections: ``[policy] [task] [recipe] [train] [eval] [checkpoint] [control] [log]`` and any number of
``[[stages]]``, which change some keys from a step on. An unknown key is an error with the nearest
right name; ``steps=20`` finds its section by itself.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import tomli_w

from qdlaws.core.regular_file import read_regular
from qdlaws.errors import BadData
from trainer.config.sections import Config

__all__ = [
    "at_step",
    "config_file",
    "load_config",
    "presets",
    "read_config",
    "to_toml",
    "with_settings",
]

PRESETS = Path(__file__).parent.parent / "presets"
OPEN = {"task", "recipe", "control"}
"""Sections that pass unknown keys on, to the task, the recipe or the controller."""
STAGEABLE = {"task", "recipe", "train", "eval"}
FIXED_IN_STAGES = {
    "train.steps",
    "train.seed",
    "train.optimizer",
    "train.threads",
    "train.precision",
    "train.packed",
    "train.ahead",
    "recipe.name",
}
PLAIN = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table of keys",
    "null": "none",
    "|": "or",
    ">": "above",
    ">=": "of at least",
}
"""msgspec's words for what it expected, in plain English."""


# ---------------------------------------------------------------------- reading


def presets() -> list[str]:
    """The names of the bundled configurations."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_config(source: str | Path, settings: Iterable[str] = ()) -> Config:
    """The configuration of a run, from a TOML file or a bundled one.

    Parameters
    ----------
    source : path of a TOML file, or the name of a bundled configuration (:func:`presets`)
    settings : ``key=value`` changes on top of it, such as ``"train.steps=20"``; the section may
        be left out where only one has the key, and a value is TOML, or else a text

    Returns
    -------
    Config
        Every key that was not given has its default.

    Raises
    ------
    BadData
        In one line, with the nearest right name, for a file that cannot be read, an unknown key
        or a value of the wrong type or range.

    Examples
    --------
    >>> load_config("molecules", ["steps=20", "recipe.kl=0.1"]).train.steps
    20
    """
    path = config_file(source)
    try:
        tree = tomllib.loads(read_regular(path).decode())
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadData(f"cannot read {path}: {reason}") from None
    except (ValueError, RecursionError) as error:  # too many digits, too deep a list
        raise BadData(f"{path} is no TOML: {error}") from None
    return with_settings(read_config(tree), settings)


def config_file(source: str | Path) -> Path:
    """The file of a configuration: a path, or that of a bundled one by its name."""
    path = Path(source)
    bundled = PRESETS / f"{source}.toml"
    if path.suffix == ".toml" or (path.exists() and not bundled.exists()):
        return path
    if not bundled.exists():
        raise BadData(
            f"no configuration {str(source)!r}{_did_you_mean(str(source), presets())}; "
            f"bundled are {', '.join(presets())}"
        )
    return bundled


def with_settings(config: Config, settings: Iterable[str]) -> Config:
    """The configuration after ``key=value`` settings; a value is TOML, or else a text."""
    tree = _tree(config)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise BadData(f"--set {setting!r}: key=value was needed, such as steps=20")
        _set(tree, key.strip(), _value(text.strip()))
    return read_config(tree)


def at_step(config: Config, step: int) -> Config:
    """The configuration in force for the update after ``step``: later stages win."""
    begun = sorted((s for s in config.stages if s.at <= step), key=lambda s: s.at)
    if not begun:
        return config
    tree = _tree(config)
    for stage in begun:
        for key, value in stage.set.items():
            _set(tree, key, value)
    return read_config(tree)


def read_config(tree: Mapping[str, Any]) -> Config:
    """The configuration in a tree of TOML values, checked."""
    kinds = get_type_hints(Config)
    sections: dict[str, Any] = {}
    for name, value in tree.items():
        if name not in kinds:
            raise BadData(f"unknown section [{name}]{_did_you_mean(name, kinds)}")
        if name == "stages":
            sections[name] = [
                _stage(each) for each in (value if isinstance(value, list) else [value])
            ]
        elif isinstance(value, Mapping):
            sections[name] = _section(name, get_type_hints(kinds[name]), value)
        else:
            raise BadData(f"[{name}] must be a table of keys; found {value!r}")
    try:
        config = msgspec.convert(sections, Config)
    except msgspec.ValidationError as error:
        raise BadData(_in_plain_words(error, sections)) from None
    for stage in config.stages:  # a wrong value is refused now, not when the stage begins
        changed = _tree(replace(config, stages=()))
        for key, value in stage.set.items():
            _set(changed, key, value)
        read_config(changed)
    return config


def _section(name: str, kinds: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a section; those that it passes on go into its ``options``."""
    section: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for key, value in values.items():
        if key in kinds and key != "options":
            section[key] = _as_meant(value, kinds[key])
        elif name in OPEN:
            options[key] = value
        else:
            raise BadData(f"unknown key {key!r} in [{name}]{_did_you_mean(key, kinds)}")
    return {**section, "options": options} if name in OPEN else section


def _as_meant(value: Any, kind: Any) -> Any:
    """``none`` for no value, a number for a name, and one text for a list of texts are let pass."""
    parts = get_args(kind) or (kind,)
    if value == "none" and NoneType in parts:
        return None
    if str in parts and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if get_origin(kind) is tuple and isinstance(value, str):
        return [value]
    return value


def _stage(value: Any) -> dict[str, Any]:
    """A stage with its changes as dotted keys."""
    if not isinstance(value, Mapping) or "at" not in value:
        raise BadData(f"a stage needs at=STEP and what changes; found {value!r}")
    changes = _dotted({key: each for key, each in value.items() if key not in ("at", "name")})
    for key in changes:
        section = key.partition(".")[0]
        if section not in STAGEABLE or key in FIXED_IN_STAGES:
            raise BadData(f"a stage cannot change {key}; it can change {sorted(STAGEABLE)}")
    return {"at": value["at"], "name": str(value.get("name", "")), "set": changes}


def _dotted(tree: Mapping[str, Any]) -> dict[str, Any]:
    """``{"train": {"lr": 1}}`` as ``{"train.lr": 1}``; keys with dots stay."""
    flat: dict[str, Any] = {}
    for section, value in tree.items():
        if isinstance(value, Mapping) and "." not in section:
            flat |= {f"{section}.{key}": each for key, each in value.items()}
        else:
            flat[_full_key(section)] = value
    return flat


def _in_plain_words(error: msgspec.ValidationError, sections: Mapping[str, Any]) -> str:
    """``train.steps = 0: a whole number of at least 1 was needed``."""
    message, _, place = str(error).partition(" - at `$.")
    path = re.findall(r"\w+", place)
    value: Any = sections
    for name in path:
        value = value[int(name) if isinstance(value, list) else name]
    problem = f"{'.'.join(path)} = {value!r}"
    if message.startswith("Invalid enum value"):
        section, key = path
        choices = [str(c) for c in get_args(get_type_hints(get_type_hints(Config)[section])[key])]
        return f"{problem}{_did_you_mean(str(value), choices)}; one of {', '.join(choices)}"
    needed = message.removeprefix("Expected ").partition(", got ")[0].replace("`", "")
    words = " ".join(PLAIN.get(word, word.removesuffix(".0")) for word in needed.split())
    return f"{problem}: {words} was needed"


# ---------------------------------------------------------------------- settings


def _keys() -> dict[str, list[str]]:
    """section → its keys."""
    kinds = get_type_hints(Config)
    return {name: [f.name for f in fields(kinds[name])] for name in kinds if name != "stages"}


def _full_key(key: str) -> str:
    """``lr`` as ``train.lr``: the one section that has the key."""
    if "." in key or key == "stages":
        return key
    sections = _keys()
    homes = [s for s, keys in sections.items() if key in keys and key not in ("name", "options")]
    if len(homes) == 1:
        return f"{homes[0]}.{key}"
    if key == "samples":  # of training and of evaluation: the batch is what a person means
        return "train.samples"
    if len(homes) > 1:
        which = ", ".join(f"{home}.{key}" for home in homes)
        raise BadData(f"{key} stands in several sections: say which of {which}")
    if key in sections:
        return f"{key}.name"
    every = [key for keys in sections.values() for key in keys]
    raise BadData(f"unknown key {key!r}{_did_you_mean(key, every)}")


def _set(tree: dict[str, Any], key: str, value: Any) -> None:
    """Sets a dotted key; below an open section the dots go on into its options."""
    if key == "stages":
        tree[key] = value
        return
    *path, last = _full_key(key).split(".")
    if path[0] not in _keys():
        raise BadData(f"unknown section {path[0]!r} in {key!r}{_did_you_mean(path[0], _keys())}")
    for name in path:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise BadData(f"{key}: {name} holds no keys")
    if path[0] in OPEN and last == "name" and tree.get("name") != value:
        tree.clear()  # the options of another task or recipe mean nothing here
    tree[last] = value


def _value(text: str) -> Any:
    """A TOML value; else a number such as .8, which TOML would have as 0.8; else the text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _did_you_mean(word: str, names: Iterable[str]) -> str:
    near = get_close_matches(word, list(names), n=1, cutoff=0.6)
    return f"; did you mean {near[0]!r}?" if near else ""


# ---------------------------------------------------------------------- writing


def to_toml(config: Config) -> str:
    """The whole configuration, defaults included, as TOML that :func:`load_config` reads back."""
    return tomli_w.dumps(_tree(config))


def _tree(config: Config) -> dict[str, Any]:
    """The configuration as the file has it: options stand beside the keys of their section."""
    tree: dict[str, Any] = {}
    for name in _keys():
        section = asdict(getattr(config, name))
        section |= section.pop("options", {})
        tree[name] = {key: value for key, value in section.items() if value is not None}
    if config.stages:
        tree["stages"] = [
            {"at": s.at, **({"name": s.name} if s.name else {}), **s.set} for s in config.stages
        ]
    return tree
