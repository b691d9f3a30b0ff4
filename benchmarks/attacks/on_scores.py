"""Rewards that fail in every way, in this process and in worker processes."""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path

import numpy as np
from attacks.tally import Attack, Try, one_line_or_answer

MODULE = '''
"""Rewards of an attack: each misbehaves for some completions and counts letters for the others."""
import os, sys, time

def good(completion: str) -> float:
    return float(len(completion))

def raises(completion: str) -> float:
    if "x" in completion:
        raise ValueError("no \\ud800 \\x1b[2J score")
    return float(len(completion))

def odd_values(completion: str) -> float:
    odd = [float("nan"), float("inf"), None, "7", 10**400, [], True]
    return odd[len(completion) % 7] if "x" in completion else float(len(completion))

def leaves(completion: str) -> float:
    if "x" in completion:
        sys.exit(0)
    return float(len(completion))

def prints(completion: str) -> float:
    print("noise")
    return float(len(completion))

def recurses(completion: str) -> float:
    return recurses(completion) if "x" in completion else float(len(completion))

def dies(completion: str) -> float:
    if "x" in completion:
        os._exit(0)
    return float(len(completion))

def hangs(completion: str) -> float:
    if "x" in completion:
        time.sleep(3600)
    return float(len(completion))

def forks_once(completion: str) -> float:
    if "x" in completion and os.fork() == 0:
        return -1.0
    return float(len(completion))

def too_few(completions: list[str]) -> list[float]:
    return [1.0]
'''
ANYWHERE = ("good", "raises", "odd_values", "leaves", "prints", "recurses", "too_few")
WORKERS_ONLY = ("dies", "hangs", "forks_once")


def _rewards(work: Path, workers: int) -> Try:
    from trainer.tasks.scoring.user_rewards import Rewards

    name = f"hostile_rewards_{workers}"
    (work / f"{name}.py").write_text(MODULE)
    sys.path.insert(0, str(work))
    os.environ["PYTHONPATH"] = os.pathsep.join([str(work), os.environ.get("PYTHONPATH", "")])
    importlib.invalidate_caches()
    kinds = ANYWHERE + (WORKERS_ONLY if workers else ())

    def attempt(rng: np.random.Generator) -> str:
        kind = kinds[int(rng.integers(len(kinds)))]
        texts = [
            "ab"[int(rng.integers(2))] * int(rng.integers(1, 9)) + "x" * (rng.uniform() < 0.2)
            for _ in range(10)
        ]
        fault = ""

        def score() -> None:
            nonlocal fault
            options = {"timeout": 1.5} if workers else {}
            rewards = Rewards([f"{name}:{kind}"], workers=workers, **options)
            try:
                values, _ = rewards([""] * len(texts), texts, {})
            finally:
                rewards.close()
            for text, value in zip(texts, values, strict=True):
                right = float(len(text))
                odd = kind == "odd_values" and "x" in text
                if np.isfinite(value) and value != right and not odd:
                    fault = f"{value} for {text!r}"
                if kind != "too_few" and "x" not in text and not np.isfinite(value):
                    fault = f"no score for {text!r}, which can be scored"

        crash = one_line_or_answer(score, 90)
        return (crash or fault) and f"{kind}: {crash or fault}"

    return attempt


def rewards_here(work: Path) -> Try:
    """In this process."""
    return _rewards(work, 0)


def rewards_in_workers(work: Path) -> Try:
    """In one or two worker processes, with a time limit."""
    return _rewards(work, 2)


def failing_run(work: Path) -> Try:
    """A run whose reward always fails names the reward and ends; it never ends as if it were done."""
    from attacks.tally import isolated

    name = "hostile_rewards_run"
    (work / f"{name}.py").write_text(MODULE.replace('"x" in completion', "True"))
    table = work / "data.jsonl"
    table.write_text('{"prompt": "a", "answer": "b"}\n' * 8)
    sys.path.insert(0, str(work))

    def attempt(rng: np.random.Generator) -> str:
        kind = ("raises", "leaves", "odd_values")[int(rng.integers(3))]

        def begin() -> str:
            from trainer import train
            from trainer.config import load_config

            settings = [
                "policy.model=arithmetic", "task=dataset", f"task.path={table}",
                f"task.rewards=['{name}:{kind}']", "steps=1", "eval.samples=16", "train.samples=4",
                "policy.device=cpu", "train.limit=4",
            ]  # fmt: skip
            folder = work / f"run-{rng.integers(2**31)}"
            return train(load_config("arithmetic", settings), folder).ended

        ended = isolated(begin, 120)
        if ended.how == "line":
            return ""
        return f"{kind}: {ended}" if ended.how != "ok" or kind == "raises" else ""

    return attempt


