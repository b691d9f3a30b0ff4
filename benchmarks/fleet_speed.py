"""A thousand runs in one call: fit, mixed model and prediction for a size not yet run.

    python benchmarks/fleet_speed.py [--quick] [--jobs N]

Beside it, in the same run, what people use: scipy's `curve_fit` run by run (no noise model, no
noise in x, no verdict). Both on the same simulated logs of 100 checkpoints.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from qdlaws import RunLog, fleet


def simulate(count: int, rng: np.random.Generator) -> tuple[list[RunLog], np.ndarray]:
    """Runs of R = v − s·expm1(c·(D − .7))/c with v = .7 + .02·log(size/1e6) ± .01."""
    logs, sizes = [], 10 ** rng.uniform(6, 8, count)
    for size in sizes:
        v = 0.7 + 0.02 * np.log(size / 1e6) + 0.01 * rng.normal()
        step = 5.0 * np.arange(100)
        d = 0.9 - rng.uniform(0.2, 0.4) * (1 - np.exp(-step / 150))
        quality = v - 0.5 * np.expm1(4 * (d - 0.7)) / 4 + 0.01 * rng.normal(size=100)
        noisy = d + 0.003 * rng.normal(size=100)
        logs.append(RunLog.from_arrays(step, quality=quality, diversity=noisy))
    return logs, sizes


def by_curve_fit(logs: list[RunLog]) -> np.ndarray:
    """The value at D = .7 by curve_fit; NaN where it fails."""
    from scipy.optimize import curve_fit

    out = []
    for log in logs:
        try:
            (a, b, c), _ = curve_fit(
                lambda x, a, b, c: b - a * np.exp(c * x),
                log.diversity,
                log.quality,
                p0=(0.01, 1.0, 4.0),
                maxfev=2000,
            )
            out.append(b - a * np.exp(0.7 * c))
        except RuntimeError:
            out.append(np.nan)
    return np.array(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="100 runs instead of 1,000")
    parser.add_argument("--jobs", type=int, default=None, help="processes, by joblib")
    options = parser.parse_args()
    count = 100 if options.quick else 1000
    logs, sizes = simulate(count, np.random.default_rng(0))
    start = time.perf_counter()
    found = fleet(logs, size=sizes, n_jobs=options.jobs)
    ours = time.perf_counter() - start
    start = time.perf_counter()
    peer = by_curve_fit(logs)
    theirs = time.perf_counter() - start
    slope = found.effects.loc["value", "per_log_size"]
    good = np.isfinite(peer)
    line, cov = np.polyfit(np.log(sizes[good]), peer[good], 1, cov=True)
    error = 1.96 * np.sqrt(cov[0, 0])
    print(f"{count} runs of 100 checkpoints, jobs {options.jobs or 1}\n")
    print("| | seconds | ms a run | runs used | quality by a factor e in size (true .02) |")
    print("|---|---|---|---|---|")
    print(f"| fleet | {ours:.1f} | {1e3 * ours / count:.1f} | {len(found.runs)} | {slope} |")
    print(
        f"| curve_fit + polyfit | {theirs:.1f} | {1e3 * theirs / count:.1f} | {good.sum()} | "
        f"{line[0]:.4g} [{line[0] - error:.4g}, {line[0] + error:.4g}] |"
    )


if __name__ == "__main__":
    main()
