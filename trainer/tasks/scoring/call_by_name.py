"""Calls of a user's function: its parameters are filled by name from what is available."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_origin

from qdlaws.errors import QdlawsError

__all__ = [
    "PerCompletion",
    "accepted_arguments",
    "list_parameter",
    "parameters",
    "refuse_missing",
    "required_parameters",
]


class PerCompletion:
    """A function of one completion, its other parameters filled by name."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function, self.name = function, name
        self._needs = required_parameters(function, name, skip=1)

    def check(self, columns: Sequence[str]) -> None:
        """Refuses, in one line, a parameter that no column fills."""
        refuse_missing(self.name, self._needs, ["prompt", *columns])

    def __call__(self, prompt: Any, completion: str, row: Mapping[str, Any]) -> Any:
        return self.function(
            completion, **accepted_arguments(self.function, {**row, "prompt": prompt}, 1)
        )


def parameters(function: Callable[..., Any], name: str) -> Mapping[str, inspect.Parameter]:
    """The parameters of a function; one without a readable signature is refused in one line."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise QdlawsError(f"reward {name} has no signature that can be read: wrap it") from None


def list_parameter(function: Callable[..., Any], name: str) -> str | None:
    """The parameter that takes all completions of a batch; None: the function takes one.

    It is the one named ``completions``, else the first where that is annotated as a list.
    """
    signature = parameters(function, name)
    if "completions" in signature:
        return "completions"
    first = next(iter(signature.values()), None)
    if first is None:
        return None
    hint = get_origin(first.annotation) or first.annotation
    words = hint if isinstance(hint, str) else getattr(hint, "__name__", "")
    kind = words.partition("[")[0].rpartition(".")[2].lower()
    return first.name if kind in ("list", "sequence") else None


def required_parameters(function: Callable[..., Any], name: str, skip: int = 0) -> list[str]:
    """The parameters without a default, except those filled by position."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    signature = list(parameters(function, name).values())
    if skip and not signature:
        raise QdlawsError(f"reward {name} has no parameter to take the completion")
    needed = [p for p in signature[skip:] if p.default is inspect.Parameter.empty]
    return [p.name for p in needed if p.kind in named]


def refuse_missing(name: str, required: Sequence[str], available: Sequence[str]) -> None:
    """Refuses, in one line, a required name that is not available."""
    missing = [need for need in required if need not in available]
    if missing:
        raise QdlawsError(
            f"reward {name} needs {', '.join(missing)}; there are {', '.join(available)}"
        )


def accepted_arguments(
    function: Callable[..., Any], given: Mapping[str, Any], skip: int = 0
) -> dict[str, Any]:
    """The arguments that the function accepts: all of them where it has ``**kwargs``."""
    signature = list(inspect.signature(function).parameters.values())
    positional = {p.name for p in signature[:skip]}
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature):
        return {name: value for name, value in given.items() if name not in positional}
    names = {p.name for p in signature[skip:]}
    return {name: value for name, value in given.items() if name in names}
