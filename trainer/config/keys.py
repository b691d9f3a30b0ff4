"""The keys of a configuration with type, default and meaning, read from the code itself.

A section is a dataclass whose fields have a docstring each; the options of a task, recipe or
controller are the parameters of the function that makes it, described in its docstring.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from itertools import pairwise
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tomli_w

__all__ = ["Key", "option_keys", "section_keys"]

WORDS = {int: "whole number", float: "number", str: "text", bool: "true or false"}
REQUIRED = inspect.Parameter.empty
LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


@dataclass(frozen=True)
class Key:
    """One key: its name, the words for its type, its default, the values it takes, its meaning."""

    name: str
    type: str
    default: Any
    """``inspect.Parameter.empty`` where a value must be given."""
    choices: tuple[str, ...]
    meaning: str

    @property
    def default_text(self) -> str:
        """The default as TOML has it; ``none`` for no value, ``required`` for none at all."""
        if self.default is REQUIRED:
            return "required"
        return toml_text(self.default)


def toml_text(value: Any) -> str:
    """A value as TOML has it; ``none`` where there is no value."""
    if value is None:
        return "none"
    if callable(value):
        return f"{value.__module__}:{value.__qualname__}"
    plain = list(value) if isinstance(value, tuple) else value
    if isinstance(plain, Mapping) and not plain:
        return "{}"
    text = " ".join(tomli_w.dumps({"value": plain}).removeprefix("value =").split())
    return text.replace("[ ", "[").replace(", ]", "]") if isinstance(plain, list) else text


def section_keys(section: type) -> list[Key]:
    """The keys of a section of the configuration, without the options that it passes on."""
    hints = get_type_hints(section, include_extras=True)
    meanings = _field_docstrings(section)
    found = []
    for field in fields(section):
        if field.name == "options":
            continue
        default = REQUIRED if field.default is MISSING else field.default
        words, choices = _type_words(hints[field.name])
        found.append(Key(field.name, words, default, choices, meanings.get(field.name, "")))
    return found


def option_keys(make: Callable[..., Any], leave_out: tuple[str, ...] = ()) -> list[Key]:
    """The options of a task, recipe or controller: the parameters of the function that makes it."""
    meanings = parameter_docs(make)
    try:
        hints = get_type_hints(make, include_extras=True)
    except NameError:  # a type that is imported for the checker only
        hints = {}
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = []
    for name, parameter in inspect.signature(make).parameters.items():
        if name in leave_out or parameter.kind not in kinds:
            continue
        words, choices = _type_words(hints.get(name, Any))
        found.append(Key(name, words, parameter.default, choices, meanings.get(name, "")))
    return found


def parameter_docs(make: Callable[..., Any]) -> dict[str, str]:
    """name → its words in the ``Parameters`` section of a docstring.

    Names that share an entry (``workers, timeout : …``) share its words.
    """
    text = inspect.getdoc(make) or ""
    match = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-{3,}\n|\Z)", text, re.M | re.S)
    if match is None:
        return {}
    words: dict[str, str] = {}
    for entry in re.split(r"\n(?=\S)", match[1].strip("\n")):
        names, colon, rest = entry.partition(" : ")
        if colon:
            for name in names.split(","):
                words[name.strip()] = _plain(rest)
    return words


# ---------------------------------------------------------------------- helpers


@cache
def _field_docstrings(section: type) -> dict[str, str]:
    """field → the docstring that stands below it."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(section)))
    body = tree.body[0].body  # type: ignore[attr-defined]
    words = {}
    for node, after in pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
            words[node.target.id] = _plain(after.value.value)  # type: ignore[attr-defined,union-attr]
    return words


def _plain(text: str) -> str:
    """A docstring as one line of plain words: no markup, ``none`` as a configuration has it."""
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", " ".join(text.split()))
    return re.sub(r"\bNone\b", "none", text.replace("``", "`"))


def _type_words(hint: Any) -> tuple[str, tuple[str, ...]]:
    """The words for a type, and the values that it lists."""
    if get_origin(hint) is Annotated:
        base, *limits = get_args(hint)
        words, choices = _type_words(base)
        said = [
            f"{LIMITS[name]} {getattr(limit, name):g}"
            for limit in limits
            for name in LIMITS
            if getattr(limit, name, None) is not None
        ]
        return ", ".join([words, *said]), choices
    if get_origin(hint) is Literal:
        choices = tuple(str(each) for each in get_args(hint))
        return f"one of {', '.join(choices)}", choices
    if get_origin(hint) in (Union, UnionType):
        parts = [part for part in get_args(hint) if part is not NoneType]
        every = [_type_words(part) for part in parts]
        names = list(dict.fromkeys(words for words, _ in every))
        if len(parts) < len(get_args(hint)):
            names.append("none")
        return " or ".join(names), tuple(c for _, choices in every for c in choices)
    if hint in WORDS:
        return WORDS[hint], ()
    origin = get_origin(hint) or hint
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "table", ()
    if isinstance(origin, type) and origin is not str and hasattr(origin, "__len__"):
        return "list", ()
    if hint is Any:
        return "any value", ()
    return "function", ()
