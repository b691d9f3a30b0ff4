"""What grows with time: readers beside a writer that is killed, memory and descriptors."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from attacks.tally import Attack, Child, Skipped, Try, isolated

LONGEST = 900.0
"""Seconds of processor time of a growing action."""
MOST_WAITING = 4
"""Times as long that it may take on a machine that others use."""
ROWS = 200
"""Rows of a watched log before a new run takes its place: what grows is not the log."""
MORE_MEMORY = 40 << 20
"""Bytes that a process may grow by after its first tenth."""


def advice_under_kills(work: Path) -> Try:
    """advice.json is whole at every moment, while its writer is killed again and again."""
    from qdlaws.core.atomic_write import write_atomically

    path = work / "advice.json"
    path.write_text('{"end": true}')

    def write() -> None:
        number = 0
        while True:
            number += 1
            values = {"n": number, "words": "x" * (number * 977 % 200_000), "end": True}
            write_atomically(path, json.dumps(values))

    def attempt(rng: np.random.Generator) -> str:
        child = Child(write)
        until = time.monotonic() + float(rng.uniform(0.005, 0.08))
        fault = ""
        while time.monotonic() < until:
            try:
                if json.loads(path.read_text())["end"] is not True:
                    fault = "a part of the file was read"
            except (OSError, ValueError, KeyError) as error:
                fault = f"{type(error).__name__}: {error}"
        child.kill()
        child.wait(10)
        for left in work.glob(".advice.json.*"):
            left.unlink()
        return fault

    return attempt


def _state() -> tuple[int, int]:
    """Bytes in memory and open descriptors of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd"))


class _Enough(BaseException):
    """The time of a growing action is over."""


def _growth(action: Callable[[Callable[[], None]], Any]) -> str:
    """What an action uses more in the end than after a tenth of its ticks; their number to stderr."""
    states: list[tuple[int, int]] = []
    until = time.monotonic() + MOST_WAITING * LONGEST

    def tick() -> None:
        states.append(_state())
        if time.process_time() > LONGEST or time.monotonic() > until:
            raise _Enough

    def work() -> tuple[tuple[int, int], tuple[int, int], int]:
        with suppress(_Enough):
            action(tick)
        return states[len(states) // 10], states[-1], len(states)

    ended = isolated(work, MOST_WAITING * LONGEST + 120)
    if ended.how != "ok":
        return str(ended)
    early, late, ticks = ended.value
    print(f"{ticks:,} ticks: {early} and {late} bytes and descriptors", file=sys.stderr)
    if late[0] - early[0] > MORE_MEMORY:
        return f"{(late[0] - early[0]) / 2**20:.0f} MiB more over {ticks:,} ticks"
    if late[1] > early[1]:
        return f"{late[1] - early[1]} descriptors more over {ticks:,} ticks"
    return ""


def _needs_proc() -> None:
    if not Path("/proc/self/statm").exists():
        raise Skipped("memory is read from /proc")


def steps_of_a_run(work: Path, steps: int = 5_000) -> Try:
    """Memory and descriptors over the steps of one run."""
    _needs_proc()

    def attempt(rng: np.random.Generator) -> str:
        from attacks.on_runs import SETTINGS

        from trainer import train
        from trainer.config import load_config

        settings = [*SETTINGS, f"steps={steps}", "eval.every=250", "checkpoint.keep=1"]
        folder = work / f"run-{rng.integers(2**31)}"
        return _growth(
            lambda tick: train(load_config("bandit", settings), folder, lambda row: tick())
        )

    return attempt


def looks_of_watch(work: Path, looks: int = 2_000) -> Try:
    """Memory and descriptors over the looks of watch, each at a log that has grown by a row."""
    _needs_proc()

    def attempt(rng: np.random.Generator) -> str:
        from qdlaws.integrations import watch as module

        path = work / "log.jsonl"
        path.write_text("")

        def look(tick: Callable[[], None]) -> None:
            module.SHARE = 1.0  # it does not rest between the looks
            updates = module.watch(path, every=1e-3, max_updates=looks, write=work / "advice.json")
            for number in range(looks):
                step = number % ROWS
                with path.open("a" if step else "w") as file:
                    quality = 1 - np.exp(-step / 20) + 0.01 * rng.normal()
                    row = {"step": step, "reward": quality, "entropy": float(np.exp(-step / 30))}
                    file.write(json.dumps(row) + "\n")
                next(updates)
                tick()

        return _growth(look)

    return attempt


ATTACKS = [
    Attack("advice.json read while its writer is killed", advice_under_kills, 1.0, 3),
    Attack("memory and descriptors over up to 5,000 steps", steps_of_a_run, 1.0, 0),
    Attack("memory and descriptors over up to 2,000 looks of watch", looks_of_watch, 1.0, 0),
]
"""The short version has no time for the last two."""
