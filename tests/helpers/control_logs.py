"""Logs and law-guided controllers for the tests of trainer.control."""

from __future__ import annotations

import json

import numpy as np

from qdlaws import Goal
from trainer.algorithms.recipes import rloo
from trainer.control import knob_columns, make_controller, run_log
from trainer.knobs import Knobs

START = Knobs(kl=0.1, reward_scale=1.0)
FLOOR = Goal(min_diversity=0.65)
READINGS = {"quality": 0.5, "quality_se": 0.004, "diversity_se": 0.004, "entropy": 0.5, "kl": 0.1}


def guided(goal=FLOOR, recipe=None, start=START, **options):
    """A law-guided controller, by default of RLOO with a floor on diversity."""
    return make_controller("law_guided", recipe or rloo(), start, goal, **options)


def log_with(diversity, knobs=START, **columns):
    """A log with these readings of diversity and the same knobs all along."""
    rows = [
        READINGS | knob_columns(knobs) | {"step": 10 * k, "diversity": d}
        for k, d in enumerate(diversity)
    ]
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return run_log(rows)


def lines_of(log):
    """The lines of the metrics.jsonl that the log is of."""
    rows = log.to_frame().to_dict("records")
    plain = [{k: None if np.isnan(v) else v for k, v in row.items()} for row in rows]
    return [json.dumps({"phase": "eval", "n_samples": 400, **row}) for row in plain]
