"""Is advice on real runs worth following? Stopping as a decision, and what is said without a goal.

    python benchmarks/advice_real.py FOLDER [--every N]

FOLDER holds one CSV a run with the columns step, R and perhaps H and D, named as in
forecast_real.py, whose sources these are. True quality is the centred moving mean of R over a
fifteenth of the run; amounts are in standard deviations of R over the run.

**Stopping as a decision.** Ten looks, at 10 % … 100 % of a run. Who stops keeps a checkpoint and pays
the cost of the part that was run: utility = true quality of the kept row − cost · share of the run.
qdlaws is given the cost as ``Goal(min_gain_per_step=cost·sd/length)``. Beside it: to the end, 30, 50
and 70 %, patience 1 to 3 (looks without a better trailing mean), each keeping the row of the best
trailing mean, and an oracle that knows all. ``gap closed`` is (qdlaws − rule)/(oracle − rule), for the
best fixed rule in hindsight and for the one that is best on the *other* sources; sources count alike,
and the interval is from 2,000 bootstrap samples of sources.

**Without a goal**, asked once at 25, 50, 75 and 100 %: how often each action, what a stop gave up
(the true quality that the whole run would have kept, less what is kept), and whether the gain that was
called probable or improbable came. At 100 %: alarms in runs that ended below their best by more than a
third of their range and three standard errors, and in runs that rose to their end.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from forecast_real import source_of

import qdlaws as qd

LOOKS = np.arange(1, 11) / 10
COSTS = (0.25, 0.5, 1.0, 2.0)
FRACTIONS = (0.25, 0.5, 0.75, 1.0)
LEAST_ROWS, MOST_ROWS = 30, 2000


@dataclass(frozen=True, eq=False)
class Run:
    """A real run with its smoothed quality."""

    name: str
    source: str
    frame: pd.DataFrame
    fits: dict[int, qd.LawFits | qd.RunLog] = field(default_factory=dict)

    @cached_property
    def quality(self) -> np.ndarray:
        return self.frame["R"].to_numpy()

    @cached_property
    def sd(self) -> float:
        return float(self.quality.std(ddof=1))

    @cached_property
    def window(self) -> int:
        return max(3, len(self.frame) // 15)

    @cached_property
    def true(self) -> np.ndarray:
        """Smoothed quality in standard deviations of the run."""
        smooth = self.frame["R"].rolling(self.window, center=True, min_periods=1).mean()
        return smooth.to_numpy() / self.sd

    def log(self, rows: int) -> qd.RunLog:
        frame = self.frame.iloc[:rows]
        columns = {"entropy": "H", "diversity": "D"}
        there = {name: c for name, c in columns.items() if c in frame and frame[c].notna().any()}
        return qd.RunLog.from_frame(frame, step="step", quality="R", **there)

    def fitted(self, rows: int) -> qd.LawFits | qd.RunLog:
        """The fitted laws of the first rows, fitted once; the log itself where there are none."""
        if rows not in self.fits:
            log = self.log(rows)
            try:
                self.fits[rows] = qd.fit(log)
            except (qd.NotEnoughData, qd.MissingColumn):
                self.fits[rows] = log
        return self.fits[rows]


def runs(folder: Path, every: int = 1) -> Iterator[Run]:
    for path in sorted(folder.glob("*.csv"))[::every]:
        frame = pd.read_csv(path)
        if not {"step", "R"} <= set(frame) or not {"H", "D"} & set(frame):
            continue
        frame = frame.dropna(subset=["R"])
        if len(frame) < LEAST_ROWS or not frame["R"].std() > 0:
            continue
        if len(frame) > MOST_ROWS:
            frame = frame.iloc[:: len(frame) // 1000]
        yield Run(path.stem, source_of(path.stem), frame.reset_index(drop=True))


# ---------------------------------------------------------------------- the rules


def best_trailing_row(run: Run, rows: int) -> int:
    """The row that anybody can choose without a model."""
    trailing = run.frame["R"].iloc[:rows].rolling(max(3, rows // 10), min_periods=1).mean()
    return int(trailing.to_numpy().argmax())


def fixed(share: float) -> Callable[[Run], int]:
    return lambda run: max(2, int(len(run.quality) * share))


def patience(most: int) -> Callable[[Run], int]:
    def rule(run: Run) -> int:
        best, without = -np.inf, 0
        for look in LOOKS:
            rows = int(len(run.quality) * look)
            width = max(3, len(run.quality) // 20)
            value = run.quality[max(0, rows - width) : rows].mean()
            better = value > best + 0.05 * run.frame["R"].iloc[:rows].std()
            best, without = (value, 0) if better else (best, without + 1)
            if without >= most:
                return rows
        return len(run.quality)

    return rule


RULES: dict[str, Callable[[Run], int]] = {
    "to the end": fixed(1.0),
    "30 %": fixed(0.3),
    "50 %": fixed(0.5),
    "70 %": fixed(0.7),
    "patience 1": patience(1),
    "patience 2": patience(2),
    "patience 3": patience(3),
}


def row_of(run: Run, advice: qd.Advice) -> int:
    return int(np.flatnonzero(run.frame["step"] == advice.checkpoint)[0])


def advised(run: Run, cost: float) -> tuple[int, int]:
    """Rows run and the row kept under advice with a cost, asked at each look."""
    per_step = cost * run.sd / float(np.ptp(run.frame["step"]))
    rows = kept = 0
    for look in LOOKS:
        rows = int(len(run.quality) * look)
        advice = qd.advise(run.fitted(rows), qd.Goal(min_gain_per_step=per_step))
        kept = row_of(run, advice)
        if advice.action == "stop":
            break
    return rows, kept


def utilities(run: Run) -> Iterator[dict[str, object]]:
    """One row a cost: the utility of every rule, of qdlaws and of the oracle."""
    n = len(run.quality)
    best_so_far = np.maximum.accumulate(run.true)
    shares = np.arange(1, n + 1) / n
    for cost in COSTS:
        row: dict[str, object] = {"source": run.source, "name": run.name, "cost": cost}
        for name, rule in RULES.items():
            rows = rule(run)
            row[name] = run.true[best_trailing_row(run, rows)] - cost * rows / n
        rows, kept = advised(run, cost)
        row["qdlaws"], row["share"] = run.true[kept] - cost * rows / n, rows / n
        row["oracle"] = float((best_so_far - cost * shares).max())
        yield row


def gaps(by_source: pd.DataFrame) -> tuple[float, float]:
    """The gap closed to the oracle: from the best rule in hindsight, and from that of others."""
    rules = by_source[list(RULES)].to_numpy()
    ours, oracle = by_source["qdlaws"].to_numpy(), by_source["oracle"].to_numpy()
    best = rules.mean(0).max()
    hindsight = (ours.mean() - best) / (oracle.mean() - best)
    names, gained, possible = by_source.index.to_numpy(), 0.0, 0.0
    for source in set(names):
        own = names == source
        others = rules[~own] if not own.all() else rules
        rule = rules[own, others.mean(0).argmax()]
        gained += float((ours[own] - rule).sum())
        possible += float((oracle[own] - rule).sum())
    return float(hindsight), gained / possible


def bootstrap(by_source: pd.DataFrame, samples: int = 2000) -> np.ndarray:
    rng = np.random.default_rng(0)
    out = []
    for _ in range(samples):
        rows = rng.integers(0, len(by_source), len(by_source))
        if len(set(rows)) > 1:
            out.append(gaps(by_source.iloc[rows]))
    return np.quantile(np.array(out), [0.1, 0.9], axis=0)


def stopping_table(data: pd.DataFrame) -> str:
    names = [*RULES, "qdlaws", "oracle"]
    head = ["cost", *names, "run by qdlaws", "gap closed, hindsight", "gap closed, other sources"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    closed = []
    for cost, part in data.groupby("cost"):
        by_source = part.groupby("source")[[*names, "share"]].mean()
        mean, gap = by_source.mean(), gaps(by_source)
        low, high = bootstrap(by_source)
        closed.append(gap)
        cells = [f"{cost:g}", *(f"{mean[name]:.2f}" for name in names), f"{mean['share']:.0%}"]
        cells += [f"{gap[i]:+.2f} [{low[i]:+.2f}, {high[i]:+.2f}]" for i in range(2)]
        lines.append(f"| {' | '.join(cells)} |")
    mean_gap = np.mean(closed, axis=0)
    lines.append(
        f"\nMean gap closed: {mean_gap[0]:+.2f} against the best rule in hindsight (least "
        f"{min(g[0] for g in closed):+.2f}), {mean_gap[1]:+.2f} against the rule chosen on other "
        "sources. Intervals are 80 %."
    )
    return "\n".join(lines)


# ---------------------------------------------------------------------- without a goal


def looks_without_goal(run: Run) -> Iterator[dict[str, object]]:
    n = len(run.quality)
    final = qd.advise(run.fitted(n))
    kept_by_end = row_of(run, final)
    for fraction in FRACTIONS:
        rows = int(n * fraction)
        advice = final if rows == n else qd.advise(run.fitted(rows))
        kept = row_of(run, advice)
        yield {
            "source": run.source,
            "name": run.name,
            "at": fraction,
            "action": advice.action,
            "strength": advice.strength or "",
            "alarms": ", ".join(alarm.kind for alarm in advice.alarms),
            "settles": any("would settle it" in reason for reason in advice.reasons),
            "gave up": run.true[kept_by_end] - run.true[kept],
            "reason": advice.reasons[0],
        }


def ended_below_best(run: Run) -> bool:
    """By more than a third of its range and three standard errors of the difference."""
    residuals = run.quality / run.sd - run.true
    # a window takes its own share of the scatter out, and at the end of the run only half is there
    scatter = residuals.std() / np.sqrt(1 - 1 / run.window)
    error = scatter * np.sqrt(1 / run.window + 2 / run.window)
    drop = float(run.true.max() - run.true[-1])
    return bool(drop > np.ptp(run.true) / 3 and drop > 3 * error)


def rose_to_the_end(run: Run) -> bool:
    return bool(run.true[-1] >= run.true.max() - 0.1 * np.ptp(run.true))


def words_table(data: pd.DataFrame) -> str:
    head = (
        "| asked at | runs | continue | stop | of these certain | wait | without what settles it "
    )
    head += "| stops gave up, mean | of stops, > .5 sd |"
    lines = [head, "|---|---|---|---|---|---|---|---|---|"]
    for fraction, part in data.groupby("at"):
        stops = part[part["action"] == "stop"]
        waits = part[part["action"] == "wait"]
        count = part["action"].value_counts()
        lines.append(
            f"| {fraction:.0%} | {len(part)} | {count.get('continue', 0)} | {len(stops)} "
            f"| {(stops['strength'] == 'certain').sum()} | {len(waits)} "
            f"| {(~waits['settles'].astype(bool)).sum()} "
            f"| {stops['gave up'].mean():.2f} | {(stops['gave up'] > 0.5).mean():.0%} |"
        )
    return "\n".join(lines)


def alarms_table(data: pd.DataFrame, all_runs: list[Run]) -> str:
    end = data[data["at"] == 1.0].set_index("name")
    fell = [run.name for run in all_runs if ended_below_best(run)]
    rose = [run.name for run in all_runs if rose_to_the_end(run)]
    back = [name for name in fell if "quality fell" in end.loc[name, "alarms"]]
    rang = [name for name in rose if end.loc[name, "alarms"]]
    missed = ", ".join(sorted(set(fell) - set(back))) or "none"
    false = "; ".join(f"{name} ({end.loc[name, 'alarms']})" for name in rang) or "none"
    stop = sum(end.loc[name, "action"] == "stop" for name in back)
    return (
        f"- ended below their best: {len(fell)} runs, told to go back: {len(back)} "
        f"(of these told to stop: {stop}); missed: {missed}\n"
        f"- rose to the end: {len(rose)} runs, with an alarm: {len(rang)}: {false}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every N-th run only")
    parser.add_argument("--table", type=Path, help="write what was said without a goal as CSV")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    began = time.perf_counter()
    all_runs = list(runs(options.folder, options.every))
    if not all_runs:
        raise SystemExit(
            f"advice_real.py: no run with columns step, R and H or D in {options.folder}"
        )
    words = pd.DataFrame([row for run in all_runs for row in looks_without_goal(run)])
    print("## Without a goal\n")
    print(words_table(words), "\n")
    print(alarms_table(words, all_runs), "\n", flush=True)
    if options.table is not None:
        words.to_csv(options.table, index=False)
    stopping = pd.DataFrame([row for run in all_runs for row in utilities(run)])
    sources = stopping["source"].nunique()
    print(f"## Stopping as a decision: {len(all_runs)} runs of {sources} sources\n")
    print(stopping_table(stopping))
    print(f"\n{(time.perf_counter() - began) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
