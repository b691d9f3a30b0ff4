"""A study: arms × seeds, each run once and kept; started again, it goes on where it stopped.

A finished run is one line of ``results.jsonl`` and one table ``metrics/ARM-SEED.csv`` of its
evaluations in the folder of the study, both committed. What a run writes meanwhile lies in
``out/studies``, which git ignores; a run that was cut short is resumed there. Seeds come before
arms, so that an unfinished study has something of every arm.

Runs come one after the other, or at once by ``--on`` (:mod:`qdlaws.core.parallel`): a worker makes
a run and its table, and this process alone writes the lines.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import qdlaws as qd
from qdlaws.core.parallel import parse_place, run_tasks
from qdlaws.errors import BadData, QdlawsError, WorkerLost

__all__ = [
    "COMMON",
    "ROOT",
    "Arm",
    "Difference",
    "Study",
    "arguments",
    "interval",
    "law_outcome",
    "mean_spread",
    "median_range",
    "not_run",
    "run_study",
    "table",
    "write_page",
]

ROOT = Path(__file__).resolve().parents[1]
COLUMNS = (
    "step",
    "quality",
    "diversity",
    "diversity_wording",
    "diversity_unique",
    "diversity_correct",
    "distinct_correct",
    "entropy",
    "kl",
    "unique_share",
    "circles",
)
"""Of each evaluation; standard errors stand beside them, and pass@k where there is one."""
DIGITS = 6
COMMON = (
    "policy.device=cpu",
    "train.threads=1",
    "eval.keep=false",
    "checkpoint.every=50",
    "checkpoint.keep=1",
    "control.advise=false",
)
"""Settings of every run of a study: one thread, and no more on disk than resuming needs."""


@dataclass(frozen=True)
class Arm:
    """One setting: a bundled configuration and its changes."""

    name: str
    config: str
    settings: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True)
class Difference:
    """The mean over seeds of one arm less another at the same seed, with its 95 % t interval."""

    mean: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        if not self.seeds:
            return "–"
        if math.isnan(self.low):
            return f"{self.mean:+.3f} ({self.seeds} seed)"
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


@dataclass(frozen=True)
class Study:
    """Arms × seeds, and the folder that holds what they gave."""

    folder: Path
    arms: tuple[Arm, ...]
    seeds: int
    scratch: Path
    figures: Callable[[Path], dict[str, Any]] | None = None
    """Further figures of a finished run, from its folder; they are kept in its line."""
    prepare: Callable[[Path], None] | None = None
    """Makes in the scratch folder what the runs need, such as a classifier."""
    line_path: Path | None = None
    """Where the line of a run goes instead of ``results``, in a worker."""

    @property
    def results(self) -> Path:
        return self.folder / "results.jsonl"

    def table_path(self, arm: str, seed: int) -> Path:
        return self.folder / "metrics" / f"{arm}-{seed}.csv"

    def done(self) -> dict[tuple[str, int], dict[str, Any]]:
        """(arm, seed) → its line, of the finished runs."""
        if not self.results.exists():
            return {}
        lines = [json.loads(line) for line in self.results.read_text().splitlines()]
        return {(line["arm"], line["seed"]): line for line in lines}

    def count(self) -> str:
        """``n of m runs``."""
        wanted = {(arm.name, seed) for arm in self.arms for seed in range(self.seeds)}
        return f"{len(wanted & set(self.done()))} of {len(wanted)} runs"

    def missing(self) -> list[tuple[Arm, int]]:
        """The runs that are not there yet."""
        done = self.done()
        wanted = [(arm, seed) for seed in range(self.seeds) for arm in self.arms]
        return [(arm, seed) for arm, seed in wanted if (arm.name, seed) not in done]

    def run(self, on: str | None = None) -> None:
        """Every run that is not there yet: here, or by an engine (``2`` or ``ray``; see --on)."""
        if on is None:
            for arm, seed in self.missing():
                self.run_one(arm, seed)
            return
        tasks = [(_importable(self), arm, seed) for arm, seed in self.missing()]
        if tasks and self.prepare is not None:
            self.prepare(self.scratch)  # once, before the workers would make it side by side
        place, jobs = ("local", int(on)) if on.isdigit() else (on, None)
        logs = self.scratch / self.folder.name / "slurm-logs"
        for number, line in run_tasks(_line_of_run, tasks, on=place, jobs=jobs, folder=logs):
            _, arm, seed = tasks[number]
            if isinstance(line, WorkerLost):
                print(f"{arm.name}, seed {seed}: {line}; the same command goes on", flush=True)
            else:
                self.write_line(line)

    def run_one(self, arm: Arm, seed: int) -> None:
        """One run from its first step, or from where it was cut short, and what is kept of it."""
        from trainer import load_config, resume, train

        if self.prepare is not None:
            self.prepare(self.scratch)
        out = self.scratch / self.folder.name / f"{arm.name}-{seed}"
        began, worked = time.perf_counter(), time.process_time()
        if (out / "checkpoints").is_dir():
            outcome = resume(out)
        else:
            config = load_config(arm.config, [*arm.settings, f"train.seed={seed}"])
            outcome = train(config, out)
        if outcome.ended == "interrupted":
            raise SystemExit(f"interrupted at step {outcome.step}; the same command goes on")
        rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        evaluations = [row for row in rows if row["phase"] == "eval"]
        more: dict[str, Any] = {"cpu_seconds": round(time.process_time() - worked, 1)}
        if self.figures is not None:
            more["figures"] = self.figures(out)
        self.keep(arm, seed, evaluations, time.perf_counter() - began, more)

    def keep(
        self,
        arm: Arm,
        seed: int,
        rows: Sequence[dict[str, Any]],
        seconds: float,
        more: dict[str, Any],
    ) -> None:
        """Writes the table first and the line last: a line means that all is there."""
        path = self.table_path(arm.name, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame(rows)
        passes = [name for name in frame if name.startswith("pass@") and not name.endswith("_se")]
        names = [name for name in (*COLUMNS, *passes) if name in frame]
        names = [n for name in names for n in (name, f"{name}_se") if n in frame]
        frame[names].round(DIGITS).to_csv(path, index=False)
        last = rows[-1]
        line = {
            "arm": arm.name,
            "seed": seed,
            "config": arm.config,
            "settings": list(arm.settings),
            "steps": last["step"],
            "seconds": round(seconds),
            "kinds": {n: last.get(f"{n}_kind") for n in ("quality", "diversity", "entropy")},
            "date": time.strftime("%Y-%m-%d"),
            **more,
        }
        if self.line_path is None:
            self.write_line(line)
        else:
            self.line_path.write_text(json.dumps(line), encoding="utf-8")

    def write_line(self, line: dict[str, Any]) -> None:
        """Adds the line of a finished run to the results."""
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        words = f"{line['arm']}, seed {line['seed']}: step {line['steps']}"
        print(f"{words}, {line['seconds']} s", flush=True)

    def frame(self, arm: str, seed: int) -> pd.DataFrame:
        """The evaluations of a finished run."""
        return pd.read_csv(self.table_path(arm, seed))

    def frames(self, arm: str) -> list[pd.DataFrame]:
        """Those of all finished seeds of an arm."""
        return [self.frame(arm, seed) for seed in range(self.seeds) if (arm, seed) in self.done()]

    def values(self, arm: str, figure: str, step: int | None = None) -> dict[int, float]:
        """seed → a figure of the arm: of its line, or of its evaluation at ``step`` (the last)."""
        found: dict[int, float] = {}
        for (name, seed), line in self.done().items():
            if name != arm or seed >= self.seeds:
                continue
            if figure in line.get("figures", {}):
                value = line["figures"][figure]
            elif figure == "cpu_seconds":
                value = line[figure]
            else:
                frame = self.frame(arm, seed)
                rows = frame if step is None else frame[frame.step == step]
                value = rows[figure].iloc[-1] if figure in frame and len(rows) else math.nan
            found[seed] = math.nan if value is None else float(value)
        return found

    def difference(self, arm: str, base: str, figure: str, step: int | None = None) -> Difference:
        """The arm less the base in this figure, paired by seed."""
        one, other = self.values(arm, figure, step), self.values(base, figure, step)
        gaps = np.array([one[s] - other[s] for s in sorted(set(one) & set(other))])
        gaps = gaps[np.isfinite(gaps)]
        if not len(gaps):
            return Difference(math.nan, math.nan, math.nan, 0)
        mean, half = float(gaps.mean()), math.nan
        if len(gaps) > 1:
            half = float(stats.t.ppf(0.975, len(gaps) - 1) * stats.sem(gaps))
        return Difference(mean, mean - half, mean + half, len(gaps))

    def small(self, *settings: str, arms: int | None = None) -> Study:
        """The first arms at one seed with other settings, to try the pipeline."""
        some = self.arms[:arms]
        changed = tuple(replace(a, settings=(*a.settings, *settings)) for a in some)
        return replace(self, arms=changed, seeds=1)

    def log(self, arm: str, seed: int, diversity: str = "diversity") -> qd.RunLog:
        """A finished run as a log, by either diversity."""
        kinds = {k: v for k, v in self.done()[arm, seed]["kinds"].items() if v}
        if diversity != "diversity":
            kinds["diversity"] = diversity
        return qd.RunLog.from_frame(
            self.frame(arm, seed), diversity=diversity, kinds=kinds, source=f"{arm}, seed {seed}"
        )


def _line_of_run(task: tuple[Study, Arm, int]) -> dict[str, Any]:
    """In a worker: one run, its table, and the line for the results."""
    study, arm, seed = task
    path = study.scratch / study.folder.name / f"{arm.name}-{seed}-line.json"
    try:
        replace(study, line_path=path).run_one(arm, seed)
    except SystemExit as interrupted:  # which would end a worker in silence
        raise QdlawsError(str(interrupted)) from None
    line: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return line


def _importable(study: Study) -> Study:
    """The study with functions that a worker can import: those of the program as a module."""

    def of_module(function: Any) -> Any:
        if function is None or function.__module__ != "__main__":
            return function
        program = Path(sys.modules["__main__"].__file__ or "").resolve()
        name = ".".join(program.relative_to(ROOT).with_suffix("").parts)
        return getattr(importlib.import_module(name), function.__name__)

    return replace(study, figures=of_module(study.figures), prepare=of_module(study.prepare))


def arguments(name: str, folder: Path, seeds: int, words: str) -> argparse.Namespace:
    """The command line that all studies share."""
    parser = argparse.ArgumentParser(description=words)
    parser.add_argument("--quick", action="store_true", help="one seed, few steps, into out/")
    parser.add_argument("--seeds", type=int, default=seeds)
    parser.add_argument("--page", action="store_true", help="only write the page anew")
    parser.add_argument(
        "--on",
        metavar="PLACE",
        help="several runs at once: a number of processes, or ray[:ADDRESS], dask[:ADDRESS], slurm "
        "as in qdtrain sweep; otherwise one after the other",
    )
    options = parser.parse_args()
    if options.on is not None and not (options.on.isdigit() and int(options.on)):
        try:
            parse_place(options.on)
        except BadData as error:
            parser.error(f"--on: {error}, or a number of processes")
    options.scratch = ROOT / "out" / ("studies-quick" if options.quick else "studies")
    options.folder = options.scratch / f"{name}-results" if options.quick else folder
    options.seeds = 1 if options.quick else options.seeds
    options.folder.mkdir(parents=True, exist_ok=True)
    return options


def run_study(
    study: Study,
    page: Callable[[Study], None],
    words: str,
    few: Sequence[str],
    arms: int | None = None,
) -> None:
    """The program of a study: its runs, then its page; ``few`` are the settings of ``--quick``."""
    options = arguments(study.folder.name, study.folder, study.seeds, words.splitlines()[0])
    study = replace(study, folder=options.folder, scratch=options.scratch, seeds=options.seeds)
    if options.quick:
        study = study.small(*few, arms=arms)
    os.chdir(ROOT)  # the settings of some arms name folders of the project
    if not options.page:
        study.run(options.on)
    page(study)


def law_outcome(laws: Sequence[Any], finished: int, seeds: int) -> str:
    """Of a law on texts: reproduced, partly or not, by the criterion of study 3; or open."""
    if finished < seeds:
        return f"open ({finished} of {seeds} seeds)"
    needed, r2 = 2 / 3 * seeds, float(np.median([law.to_dict()["r2"] for law in laws] or [0]))
    if sum(law.verdict == "concave" for law in laws) >= needed and r2 >= 0.9:
        return "reproduced"
    down = sum(law.verdict in ("concave", "linear", "falling") for law in laws)
    return "partly" if down >= needed and r2 >= 0.8 else "not"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def not_run(words: Sequence[str]) -> str:
    """The line under a table that names the arms of which no run is finished."""
    return f"\n\nNot run yet: {'; '.join(words)}." if words else ""


def write_page(path: Path, blocks: Sequence[str]) -> None:
    """The page of a study, from its blocks."""
    path.write_text("\n\n".join(block.strip() for block in blocks) + "\n", encoding="utf-8")


def median_range(values: Sequence[float], digits: int = 3) -> str:
    """``.985 [.980, .991]``: the median over seeds, and the lowest and highest."""
    numbers = sorted(v for v in values if v == v)
    if not numbers:
        return "–"
    middle = pd.Series(numbers).median()
    if len(numbers) == 1:
        return f"{middle:.{digits}g}"
    return f"{middle:.{digits}g} [{numbers[0]:.{digits}g}, {numbers[-1]:.{digits}g}]"


def mean_spread(values: Sequence[float], digits: int = 3) -> str:
    """``.351 ± .012``: the mean over seeds and its standard error (none of one seed)."""
    numbers = np.array([v for v in values if v == v])
    if not len(numbers):
        return "–"
    places = 0 if abs(numbers.mean()) >= 100 else digits
    if len(numbers) == 1:
        return f"{numbers[0]:.{places}f}"
    return f"{numbers.mean():.{places}f} ± {stats.sem(numbers):.{places}f}"


def interval(value: Any, digits: int = 2) -> str:
    """``5.5 [5.1, 5.8]`` of an Interval, or a dash."""
    if value is None or value.mid != value.mid:
        return "–"
    return f"{value.mid:.{digits}g} [{value.low:.{digits}g}, {value.high:.{digits}g}]"
