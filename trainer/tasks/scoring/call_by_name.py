"""How a user's function is called: what it takes of what there is, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qdlaws.errors import QdlawsError

__all__ = ["PerCompletion", "accepted", "parameters", "refuse_missing", "wants"]


class PerCompletion:
    """A function of one completion, its other parameters filled by name."""

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        self.function, self.name = function, name
        self._needs = wants(function, name, skip=1)

    def check(self, columns: Sequence[str]) -> None:
        """One clear line where a parameter can be filled from nothing."""
        refuse_missing(self.name, self._needs, ["prompt", *columns])

    def __call__(self, prompt: Any, completion: str, row: Mapping[str, Any]) -> Any:
        return self.function(completion, **accepted(self.function, {**row, "prompt": prompt}, 1))


def parameters(function: Callable[..., Any], name: str) -> Mapping[str, inspect.Parameter]:
    """The parameters of a function, or one clear line where it does not tell them."""
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):
        raise QdlawsError(f"reward {name} has no signature that can be read: wrap it") from None


def wants(function: Callable[..., Any], name: str, skip: int = 0) -> list[str]:
    """Parameters without a default, those filled by position left out."""
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = list(parameters(function, name).values())
    if skip and not found:
        raise QdlawsError(f"reward {name} has no parameter to take the completion")
    needed = [p for p in found[skip:] if p.default is inspect.Parameter.empty]
    return [p.name for p in needed if p.kind in named]


def refuse_missing(name: str, wants: Sequence[str], have: Sequence[str]) -> None:
    """One clear line where something that must be given is not there."""
    missing = [want for want in wants if want not in have]
    if missing:
        raise QdlawsError(
            f"reward {name} asks for {', '.join(missing)}; there are {', '.join(have)}"
        )


def accepted(
    function: Callable[..., Any], given: Mapping[str, Any], skip: int = 0
) -> dict[str, Any]:
    """What the function takes of what there is: all of it where it has ``**kwargs``."""
    found = list(inspect.signature(function).parameters.values())
    taken = {p.name for p in found[:skip]}
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in found):
        return {name: value for name, value in given.items() if name not in taken}
    names = {p.name for p in found[skip:]}
    return {name: value for name, value in given.items() if name in names}
