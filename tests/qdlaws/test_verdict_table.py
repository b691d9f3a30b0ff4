"""Verdicts are right in a few simulated cells of runs with a law and without one.

The full version, every kind of run under four error models, is benchmarks/verdicts.py.
"""

from __future__ import annotations

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.simulation import ERROR_MODELS, SCENARIOS

RUNS = 12
"""With 12 runs a share of 90 % has a standard error of 9 %, one of 5 % of 6 %."""


def verdicts(scenario: str, errors: str) -> list[str]:
    """The verdicts on twelve runs of sixty rows; a run that no law can be fitted to has none."""
    words = []
    for seed in range(RUNS):
        rng = np.random.default_rng([20261121, list(SCENARIOS).index(scenario), seed])
        run = SCENARIOS[scenario].run(rng, 60, ERROR_MODELS[errors])
        try:
            law = qd.fit(run.log()).rd
        except qd.NotEnoughData:
            law = None
        words.append("unsupported" if law is None else law.verdict)
    return words


@pytest.mark.parametrize("verdict", ["concave", "convex", "linear"])
def test_a_law_of_six_standard_errors_gets_its_verdict(verdict: str) -> None:
    words = verdicts(f"{verdict}, 6 s.e.", "mixed A")
    also = "falling" if verdict == "linear" else verdict  # a straight law whose bend is not known
    assert sum(word in (verdict, also) for word in words) >= 8


@pytest.mark.parametrize("scenario", ["both rise", "flat", "random walks", "two AR(1) series"])
def test_runs_without_a_trade_off_get_no_law(scenario: str) -> None:
    words = verdicts(scenario, "rho=.5")
    assert words.count("unsupported") >= 9
    assert words.count("concave") + words.count("convex") <= 2


def test_spikes_do_not_bend_a_line() -> None:
    words = verdicts("spiky line", "rho=.5")
    assert words.count("linear") + words.count("falling") >= 9


@pytest.mark.parametrize("scenario", ["concave", "R falls, H rises"])
def test_the_direction_of_time_changes_no_verdict(scenario: str) -> None:
    assert verdicts(scenario, "rho=.5").count("concave") >= 6
