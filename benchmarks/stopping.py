"""Stop as advised, against running on and against patience: quality lost, compute saved, D kept.

    python benchmarks/stopping.py [--quick] [--runs 200] [--folders RUN ...]

Simulated runs of 60 evaluations, one every 10 steps, so the truth is known. Quality and diversity
are read with an error of .01 whose memory is that of AR(1) with ρ = 0, .5 or .8. The goal is a
gain of at least 3e-4 a step (or, in the last two rows, a floor on diversity of .7). A stop is
*false* where what it says is not so: the gain had been at least that at every step so far, or D had
never been below the floor. It may be asked after every evaluation, and should be false in at most 5 %
of runs.

*Certain* is the stop that a trainer acts on unattended, by an e-process asked after every
evaluation; *likely* is that of the forecast, asked after every third, for a person to act on.

Patience (as in Keras and PyTorch Lightning): stop once the best reading is p evaluations old; keep
that checkpoint. For a floor: stop once p readings in a row are below it. ``lost`` is the true quality
of the best checkpoint of the whole run less that of the kept one; ``D kept`` the true diversity of
the kept checkpoint less that at the run's end. Behind ± is the standard error of the mean.

``--folders`` replays saved runs of the trainer: there ``lost`` is the last reading less the kept one.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qdlaws import Goal, QdlawsError, RunLog, advise, choose, read
from qdlaws.advice.gain_ahead import gain_ahead
from qdlaws.advice.rules import gain_has_shrunk
from qdlaws.inference.e_process import gain_below, level_below

Array = npt.NDArray[np.float64]

N, EVERY, GAIN, FLOOR = 60, 10, 3e-4, 0.7
NOISE = (0.01, 0.01)
PATIENCES = (3, 5, 10)
MEMORIES = (0.0, 0.5, 0.8)


@dataclass(frozen=True)
class Kind:
    """A population of runs: their true quality and diversity over t = 0 … N − 1."""

    name: str
    course: Callable[[Array, np.random.Generator], tuple[Array, Array]]
    goal: Goal = field(default_factory=lambda: Goal(min_gain_per_step=GAIN))


def _fallen(t: Array, lag: float, depth: float = 0.3) -> Array:
    return 0.9 - depth * (1 - np.exp(-t / lag))


def saturating(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    lag = rng.uniform(4, 12)
    return 0.9 - 0.4 * np.exp(-t / lag), _fallen(t, 1.5 * lag)


def peaking(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    lag, peak = rng.uniform(4, 10), rng.uniform(20, 35)
    fall = 0.004 * np.maximum(t - peak, 0)
    return 0.9 - 0.4 * np.exp(-t / lag) - fall, _fallen(t, 3 * lag, 0.5)


def steady(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    return 0.5 + 2 * GAIN * EVERY * t, _fallen(t, rng.uniform(10, 40))


def at_the_least_gain(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    return 0.5 + GAIN * EVERY * t, _fallen(t, rng.uniform(10, 40))


def slowing_to_the_least(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Fast at first, then just the least for ever."""
    rise = 0.25 * (1 - np.exp(-t / rng.uniform(4, 12)))
    return 0.3 + rise + GAIN * EVERY * t, _fallen(t, rng.uniform(10, 40))


