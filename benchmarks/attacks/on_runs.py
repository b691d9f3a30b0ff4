"""Runs: killed, interrupted, on full disks, with damaged files, steered by hand, two at a time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from attacks.on_logs import TOKENS, mutated
from attacks.tally import Attack, Child, Ended, Skipped, Try, isolated, quiet

from qdlaws import QdlawsError

SETTINGS = (
    "steps=6", "eval.every=2", "eval.samples=16", "eval.final=16", "train.samples=8",
    "train.threads=1", "policy.device=cpu", "train.schedule=constant",
)  # fmt: skip
"""A run of the bandit that takes a third of a second."""


def run(folder: Path, *settings: str) -> str:
    """Begins the run or goes on with it, as a person would; gives how it ended."""
    from trainer import resume, train
    from trainer.config import load_config

    with quiet():
        if (folder / "config.toml").exists():
            return resume(folder, trust=True).ended
        return train(load_config("bandit", [*SETTINGS, *settings]), folder).ended


def facts(folder: Path) -> dict[str, Any]:
    """What two runs of one configuration must have in common."""

    def digest(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def rows(name: str) -> list[dict[str, Any]]:
        lines = map(json.loads, (folder / name).read_text().splitlines())
        return [{k: v for k, v in row.items() if k != "seconds"} for row in lines]

    steps = sorted(path for path in (folder / "checkpoints").glob("step-*") if "." not in path.name)
    tensors = sorted(steps[-1].glob("*.safetensors")) if steps else []
    return {
        "metrics": rows("metrics.jsonl"),
        "advice": rows("advice.jsonl"),
        "summary": json.loads((folder / "summary.json").read_text()),
        "checkpoints": [path.name for path in steps],
        "weights": {path.name: digest(path) for path in tensors},
        "samples": {path.name: digest(path) for path in sorted((folder / "samples").iterdir())},
        "left over": sorted(
            str(path.relative_to(folder))
            for path in folder.rglob(".*")
            if path.name.endswith((".tmp", ".old", ".gone"))
        ),
    }


def difference(folder: Path, whole: dict[str, Any]) -> str:
    """The names of the facts in which the run differs from the unbroken one."""
    try:
        now = facts(folder)
    except (OSError, ValueError) as error:
        return f"the run cannot be read: {error}"
    return ", ".join(f"another {name}" for name in whole if now[name] != whole[name])


def unbroken(work: Path, *settings: str) -> tuple[Path, dict[str, Any]]:
    """The run without an attack, and its facts.

    It runs in this process, so that all modules are loaded before the children are forked.
    """
    run(work / "whole", *settings)
    return work / "whole", facts(work / "whole")


def completed(folder: Path, whole: dict[str, Any], *settings: str) -> str:
    """Goes on with a broken run; what is wrong with what comes of it."""
    ended = isolated(lambda: run(folder, *settings))
    if ended.how != "ok":
        return f"{ended.how}: {ended.value}"
    return difference(folder, whole)


# ---------------------------------------------------------------------- kills

CHANGES = {
    "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link", "os.symlink",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


def at_change(folder: Path, actions: dict[int, Callable[[], None]]) -> Callable[[], int]:
    """Runs an action before the k-th change of the file system in a folder; gives their number."""
    count = 0
    inside = str(folder)

    def hook(event: str, given: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            if not (isinstance(given[2], int) and given[2] & WRITING):
                return
        elif event not in CHANGES:
            return
        path = str(given[0])
        if path.startswith("/") and not path.startswith(inside):
            return
        count += 1
        if count in actions:
            actions[count]()

    sys.addaudithook(hook)
    return lambda: count


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _counted(folder: Path, *settings: str) -> int:
    """Changes of the file system in a whole run."""

    def work() -> int:
        count = at_change(folder, {})
        run(folder, *settings)
        return count()

    return int(isolated(work).value)


def kill_at_changes(work: Path) -> Try:
    """SIGKILL before a change of the file system, at times a second one in the resumed run."""
    settings = ("checkpoint.keep=1",)
    _, whole = unbroken(work, *settings)
    changes = _counted(work / "counted", *settings)
    order = np.random.default_rng(0).permutation(changes) + 1
    done = 0

    def attempt(rng: np.random.Generator) -> str:
        nonlocal done
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        place = int(order[done % changes])
        places, done = [place], done + 1
        if rng.uniform() < 0.3:
            places.append(int(rng.integers(1, changes)))
        for one in places:

            def killed(one: int = one) -> None:
                at_change(folder, {one: die})
                run(folder, *settings)

            ended = isolated(killed)
            if ended.how not in ("killed", "ok"):
                return f"killed before change {places} of {changes}: {ended}"
        fault = completed(folder, whole, *settings)
        return fault and f"killed before change {places} of {changes}: {fault}"

    return attempt


def kill_after_sigterm(work: Path) -> Try:
    """SIGTERM at a change of the file system, SIGKILL at one of the next forty."""
    settings = ("checkpoint.keep=1",)
    _, whole = unbroken(work, *settings)
    changes = _counted(work / "counted", *settings)

    def attempt(rng: np.random.Generator) -> str:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        first = int(rng.integers(1, changes))
        second = first + int(rng.integers(1, 40))

        def killed() -> None:
            at_change(folder, {first: lambda: os.kill(os.getpid(), signal.SIGTERM), second: die})
            run(folder, *settings)

        ended = isolated(killed)
        had = bool(list((folder / "checkpoints").glob("step-*/state.json")))
        place = f"SIGTERM at change {first}, killed at {second} of {changes}"
        if ended.how not in ("killed", "ok"):
            return f"{place}: {ended}"
        if second > 120 and not had and (folder / "metrics.jsonl").exists():
            rows = (folder / "metrics.jsonl").read_text().count('"train"')
            if rows:
                return f"{place}: no checkpoint is left after {rows} steps"
        fault = completed(folder, whole, *settings)
        return fault and f"{place}: {fault}"

    return attempt


def kill_at_random(work: Path) -> Try:
    """SIGKILL, SIGTERM or SIGINT after a random time, up to three times, then to the end."""
    settings = ("checkpoint.keep=2", "steps=10", "checkpoint.every=3")
    _, whole = unbroken(work, *settings)
    began = time.monotonic()
    isolated(lambda: run(work / "timed", *settings))
    longest = time.monotonic() - began

    def attempt(rng: np.random.Generator) -> str:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        for _ in range(int(rng.integers(1, 4))):
            child = Child(lambda: run(folder, *settings))
            time.sleep(float(rng.uniform(0, longest)))
            sent = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[rng.integers(4)]
            os.kill(child.pid, sent)
            ended = child.wait(60)
            interrupted = "KeyboardInterrupt" in str(ended.value)  # before the run took the signal
            if ended.how in ("traceback", "hung", "line") and not interrupted:
                return f"{sent.name}: {ended}"
            if (folder / "summary.json").exists():
                break
        fault = completed(folder, whole, *settings)
        return fault and f"after signals at random: {fault}"

    return attempt


# ---------------------------------------------------------------------- disks


def file_size_limit(work: Path) -> Try:
    """No file may become larger than a limit: one line, and the run goes on without the limit."""
    _, whole = unbroken(work)

    def attempt(rng: np.random.Generator) -> str:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        limit = int(10 ** rng.uniform(1.5, 5.5))
        ended = isolated(lambda: run(folder), file_limit=limit)
        if ended.how in ("traceback", "hung", "killed"):
            return f"limit of {limit} bytes: {ended}"
        fault = completed(folder, whole)
        return fault and f"limit of {limit} bytes: {fault}"

    return attempt


def full_disk(work: Path) -> Try:
    """A file system in memory that is too small: one line, and the run goes on when it has room."""
    disk = work / "disk"
    disk.mkdir()
    _, whole = unbroken(work)
    size = (
        sum(path.stat().st_size for path in (work / "whole").rglob("*") if path.is_file()) // 1024
    )

    def mount(*options: str) -> None:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(disk)],
            check=True, capture_output=True, timeout=20,
        )  # fmt: skip

    def unmount() -> None:
        subprocess.run(["umount", str(disk)], capture_output=True, timeout=20)

    try:
        mount("size=64k")
        unmount()
    except (OSError, subprocess.SubprocessError):
        raise Skipped("no file system can be mounted here") from None

    def attempt(rng: np.random.Generator) -> str:
        room = int(rng.uniform(4, 1.1 * size))
        mount(f"size={room}k")
        try:
            ended = isolated(lambda: run(disk / "run"))
            if ended.how in ("traceback", "hung", "killed"):
                return f"{room} KiB of {size}: {ended}"
            mount("remount", f"size={4 * size}k")
            fault = completed(disk / "run", whole)
            return fault and f"{room} KiB of {size}: {fault}"
        finally:
            unmount()

    return attempt


# ---------------------------------------------------------------------- damage


def damaged_checkpoints(work: Path) -> Try:
    """A file of a checkpoint is changed, cut, emptied, removed or swapped with another step's."""
    source, whole = unbroken(work)
    whole = {name: fact for name, fact in whole.items() if name != "checkpoints"}

    def attempt(rng: np.random.Generator) -> str:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        (folder / "summary.json").unlink()
        saved = sorted((folder / "checkpoints").iterdir())
        words = []
        for _ in range(int(rng.integers(1, 4))):
            place = saved[-1 - min(int(rng.geometric(0.6)) - 1, len(saved) - 1)]
            path = sorted(place.iterdir())[int(rng.integers(len(list(place.iterdir()))))]
            how = int(rng.integers(5 if place != saved[0] else 4))
            if how == 0:
                path.write_bytes(mutated(path.read_bytes(), rng))
            elif how == 1:
                path.write_bytes(path.read_bytes()[: int(rng.integers(path.stat().st_size + 1))])
            elif how == 2:
                path.write_bytes(b"")
            elif how == 3 and len(list(place.iterdir())) > 1:
                path.unlink()
            else:
                shutil.copyfile(saved[0] / path.name, path) if (
                    saved[0] / path.name
                ).exists() else None
            words.append(f"{('changed', 'cut', 'emptied', 'removed', 'swapped')[how]} {path.name}")
        before = (folder / "metrics.jsonl").read_bytes()
        ended = isolated(lambda: run(folder))
        if ended.how == "line":
            intact = (folder / "metrics.jsonl").read_bytes() == before
            return "" if intact else f"{words}: refused, and the log was cut"
        if ended.how != "ok":
            return f"{words}: {ended}"
        # a checkpoint without its state is none, and advice names only those that there are
        gone = {"advice", "summary"} if any(w == "removed state.json" for w in words) else set()
        fault = difference(folder, {k: v for k, v in whole.items() if k not in gone})
        return fault and f"{words}: {fault}"

    return attempt


