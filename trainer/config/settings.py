"""Configurations read, changed and written: TOML in, TOML out.

Sections: ``[policy] [task] [recipe] [train] [eval] [checkpoint] [control] [log]`` and any number of
``[[stages]]``, which change some keys from a step on. Unknown keys are errors with the nearest
right name; ``steps=20`` finds its section by itself.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from qdlaws.errors import BadData
from trainer.config.sections import Config, Named, Stage

__all__ = ["at_step", "load_config", "presets", "read_config", "to_toml", "with_settings"]

PRESETS = Path(__file__).parent.parent / "presets"
OPEN = {"task", "recipe", "control"}  # sections that pass unknown keys on
STAGEABLE = {"task", "recipe", "train", "eval"}
FIXED_IN_STAGES = {"train.steps", "train.seed", "train.optimizer", "train.threads", "recipe.name"}


# ---------------------------------------------------------------------- reading


def presets() -> list[str]:
    """Names of the bundled configurations."""
    return sorted(path.stem for path in PRESETS.glob("*.toml"))


def load_config(source: str | Path, settings: Iterable[str] = ()) -> Config:
    """The configuration in a TOML file or of a bundled name, after ``key=value`` settings."""
    path = Path(source)
    if path.suffix != ".toml":
        bundled = PRESETS / f"{source}.toml"
        if not bundled.exists() and not path.exists():
            raise BadData(
                f"no configuration {str(source)!r}{_near(str(source), presets())}; bundled are "
                + ", ".join(presets())
            )
        path = bundled if bundled.exists() else path
    try:
        tree = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadData(f"cannot read {path}: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise BadData(f"{path} is no TOML: {error}") from None
    return with_settings(read_config(tree), settings)


def with_settings(config: Config, settings: Iterable[str]) -> Config:
    """The configuration after ``key=value`` settings; a value is TOML, or else a string."""
    tree = _tree(config)
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise BadData(f"--set {setting!r}: key=value was needed, such as steps=20")
        _put(tree, key.strip(), _value(text.strip()))
    return read_config(tree)


def at_step(config: Config, step: int) -> Config:
    """What is in force for the update after ``step``: later stages win."""
    begun = sorted((s for s in config.stages if s.at <= step), key=lambda s: s.at)
    if not begun:
        return config
    tree = _tree(config)
    for stage in begun:
        for key, value in stage.set.items():
            _put(tree, key, value)
    return read_config(tree)


def read_config(tree: Mapping[str, Any]) -> Config:
    """The configuration that a tree of TOML values says, checked."""
    hints = get_type_hints(Config)
    made: dict[str, Any] = {}
    for name, value in tree.items():
        if name not in hints:
            raise BadData(f"unknown section [{name}]{_near(name, hints)}")
        if name == "stages":
            made[name] = _stages(value)
        elif not isinstance(value, Mapping):
            raise BadData(f"[{name}] must be a table of keys; found {value!r}")
        elif name == "task":
            rest = dict(value)
            given = rest.pop("name", "molecules")
            made[name] = Named(_typed("task.name", given, str), rest)
        else:
            made[name] = _section(name, hints[name], value)
    config = Config(**made)
    _check(config)
    return config


def _section(section: str, kind: Any, values: Mapping[str, Any]) -> Any:
    hints = get_type_hints(kind)
    known: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for key, value in values.items():
        if key in hints and key != "options":
            known[key] = _typed(f"{section}.{key}", value, hints[key])
        elif section in OPEN:
            rest[key] = value
        else:
            raise BadData(f"unknown key {key!r} in [{section}]{_near(key, hints)}")
    return kind(**known, **({"options": rest} if section in OPEN else {}))


def _stages(values: Any) -> tuple[Stage, ...]:
    stages = []
    for value in values if isinstance(values, list) else [values]:
        if not isinstance(value, Mapping) or "at" not in value:
            raise BadData(f"a stage needs at=STEP and what changes; found {value!r}")
        rest = dict(value)
        at, name = _typed("stages.at", rest.pop("at"), int), str(rest.pop("name", ""))
        changes = _dotted(rest)
        for key in changes:
            section = key.partition(".")[0]
            if section not in STAGEABLE or key in FIXED_IN_STAGES:
                raise BadData(f"a stage cannot change {key}; it can change {sorted(STAGEABLE)}")
        stages.append(Stage(at, changes, name))
    return tuple(stages)


def _dotted(tree: Mapping[str, Any]) -> dict[str, Any]:
    """``{"train": {"lr": 1}}`` as ``{"train.lr": 1}``; keys with dots stay."""
    out: dict[str, Any] = {}
    for section, value in tree.items():
        if isinstance(value, Mapping) and "." not in section:
            out |= {f"{section}.{key}": each for key, each in value.items()}
        else:
            out[_full(section)] = value
    return out


def _typed(key: str, value: Any, kind: Any) -> Any:
    """The value as the field's type wants it; one line where it cannot be."""
    if get_origin(kind) in (Union, UnionType):
        options = [k for k in get_args(kind) if k is not NoneType]
        return None if value is None or value == "none" else _typed(key, value, options[0])
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            near = _near(str(value), [str(v) for v in get_args(kind)])
            raise BadData(f"{key} = {value!r}{near}; one of {', '.join(map(str, get_args(kind)))}")
        return value
    if get_origin(kind) is tuple:
        given = [value] if isinstance(value, str) else list(value)
        each = get_args(kind)[0]
        if Ellipsis not in get_args(kind) and len(given) != len(get_args(kind)):
            raise BadData(f"{key} = {value!r}: {len(get_args(kind))} values were needed")
        return tuple(_typed(key, v, each) for v in given)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadData(f"{key} = {value!r}: a value of type {kind.__name__} was needed")
    return value