def late(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Nothing for long, then all of it: no statement about the past can know."""
    start = rng.uniform(15, 35)
    return 0.5 + 0.4 / (1 + np.exp(-(t - start) / 3)), _fallen(t, rng.uniform(10, 40))


def above_floor(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    return 0.9 - 0.4 * np.exp(-t / 10), FLOOR + 0.2 * np.exp(-t / rng.uniform(4, 12))


def through_floor(t: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    return 0.9 - 0.4 * np.exp(-t / 10), _fallen(t, rng.uniform(10, 25), 0.4)


FLOORED = Goal(min_diversity=FLOOR)
KINDS = (
    Kind("saturates", saturating),
    Kind("peaks, then falls", peaking),
    Kind("gains twice the least", steady),
    Kind("gains just the least", at_the_least_gain),
    Kind("gains late", late),
    Kind("comes to rest on the floor", above_floor, FLOORED),
    Kind("falls through the floor", through_floor, FLOORED),
    Kind("slows to just the least", slowing_to_the_least),
)


@dataclass(frozen=True)
class End:
    """Where a rule stopped and what it kept; rows, and NaN where it ran on."""

    stopped: int | None
    kept: int


def noise(n: int, rho: float, rng: np.random.Generator) -> Array:
    """AR(1) errors of unit variance."""
    out, fresh = np.empty(n), rng.standard_normal(n)
    out[0] = fresh[0]
    for k in range(1, n):
        out[k] = rho * out[k - 1] + np.sqrt(1 - rho**2) * fresh[k]
    return out


# ---------------------------------------------------------------------- the rules


def advised(log: RunLog, goal: Goal) -> End:
    """Where ``advise`` ends the run, asked after every evaluation.

    Its test is asked first, which is quick; the whole advice where the test says stop. The
    checkpoint is chosen among all evaluations up to then.
    """
    for n in range(5, len(log) + 1):
        so_far = log.take(np.arange(len(log)) < n)
        if goal.min_gain_per_step is not None:
            test = gain_below(so_far.step, so_far.column("quality"), goal.min_gain_per_step)
        else:
            test = level_below(so_far.step, so_far.column("diversity"), FLOOR)
        if test.at_level():
            advice = advise(so_far, goal)
            if advice.anytime:
                kept = n - 1 if advice.checkpoint is None else _row(log, advice.checkpoint)
                return End(n - 1, kept)
    advice = advise(log, goal)
    return End(None, len(log) - 1 if advice.checkpoint is None else _row(log, advice.checkpoint))


def likely(log: RunLog, goal: Goal) -> End:
    """Where the forecast ends the run, asked after every third evaluation."""
    cost = goal.min_gain_per_step
    assert cost is not None
    for n in range(6, len(log) + 1, 3):
        so_far = log.take(np.arange(len(log)) < n)
        if not gain_has_shrunk(so_far, cost):  # the quicker of the two conditions
            continue
        gain = gain_ahead(so_far, goal, kept := choose(so_far, goal))
        assert gain is not None
        if gain.worth_of_going_on(cost)[0] <= 0:
            return End(n - 1, _row(log, kept.step))
    return End(None, _row(log, choose(log, goal).step))


def _row(log: RunLog, step: float) -> int:
    return int(np.flatnonzero(log.step == step)[0])


def patient(log: RunLog, goal: Goal, patience: int) -> End:
    """The rule of the common callbacks."""
    quality, diversity = log.column("quality"), log.column("diversity")
    if goal.min_diversity is not None:
        low = diversity < goal.min_diversity
        for n in range(patience - 1, len(log)):
            if low[n - patience + 1 : n + 1].all():
                good = np.flatnonzero(~low[: n + 1])
                return End(n, int(good[-1]) if len(good) else 0)
        return End(None, len(log) - 1)
    for n in range(len(log)):
        best = int(np.argmax(quality[: n + 1]))
        if n - best >= patience:
            return End(n, best)
    return End(None, int(np.argmax(quality)))


# ---------------------------------------------------------------------- the tables


def simulated(kind: Kind, rho: float, runs: int) -> dict[str, list[float]]:
    """A row a rule: stopped, false, saved, lost, diversity kept; each with its error."""
    t = np.arange(N, dtype=float)
    rows: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(runs):
        rng = np.random.default_rng([seed, int(100 * rho), KINDS.index(kind)])
        quality, diversity = kind.course(t, rng)
        log = RunLog(
            step=EVERY * t,
            quality=quality + NOISE[0] * noise(N, rho, rng),
            diversity=diversity + NOISE[1] * noise(N, rho, rng),
        )
        ends = {"certain": advised(log, kind.goal)}
        if kind.goal.min_gain_per_step is not None:
            ends["likely"] = likely(log, kind.goal)
        ends |= {f"patience {p}": patient(log, kind.goal, p) for p in PATIENCES}
        for name, end in ends.items():
            false = end.stopped is not None and held(kind, quality, diversity, end.stopped)
            saved = 0.0 if end.stopped is None else 1 - end.stopped / (N - 1)
            allowed = quality[diversity >= FLOOR] if kind.goal.min_diversity else quality
            lost = allowed.max() - quality[end.kept]
            kept = diversity[end.kept] - diversity[-1]
            row = (end.stopped is not None, false, saved, lost, kept)
            rows.setdefault(name, []).append(tuple(map(float, row)))
    out = {}
    for name, scores in rows.items():
        values = np.array(scores)
        error = values.std(0, ddof=1) / np.sqrt(runs)
        out[name] = [*values.mean(0), *error]
    return out


def held(kind: Kind, quality: Array, diversity: Array, row: int) -> bool:
    """Whether what a stop denies was true at every evaluation up to this row."""
    if kind.goal.min_diversity is not None:
        return bool((diversity[: row + 1] >= FLOOR - 1e-12).all())
    return bool((np.diff(quality[: row + 1]) >= GAIN * EVERY - 1e-12).all())


def simulated_table(runs: int) -> str:
    head = "| run | ρ | rule | stops | false stops | compute saved | quality lost | D kept |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for kind in KINDS:
        for rho in MEMORIES:
            for name, row in simulated(kind, rho, runs).items():
                stops, false, saved, lost, kept, _, false_se, _, lost_se, _ = row
                lines.append(
                    f"| {kind.name} | {rho:g} | {name} | {stops:.0%} | {false:.1%} ± {false_se:.1%} "
                    f"| {saved:.0%} | {lost:.3f} ± {lost_se:.3f} | {kept:+.3f} |"
                )
            print(f"  {kind.name}, ρ = {rho:g} done", file=sys.stderr, flush=True)
    return "\n".join(lines)


def replayed_table(folders: list[Path]) -> str:
    """Saved runs, asked after every evaluation."""
    lines = [
        "| rule | runs | stops | compute saved | quality lost | D kept |",
        "|---|---|---|---|---|---|",
    ]
    logs = [_read(folder) for folder in folders]
    goal = Goal(min_gain_per_step=GAIN)
    rules: dict[str, Callable[[RunLog], End]] = {"certain": lambda log: advised(log, goal)}
    for p in PATIENCES:
        rules[f"patience {p}"] = lambda log, p=p: patient(log, goal, p)  # type: ignore[misc]
    for name, rule in rules.items():
        ends = [rule(log) for log in logs]
        stops = np.mean([end.stopped is not None for end in ends])
        saved = np.mean(
            [
                0 if end.stopped is None else 1 - log.step[end.stopped] / log.step[-1]
                for end, log in zip(ends, logs, strict=True)
            ]
        )
        lost, kept = (
            np.array(
                [
                    sign * (log.column(c)[-1] - log.column(c)[end.kept])
                    for end, log in zip(ends, logs, strict=True)
                ]
            )
            for sign, c in ((1, "quality"), (-1, "diversity"))
        )
        error = lost.std(ddof=1) / np.sqrt(len(lost)) if len(lost) > 1 else np.nan
        lines.append(
            f"| {name} | {len(logs)} | {stops:.0%} | {saved:.0%} "
            f"| {lost.mean():.3f} ± {error:.3f} | {kept.mean():+.3f} |"
        )
    return "\n".join(lines)


def _read(folder: Path) -> RunLog:
    try:
        return read(folder)
    except QdlawsError as error:
        raise SystemExit(f"stopping.py: {error}") from None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="10 runs a cell")
    parser.add_argument("--runs", type=int, default=200, help="of a cell; 0: none are simulated")
    parser.add_argument("--folders", type=Path, nargs="*", default=[], help="saved runs to replay")
    asked = parser.parse_args()
    runs, began = 10 if asked.quick else asked.runs, time.perf_counter()
    if runs:
        print(f"## Simulated: {runs} runs a cell\n")
        print(simulated_table(runs))
    if asked.folders:
        print(f"\n## Replayed: {len(asked.folders)} saved runs of the trainer\n")
        print(replayed_table(asked.folders))
    print(f"\n{(time.perf_counter() - began) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
