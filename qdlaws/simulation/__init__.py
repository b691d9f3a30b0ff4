"""Simulated runs whose law and errors are known: for power analyses, and to check intervals.

How often would a law be seen in a run of 80 evaluations? Simulate some and fit them:

>>> import numpy as np
>>> import qdlaws as qd
>>> from qdlaws import simulation as sim
>>> law, path = sim.true_law(kappa=2.0), sim.falling_path(80)
>>> errors = sim.ErrorModel(white=0.3, rho=0.8)
>>> runs = [sim.simulate(np.random.default_rng(i), law, path, 0.1, errors) for i in range(10)]
>>> verdicts = [qd.fit(run.log()).rd.verdict for run in runs]
>>> verdicts.count("concave") + verdicts.count("falling") >= 8
True
"""

from qdlaws.simulation.bound import Bound, cramer_rao, error_size, jacobian
from qdlaws.simulation.error_models import (
    ERROR_MODELS,
    MIXED,
    ErrorModel,
    ar1_series,
    draw_errors,
    error_covariance,
    error_parts,
    real_log_errors,
)
from qdlaws.simulation.runs import X_HIGH, X_LOW, SimulatedRun, falling_path, simulate, true_law
from qdlaws.simulation.scenarios import EFFECT, MISFITS, SCENARIOS, Scenario

__all__ = [
    "EFFECT",
    "ERROR_MODELS",
    "MISFITS",
    "MIXED",
    "SCENARIOS",
    "X_HIGH",
    "X_LOW",
    "Bound",
    "ErrorModel",
    "Scenario",
    "SimulatedRun",
    "ar1_series",
    "cramer_rao",
    "draw_errors",
    "error_covariance",
    "error_parts",
    "error_size",
    "falling_path",
    "jacobian",
    "real_log_errors",
    "simulate",
    "true_law",
]
