"""The coverage benchmark: what it simulates, and the table that it prints."""

from __future__ import annotations

import numpy as np
import pytest
from law_coverage import QUESTIONS, ROWS, measure, plan, report, simulated
from tables import slack


@pytest.mark.parametrize("name", ROWS)
def test_readings_are_curve_plus_errors_of_the_stated_size(name: str) -> None:
    run, truth, _ = simulated(ROWS[name], 4000, 2.0, np.random.default_rng(0))
    error = run.y - truth(run.x - 0.2)
    assert 0.05 < error.std() < 0.25
    assert run.x.max() - run.x.min() == pytest.approx(1.0, abs=0.01)


def test_curve_fit_covers_too_little_and_the_table_says_so() -> None:
    """The simulation is hard enough: intervals of curve_fit hold the truth in half of the runs."""
    jobs = {k: v for k, v in plan(10, 60, (25,)).items() if v[0] == "AR(.95)"}
    done = {k: measure(*v) for k, v in jobs.items() if v[2] in ("qdlaws", "curve_fit")}
    text = report(done, jobs)
    for question in QUESTIONS:
        assert question in text
    shares = {
        line.split(" | ")[0][2:].strip(): line for line in text.splitlines() if "| 1 " in line
    }
    assert float(shares["curve_fit"].split(" | ")[3]) < 0.7


def test_slack_is_two_standard_errors_of_a_share() -> None:
    assert slack(0.5, 100) == pytest.approx(0.1)