TASK = '''
"""A task of an attack: one call of one member misbehaves."""
import os, signal, subprocess, sys, time
from pathlib import Path

def do(how, note):
    if how == "hang":
        time.sleep(3600)
    elif how == "die":
        os._exit(0)
    elif how == "leave":
        sys.exit(0)
    elif how == "raise":
        raise ValueError("no \\ud800 \\x1b[2J answer")
    elif how == "recurse":
        do(how, note)
    elif how == "odd":
        return [object(), float("nan"), None]
    elif how == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    elif how == "fork" and os.fork() == 0:
        Path(note).write_text(str(os.getpid()))
        time.sleep(60)
        os._exit(0)
    elif how == "spawn":
        Path(note).write_text(str(subprocess.Popen(["sleep", "60"]).pid))
    elif how == "print":
        print("noise")
        os.write(1, b"noise")

def make(how="", member="", note=""):
    from trainer.tasks import make_task
    task = make_task("arithmetic")
    usual = getattr(task, member, None) or (lambda *given: None)
    def odd(*given):
        answer = do(how, note)
        return usual(*given) if answer is None else answer
    setattr(task, member, odd)
    return task
'''
MISDEEDS = ("hang", "die", "leave", "raise", "recurse", "odd", "stop", "fork", "spawn", "print")
MEMBERS = ("prompts", "score", "keys", "measure", "state_dict", "write_samples", "close")


def tasks_in_a_run(work: Path) -> Try:
    """A run whose task misbehaves ends in one line or well, frees its folder, and leaves nobody."""
    from attacks.tally import isolated

    (work / "hostile_task.py").write_text(TASK)
    sys.path.insert(0, str(work))
    note = work / "pid"

    def attempt(rng: np.random.Generator) -> str:
        how = MISDEEDS[int(rng.integers(len(MISDEEDS)))]
        member = MEMBERS[int(rng.integers(len(MEMBERS)))]
        folder = work / f"run-{rng.integers(2**31)}"
        note.unlink(missing_ok=True)

        def begin() -> str:
            from trainer import train
            from trainer.config import load_config

            settings = [
                "task=hostile_task:make", f"task.how={how}", f"task.member={member}",
                f"task.note={note}", "task.answer_seconds=0.05", "steps=1", "eval.samples=16",
                "train.samples=4", "train.prompts=1", "policy.device=cpu", "train.limit=4",
                "train.threads=1",
            ]  # fmt: skip
            return train(load_config("arithmetic", settings), folder).ended

        ended = isolated(begin, 120)
        words = f"{how} in {member}: "
        if ended.how not in ("ok", "line") or "\n" in str(ended.value):
            return f"{words}{ended}"
        if ended.how == "ok" and how in ("hang", "die", "stop") and member in ("score", "prompts"):
            return f"{words}the run ended well"
        if note.exists() and _is_there(int(note.read_text())):
            return f"{words}a process of the task outlives its run"
        if folder.exists() and (held := isolated(lambda: _held(folder), 30)).how != "ok":
            return f"{words}the folder is held: {held}"
        return ""

    return attempt


def _held(folder: Path) -> None:
    from trainer.training.run_folder import lock

    with lock(folder):
        pass


def _is_there(number: int) -> bool:
    """Whether a process runs still, two seconds from now at the latest."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state in "ZX":
            return False
        time.sleep(0.05)
    return True


ATTACKS = [
    Attack("rewards that misbehave, in this process", rewards_here, 0.5, 10),
    Attack("rewards that misbehave, in two workers", rewards_in_workers, 1.5, 1),
    Attack("runs whose reward always fails", failing_run, 0.7, 1),
    Attack("runs whose task misbehaves", tasks_in_a_run, 2.0, 1),
]
