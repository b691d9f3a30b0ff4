"""The fit of the laws of one run: from its log to LawFits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from qdlaws.core.interval import median
from qdlaws.core.runlog import RunLog
from qdlaws.core.types import Array
from qdlaws.errors import BadData, MissingColumn, NotEnoughData
from qdlaws.inference.error_model import cut_memory, regimes_of, spike_weights
from qdlaws.inference.latent_path import LatentPath, exact_path, latent_path
from qdlaws.inference.law_posterior import LawPosterior, law_posterior
from qdlaws.laws.evidence import evidence
from qdlaws.laws.fitted import LAWS, Kind
from qdlaws.laws.result import LawFit, LawFits
from qdlaws.laws.standstill import LeftOut, moving_rows
from qdlaws.laws.verdict import line_verdict, verdict
from qdlaws.readers.reading import Where, as_log

if TYPE_CHECKING:
    from lmfit import Model, Parameters

__all__ = ["FitOptions", "fit", "fit_with"]

Tails = Literal["auto", "normal", "heavy"]
XNoise = Literal["auto", "none"]
Regimes = Literal["separate", "shared", "ignore"]

MIN_RANGE = 1e-140
"""A column that moves by less is constant: its squares underflow."""

MOST_ROWS = 4000
"""A longer log is fitted to the means of blocks of its rows."""

MIN_CHECKPOINTS = 5
"""Checkpoints that a law needs."""


def fit(
    log: RunLog | Where,
    *,
    level: float = 0.95,
    tails: Tails = "auto",
    x_noise: XNoise = "auto",
    regimes: Regimes = "separate",
    model: Model | None = None,
    model_params: Parameters | None = None,
) -> LawFits:
    """The laws of a run: quality on diversity, quality on entropy, and the line entropy–diversity.

    Parameters
    ----------
    log : RunLog or path
        The checkpoints of one run; a path is read with :func:`qdlaws.read`.
    level : float
        The level of the intervals.
    tails : {"auto", "normal", "heavy"}
        "auto" weighs spikes down where there are some, "heavy" always, "normal" never.
    x_noise : {"auto", "none"}
        "auto" models diversity and entropy as smooth functions of the step, read with noise (of
        their standard errors, where the log has them); "none" takes the readings as exact.
    regimes : {"separate", "shared", "ignore"}
        What marks do. "separate" fits each stretch by itself and returns the last (all are in
        ``.pieces``); "shared" fits one law to all, with errors that start anew at each mark;
        "ignore" fits one law to all, as if there were no marks.
    model : lmfit.Model, optional
        A model y(x) that is fitted in place of the laws.
    model_params : lmfit.Parameters, optional
        Start values of ``model``; by default the model's hints.

    Returns
    -------
    LawFits
        The laws as ``.rd``, ``.rh`` and ``.hd``, None where a column is missing.

    Raises
    ------
    NotEnoughData
        Where no law can be fitted; the message says why.

    Examples
    --------
    >>> import numpy as np
    >>> import qdlaws as qd
    >>> diversity = np.linspace(0.9, 0.3, 60)
    >>> quality = 1 - 0.1 * np.exp(2.5 * diversity) + 0.01 * np.sin(7.0 * np.arange(60))
    >>> log = qd.RunLog.from_arrays(np.arange(60), quality=quality, diversity=diversity)
    >>> qd.fit(log).rd.verdict
    'concave'
    """
    log = as_log(log)
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
    return fit_with(log, FitOptions(level, tails, x_noise), regimes)


class FitOptions(NamedTuple):
    """The options of :func:`fit` that each stretch of a run is fitted with."""

    level: float = 0.95
    tails: Tails = "auto"
    x_noise: XNoise = "auto"


def fit_with(log: RunLog, options: FitOptions, regimes: Regimes = "separate") -> LawFits:
    """The laws of a run with options that are checked already."""
    _check(log, options.level)
    if log.marks and regimes == "separate":
        return _fit_pieces(log, options)
    cut = log.marks if regimes == "shared" else ()
    return _fit_laws(log, options, cut)


def _check(log: RunLog, level: float) -> None:
    if not isinstance(log, RunLog):
        raise BadData(f"fit needs a RunLog, got {type(log).__name__}: use qd.read or from_frame")
    if not 0 < level < 1:
        raise BadData(f"a level lies between 0 and 1, e.g. 0.95; got {level!r}")
    if len(log.columns) < 2:
        raise MissingColumn(
            "a law needs two of quality, diversity and entropy; this log has only "
            f"{_single_column(log)}{_notes_of_reading(log)}"
        )


def _single_column(log: RunLog) -> str:
    """The only column of a log, and what can be asked of it."""
    if not log.columns:
        return "steps"
    return f"{log.columns[0]}, which forecast, advise and choose take as it is"


def _notes_of_reading(log: RunLog) -> str:
    """The decisions made while the log was read, which may be why a law is missing."""
    return f" (while reading: {'; '.join(log.notes[:4])})" if log.notes else ""


def _fit_pieces(log: RunLog, options: FitOptions) -> LawFits:
    pieces = []
    for piece in log.pieces():
        try:
            pieces.append(_fit_laws(piece, options, ()))
        except NotEnoughData as error:
            laws = {kind: _without_law(kind, piece, options.level, str(error)) for kind in LAWS}
            pieces.append(LawFits(piece, laws["rd"], laws["rh"], laws["hd"]))
    return replace(pieces[-1], pieces=tuple(pieces))


def _fit_laws(log: RunLog, options: FitOptions, cut: tuple[float, ...]) -> LawFits:
    rows = log.in_blocks(MOST_ROWS)
    paths: dict[str, LatentPath] = {}
    for name in ("diversity", "entropy"):
        if name in rows.columns:
            paths[name] = _path(rows, name, options, cut)
    fitted = [_fit_law(kind, rows, paths, options, cut) for kind in LAWS]
    laws = [law for law in fitted if law is not None]
    if not any(law.posterior is not None for law in laws):
        why = "; ".join(law.reasons[0] for law in laws)
        raise NotEnoughData(f"no law can be fitted: {why}{_notes_of_reading(log)}")
    rd, rh, hd = fitted
    return LawFits(log, rd, rh, hd)


def _path(log: RunLog, name: str, options: FitOptions, cut: tuple[float, ...]) -> LatentPath:
    """The latent path of a column on all rows of the log; NaN where the column is unknown."""
    values = log.column(name)
    rows = np.isfinite(values)
    if options.x_noise == "none" or not rows.any():
        return exact_path(values)
    x, se = values[rows], _standard_errors(log, name)
    factor, spikes = spike_weights(x, options.tails)
    path = latent_path(
        log.step[rows],
        x,
        se=None if se is None else se[rows] * np.sqrt(factor),
        weight=factor if spikes else None,
        regime=regimes_of(log.step[rows], cut),
    )
    return path.spread(rows)


def _relative_variance(se: Array) -> Array:
    """se² ÷ its mean; scaled by a power of two first, so that no square is 0 or infinite."""
    variance = np.ldexp(se, -np.frexp(np.max(se))[1]) ** 2
    relative: Array = variance / np.mean(variance)
    return relative


def _standard_errors(log: RunLog, name: str) -> Array | None:
    """The standard errors of a column with gaps filled by their median; None if it has none.

    None is taken for smaller than a quarter of the median: a sample that has collapsed says ±0,
    but the policy itself still wanders.
    """
    se: Array | None = getattr(log, f"{name}_se")
    if se is None or not np.any(np.isfinite(se) & (se > 0)):
        return None
    typical = median(se[np.isfinite(se) & (se > 0)])
    return np.maximum(np.where(np.isfinite(se), se, typical), 0.25 * typical)


def _fit_law(
    kind: Kind,
    log: RunLog,
    paths: dict[str, LatentPath],
    options: FitOptions,
    cut: tuple[float, ...],
) -> LawFit | None:
    """The law of the stretch in which the run moves; None where a column is missing."""
    x_name, y_name = LAWS[kind]
    if x_name not in log.columns or y_name not in log.columns:
        return None
    x, y = log.column(x_name), log.column(y_name)
    rows = np.isfinite(x) & np.isfinite(y)
    path, dropped = paths[x_name].take(rows), int((~rows).sum())
    obstacle = _obstacle(kind, x[rows], y[rows], path)
    if obstacle:
        return _without_law(kind, log, options.level, obstacle)
    log, left_out = log.take(rows), None
    if not cut:
        moving = moving_rows(log.step, path.mean, y[rows], (x_name, y_name))
        if moving.why:
            rest = log.take(~moving.rows)
            log = log.take(moving.rows)
            path = _path(log, x_name, options, cut)
            left_out = LeftOut(rest.step, rest.column(x_name), rest.column(y_name), moving.why)
    law = _fit_rows(kind, log, path, options, cut)
    reasons = law.reasons if left_out is None else (*law.reasons, left_out.why)
    return replace(law, reasons=reasons, dropped=dropped, left_out=left_out)


def _fit_rows(
    kind: Kind, log: RunLog, path: LatentPath, options: FitOptions, cut: tuple[float, ...]
) -> LawFit:
    """The law of rows that have both columns; ``path`` is that of x."""
    x_name, y_name = LAWS[kind]
    y, x = log.column(y_name), log.column(x_name)
    obstacle = _obstacle(kind, x, y, path)
    if obstacle:
        law = _without_law(kind, log, options.level, obstacle)
        assert law is not None
        return law
    step, span = cut_memory(log.step, cut)
    se = _standard_errors(log, y_name)
    weight = None if se is None else _relative_variance(se)
    nugget = None if se is None else float(np.max(se) * np.sqrt(np.mean((se / np.max(se)) ** 2)))
    curves: list[dict[str, Any]] = [{"straight": kind == "hd"}]
    if kind == "hd":  # whether the relation is a line needs the posterior of a curve beside it
        curves.append({"straight": False, "effort": 0.6})

    def posteriors_with(weight: Array | None, nugget: float | None) -> list[LawPosterior]:
        data = step, path.mean, y, weight, path.cov_factor
        return [law_posterior(*data, span=span, nugget=nugget, **curve) for curve in curves]

    posteriors = posteriors_with(weight, nugget)
    residual = y - posteriors[0].curve
    size = 1.0 if weight is None else np.sqrt((1 + weight) / 2)
    factor, spikes = spike_weights(residual / size, options.tails)
    if spikes or options.tails == "heavy":
        weight = factor if weight is None else weight * factor
        # the error models speak of the sampling noise of rows that are no spikes
        usual = float(weight[factor <= median(factor)].mean())
        weight, nugget = weight / usual, None if nugget is None else nugget * np.sqrt(usual)
        posteriors = posteriors_with(weight, nugget)
    about = evidence(posteriors[0], (x_name, y_name), (log.step, y), path, span, weight)
    if kind == "hd":
        curve = posteriors[1]
        outcome = line_verdict(about, curve.law, curve.p_straight, curve.p_curved)
    else:
        outcome = verdict(about)
    reasons = outcome.reasons
    if spikes:
        reasons = (*reasons, f"{spikes} spike{'s' * (spikes > 1)} in {y_name} weighed down")
    return LawFit(
        kind=kind,
        x_name=x_name,
        y_name=y_name,
        step=log.step,
        x=x,
        y=y,
        path=path,
        weight=weight,
        nugget=nugget,
        posterior=posteriors[0],
        verdict=outcome.word,
        reasons=reasons,
        probability=outcome.probability,
        best=outcome.best,
        rival=outcome.rival,
        direction=_direction(x_name, y_name, path.mean, y),
        level=options.level,
        cut=cut,
    )


def _obstacle(kind: Kind, x: Array, y: Array, path: LatentPath) -> str:
    """The reason why no law can be fitted to these readings; empty where one can."""
    x_name, y_name = LAWS[kind]
    if len(y) < MIN_CHECKPOINTS:
        return f"{len(y)} checkpoints have both {x_name} and {y_name}; {MIN_CHECKPOINTS} are needed"
    for name, values in ((x_name, x), (y_name, y)):
        if np.ptp(values) <= max(1e-12 * np.abs(values).max(), MIN_RANGE):
            return f"{name} is constant at {values[0]:.4g}"
    if np.ptp(path.mean) <= 1e-9 * np.ptp(x):
        return f"{x_name} does not move: what varies in it is noise (± {median(path.noise):.2g})"
    return ""


def _direction(x_name: str, y_name: str, x: Array, y: Array) -> str:
    """The change over the run in words: the mean of its last tenth against that of its first."""
    tenth = max(len(x) // 10, 1)

    def trend(values: Array) -> str:
        change = float(values[-tenth:].mean() - values[:tenth].mean())
        if abs(change) < 0.1 * float(np.ptp(values)):
            return "stays"
        return "rises" if change > 0 else "falls"

    return f"over the run {x_name} {trend(x)} and {y_name} {trend(y)}"


def _without_law(kind: Kind, log: RunLog, level: float, reason: str) -> LawFit | None:
    """The readings of a law that cannot be fitted, with the reason; None without its columns."""
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
        reasons=(reason,),
        level=level,
        dropped=int((~rows).sum()),
    )


def _fit_user_model(log: RunLog, model: Model, params: Parameters | None, level: float) -> LawFits:
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
