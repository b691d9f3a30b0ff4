"""How fast is a fit? Beside lmfit and scipy, in one process, on one thread.

    python benchmarks/fit_speed.py           a minute or two
    python benchmarks/fit_speed.py --quick   fewer repeats

Peers start at the truth. Where a peer would take hours it is timed on a sample and multiplied.
"""

from __future__ import annotations

import argparse
import contextlib
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import time
import warnings
from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
from bootstrap import bootstrap_refits
from tables import markdown

from qdlaws import Law, LawFits, RunLog, fit, fit_many
from qdlaws.simulation import (
    ERROR_MODELS,
    SimulatedRun,
    draw_errors,
    falling_path,
    simulate,
    true_law,
)

LAW = true_law(2.0)
N = 200
SIZES = (1_000, 10_000, 100_000)
ROUNDS = 5


def seconds(work: Callable[[], Any], times: int) -> float:
    """The CPU time of one call, from ``times`` of them."""
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


def compare(
    ours: Callable[[], Any], theirs: Callable[[], Any], times: int, few: int
) -> tuple[float, float]:
    """Median times a call of both, taken in turns so that a busy machine slows both alike."""
    ours(), theirs()
    rounds = [(seconds(ours, times), seconds(theirs, few)) for _ in range(ROUNDS)]
    here, there = np.median(rounds, axis=0)
    return float(here), float(there)


def a_run(n: int, seed: int = 0) -> SimulatedRun:
    return simulate(
        np.random.default_rng(seed), LAW, falling_path(n), 0.05, ERROR_MODELS["rho=.8"], 0.0
    )


def a_log(n: int, seed: int = 0) -> RunLog:
    """Quality, diversity and entropy of a run."""
    rng = np.random.default_rng([seed, 1])
    run = a_run(n, seed)
    entropy = 0.1 + 0.8 * run.x + 0.02 * draw_errors(rng, n, ERROR_MODELS["rho=.5"])
    return RunLog(step=run.step, quality=run.y, diversity=run.x, entropy=entropy)


def with_lmfit(x: np.ndarray, y: np.ndarray, start: Law) -> Any:
    """lmfit's fit of R = b − a·exp(c·x) from the truth, and its profile intervals of a, b, c."""
    import lmfit

    model = lmfit.Model(lambda x, a, b, c: b - a * np.exp(c * x))
    params = model.make_params(a=float(start.a), b=float(start.b), c=float(start.c))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = model.fit(y, params, x=x)
        with contextlib.suppress(lmfit.MinimizerException, ValueError):
            result.conf_interval()
    return result


def one_law(times: int) -> list[str]:
    """One law with all its intervals."""
    run = a_run(N)
    log = run.log()

    def ours() -> None:
        law = fit(log).rd
        assert law is not None
        law.params, law.ceiling(), law.exchange_rate(0.7), law.diversity_for(0.7)

    here, there = compare(ours, lambda: with_lmfit(run.x, run.y, LAW), times, 1)
    return _row("one law with all intervals, n = 200", here, "lmfit fit + conf_interval", there, 30)


def bootstrap(times: int) -> list[str]:
    """Ten thousand parametric refits."""
    from scipy.optimize import curve_fit

    run, count = a_run(N), 10_000
    noise = 0.05 * np.random.default_rng(5).standard_normal((100, N))
    series = cycle(LAW.value(run.x) + noise)
    start = (float(LAW.a), float(LAW.b), float(LAW.c))

    def theirs() -> None:
        curve_fit(lambda x, a, b, c: b - a * np.exp(c * x), run.x, next(series), p0=start)

    here, there = compare(
        lambda: bootstrap_refits(run.x, run.y, count), theirs, max(times // 10, 1), 100
    )
    what = "bootstrap of 10,000 refits, n = 200"
    return _row(what, here, "curve_fit × 10,000 (on a sample)", count * there, 200)


def many_runs() -> list[str]:
    """A thousand runs of three laws each, timed on a sample.

    Ours has the intervals of the parameters and of the law at three x, lmfit's of the parameters.
    """
    logs = [a_log(N, seed) for seed in range(64)]
    few = cycle(logs)
    line = Law(0.0, 1.0, np.float64(1e-6), np.float64(0.1), np.float64(0.8))
    rh = Law(0.26, 1.06, np.float64(2.0), np.float64(1.0), np.float64(-1.0))

    def ours() -> None:
        for fits in fit_many(logs):
            assert isinstance(fits, LawFits)
            for law in fits.laws():
                law.params, law.predict(np.quantile(law.x, [0.1, 0.5, 0.9]))

    def theirs() -> None:
        log = next(few)
        with_lmfit(log.column("diversity"), log.column("quality"), LAW)
        with_lmfit(log.column("entropy"), log.column("quality"), rh)
        with_line(log.column("diversity"), log.column("entropy"), line)

    here, there = compare(ours, theirs, 1, 2)
    here, there = 1000 * here / len(logs), 1000 * there
    return _row("1,000 runs of 200, three laws each", here, "lmfit loop (on a sample)", there, 100)


def with_line(x: np.ndarray, y: np.ndarray, start: Law) -> Any:
    """lmfit's straight line with profile intervals."""
    import lmfit

    model = lmfit.Model(lambda x, k, m: k * x + m)
    result = model.fit(y, model.make_params(k=float(start.q), m=float(start.p)), x=x)
    result.conf_interval()
    return result


def sizes() -> list[list[str]]:
    """Time and peak memory of one law against n."""
    rows, before = [], 0.0
    for n in SIZES:
        log = a_run(n).log()
        here = min(seconds(lambda log=log: fit(log), 1) for _ in range(3))  # type: ignore[misc]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        growth = "–" if not before else f"{here / before:.1f}"
        rows.append(
            [f"{n:,}", f"{here:.3f} s", f"{1e6 * here / n:.1f} µs", growth, f"{peak:.0f} MiB"]
        )
        before = here
    return rows


def _row(what: str, here: float, peer: str, there: float, wanted: float) -> list[str]:
    ratio = there / here
    return [
        what,
        _time(here),
        peer,
        _time(there),
        f"{ratio:.0f} ×",
        f"≥ {wanted:g} ×",
        "yes" if ratio >= wanted else "NO",
    ]


def _time(value: float) -> str:
    return f"{1e3 * value:.1f} ms" if value < 1 else f"{value:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer repeats")
    args = parser.parse_args()
    times = 5 if args.quick else 40
    head = ["what", "qdlaws", "peer", "time of peer", "faster", "wanted", "reached"]
    rows = [one_law(times), bootstrap(times), many_runs()]
    size_rows = sizes()
    print(
        "# Speed of a fit\n\nCPU time of one process on one thread; peers and ours in turns, medians of five rounds.\n"
    )
    print(markdown(head, rows))
    print("\nOne law of a run of n points; linear in n means ten times the time for ten times n.\n")
    print(markdown(["n", "time", "per point", "times the row above", "peak memory"], size_rows))


if __name__ == "__main__":
    main()
