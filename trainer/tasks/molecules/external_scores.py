"""Scores from elsewhere: a function of the user's, or an oracle of TDC.

A user's function takes SMILES and returns numbers: one SMILES at a time where its first parameter
is annotated as ``str`` (or ``batch = false`` is set), the whole list where it is annotated as
anything else (or ``batch = true``). Without either it is tried: with the list first, then with one
at a time. None and NaN mean that the score failed.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from qdlaws.errors import BadData, QdlawsError
from trainer.tasks.molecules.objectives import Range
from trainer.tasks.scoring.worker_pool import WrongCount
from trainer.tasks.task import nearest
from trainer.user_code import find_object

__all__ = ["TDC", "is_outside", "outside_options", "outside_score", "takes_list"]

TDC = ("jnk3", "gsk3b", "drd2")
"""Classifiers of activity that PyTDC downloads: probabilities."""

Batch = Callable[[Sequence[str]], list[float]]


def is_outside(name: str) -> bool:
    """Whether the name is a user's function or an oracle of TDC."""
    return ":" in name or name.lower() in TDC


def outside_options(
    name: str, options: Mapping[str, Any], component_keys: Sequence[str] = ()
) -> Range:
    """The range of the score, from its options ``low`` and ``high``; wrong options are refused.

    ``component_keys`` are those beside the options, which may have been meant.
    """
    if name.lower() in TDC:
        if options:
            raise BadData(f"objective {name} has no options, found {', '.join(options)}")
        return Range(0.0, 1.0)
    allowed = ("batch", "low", "high")
    for option in options:
        if option not in allowed:
            hint = f"{nearest(option, (*allowed, *component_keys))}; has {', '.join(allowed)}"
            raise BadData(f"objective {name} has no option {option!r}{hint}")
    low, high = options.get("low"), options.get("high")
    return Range(None if low is None else float(low), None if high is None else float(high))


def outside_score(name: str, options: Mapping[str, Any]) -> Batch:
    """The function, as one that takes a list of SMILES."""
    if name.lower() in TDC:
        return _one_by_one(_tdc(name.lower()))
    function = _function(name)
    if not takes_list(name, options):
        return _one_by_one(function)
    explicit = "batch" in options or _annotation(function) is not inspect.Parameter.empty
    return _whole(function, name) if explicit else _tried(function, name)


def takes_list(name: str, options: Mapping[str, Any]) -> bool:
    """Whether the function may be called with a list; ``batch`` and its annotation decide."""
    if name.lower() in TDC:
        return False
    function = _function(name)
    return bool(options.get("batch", _annotation(function) not in (str, "str")))


def _annotation(function: Callable[..., Any]) -> Any:
    """The annotation of the first parameter; ``Parameter.empty`` where there is none."""
    try:
        first = next(iter(inspect.signature(function).parameters.values()), None)
    except (TypeError, ValueError):  # written in C, without a signature
        first = None
    return inspect.Parameter.empty if first is None else first.annotation


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
        try:
            scores = [_number(value) for value in function(list(smiles))]
        except Exception as error:
            raise QdlawsError(f"{name} raised {type(error).__name__}: {error}") from error
        if len(scores) != len(smiles):
            raise WrongCount(f"{name} returned {len(scores)} scores for {len(smiles)} SMILES")
        return scores

    return score


def _tried(function: Callable[..., Any], name: str) -> Batch:
    """The function with the list, or with one SMILES at a time where that is what works.

    What worked once is kept. One at a time, a molecule on which the function raises scores NaN.
    """
    whole, works = _whole(function, name), list[Batch]()

    def single(smiles: Sequence[str]) -> list[float]:
        scores, reason = [], ""
        for one in smiles:
            try:
                scores.append(_number(function(one)))
            except Exception as error:
                scores.append(float("nan"))
                reason = reason or f"{type(error).__name__}: {error}"
        if reason and all(score != score for score in scores):
            raise QdlawsError(f"{name} raised {reason}")
        return scores

    def score(smiles: Sequence[str]) -> list[float]:
        if works:
            return works[0](smiles)
        try:
            scores, way = whole(smiles), whole
        except (QdlawsError, WrongCount) as with_list:
            try:
                scores, way = single(smiles), single
            except QdlawsError as with_one:
                if isinstance(with_list, WrongCount):
                    raise with_list from None
                raise QdlawsError(
                    f"{with_one} when called with one SMILES; with the list: {with_list}"
                ) from with_one
        works.append(way)
        return scores

    return score


def _tdc(name: str) -> Callable[[str], Any]:
    try:
        _provide_six()
        from tdc import Oracle  # type: ignore[import-not-found, unused-ignore]

        oracle = Oracle(name=name)
        if name == "drd2":
            return _drd2()
    except (Exception, SystemExit) as error:  # TDC leaves by sys.exit where a download fails
        why = str(error) or type(error).__name__
        raise QdlawsError(
            f"objective {name} needs PyTDC (pip install PyTDC) and its model file, which PyTDC "
            f"downloads into ./oracle: {why.splitlines()[0]}"
        ) from error
    return lambda smiles: oracle([smiles])[0]  # for a single text it turns every error into 0


def _drd2() -> Callable[[str], Any]:
    """TDC's classifier called directly: the last line of TDC's wrapper fails with numpy 2.4."""
    from rdkit import Chem
    from tdc.chem_utils.oracle.oracle import (  # type: ignore[import-not-found, unused-ignore]
        fingerprints_from_mol,
        load_drd2_model,
    )

    model = load_drd2_model()
    of: Any = fingerprints_from_mol
    return lambda smiles: model.predict_proba(of(Chem.MolFromSmiles(smiles)))[0, 1]


def _provide_six() -> None:
    """``rdkit.six``, which PyTDC 1.1.15 still imports one name from and rdkit no longer has."""
    from importlib.util import find_spec

    if "rdkit.six" not in sys.modules and find_spec("rdkit.six") is None:
        six: Any = ModuleType("rdkit.six")
        six.iteritems = lambda mapping: iter(mapping.items())
        sys.modules["rdkit.six"] = six
