"""Scores from elsewhere: a function of the user's, or an oracle of TDC.

A user's function gets SMILES and says numbers. It is called with the whole list, and returns one
number each, unless the annotation of its first parameter is ``str`` (or ``batch = false`` says so):
then it is called with one SMILES at a time. None and NaN mean that the score failed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qdlaws.errors import BadData, QdlawsError
from trainer.tasks.chem_scores import Range
from trainer.tasks.task import find_object, nearest

__all__ = ["TDC", "is_outside", "outside_options", "outside_score", "takes_list"]

TDC = ("jnk3", "gsk3b", "drd2")
"""Classifiers of activity that PyTDC downloads: probabilities."""

Batch = Callable[[Sequence[str]], list[float]]


def is_outside(name: str) -> bool:
    """Whether the name is a user's function or an oracle of TDC."""
    return ":" in name or name.lower() in TDC


def outside_options(name: str, options: Mapping[str, Any]) -> Range:
    """What the score can be, from its options ``low`` and ``high``; wrong options are refused."""
    if name.lower() in TDC:
        if options:
            raise BadData(f"objective {name} has no options, found {', '.join(options)}")
        return Range(0.0, 1.0)
    allowed = ("batch", "low", "high")
    for option in options:
        if option not in allowed:
            hint = f"{nearest(option, allowed)}; has {', '.join(allowed)}"
            raise BadData(f"objective {name} has no option {option!r}{hint}")
    low, high = options.get("low"), options.get("high")
    return Range(None if low is None else float(low), None if high is None else float(high))


def outside_score(name: str, options: Mapping[str, Any]) -> Batch:
    """The function itself, as one of a list of SMILES."""
    if name.lower() in TDC:
        return _one_by_one(_tdc(name.lower()))
    function = _function(name)
    return _whole(function, name) if takes_list(name, options) else _one_by_one(function)


def takes_list(name: str, options: Mapping[str, Any]) -> bool:
    """Whether the function is called with a list: unless ``batch`` or its annotation says not."""
    if name.lower() in TDC:
        return False
    function = _function(name)
    if "batch" in options:
        return bool(options["batch"])
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):  # written in C, without a signature
        return True
    return first is None or first.annotation not in (str, "str")


def _function(name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = find_object(name, "objective")
    if not callable(function):
        raise QdlawsError(f"objective {name}: found {type(function).__name__}, not a function")
    return function


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _one_by_one(function: Callable[[str], Any]) -> Batch:
    return lambda smiles: [_number(function(one)) for one in smiles]


def _whole(function: Callable[[list[str]], Any], name: str) -> Batch:
    def score(smiles: Sequence[str]) -> list[float]:
        found = list(function(list(smiles)))
        if len(found) != len(smiles):
            raise BadData(
                f"{name} returned {len(found)} scores for {len(smiles)} SMILES; annotate its "
                "parameter as str, or set batch = false, to be called with one at a time"
            )
        return [_number(value) for value in found]

    return score


def _tdc(name: str) -> Callable[[str], Any]:
    try:
        from tdc import Oracle  # type: ignore[import-not-found]

        oracle: Callable[[str], Any] = Oracle(name=name)
    except (Exception, SystemExit) as error:  # TDC leaves by sys.exit where a download fails
        why = str(error) or type(error).__name__
        raise QdlawsError(
            f"objective {name} needs PyTDC (pip install PyTDC) and its model file, which PyTDC "
            f"downloads into ./oracle: {why.splitlines()[0]}"
        ) from error
    return oracle