def _check(config: Config) -> None:
    train, evaluate = config.train, config.eval
    positive = {
        "train.steps": train.steps,
        "train.prompts": train.prompts,
        "train.samples": train.samples,
        "train.limit": train.limit,
        "train.epochs": train.epochs,
        "train.minibatches": train.minibatches,
        "train.micro_tokens": train.micro_tokens,
        "train.temperature": train.temperature,
        "train.lr": train.lr,
        "train.clip_norm": train.clip_norm,
        "eval.every": evaluate.every,
    }
    for key, value in positive.items():
        if not value > 0:
            raise BadData(f"{key} = {value}: a number above 0 was needed")
    if evaluate.samples < 4:
        raise BadData(f"eval.samples = {evaluate.samples}: at least 4 were needed for an error")


# ---------------------------------------------------------------------- settings


def _sections() -> dict[str, list[str]]:
    hints = get_type_hints(Config)
    return {name: [f.name for f in fields(hints[name])] for name in hints if name != "stages"}


def _full(key: str) -> str:
    """``lr`` as ``train.lr``: the one section that has the key."""
    if "." in key or key == "stages":
        return key
    homes = [s for s, keys in _sections().items() if key in keys and key not in ("name", "options")]
    if len(homes) == 1:
        return f"{homes[0]}.{key}"
    if key == "samples":  # of training and of evaluation: the batch is what a person means
        return "train.samples"
    if len(homes) > 1:
        which = ", ".join(f"{home}.{key}" for home in homes)
        raise BadData(f"{key} stands in several sections: say which of {which}")
    if key in _sections():
        return f"{key}.name"
    every = [k for keys in _sections().values() for k in keys]
    raise BadData(f"unknown key {key!r}{_near(key, every)}")


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Sets a dotted key; below an open section the dots go on into its options."""
    if key == "stages":
        tree[key] = value
        return
    *path, last = _full(key).split(".")
    if path[0] not in _sections():
        raise BadData(f"unknown section {path[0]!r} in {key!r}{_near(path[0], _sections())}")
    for name in path:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):
            raise BadData(f"{key}: {name} holds no keys")
    if path[0] in OPEN and last == "name" and tree.get("name") != value:
        tree.clear()  # the options of another task or recipe mean nothing here
    tree[last] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return float(text)  # .8, which TOML would have as 0.8
    except ValueError:
        return text


def _near(word: str, known: Iterable[str]) -> str:
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


# ---------------------------------------------------------------------- writing


def _tree(config: Config) -> dict[str, Any]:
    """As the file has it: options stand beside the keys of their section."""
    tree: dict[str, Any] = {}
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name == "task":
            tree[f.name] = value.flat()
        elif f.name == "stages":
            if value:
                tree[f.name] = [
                    {"at": s.at, **({"name": s.name} if s.name else {}), **s.set} for s in value
                ]
        else:
            section = asdict(value)
            section |= section.pop("options", {})
            tree[f.name] = {k: v for k, v in section.items() if v is not None}
    return tree


def to_toml(config: Config) -> str:
    """The whole configuration, defaults included, as TOML that :func:`load_config` reads back."""
    tree = _tree(config)
    stages = tree.pop("stages", [])
    parts = []
    for name, section in tree.items():
        lines = [f"{_key(k)} = {_toml(v)}" for k, v in section.items()]
        parts.append("\n".join([f"[{name}]", *lines]))
    for stage in stages:
        lines = [f"{_key(k)} = {_toml(v)}" for k, v in stage.items()]
        parts.append("\n".join(["[[stages]]", *lines]))
    return "\n\n".join(parts) + "\n"


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(k))} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and value == int(value) and abs(value) < 1e15:
        return f"{value:.1f}"
    return repr(value)