def foreign_states(work: Path) -> Try:
    """``state.json`` of another version, of a stranger or without its manifest: one line."""
    source, _ = unbroken(work)
    outside = work / "victim"
    values: tuple[Any, ...] = (
        None, -1, 1e308, 10**400, "x", [], {}, True, [[]], {"../../victim": 3}, {"kl": "x"},
        {"../victim": 0, "metrics.jsonl": 0}, {"samples/../../victim": 1},
    )  # fmt: skip

    def attempt(rng: np.random.Generator) -> str:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        (folder / "summary.json").unlink()
        outside.write_text("0123456789")
        for place in (folder / "checkpoints").iterdir():
            (place / "manifest.json").unlink()
            path = place / "state.json"
            state = {**json.loads(path.read_text()), "format": 1}
            key = list(state)[int(rng.integers(len(state)))]
            if rng.integers(4):
                state[key] = values[int(rng.integers(len(values)))]
            else:
                del state[key]
            path.write_text(json.dumps(state))
        ended = isolated(lambda: run(folder))
        if ended.how not in ("ok", "line"):
            return f"{key}: {ended}"
        return "" if outside.read_text() == "0123456789" else f"{key}: a file outside was changed"

    return attempt


def damaged_run_files(work: Path) -> Try:
    """``config.toml``, ``start.json``, ``summary.json``, ``plan.json``, mutated: never a traceback."""
    source, _ = unbroken(work)

    def attempt(rng: np.random.Generator) -> str:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        if rng.integers(2):
            (folder / "summary.json").unlink()
        names = [n for n in ("config.toml", "start.json", "summary.json") if (folder / n).exists()]
        path = folder / names[int(rng.integers(len(names)))]
        path.write_bytes(mutated(path.read_bytes(), rng))
        ended = isolated(lambda: run(folder))
        return "" if ended.how in ("ok", "line") else f"{path.name}: {ended}"

    return attempt


