"""``qdtrain pretrain``: an option for each field of PretrainOptions, with its docstring as help."""

from __future__ import annotations

import inspect
import re
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, get_type_hints

import typer

from trainer.pretrain.options import PretrainOptions

__all__ = ["pretrain"]

PYTHON_ONLY = {"texts"}
"""Fields that no option of a command line can carry."""


def pretrain(**options: Any) -> None:
    """Make a prior: a small model trained on molecules or on a task's corpus, in rounds."""
    from trainer.pretrain import Display
    from trainer.pretrain import pretrain as make_prior

    folder = make_prior(PretrainOptions(**options), Display())
    typer.echo(f"{folder}: {folder / 'README.md'} says how good it is")


def _help_lines() -> dict[str, str]:
    """Field → its line under ``Attributes``, which may describe several fields at once."""
    lines = {}
    for names, text in re.findall(
        r"^([\w, ]+) : (.+)$", inspect.getdoc(PretrainOptions) or "", re.M
    ):
        for name in names.split(", "):
            lines[name] = f"{text[0].upper()}{text[1:]}.".replace("``", "")
    return lines


def _parameter(field: Field[Any], kind: Any, text: str) -> inspect.Parameter:
    """The field as a keyword that typer makes an option of."""
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if field.default is MISSING else field.default,
        annotation=Annotated[kind, typer.Option(help=text)],
    )


def _parameters() -> list[inspect.Parameter]:
    kinds, texts = get_type_hints(PretrainOptions), _help_lines()
    return [
        _parameter(field, kinds[field.name], texts.get(field.name, ""))
        for field in fields(PretrainOptions)
        if field.name not in PYTHON_ONLY
    ]


pretrain.__signature__ = inspect.Signature(_parameters())  # type: ignore[attr-defined]
pretrain.__annotations__ = {p.name: p.annotation for p in _parameters()}
