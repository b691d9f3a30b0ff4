"""Laws, forecasts and advice on adversarial numbers, with warnings as errors."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attacks.tally import Attack, Try, one_line_or_answer

import qdlaws as qd

Array = npt.NDArray[np.float64]


def adversarial(rng: np.random.Generator, n: int) -> Array:
    """A column of a strange kind and scale."""
    t = np.linspace(0, 1, n)
    kinds = (
        lambda: rng.normal(size=n),
        lambda: np.full(n, float(rng.normal())),
        lambda: np.exp(-5 * t),
        lambda: np.where(t > rng.uniform(), 1.0, 0.0),
        lambda: rng.integers(0, 2, n).astype(float),
        lambda: np.cumsum(rng.normal(size=n)),
        lambda: rng.standard_cauchy(n),
        lambda: t ** float(rng.uniform(0.1, 20)),
        lambda: np.where(rng.uniform(size=n) < 0.3, np.nan, t),
        lambda: np.repeat(rng.normal(size=n), 5)[:n],
        lambda: (-1.0) ** np.arange(n),
    )
    column: Array = kinds[int(rng.integers(len(kinds)))]()
    scale = float(rng.choice([1, 1, 1, 1e-3, 1e6, 1e-12, 1e12, 1e-300, 1e300]))
    offset = float(rng.choice([0, 0, 0, 1, 1e6, -1e9]))
    return column * scale + offset


def _ordered(values: object) -> str:
    """Every interval in a tree of JSON values has low ≤ mid ≤ high."""
    if isinstance(values, dict):
        if {"low", "mid", "high"} <= values.keys():
            numbers = [values[k] for k in ("low", "mid", "high") if values[k] is not None]
            if sorted(numbers) != numbers:
                return f"an interval out of order: {values}"
        return next((fault for v in values.values() if (fault := _ordered(v))), "")
    if isinstance(values, list):
        return next((fault for v in values if (fault := _ordered(v))), "")
    return ""


def fits(work: Path) -> Try:
    """Fit, forecast and advise one log; every answer is strict JSON with ordered intervals."""
    t = np.arange(30.0)
    qd.fit(qd.RunLog.from_arrays(t, quality=t / (t + 9), entropy=np.exp(-t / 9)))  # compiles now

    def attempt(rng: np.random.Generator) -> str:
        n = int(rng.choice([2, 3, 4, 6, 8, 12, 20, 40, 80]))
        step = np.cumsum(rng.choice([1.0, 1.0, 10.0, 1e6], n)) if rng.integers(2) else np.arange(n)
        columns = {name: adversarial(rng, n) for name in ("quality", "diversity", "entropy")}
        if rng.integers(2):
            columns["quality_se"] = np.abs(adversarial(rng, n))
        which = int(rng.integers(3))
        fault = ""

        def work_out() -> None:
            nonlocal fault
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                log = qd.RunLog.from_arrays(step, **columns)
                fits = qd.fit(log)
                answers = [fits.to_dict()]
                if which == 1:
                    answers.append(qd.forecast(fits, horizon=float(step[-1]) + 10).to_dict())
                if which == 2:
                    answers.append(qd.advise(fits, qd.Goal(min_entropy=0.1)).to_dict())
            for answer in answers:
                fault = _ordered(json.loads(json.dumps(answer, allow_nan=False)))

        crash = one_line_or_answer(work_out, 60)
        return crash or fault

    return attempt


ATTACKS = [Attack("fits, forecasts and advice on adversarial numbers", fits, 3.0, 6)]
