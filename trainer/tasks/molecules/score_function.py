"""The score function of a composite: a list of SMILES → a row of numbers each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from trainer.tasks.molecules.composite import Component, Composite
from trainer.tasks.molecules.external_scores import is_outside, outside_score
from trainer.tasks.molecules.objectives import OBJECTIVES
from trainer.tasks.molecules.transforms import transform

__all__ = ["columns", "score_function"]

Row = tuple[float, ...]
Values = list[float]


def columns(composite: Composite) -> tuple[str, ...]:
    """The names of a row: the score, then of each component its value and its raw value."""
    names = [(c.name, f"{c.name} (raw)") for c in composite.components]
    return ("score", *(name for pair in names for name in pair))


def score_function(composite: Composite) -> Callable[[Sequence[str]], list[Row]]:
    """Makes every score that the composite names; raises where a package or file is missing."""
    return partial(_rows, composite, [_prepared(c) for c in composite.components])


def _rows(composite: Composite, prepared: list[Any], smiles: Sequence[str]) -> list[Row]:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        mols = [Chem.MolFromSmiles(one) for one in smiles]
        raw = [score(smiles, mols) for score, _ in prepared]
    fitted = [[shape(v) for v in values] for (_, shape), values in zip(prepared, raw, strict=True)]
    rows = []
    for i in range(len(smiles)):
        values = [column[i] for column in fitted]
        pairs = zip(values, (column[i] for column in raw), strict=True)
        row = (composite.value(values), *(v for p in pairs for v in p))
        rows.append(tuple(map(float, row)))
    return rows


def _prepared(component: Component) -> tuple[Callable[..., Values], Callable[[float], float]]:
    """The raw score of (SMILES, molecules) and the transform that follows it."""
    shape = float if component.transform is None else transform(component.transform, component.name)
    of = component.objective
    if isinstance(of, Composite):
        nested = [_prepared(c) for c in of.components]
        return lambda smiles, mols: [row[0] for row in _rows(of, nested, smiles)], shape
    if is_outside(of):
        outside = outside_score(of, component.options)
        return lambda smiles, mols: [_finite(value) for value in outside(smiles)], shape
    one = OBJECTIVES[of].make(**component.options)
    return lambda smiles, mols: [_finite(one(mol)) for mol in mols], shape


def _finite(value: Any) -> float:
    """A number; an infinite one is a failure."""
    number = float(value)
    return number if math.isfinite(number) else math.nan
