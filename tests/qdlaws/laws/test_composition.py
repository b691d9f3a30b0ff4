"""The composition check: composed runs agree, broken ones differ, noisy ones cannot tell."""

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


def test_the_intervals_of_the_differences_cover_zero_on_composed_runs():
    covered = []
    for seed in range(20):
        composition = qd.fit(log(n=100, seed=seed)).composition
        covered.append(composition.c_difference.low < 0 < composition.c_difference.high)
        covered.append(composition.b_difference.low < 0 < composition.b_difference.high)
    assert np.mean(covered) >= 0.85


def test_joint_draws_are_sharper_than_independent_ones():
    """The three laws share the noise of one run: joint draws of c − c0·k are sharper."""
    fits = qd.fit(log(n=100))
    rng = np.random.default_rng(0)
    k = fits.hd.draws.q / fits.hd.draws.width
    independent = rng.permutation(fits.rd.draws.c) - rng.permutation(fits.rh.draws.c) * k
    low, high = np.quantile(independent, [0.025, 0.975])
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
        composition = qd.fit(qd.RunLog.from_frame(data))
        if composition.hd.supported:
            words.append(composition.composition.verdict)
    assert len(words) >= RUNS // 2
    assert words.count("differs") >= 0.8 * len(words)


def test_the_reasons_name_the_difference():
    data = frame(n=150, kappa=1.5, sigma=0.01, rho=0.2)
    u = (data["diversity"] - 0.3) / 0.6
    data["entropy"] = M + K * (0.3 + 0.6 * u * (0.75 + 0.25 * u))
    data["entropy"] += 0.01 * np.random.default_rng(0).standard_normal(150)
    composition = qd.fit(qd.RunLog.from_frame(data)).composition
    assert composition.verdict == "differs"
    assert "curvatures do not match" in composition.reasons[0]


def test_with_an_unsupported_law_the_check_cannot_tell():
    composition = qd.fit(log(change=1.0)).composition
    assert composition.verdict == "cannot tell"
    assert "unsupported: quality on diversity, quality on entropy" in composition.reasons[0]
    assert all(np.isnan(v) for v in composition.c_difference[:3])


def test_on_a_noisy_run_the_check_cannot_tell():
    words = [
        qd.fit(log(n=25, kappa=0.5, sigma=0.15, rho=0.3, seed=seed)).composition.verdict
        for seed in range(RUNS)
    ]
    assert words.count("cannot tell") >= RUNS - 2


def test_without_all_three_columns_there_is_no_composition():
    assert qd.fit(qd.RunLog.from_frame(frame().drop(columns="entropy"))).composition is None


def test_columns_with_gaps_are_compared_on_common_rows():
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


def test_unknown_differences_are_null_in_json():
    composition = qd.fit(log(change=1.0)).composition
    plain = json.loads(json.dumps(composition.to_dict(), allow_nan=False))
    assert plain["c_minus_c0k"]["mid"] is None
    assert plain["verdict"] == "cannot tell"
