"""How far off is the foretold end of a run? Beside everything that people use instead.

    python benchmarks/forecast.py [--quick] [--learn]

Runs are cut at 25 % and 50 % of their readings, and the mean of the last tenth is foretold. The
error is in standard deviations of the run's quality; the median over runs is printed, and the
share of ends inside the 80 % interval. On simulated runs of many kinds, on simulated runs with
trend breaks, on the logs in data/, and on ../shared/data beside the repository where it exists.

``--learn`` learns the built-in prior anew, on other simulated runs than the ones judged here, and
prints it.
"""

from __future__ import annotations

import argparse
import warnings
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from forecast_runs import LIKE_PUBLISHED, PUBLISHED, simulate

import qdlaws as qd
from qdlaws import fit
from qdlaws.forecasting.backtest import forecast_by_every_method
from qdlaws.forecasting.baselines import LAWS

ROOT = Path(__file__).resolve().parents[1]
FRACTIONS = (0.25, 0.5)
LEVEL = 0.8


def judge(job: tuple[str, str, qd.RunLog]) -> list[dict]:
    """Errors of every method at every fraction for one run (group, source, log)."""
    group, source, log = job
    warnings.simplefilter("ignore")
    log = log.take(np.isfinite(log.quality))
    n, y = len(log), log.quality
    tail = slice(n - max(n // 10, 1), n)
    end, sd = float(y[tail].mean()), float(y.std())
    rows = []
    for fraction in FRACTIONS:
        prefix = log.take(slice(0, int(n * fraction)))
        if len(prefix) < 5 or not sd > 0:
            continue
        said = forecast_by_every_method(prefix, "quality", log.step[tail], LEVEL)
        low, high = said.pop("low"), said.pop("high")
        inside = low <= end <= high
        said["qdlaws"] = said.pop("mid")
        tenth = max(len(prefix) // 10, 1)
        said["mean of the last tenth"] = float(prefix.quality[-tenth:].mean())
        if "entropy" in log.columns and np.isfinite(log.entropy[tail]).any():
            told = float(np.nanmean(log.entropy[tail]))
            law = LAWS["curve_fit law"](prefix.entropy, prefix.quality, told)
            said["curve_fit law, told the final entropy"] = law
        errors = {name: abs(value - end) / sd for name, value in said.items()}
        rows.append(
            {"group": group, "source": source, "fraction": fraction, "inside": inside} | errors
        )
    return rows


def table(rows: list[dict], title: str, groups: Iterable[str]) -> str:
    """Median error of every method by group and fraction; runs, and averaged by source."""
    columns = [(g, f) for g in groups for f in FRACTIONS]
    picked = {c: [r for r in rows if r["fraction"] == c[1] and _in(r, c[0])] for c in columns}
    columns = [c for c in columns if picked[c]]
    fixed = ("group", "source", "fraction", "inside")
    methods = list(dict.fromkeys(k for r in rows for k in r if k not in fixed))
    methods.sort(key=lambda m: m != "qdlaws")
    lines = [f"### {title}", ""]
    heads = [f"{g} {f:.0%} (n={len(picked[g, f])})" for g, f in columns]
    lines += ["| | " + " | ".join(heads) + " |", "|---" * (len(columns) + 1) + "|"]
    for m in methods:
        cells = [_median(r.get(m, np.nan) for r in picked[c]) for c in columns]
        lines.append(f"| {m} | " + " | ".join(cells) + " |")
    inside = [f"{np.mean([r['inside'] for r in picked[c]]):.2f}" for c in columns]
    lines.append("| **80 % interval covers** | " + " | ".join(inside) + " |")
    return "\n".join(lines) + "\n"


def _in(row: dict, group: str) -> bool:
    kind = row["group"]
    return group == "all" or kind == group or (group == "others" and kind != "law")


def _median(values: Iterable[float]) -> str:
    known = [v for v in values if np.isfinite(v)]
    return f"{np.median(known):.2f}" if known else "–"


def by_source(rows: list[dict], title: str) -> str:
    """The mean over sources of each source's median error."""
    sources = defaultdict(list)
    for r in rows:
        sources[r["source"]].append(r)
    lines = [
        f"### {title}, by source ({len(sources)} sources)",
        "",
        "| | 25% | 50% |",
        "|---|---|---|",
    ]
    for method in ("qdlaws", "last value", "damped Holt", "last + sd/2"):
        cells = []
        for f in FRACTIONS:
            medians = [
                np.median([r[method] for r in part if r["fraction"] == f])
                for part in sources.values()
                if any(r["fraction"] == f for r in part)
            ]
            cells.append(f"{np.mean(medians):.2f}")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def published() -> str:
    """The errors that the last table is to be held against."""
    return "; ".join(
        f"{method} " + ", ".join(f"{group} {a:.2f} / {b:.2f}" for group, (a, b) in errors.items())
        for method, errors in PUBLISHED.items()
    )


def logs_in(folder: Path) -> list[tuple[str, str, qd.RunLog]]:
    """(group, source, log) of every run in a folder; law runs are those whose law is supported."""
    try:
        from qdlaws import read
    except ImportError:
        return []
    jobs = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            log = read(path)
            fits = fit(log)
        except qd.QdlawsError:
            continue  # not a log of a run
        if "quality" in log.columns:
            law = any(law is not None and law.supported for law in (fits.rh, fits.rd))
            source = path.name.rsplit("_", 1)[0] if path.name.startswith("verl") else path.name
            jobs.append(("law" if law else "other", source, log))
    return jobs


def learn(count: int) -> None:
    """Print the prior learnt from a start that favours nothing, on both populations alike."""
    from qdlaws import learn_prior
    from qdlaws.forecasting.prior import DEFAULT_PRIOR, SETTINGS

    even = {name: dict.fromkeys(getattr(DEFAULT_PRIOR, name), 1.0) for name in SETTINGS}
    start = replace(
        DEFAULT_PRIOR, **even, trust=(0.3, 0.3, 0.3), recency=0.5, drift=0.25, width=1.0
    )
    runs = simulate(count // 2, seed=7) + simulate(count // 2, seed=8, population=LIKE_PUBLISHED)
    learnt = learn_prior([log for _, log in runs], start=start, strength=3.0)
    for name, value in learnt.to_dict().items():
        print(f"{name}: {value}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few runs of each kind")
    parser.add_argument("--learn", action="store_true", help="learn the built-in prior anew")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    if args.learn:
        learn(100 if args.quick else 1200)
        return
    count = 40 if args.quick else 400
    print("# Forecasts of the end of a run\n", flush=True)
    with ProcessPoolExecutor(args.jobs) as pool:

        def judged(jobs: list[tuple[str, str, qd.RunLog]]) -> list[dict]:
            return [row for rows in pool.map(judge, jobs, chunksize=4) for row in rows]

        # The logs come first: they are few, and what they say weighs most.
        for folder in ("data/runs", "../shared/data/runs"):
            rows = judged(logs_in(ROOT / folder))
            if rows:
                print(table(rows, folder, ["all", "law", "others"]))
                print(by_source(rows, folder), flush=True)
        mixed = judged([(kind, "simulated", log) for kind, log in simulate(count, seed=2025)])
        kinds = sorted({r["group"] for r in mixed} - {"law"})
        print(table(mixed, f"{count} simulated runs of many kinds", ["all", "law", "others"]))
        print(table(mixed, "the others, by kind", kinds), flush=True)
        like = simulate(count, seed=71, population=LIKE_PUBLISHED)
        likely = judged([(kind, "simulated", log) for kind, log in like])
        print(
            table(likely, f"{count} simulated runs like published ones", ["all", "law", "others"])
        )
        print(f"Published of 71 real runs, at 25 % / 50 %: {published()}.\n", flush=True)
        broken = [
            (kind, "simulated", replace(log, entropy=None))  # which tells nothing of the breaks
            for kind, log in simulate(count, seed=77, kind="breaks")
        ]
        print(table(judged(broken), f"{count} simulated runs with trend breaks", ["breaks"]))


if __name__ == "__main__":
    main()
