"""Rival forms by BIC: the true form wins, and a better one is named."""

from __future__ import annotations

import numpy as np
import pytest

import qdlaws as qd
from tests.helpers.simulated import log


@pytest.mark.parametrize(("kappa", "worse"), [(3.0, "convex"), (-3.0, "concave")])
def test_the_form_that_made_the_data_has_the_best_bic(kappa: float, worse: str) -> None:
    table = {r.form: r.delta_bic for r in qd.fit(log(n=150, kappa=kappa, seed=1)).rd.rivals}
    assert table[f"{worse} exponential"] > 10
    assert table["line"] > 10
    assert min(table.values()) > -10


def test_a_clearly_better_rival_is_named_in_the_summary() -> None:
    rng = np.random.default_rng(0)
    d = np.linspace(1.1, 0.02, 200)
    quality = d**-0.5 + 0.02 * rng.standard_normal(200)  # far from any exponential near 0
    law = qd.fit(qd.RunLog.from_arrays(np.arange(200), quality=quality, diversity=d)).rd
    best = law.rivals[0]
    assert best.form == "power law"
    assert best.delta_bic < -6
    assert "power law" in str(law)


def test_the_law_stands_among_its_rivals_at_zero() -> None:
    rivals = qd.fit(log(n=60)).rd.rivals
    assert rivals.to_dict()["concave exponential"]["delta_bic"] == 0.0
    assert list(rivals.to_frame()["form"]) == [rival.form for rival in rivals]
    assert rivals.to_frame()["delta_bic"].is_monotonic_increasing
    assert len(repr(rivals)) < 300
