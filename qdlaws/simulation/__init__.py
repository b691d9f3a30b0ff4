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

Its parts, one by one:

>>> rng, n = np.random.default_rng(0), 80
>>> run = sim.simulate(rng, law, path, sigma=0.1, errors=errors)
>>> isinstance(run, sim.SimulatedRun), run.x[0] == sim.X_HIGH, run.x[-1] == sim.X_LOW
(True, np.True_, np.True_)
>>> sim.draw_errors(rng, n, sim.ERROR_MODELS["rho=.8"]).shape
(80,)
>>> sim.MIXED, sim.real_log_errors(n).white
(('mixed A', 'mixed B'), 0.2)
>>> slow, white = sim.error_parts(rng, n, errors)  # their sum is a draw of the errors
>>> sim.ar1_series(rng, n, rho=0.95).shape, sim.error_covariance(n, errors).shape
((80,), (80, 80))

How well could anybody know this law from such a run? The Cramér–Rao bound says:

>>> bound = sim.cramer_rao(law, path, 0.1, errors, x=np.array([0.5]))
>>> isinstance(bound, sim.Bound), sim.jacobian(law, path).shape
(True, (80, 3))
>>> sim.error_size(law, path, errors) > 0  # the size at which its bend is sim.EFFECT bounds
True
>>> sim.EFFECT
4.0

Kinds of runs with the verdict that each deserves:

>>> isinstance(sim.SCENARIOS["concave"], sim.Scenario), sim.SCENARIOS["concave"].verdict
(True, 'concave')
>>> sorted(sim.MISFITS)[:3]
['flat, as real logs', 'flat, collapse', 'flat, drift']
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
