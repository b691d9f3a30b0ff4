"""Rewards that fail in every way, in this process and in worker processes."""

from __future__ import annotations

import importlib
import os
import sys
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


ATTACKS = [
    Attack("rewards that misbehave, in this process", rewards_here, 0.5, 10),
    Attack("rewards that misbehave, in two workers", rewards_in_workers, 1.5, 1),
    Attack("runs whose reward always fails", failing_run, 0.7, 1),
]
