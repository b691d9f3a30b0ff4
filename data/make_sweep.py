"""Make the runs in data/sweep: the additive task of make_runs.py, two learning rates, four seeds.

One reward, so one law is to be expected, whatever the path along it; notebooks/3-many-runs asks.
Usage: python data/make_sweep.py   (two to three minutes; repeats to the same bytes)
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from make_runs import reward, run

RATES, SEEDS = (0.3, 0.9), range(4)


def main() -> None:
    """Write one metrics.jsonl a run."""
    score = reward("additive", np.random.default_rng([2025, len("additive")]))
    for rate in RATES:
        for seed in SEEDS:
            folder = Path(__file__).parent / "sweep" / f"rate-{rate}-seed-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            lines = run(score, rate, np.random.default_rng([2026, int(10 * rate), seed]))
            text = "".join(json.dumps(line) + "\n" for line in lines)
            (folder / "metrics.jsonl").write_text(text, encoding="utf-8", newline="\n")
            print(f"{folder.name}: {len(lines)} evaluations")


if __name__ == "__main__":
    main()
