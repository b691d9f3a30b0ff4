"""Which checkpoint is kept, and what is said of it: qdlaws.choose against the highest reading.

    python benchmarks/checkpoint_choice.py [--quick]

Simulated runs whose truth is known: three shapes (saturating, rising then over-optimised, stepped)
× checkpoints × standard error of an evaluation in units of the range of the true quality, with a
real wander of the checkpoints of their own. Both choosers see the same readings, with their
standard errors; argmax states its reading ± 1.645 standard errors. Regret and bias in units of the
range; `z` is the difference of regret (ours − argmax) in Monte Carlo standard errors.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from qdlaws import RunLog, choose

SHAPES = ("saturating", "over-optimised", "stepped")


def simulate(
    shape: str, n: int, noise: float, rng: np.random.Generator
) -> tuple[RunLog, np.ndarray]:
    """A log with known standard errors, and the true quality of its checkpoints (range about 1)."""
    u = np.linspace(0, 1, n)
    if shape == "saturating":
        rate = rng.uniform(1, 6)
        trend = np.expm1(-rate * u) / np.expm1(-rate)
    elif shape == "over-optimised":
        peak = rng.uniform(0.3, 0.8)
        trend = 1 - ((u - peak) / max(peak, 1 - peak)) ** 2
    else:
        rises = rng.uniform(0, 1, 3)
        trend = sum(1 / (1 + np.exp(-(u - r) / 0.02)) for r in rises) / 3
    wander = np.zeros(n)
    size, memory = rng.uniform(0, 0.08), rng.uniform(0.3, 4)
    wander[0] = rng.normal()
    keep = np.exp(-1 / memory)
    for i in range(1, n):
        wander[i] = keep * wander[i - 1] + np.sqrt(1 - keep**2) * rng.normal()
    true = trend + size * wander
    true = true / np.ptp(true)
    se = noise * rng.uniform(0.8, 1.25, n)
    log = RunLog.from_arrays(
        10.0 * np.arange(n), quality=true + se * rng.normal(size=n), quality_se=se
    )
    return log, true


def cell(shape: str, n: int, noise: float, repeats: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(repeats):
        log, true = simulate(shape, n, noise, rng)
        choice = choose(log)
        ours = int(np.searchsorted(log.step, choice.step))
        assert log.quality is not None
        assert log.quality_se is not None
        assert choice.quality is not None
        top = int(np.argmax(log.quality))
        half = 1.645 * log.quality_se[top]
        rows.append(
            (
                true.max() - true[ours],
                true.max() - true[top],
                choice.quality.mid - true[ours],
                log.quality[top] - true[top],
                choice.quality.low <= true[ours] <= choice.quality.high,
                abs(log.quality[top] - true[top]) <= half,
            )
        )
    names = ("regret", "regret_top", "bias", "bias_top", "held", "held_top")
    return dict(zip(names, np.array(rows, float).T, strict=True))


def line(name: str, r: dict[str, np.ndarray]) -> str:
    difference = r["regret"] - r["regret_top"]
    z = difference.mean() / max(difference.std() / np.sqrt(len(difference)), 1e-12)
    lower = 1 - r["regret"].mean() / max(r["regret_top"].mean(), 1e-12)
    return (
        f"| {name} | {r['regret_top'].mean():.4f} | {r['regret'].mean():.4f} | {lower:+.0%} | "
        f"{z:+.1f} | {r['bias_top'].mean():+.4f} | {r['bias'].mean():+.4f} | "
        f"{r['held_top'].mean():.2f} | {r['held'].mean():.3f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="60 runs a cell instead of 400")
    parser.add_argument("--repeats", type=int, default=0)
    options = parser.parse_args()
    repeats = options.repeats or (60 if options.quick else 400)
    start = time.perf_counter()
    print(f"{repeats} simulated runs a cell; regret and bias in units of the range\n")
    print("| run | argmax regret | ours | lower by | z | argmax bias | ours | held .90 | ours |")
    print("|---|---|---|---|---|---|---|---|---|")
    cells, pooled = [], {}
    for noise in (0.05, 0.1, 0.25, 0.5):
        for n in (12, 30, 80):
            for shape in SHAPES:
                seed = hash((SHAPES.index(shape), n, int(1000 * noise)))
                r = cell(shape, n, noise, repeats, seed % 2**32)
                cells.append((noise, r))
                pooled.setdefault(noise, []).append(r)
                print(line(f"{shape}, n = {n}, se = {noise}", r), flush=True)
    print()
    for noise, parts in pooled.items():
        joined = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
        print(line(f"**all, se = {noise}**", joined))
    joined = {k: np.concatenate([r[k] for _, r in cells]) for k in cells[0][1]}
    print(line("**all**", joined))
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
