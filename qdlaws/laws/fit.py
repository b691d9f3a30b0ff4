"""fit(log) -> LawFits: the three laws of one run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from qdlaws.core.interval import median, quantiles
from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array
from qdlaws.errors import BadData, MissingColumn, NotEnoughData
from qdlaws.inference.error_model import cut_memory, regimes_of, spike_weights
from qdlaws.inference.latent_path import LatentPath, exact_path, latent_path
from qdlaws.inference.law_problem import LawProblem
from qdlaws.laws.fitted import LAWS, Kind
from qdlaws.laws.in_step import Asking, answered, in_step
from qdlaws.laws.result import LawFit, LawFits
from qdlaws.laws.verdict import line_verdict, verdict

if TYPE_CHECKING:
    from lmfit import Model

__all__ = ["fit", "fitting"]

Tails = Literal["auto", "normal", "heavy"]
XNoise = Literal["auto", "none"]
Regimes = Literal["separate", "shared", "ignore"]

TINY = 1e-140
"""A column that moves by less is constant: its squares are no numbers any more."""

LEAST = 5
"""Checkpoints that a law needs."""


def fit(
    log: RunLog,
    *,
    level: float = 0.95,
    tails: Tails = "auto",
    x_noise: XNoise = "auto",
    regimes: Regimes = "separate",
    model: Model | None = None,
    model_params: Any = None,
) -> LawFits:
    """The laws of a run.

    Parameters
    ----------
    log : RunLog
    level : level of the intervals
    tails : "auto" tames spikes when it sees some, "heavy" always, "normal" never
    x_noise : "auto" takes diversity and entropy for noisy readings of a path in step (with their
        standard errors where the log has them); "none" takes them as exact
    regimes : what marks do. "separate" fits each stretch by itself and returns the last (all are in
        ``.pieces``); "shared" fits one law to all, with errors that start anew at each mark;
        "ignore" fits one law to all, as if there were no marks
    model : a user's own lmfit Model of y(x), fitted in place of the laws
    model_params : start values of ``model``; by default the model's own hints
    """
    for name, value, allowed in (
        ("tails", tails, get_args(Tails)),
        ("x_noise", x_noise, get_args(XNoise)),
        ("regimes", regimes, get_args(Regimes)),
    ):
        if value not in allowed:
            raise BadData(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
    if model is not None:
        _check(log, level)
        return _fit_user_model(log, model, model_params, level)
    return answered(fitting(log, level, {"tails": tails, "x_noise": x_noise}, regimes))


def fitting(
    log: RunLog, level: float, settings: dict[str, Any], regimes: Regimes = "separate"
) -> Asking[LawFits]:
    """The fit of a run, that asks for the posteriors it needs."""
    _check(log, level)
    if log.marks and regimes == "separate":
        return (yield from _fit_pieces(log, level, settings))
    cut = log.marks if regimes == "shared" else ()
    return (yield from _fit_laws(log, level, settings, cut))


def _check(log: RunLog, level: float) -> None:
    if not isinstance(log, RunLog):
        raise BadData(f"fit needs a RunLog, got {type(log).__name__}: use qd.read or from_frame")
    if not 0 < level < 1:
        raise BadData(f"a level lies between 0 and 1, e.g. 0.95; got {level!r}")
    if len(log.columns) < 2:
        raise MissingColumn(
            "a law needs two of quality, diversity and entropy; this log has only "
            f"{log.columns[0] if log.columns else 'steps'}"
        )


def _fit_pieces(log: RunLog, level: float, settings: dict[str, Any]) -> Asking[LawFits]:
    pieces = []
    for piece in log.pieces():
        try:
            pieces.append((yield from _fit_laws(piece, level, settings, ())))
        except NotEnoughData as error:
            none = {kind: _no_law(kind, piece, level, str(error)) for kind in LAWS}
            pieces.append(LawFits(piece, none["rd"], none["rh"], none["hd"]))
    return replace(pieces[-1], pieces=tuple(pieces))


def _fit_laws(
    log: RunLog, level: float, settings: dict[str, Any], cut: tuple[float, ...]
) -> Asking[LawFits]:
    paths: dict[str, LatentPath] = {}
    for name in ("diversity", "entropy"):
        if name in log.columns:
            paths[name] = _path(log, name, settings, cut)
    found = yield from in_step([_fit_law(k, log, paths, level, settings, cut) for k in LAWS])
    laws = dict(zip(LAWS, found, strict=True))
    tried = [law for law in found if law is not None]
    if not any(law.posterior is not None for law in tried):
        raise NotEnoughData("no law can be fitted: " + "; ".join(law.reasons[0] for law in tried))
    return LawFits(log, laws["rd"], laws["rh"], laws["hd"])


def _path(log: RunLog, name: str, settings: dict[str, Any], cut: tuple[float, ...]) -> LatentPath:
    """The latent path of a column on all rows of the log; NaN where the column is unknown."""
    values, se = log.column(name), getattr(log, f"{name}_se")
    if settings["x_noise"] == "none":
        return exact_path(values)
    rows = np.isfinite(values)
    if not rows.any():
        return exact_path(values)
    x = values[rows]
    factor, spikes = spike_weights(x, settings["tails"])
    known = _known_errors(se)
    path = latent_path(
        log.step[rows],
        x,
        se=None if known is None else known[rows] * np.sqrt(factor),
        weight=factor if spikes else None,
        regime=regimes_of(log.step[rows], cut),
    )
    return path.spread(rows)


def _known_errors(se: Array | None) -> Array | None:
    """Standard errors with gaps filled by their median; None when nothing is known.

    None is taken for smaller than a quarter of the median: a sample that has collapsed says ±0,
    but the policy itself still wanders.
    """
    if se is None or not np.any(np.isfinite(se) & (se > 0)):
        return None
    typical = median(se[np.isfinite(se) & (se > 0)])
    return np.maximum(np.where(np.isfinite(se), se, typical), 0.25 * typical)


def _fit_law(
    kind: Kind,
    log: RunLog,
    paths: dict[str, LatentPath],
    level: float,
    settings: dict[str, Any],
    cut: tuple[float, ...],
) -> Asking[LawFit | None]:
    x_name, y_name = LAWS[kind]
    if x_name not in log.columns or y_name not in log.columns:
        return None
    x, y = log.column(x_name), log.column(y_name)
    rows = np.isfinite(x) & np.isfinite(y)
    if rows.sum() < LEAST:
        why = f"{int(rows.sum())} checkpoints have both {x_name} and {y_name}; {LEAST} are needed"
        return _no_law(kind, log, level, why)
    for name, values in ((x_name, x[rows]), (y_name, y[rows])):
        if np.ptp(values) <= max(1e-12 * np.abs(values).max(), TINY):
            return _no_law(kind, log, level, f"{name} is constant at {values[0]:.4g}")
    path = paths[x_name].take(rows)
    low, high = quantiles(path.mean, (0.02, 0.98))
    if high - low <= 1e-9 * np.ptp(x[rows]):
        why = f"{x_name} does not move: what varies in it is noise (± {median(path.noise):.2g})"
        return _no_law(kind, log, level, why)
    step, span = cut_memory(log.step[rows], cut)
    known = _known_errors(getattr(log, f"{y_name}_se"))
    weight = None if known is None else known[rows] ** 2 / np.mean(known[rows] ** 2)
    straight, noise = kind == "hd", median(path.noise)
    asked = LawProblem(
        step, path.mean, y[rows], weight, path.cov_factor, span=span, straight=straight
    )
    bent = replace(asked, straight=False, effort=0.6)  # is the line one?
    asks = [asked, bent] if straight else [asked]
    posts = yield asks
    residual = y[rows] - posts[0].curve
    size = 1.0 if weight is None else np.sqrt((1 + weight) / 2)
    factor, spikes = spike_weights(residual / size, settings["tails"])
    if spikes or settings["tails"] == "heavy":
        weight = factor if weight is None else weight * factor
        # the error models speak of the sampling noise of rows that are no spikes
        weight = weight / weight[factor <= median(factor)].mean()
        posts = yield [replace(ask, weight=weight) for ask in asks]
    if straight:
        word, reasons = line_verdict(posts[0], posts[1], x_name, y_name, span, noise)
    else:
        word, reasons = verdict(posts[0], x_name, y_name, span, noise)
    if spikes:
        reasons = (*reasons, f"{spikes} spike{'s' * (spikes > 1)} in {y_name} weighed down")
    return LawFit(
        kind=kind,
        x_name=x_name,
        y_name=y_name,
        step=log.step[rows],
        x=x[rows],
        y=y[rows],
        path=path,
        weight=weight,
        posterior=posts[0],
        verdict=word,
        reasons=reasons,
        direction=_direction(x_name, y_name, path.mean, y[rows]),
        level=level,
        dropped=int((~rows).sum()),
        cut=cut,
    )


def _direction(x_name: str, y_name: str, x: Array, y: Array) -> str:
    """What happened over time, in words: the ends of the run, each the mean of a tenth."""
    tenth = max(len(x) // 10, 1)

    def way(values: Array) -> str:
        change = float(values[-tenth:].mean() - values[:tenth].mean())
        if abs(change) < 0.1 * float(np.ptp(values)):
            return "stays"
        return "rises" if change > 0 else "falls"

    return f"over the run {x_name} {way(x)} and {y_name} {way(y)}"


def _no_law(kind: Kind, log: RunLog, level: float, why: str) -> LawFit | None:
    x_name, y_name = LAWS[kind]
    if x_name not in log.columns or y_name not in log.columns:
        return None
    x, y = log.column(x_name), log.column(y_name)
    rows = np.isfinite(x) & np.isfinite(y)
    return LawFit(
        kind=kind,
        x_name=x_name,
        y_name=y_name,
        step=log.step[rows],
        x=x[rows],
        y=y[rows],
        path=exact_path(x[rows]),
        weight=None,
        posterior=None,
        verdict="unsupported",
        reasons=(why,),
        level=level,
        dropped=int((~rows).sum()),
    )


def _fit_user_model(log: RunLog, model: Model, params: Any, level: float) -> LawFits:
    from qdlaws.laws.user_model import user_fit

    laws: dict[str, Any] = {}
    for kind, (x_name, y_name) in LAWS.items():
        if x_name in log.columns and y_name in log.columns:
            rows = np.isfinite(log.column(x_name)) & np.isfinite(log.column(y_name))
            x, y = log.column(x_name)[rows], log.column(y_name)[rows]
            laws[kind] = user_fit(kind, x_name, y_name, x, y, model, params, level)
        else:
            laws[kind] = None
    return LawFits(log, laws["rd"], laws["rh"], laws["hd"])
