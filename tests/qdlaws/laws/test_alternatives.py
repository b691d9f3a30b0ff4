"""Rival forms by BIC: the true form wins, and a better one is named."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.core.law import shape
from qdlaws.laws.adequacy import block_means
from qdlaws.laws.alternatives import COEFFICIENTS, RivalForms
from qdlaws.simulation import falling_path
from tests.helpers.simulated import log


@pytest.mark.parametrize(("kappa", "worse"), [(3.0, "convex"), (-3.0, "concave")])
def test_the_form_that_made_the_data_has_the_best_bic(kappa: float, worse: str) -> None:
    table = {r.form: r.delta_bic for r in qd.fit(log(n=150, kappa=kappa, seed=1)).rd.rivals}
    assert table[f"{worse} exponential"] > 10
    assert table["line"] > 10
    assert min(table.values()) > -10


def test_a_clearly_better_rival_is_named_in_the_summary() -> None:
    rng = np.random.default_rng(0)
    d = np.linspace(1.1, 0.2, 200)
    quality = d**-1.0 + 0.1 * rng.standard_normal(200)  # steeper near 0 than any exponential
    law = qd.fit(qd.RunLog.from_arrays(np.arange(200), quality=quality, diversity=d)).rd
    best = law.rivals[0]
    assert best.form == "power law"
    assert best.delta_bic < -6
    assert "power law" in str(law)


def forms(quality: Callable[[np.ndarray], np.ndarray], sigma: float = 0.05) -> RivalForms:
    """The rival forms of a run of 100 rows whose quality is a function of u and of the step."""
    n, rng = 100, np.random.default_rng(3)
    u = falling_path(n, low=0.0, high=1.0)
    y = quality(u) + sigma * rng.standard_normal(n)
    return RivalForms(block_means(np.arange(n), u, y, y), (0.0, 1.0))


def test_a_hump_has_a_peak_at_its_top() -> None:
    peak = forms(lambda u: 1 - (2 * u - 1) ** 2).peak
    assert peak.probability > 0.95
    assert peak.place.low < 0.5 < peak.place.high
    late = forms(lambda u: 1 - 3 * np.abs(u - 0.8)).peak
    assert late.place.mid == pytest.approx(0.8, abs=0.08)


@pytest.mark.parametrize("kappa", [-3.0, 0.0, 3.0, 8.0])
def test_a_law_that_falls_all_along_has_no_peak(kappa: float) -> None:
    assert forms(lambda u: 1 - shape(kappa, u)).peak.probability < 0.9


def test_a_hinge_is_a_line_that_is_level_below_its_break() -> None:
    table = forms(lambda u: 1 - np.maximum(u - 0.5, 0) * 2, sigma=0.02)
    assert table.delta("level below a break") < -10


def test_a_drift_in_step_leaves_no_fall_beside_it_and_a_law_does() -> None:
    drift = forms(lambda u: np.linspace(0, 0.5, len(u)))
    assert drift.delta("line in step") < 0
    assert drift.p_falls_beside("line in step") < 0.9
    law = forms(lambda u: 1 - u)
    assert law.delta("line in step") > 6
    assert law.p_falls_beside("line in step") > 0.975
    assert law.p_falls_beside("jump in step") > 0.975


def test_a_jump_in_step_is_no_law() -> None:
    jump = forms(lambda u: np.where(np.arange(len(u)) > 70, 0.3, 0.0))
    assert jump.delta("jump in step") < -6
    assert jump.p_falls_beside("jump in step") < 0.975


def test_a_constant_run_has_forms_of_equal_fit() -> None:
    table = RivalForms(block_means(*np.ones((3, 8)).cumsum(1), np.ones(8)), (1.0, 8.0))
    assert np.isfinite([table.bic(form) for form in COEFFICIENTS]).all()


def test_the_law_stands_among_its_rivals_at_zero() -> None:
    rivals = qd.fit(log(n=60)).rd.rivals
    assert rivals.to_dict()["concave exponential"]["delta_bic"] == 0.0
    assert list(rivals.to_frame()["form"]) == [rival.form for rival in rivals]
    assert rivals.to_frame()["delta_bic"].is_monotonic_increasing
    assert len(repr(rivals)) < 300