# ---------------------------------------------------------------------- knobs


def knobs_files(work: Path) -> Try:
    """Whatever is in knobs.json, the knobs stay finite and within their limits."""
    from trainer import Knobs
    from trainer.control import KnobsFile
    from trainer.control.knobs_file import LARGEST

    values = [0.1, 0, -1, 1e308, 10**400, float("nan"), True, None, "0.1", [], {}, 3, -0.0]
    names = ["kl", "reward_scale", "entropy", "klx", ""]

    def attempt(rng: np.random.Generator) -> str:
        chosen = {
            names[int(rng.choice(5, p=[0.4, 0.25, 0.25, 0.05, 0.05]))]: values[
                int(rng.integers(len(values)))
            ]
            for _ in range(int(rng.integers(0, 3)))
        }
        content = json.dumps(chosen).encode()
        if rng.integers(2):
            content = mutated(content, rng)
        if rng.uniform() < 0.1:
            content = TOKENS[int(rng.integers(len(TOKENS)))]
        shutil.rmtree(work / "knobs", ignore_errors=True)
        (work / "knobs.json").write_bytes(content)
        try:
            with quiet():
                knobs = KnobsFile(work).read(0, Knobs(kl=0.5))
        except BaseException as error:
            return f"{content[:80]!r}: {type(error).__name__}: {error}"
        for name, largest in LARGEST.items():
            if not 0 <= getattr(knobs, name) <= largest:
                return f"{content[:80]!r} gave {knobs}"
        return ""

    return attempt


