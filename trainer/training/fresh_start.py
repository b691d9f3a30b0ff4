"""A run that was killed before its first checkpoint begins anew, in the same folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from trainer.training.checkpoint import checkpoint_steps
from trainer.training.metrics import read_rows
from trainer.training.run_folder import BEGINNING, LOGS, table_step

__all__ = ["clear", "has_progress"]


def has_progress(run: Path) -> bool:
    """Whether beginning anew in this folder would lose anything.

    A run saves its first checkpoint before its first step. One that was killed earlier has a
    configuration and the evaluation of step 0 at most, and those come again.
    """
    if checkpoint_steps(run) or (run / "summary.json").exists():
        return True
    log = run / "metrics.jsonl"
    if not log.exists():
        return False
    return not (run / "config.toml").exists() or any(r.get("step") != 0 for r in read_rows(log))


def clear(run: Path) -> None:
    """Removes what was written before the first checkpoint, and nothing else."""
    for name in (*LOGS, *BEGINNING):
        (run / name).unlink(missing_ok=True)
    for path in (run / "samples").glob("step-*.csv"):
        if table_step(path) is not None:
            path.unlink()
    shutil.rmtree(run / "knobs", ignore_errors=True)
