"""Many runs: one law each, in coordinates that can be compared and pooled.

    R(x) = v − s·expm1(c·(x − x̄))/c

v is the quality at a reference x̄ common to all runs, s = −dR/dx the exchange rate there, c the
curvature. Unlike a = s·exp(−c·x̄)/c and b = v + s/c they stay finite as a law becomes straight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array
from qdlaws.errors import BadData, MissingColumn, NotEnoughData, QdlawsError
from qdlaws.laws.fit import fitting
from qdlaws.laws.in_step import Asking, answered, in_step
from qdlaws.laws.result import LawFit, LawFits

__all__ = ["COEFFICIENTS", "Kind", "Run", "fit_many", "runs_of"]

Kind = Literal["rd", "rh"]

TOGETHER = 64
"""Runs whose fits go in step."""

COEFFICIENTS = ("value", "exchange", "c")
WORDS = {
    "value": "quality at the reference {x}",
    "exchange": "exchange rate there (quality per unit of {x})",
    "c": "curvature c",
}


@dataclass(frozen=True, eq=False)
class Run:
    """One run's law at the common reference: medians and robust standard deviations."""

    name: str
    law: LawFit
    mean: Array  # (3,) value, exchange, c
    sd: Array  # (3,)


def fit_many(
    items: Sequence[RunLog | LawFits], *, n_jobs: int | None = None, level: float = 0.95
) -> list[LawFits | QdlawsError]:
    """The laws of every run, in order; a run that cannot be fitted gives its error instead.

    ``n_jobs`` runs in parallel by joblib (−1: all cores), and more than one machine's worth through
    whatever backend joblib is told to use::

        from dask.distributed import Client; Client("scheduler:8786")
        with joblib.parallel_config(backend="dask"):
            qd.fleet(logs, n_jobs=-1)
    """
    logs = list(items)
    if n_jobs in (None, 1):
        return _fit_part(logs, level)
    try:
        import joblib
    except ImportError:
        raise QdlawsError("n_jobs needs joblib: pip install joblib, or leave n_jobs out") from None
    size = max(1, len(logs) // 200)  # a fit takes a few milliseconds: send them in batches
    parts = [logs[i : i + size] for i in range(0, len(logs), size)]
    done = joblib.Parallel(n_jobs=n_jobs)(joblib.delayed(_fit_part)(p, level) for p in parts)
    return [fits for part in done for fits in part]


def _fit_part(items: list[RunLog | LawFits], level: float) -> list[LawFits | QdlawsError]:
    out: list[LawFits | QdlawsError] = []
    for start in range(0, len(items), TOGETHER):
        fits = [_fit_one(item, level) for item in items[start : start + TOGETHER]]
        out += answered(in_step(fits))
    return out


def _fit_one(item: RunLog | LawFits, level: float) -> Asking[LawFits | QdlawsError]:
    if isinstance(item, LawFits):
        return item
    try:
        return (yield from fitting(item, level, {"tails": "auto", "x_noise": "auto"}))
    except QdlawsError as error:
        return error


def runs_of(
    items: Sequence[RunLog | LawFits],
    kind: Kind | None,
    names: Sequence[str] | None,
    n_jobs: int | None,
    supported_only: bool = False,
) -> tuple[list[Run], float, Kind, dict[str, str]]:
    """The runs that have the law, the common reference x̄, the kind, and why others are left out."""
    if isinstance(items, RunLog | LawFits):
        raise BadData("several runs are needed, in a list")
    fits = fit_many(items, n_jobs=n_jobs)
    labels = _labels(items, names)
    kind = kind or _best_kind(fits)
    out: dict[str, str] = {}
    laws: dict[str, LawFit] = {}
    for name, one in zip(labels, fits, strict=True):
        law = getattr(one, kind, None)
        if isinstance(one, QdlawsError):
            out[name] = str(one)
        elif not isinstance(law, LawFit) or law.posterior is None:
            out[name] = law.reasons[0] if isinstance(law, LawFit) else f"no {kind} law"
        elif supported_only and not law.supported:
            out[name] = law.reasons[0]
        else:
            laws[name] = law
    if len(laws) < 2:
        why = "; ".join(f"{name}: {reason}" for name, reason in list(out.items())[:3])
        raise NotEnoughData(
            f"{len(laws)} of {len(labels)} runs have the {kind} law, 2 are needed"
            + (f" ({why})" if why else "")
        )
    _same_kind([f.log for f in fits if isinstance(f, LawFits)], kind)
    ranges = np.array([law.range for law in laws.values()])
    low, high = ranges[:, 0].max(), ranges[:, 1].min()
    reference = float((low + high) / 2 if low < high else np.median(ranges.mean(1)))
    runs = [Run(name, law, *_at(law, reference)) for name, law in laws.items()]
    return runs, reference, kind, out


def _labels(items: Sequence[RunLog | LawFits], names: Sequence[str] | None) -> list[str]:
    if names is not None:
        if len(names) != len(items):
            raise BadData(f"{len(items)} runs but {len(names)} names")
        return [str(n) for n in names]
    logs = [item.log if isinstance(item, LawFits) else item for item in items]
    labels = [log.source or f"run {i + 1}" for i, log in enumerate(logs)]
    if len(set(labels)) == len(labels):
        return labels
    return [f"{label} ({i + 1})" for i, label in enumerate(labels)]


def _best_kind(fits: Sequence[LawFits | QdlawsError]) -> Kind:
    """The law that more of the runs have; diversity where even."""
    count = {
        kind: sum(isinstance(getattr(f, kind, None), LawFit) for f in fits) for kind in ("rd", "rh")
    }
    if not any(count.values()):
        raise MissingColumn("none of the runs has quality and one of diversity and entropy")
    return "rh" if count["rh"] > count["rd"] else "rd"


def _same_kind(logs: Sequence[RunLog], kind: Kind) -> None:
    """Laws of different measures are never pooled."""
    for column in ("quality", "diversity" if kind == "rd" else "entropy"):
        kinds = {log.kinds[column] for log in logs if column in log.kinds}
        if len(kinds - {"unknown"}) > 1:
            raise BadData(
                f"these runs measure {column} differently ({', '.join(sorted(map(str, kinds)))}); "
                "laws of different kinds are not compared"
            )


def _at(law: LawFit, reference: float) -> tuple[Array, Array]:
    """Medians and robust standard deviations of (v, s, c) at the reference."""
    draws = law.draws
    table = np.column_stack([draws.value(reference), -draws.slope(reference), draws.c])
    low, middle, high = np.nanquantile(table, [0.16, 0.5, 0.84], axis=0)
    sd = (high - low) / 2
    return middle, np.maximum(sd, 1e-12 * np.maximum(np.abs(middle), 1e-300))
