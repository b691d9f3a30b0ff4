"""Do R on D, R on H and H on D agree? On composed runs yes, on broken ones no, else no answer."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

import qdlaws as qd
from tests.helpers.simulated import K, M, ar1, collapse, frame, law, log

RUNS = 12


def broken(seed: int, n: int = 150) -> qd.RunLog:
    """Two regimes of quality that no line between D and H explains.

    Entropy follows diversity on a line, up to noise that is slow and that quality follows: R is a
    strongly curved function of D, and a straight one of H.
    """
    rng = np.random.default_rng([seed, n])
    d = collapse(n)
    h = K * d + M + 0.05 * ar1(rng, n, 0.0)
    r = law(4.0).value(d) + 0.01 * ar1(rng, n, 0.3)
    return qd.RunLog.from_frame(
        pd.DataFrame({"step": np.arange(n), "quality": r, "diversity": d, "entropy": h})
    )


def test_a_composed_run_agrees():
    words = [qd.fit(log(n=120, seed=seed)).composition.verdict for seed in range(RUNS)]
    assert words.count("agrees") >= RUNS - 2
    assert words.count("differs") <= 1


def test_the_differences_hold_zero_on_composed_runs():
    held = []
    for seed in range(20):
        found = qd.fit(log(n=100, seed=seed)).composition
        held.append(found.c_difference.low < 0 < found.c_difference.high)
        held.append(found.b_difference.low < 0 < found.b_difference.high)
    assert np.mean(held) >= 0.85


def test_joint_draws_are_sharper_than_independent_ones():
    """The three laws share the noise of one run: c − c0·k is known better than from each alone."""
    fits = qd.fit(log(n=100))
    rng = np.random.default_rng(0)
    k = fits.hd.draws.q / fits.hd.draws.width
    alone = rng.permutation(fits.rd.draws.c) - rng.permutation(fits.rh.draws.c) * k
    low, high = np.quantile(alone, [0.025, 0.975])
    joint = fits.composition.c_difference
    assert joint.high - joint.low < 0.7 * (high - low)


def test_a_broken_run_differs():
    """H bends with D in a way the line cannot carry: c and c0·k cannot be one number."""
    words = []
    for seed in range(RUNS):
        data = frame(n=150, kappa=1.5, sigma=0.01, rho=0.2, seed=seed)
        u = (data["diversity"] - 0.3) / 0.6
        data["entropy"] = M + K * (0.3 + 0.6 * u * (0.75 + 0.25 * u))
        data["entropy"] += 0.01 * np.random.default_rng(seed).standard_normal(150)
        found = qd.fit(qd.RunLog.from_frame(data))
        if found.hd.supported:
            words.append(found.composition.verdict)
    assert len(words) >= RUNS // 2
    assert words.count("differs") >= 0.8 * len(words)


def test_what_differs_is_said():
    data = frame(n=150, kappa=1.5, sigma=0.01, rho=0.2)
    u = (data["diversity"] - 0.3) / 0.6
    data["entropy"] = M + K * (0.3 + 0.6 * u * (0.75 + 0.25 * u))
    data["entropy"] += 0.01 * np.random.default_rng(0).standard_normal(150)
    found = qd.fit(qd.RunLog.from_frame(data)).composition
    assert found.verdict == "differs"
    assert "curvatures do not match" in found.reasons[0]


def test_an_unsupported_law_cannot_tell():
    found = qd.fit(log(change=1.0)).composition
    assert found.verdict == "cannot tell"
    assert "unsupported: quality on diversity, quality on entropy" in found.reasons[0]
    assert all(np.isnan(v) for v in found.c_difference[:3])


def test_a_vague_run_cannot_tell():
    words = [
        qd.fit(log(n=25, kappa=0.5, sigma=0.15, rho=0.3, seed=seed)).composition.verdict
        for seed in range(RUNS)
    ]
    assert words.count("cannot tell") >= RUNS - 2


def test_without_all_three_columns_there_is_no_composition():
    assert qd.fit(qd.RunLog.from_frame(frame().drop(columns="entropy"))).composition is None


def test_columns_known_on_different_rows_are_compared_on_common_ones():
    words = []
    for seed in range(6):
        data = frame(n=100, seed=seed)
        data.loc[::3, "entropy"] = np.nan
        words.append(qd.fit(qd.RunLog.from_frame(data)).composition.verdict)
    assert words.count("differs") <= 1  # each of two checks errs in 5 % of runs
    data = frame(n=100)
    data.loc[:49, "entropy"] = np.nan
    data.loc[50:, "diversity"] = np.nan
    fits = qd.fit(qd.RunLog.from_frame(data))
    assert fits.composition.verdict == "cannot tell"


def test_plain_values():
    found = qd.fit(log(change=1.0)).composition
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["c_minus_c0k"]["mid"] is None
    assert plain["verdict"] == "cannot tell"
