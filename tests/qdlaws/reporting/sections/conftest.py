"""The folder of a run that was steered."""

import json
import math

import numpy as np
import pytest

FLOOR = 0.8


def _lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    """A run of twelve evaluations: D falls to its floor, the KL is weakened at every other one."""
    rng = np.random.default_rng(3)
    evals, advice = [], []
    for k in range(12):
        d = 0.9 - 0.1 * (1 - math.exp(-k / 4)) + 0.002 * rng.standard_normal()
        kl = 0.1 * 0.8 ** (k // 2)
        evals.append(
            {
                "step": 10 * k,
                "phase": "eval",
                "quality": 1 - 0.5 * math.exp(-k / 5),
                "diversity": d,
                "diversity_se": 0.002,
                "entropy": 3 * d - 2,
                "kl": 0.25 * k,
                "kl_coef": kl,
                "reward_scale": 1.0,
            }
        )
        advice.append(
            {
                "step": 10 * k,
                "action": "loosen" if k % 2 else "wait",
                "knobs": {"kl": kl, "reward_scale": 1.0, "entropy": 0.0},
                "reasons": [f"reason number {k} <b>"],
                "figures": {
                    "level": d,
                    "settled": d - 0.01,
                    "settled_se": 0.005,
                    "du": 0.22 * (k % 2),
                },
            }
        )
    run = tmp_path / "run"
    (run / "samples").mkdir(parents=True)
    (run / "metrics.jsonl").write_text(_lines(evals))
    (run / "advice.jsonl").write_text(_lines(advice) + '{"step": 120, "act')
    (run / "config.toml").write_text(f"[control]\nname = 'law_guided'\nmin_diversity = {FLOOR}\n")
    tilt = [{"kl": k / 2, "quality": 1 - 0.5 * math.exp(-k), "quality_se": 0.01} for k in range(5)]
    plan = {"table": [*tilt, {"kl": None, "quality": None}], "best_of": [], "notes": ["a note"]}
    (run / "plan.json").write_text(json.dumps(plan))
    return run