def knobs_while_running(work: Path) -> Try:
    """A writer that writes knobs.json in place, again and again, never ends the run."""

    def attempt(rng: np.random.Generator) -> str:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        seed = int(rng.integers(2**31))

        def steered() -> str:
            words = np.random.default_rng(seed)
            over = threading.Event()

            def write() -> None:
                while not over.is_set():
                    value = ("0.5", "0.7", "-1", '"x"', "NaN", "")[words.integers(6)]
                    try:
                        with (folder / "knobs.json").open("w") as file:
                            file.write('{"kl": ')
                            file.flush()
                            time.sleep(0.001)
                            file.write(value + "}")
                    except FileNotFoundError:
                        pass
                    time.sleep(0.002)

            thread = threading.Thread(target=write)
            thread.start()
            try:
                return run(folder, "steps=30", "eval.every=10")
            finally:
                over.set()
                thread.join()

        ended = isolated(steered)
        if ended.how != "ok":
            return str(ended)
        rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        return "" if {row["kl_coef"] for row in rows} <= {0.5, 0.7} else "a knob that nobody gave"

    return attempt


# ---------------------------------------------------------------------- two processes


def two_processes(work: Path) -> Try:
    """Two commands on one folder: one works, the other gets a line or comes after it."""
    _, whole = unbroken(work)

    def attempt(rng: np.random.Generator) -> str:
        folder = work / "run"
        shutil.rmtree(folder, ignore_errors=True)
        first = Child(lambda: run(folder))
        time.sleep(float(rng.uniform(0, 0.4)))
        second = Child(lambda: run(folder))
        ends = [second.wait(120), first.wait(120)]
        if any(end.how not in ("ok", "line") for end in ends):
            return str(ends)
        if all(end.how == "line" for end in ends):
            return f"neither ran: {ends}"
        return difference(folder, whole)

    return attempt


def two_sweeps(work: Path) -> Try:
    """Two sweeps on one folder: every run is whole in the end."""
    _, whole = unbroken(work)

    def swept(folder: Path) -> Ended:
        from trainer import sweep
        from trainer.config import load_config

        axes = {"train.seed": ["0", "1"]}
        runs = sweep(load_config("bandit", SETTINGS), axes, folder, jobs=1)
        others = [one.error for one in runs if "another process" not in one.error and one.error]
        if others:
            raise QdlawsError(str(others))
        return Ended("ok")

    def attempt(rng: np.random.Generator) -> str:
        folder = work / "sweep"
        shutil.rmtree(folder, ignore_errors=True)
        first = Child(lambda: swept(folder))
        time.sleep(float(rng.uniform(0, 0.6)))
        second = Child(lambda: swept(folder))
        ends = [second.wait(180), first.wait(180)]
        if any(end.how != "ok" for end in ends):
            return str(ends)
        return difference(folder / "seed=0", whole)

    return attempt


ATTACKS = [
    Attack("runs: killed before a change of the file system", kill_at_changes, 5.0, 2),
    Attack("runs: SIGTERM, then killed", kill_after_sigterm, 3.0, 2),
    Attack("runs: signals at random moments", kill_at_random, 3.0, 1),
    Attack("runs: a limit on the size of files", file_size_limit, 2.0, 2),
    Attack("runs: a full disk", full_disk, 2.0, 1),
    Attack("runs: damaged checkpoints", damaged_checkpoints, 3.0, 2),
    Attack("runs: states of strangers and other versions", foreign_states, 2.0, 2),
    Attack("runs: damaged configuration, start and summary", damaged_run_files, 1.5, 2),
    Attack("knobs.json: any content", knobs_files, 0.5, 40),
    Attack("knobs.json: written in place while the run reads", knobs_while_running, 1.0, 1),
    Attack("runs: two processes on one folder", two_processes, 1.5, 1),
    Attack("runs: two sweeps on one folder", two_sweeps, 1.5, 1),
]
