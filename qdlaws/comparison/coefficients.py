"""The laws of many runs in coordinates that can be compared and pooled.

    R(x) = v − s·expm1(c·(x − x̄))/c

v is the quality at a reference x̄ common to all runs, s = −dR/dx the exchange rate there, c the
curvature. Unlike a = s·exp(−c·x̄)/c and b = v + s/c they stay finite as a law becomes straight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array
from qdlaws.errors import BadData, MissingColumn, NotEnoughData, QdlawsError
from qdlaws.laws.fit_many import fit_many
from qdlaws.laws.result import LawFit, LawFits

__all__ = [
    "COEFFICIENTS",
    "Kind",
    "Run",
    "Runs",
    "coefficient_words",
    "comparable_runs",
    "run_labels",
]

Kind = Literal["rd", "rh"]

COEFFICIENTS = ("value", "exchange", "c")
"""v, s and c."""


def coefficient_words(x_name: str) -> dict[str, str]:
    """The coefficients in words."""
    return {
        "value": f"quality at the common {x_name}",
        "exchange": f"the price of a unit of {x_name} there",
        "c": "curvature c",
    }


@dataclass(frozen=True, eq=False)
class Run:
    """One run's law at the common reference.

    ``mean`` and ``sd``, arrays (3,), are the medians and robust standard deviations of its
    COEFFICIENTS.
    """

    name: str
    law: LawFit
    mean: Array
    sd: Array


class Runs(NamedTuple):
    """Runs with laws of one kind, at a common reference; ``left_out`` says why others lack one."""

    runs: tuple[Run, ...]
    reference: float
    kind: Kind
    left_out: dict[str, str]

    def to_frame(self) -> pd.DataFrame:
        """A row for each run: verdict, n, range, and each coefficient with its standard error."""
        rows = []
        for run in self.runs:
            low, high = run.law.range
            row = {"run": run.name, "verdict": run.law.verdict, "n": run.law.n}
            row |= {"x_low": low, "x_high": high}
            for name, mean, sd in zip(COEFFICIENTS, run.mean, run.sd, strict=True):
                row |= {name: mean, f"{name}_sd": sd}
            rows.append(row)
        return pd.DataFrame(rows)


def comparable_runs(
    items: Sequence[RunLog | LawFits],
    kind: Kind | None,
    names: Sequence[str] | None,
    n_jobs: int | None,
    supported_only: bool = False,
    on: str = "local",
) -> Runs:
    """The runs that have a law of the kind (default: the law that more of them have)."""
    if isinstance(items, RunLog | LawFits):
        raise BadData("several runs are needed, in a list")
    fits = fit_many(items, n_jobs=n_jobs, on=on)
    labels = run_labels(items, names)
    kind = kind or _commonest_kind(fits)
    left_out: dict[str, str] = {}
    laws: dict[str, LawFit] = {}
    for name, one in zip(labels, fits, strict=True):
        law = getattr(one, kind, None)
        if isinstance(one, QdlawsError):
            left_out[name] = str(one)
        elif not isinstance(law, LawFit) or law.posterior is None:
            left_out[name] = law.reasons[0] if isinstance(law, LawFit) else f"no {kind} law"
        elif supported_only and not law.supported:
            left_out[name] = law.reasons[0]
        else:
            laws[name] = law
    if len(laws) < 2:
        why = "; ".join(f"{name}: {reason}" for name, reason in list(left_out.items())[:3])
        raise NotEnoughData(
            f"{len(laws)} of {len(labels)} runs have the {kind} law, 2 are needed"
            + (f" ({why})" if why else "")
        )
    _refuse_different_measures([f.log for f in fits if isinstance(f, LawFits)], kind)
    ranges = np.array([law.range for law in laws.values()])
    low, high = ranges[:, 0].max(), ranges[:, 1].min()
    reference = float((low + high) / 2 if low < high else np.median(ranges.mean(1)))
    runs = tuple(Run(name, law, *_coefficients(law, reference)) for name, law in laws.items())
    return Runs(runs, reference, kind, left_out)


def run_labels(items: Sequence[RunLog | LawFits], names: Sequence[str] | None) -> list[str]:
    if names is not None:
        if len(names) != len(items):
            raise BadData(f"{len(items)} runs but {len(names)} names")
        labels = [str(name) for name in names]
    else:
        logs = [item.log if isinstance(item, LawFits) else item for item in items]
        labels = [log.source or f"run {i + 1}" for i, log in enumerate(logs)]
    if len(set(labels)) == len(labels):
        return labels
    return [f"{label} ({i + 1})" for i, label in enumerate(labels)]


def _commonest_kind(fits: Sequence[LawFits | QdlawsError]) -> Kind:
    """The law that more of the runs have; diversity where even."""
    count = {
        kind: sum(isinstance(getattr(f, kind, None), LawFit) for f in fits) for kind in ("rd", "rh")
    }
    if not any(count.values()):
        raise MissingColumn("none of the runs has quality and one of diversity and entropy")
    return "rh" if count["rh"] > count["rd"] else "rd"


def _refuse_different_measures(logs: Sequence[RunLog], kind: Kind) -> None:
    """Laws of different measures are never pooled: BadData where these are."""
    for column in ("quality", "diversity" if kind == "rd" else "entropy"):
        kinds = {log.kinds[column] for log in logs if column in log.kinds}
        if len(kinds - {"unknown"}) > 1:
            raise BadData(
                f"these runs measure {column} differently ({', '.join(sorted(map(str, kinds)))}); "
                "laws of different kinds are not compared"
            )


def _coefficients(law: LawFit, reference: float) -> tuple[Array, Array]:
    """Medians and robust standard deviations of (v, s, c) at the reference."""
    draws = law.another_run_draws
    table = np.column_stack([draws.value(reference), -draws.slope(reference), draws.c])
    low, middle, high = np.nanquantile(table, [0.16, 0.5, 0.84], axis=0)
    sd = (high - low) / 2
    return middle, np.maximum(sd, 1e-12 * np.maximum(np.abs(middle), 1e-300))
