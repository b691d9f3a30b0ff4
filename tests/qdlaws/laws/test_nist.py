"""NIST's certified estimates and standard errors, and the estimates of R's SSasymp."""

from __future__ import annotations

import re
from pathlib import Path

import lmfit
import numpy as np
import pandas as pd
import pytest

import qdlaws as qd

DATA = Path(__file__).parents[3] / "data"


def certified(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """x, y, start values and certified (estimate, standard error) of a NIST file."""
    lines = (DATA / "nist" / f"{name}.dat").read_text().split("\n")
    first = [i for i, line in enumerate(lines) if line.startswith("Data:")][-1] + 1
    y, x = np.array([line.split() for line in lines[first:] if line.strip()], float).T
    rows = [re.match(r"\s*b\d =\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*$", line) for line in lines]
    table = np.array([m.groups() for m in rows if m], float)
    return x, y, table[:, 1], table[:, 2:]


def digits(estimated: float, true: float) -> float:
    return 15.0 if estimated == true else float(-np.log10(abs(estimated / true - 1)))


def log_of(x: np.ndarray, y: np.ndarray) -> qd.RunLog:
    """NIST's rows as the checkpoints of a run, quality on diversity."""
    return qd.RunLog.from_arrays(np.arange(len(x)), quality=y, diversity=x)


def chwirut(x, b1, b2, b3):
    return np.exp(-b1 * x) / (b2 + b3 * x)


def mgh09(x, b1, b2, b3, b4):
    return b1 * (x**2 + x * b2) / (x**2 + x * b3 + b4)


@pytest.mark.parametrize("name", ["Misra1a", "BoxBOD"])
def test_law_through_the_origin_has_the_certified_digits(name):
    x, y, _, truth = certified(name)
    result = qd.fit(log_of(x, y)).rd.to_lmfit(through_origin=True)
    b, c = result.params["b"], result.params["c"]
    assert result.params["a"].value == b.value
    for estimated, sign, (estimate, error) in zip((b, c), (1, -1), truth, strict=True):
        assert digits(sign * estimated.value, estimate) >= 8
        assert digits(estimated.stderr, error) >= 6


@pytest.mark.parametrize(
    ("name", "function"), [("Chwirut1", chwirut), ("Chwirut2", chwirut), ("MGH09", mgh09)]
)
def test_a_users_model_has_the_certified_digits(name, function):
    x, y, start, truth = certified(name)
    model = lmfit.Model(function)
    params = model.make_params(**{f"b{i + 1}": v for i, v in enumerate(start)})
    fitted = qd.fit(log_of(x, y), model=model, model_params=params).rd
    assert isinstance(fitted.to_lmfit(), lmfit.model.ModelResult)
    for i, (estimate, error) in enumerate(truth):
        estimated = fitted.result.params[f"b{i + 1}"]
        assert digits(estimated.value, estimate) >= 8
        assert digits(estimated.stderr, error) >= 6


def test_a_models_hints_serve_as_start_values():
    x, y, start, truth = certified("Chwirut2")
    model = lmfit.Model(chwirut)
    for i, value in enumerate(start):
        model.set_param_hint(f"b{i + 1}", value=value)
    fitted = qd.fit(log_of(x, y), model=model).rd
    assert digits(fitted.result.params["b2"].value, truth[1, 0]) >= 8


def test_loblolly_has_the_estimates_of_ssasymp():
    """R's nls(height ~ SSasymp(age, Asym, R0, lrc), Loblolly[Loblolly$Seed == 329, ])."""
    trees = pd.read_csv(DATA / "loblolly329.csv")
    log = qd.RunLog.from_arrays(
        np.arange(len(trees)), quality=trees["height"], diversity=trees["age"]
    )
    result = qd.fit(log).rd.to_lmfit()
    a, b, c = (result.params[name].value for name in "abc")
    assert b == pytest.approx(94.1282, abs=5e-5)  # Asym; R prints four decimals
    assert b - a == pytest.approx(-8.2508, abs=5e-5)  # R0
    assert np.log(-c) == pytest.approx(-3.2176, abs=5e-5)  # lrc


def test_conf_interval_works_on_the_model_result():
    x, y, _, truth = certified("Misra1a")
    result = qd.fit(log_of(x, y)).rd.to_lmfit(through_origin=True)
    profile = result.conf_interval(p_names=["b", "c"], sigmas=[1])
    for name, sign, (estimate, error) in zip("bc", (1, -1), truth, strict=True):
        (_, low), (_, mid), (_, high) = profile[name]
        assert mid == pytest.approx(sign * estimate, rel=1e-6)
        # nearly linear data: the profile is the standard error, at t instead of normal quantiles
        assert (high - low) / 2 == pytest.approx(error, rel=0.1)


def test_conf_interval_works_on_the_three_parameter_law():
    trees = pd.read_csv(DATA / "loblolly329.csv")
    log = qd.RunLog.from_arrays(
        np.arange(len(trees)), quality=trees["height"], diversity=trees["age"]
    )
    result = qd.fit(log).rd.to_lmfit()
    low, mid, high = (v for _, v in result.conf_interval(p_names=["b"], sigmas=[2])["b"])
    assert low < mid < high
    assert mid == pytest.approx(94.1282, abs=1e-3)


@pytest.mark.parametrize("through_origin", [False, True])
def test_profiles_are_those_of_a_plain_lmfit_fit(through_origin):
    """The exact Jacobian that the result carries must allow for a parameter that is held fixed."""
    x, y, _, _ = certified("Misra1a")
    result = qd.fit(log_of(x, y)).rd.to_lmfit(through_origin=through_origin)

    def law(x, a, b, c):
        return b - a * np.exp(c * x)

    params = lmfit.create_params(**{n: result.params[n].value * 1.001 for n in "abc"})
    if through_origin:
        params["a"].set(expr="b")
    plain = lmfit.Model(law).fit(y, params, x=x)
    profile, plain_profile = (
        r.conf_interval(p_names=["b", "c"], sigmas=[2]) for r in (result, plain)
    )
    for name in ("b", "c"):
        assert [v for _, v in profile[name]] == pytest.approx(
            [v for _, v in plain_profile[name]], rel=1e-5
        )


def test_profiles_of_a_users_model_are_those_of_a_plain_lmfit_fit():
    x, y, start, _ = certified("Chwirut2")
    model = lmfit.Model(chwirut)
    params = model.make_params(**{f"b{i + 1}": v for i, v in enumerate(start)})
    result = qd.fit(log_of(x, y), model=model, model_params=params).rd.to_lmfit()
    plain = model.fit(y, params, x=x)
    profile, plain_profile = (r.conf_interval(sigmas=[2]) for r in (result, plain))
    for name in profile:
        assert [v for _, v in profile[name]] == pytest.approx(
            [v for _, v in plain_profile[name]], rel=1e-4
        )
