"""The pilot: controller and stopping rule of a run, which decide from its log alone.

What it starts from is written to ``start.json``, so a resumed run is steered as it would have been;
a plan that was made for it to ``plan.json``, for the report.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.goal import Goal
from qdlaws.errors import BadData
from trainer.algorithms.objective import Recipe
from trainer.config import Config
from trainer.control import (
    Controller,
    Stopper,
    make_controller,
    make_dial,
    run_log,
    stop_when_advised,
)
from trainer.knobs import Knobs
from trainer.training.checkpoint import checkpoint_steps
from trainer.training.context import Bench
from trainer.training.metrics import read_rows
from trainer.training.plan import Plan, make_plan, write_plan

__all__ = ["Pilot", "Said", "goal_of", "make_pilot"]

PLAN_SAMPLES = 2000


@dataclass(frozen=True)
class Said:
    """What was decided at an evaluation, and the line for ``advice.jsonl``."""

    knobs: Knobs
    stop: bool
    checkpoint: int | None
    row: dict[str, Any]


@dataclass(frozen=True)
class Pilot:
    """Both rules, and the knobs that the run begins with."""

    start: Knobs
    controller: Controller
    stopper: Stopper | None
    stops: bool
    """Whether the advice to stop is followed, or only written down."""
    outset: str = ""
    """Why it begins where it does, where a plan was made for it."""

    def decide(self, folder: Path, knobs: Knobs, step: int) -> Said:
        """The knobs from now on, from what ``metrics.jsonl`` holds."""
        log = run_log(read_rows(folder / "metrics.jsonl"))
        decision = self.controller(log, knobs)
        row = {"step": step, **decision.as_dict()}
        if self.stopper is None:
            return Said(decision.knobs, False, None, row)
        steps = [s for s in {*checkpoint_steps(folder), step} if s in set(log.step)]
        said = self.stopper(log, steps)
        row["stopping"] = said.as_dict()
        kept = None if said.checkpoint is None else int(said.checkpoint)
        return Said(decision.knobs, said.stop and self.stops, kept, row)


def goal_of(config: Config) -> Goal:
    """The goal that a configuration states."""
    return Goal(**config.control.goal, budget_steps=float(config.train.steps))


def make_pilot(bench: Bench, folder: Path) -> Pilot:
    """The pilot of a run; refused in one line where its recipe cannot be steered that way.

    Without a strength of the user's own a law-guided run with a floor on diversity begins on the
    tight side: where the frontier of the reference's samples foretells the floor and a margin.
    """
    control, recipe = bench.config.control, bench.recipe
    goal, options = goal_of(bench.config), dict(control.options)
    turn = options.pop("turn", None)
    knobs = recipe.knobs
    if control.name != "fixed":
        make_dial(recipe, knobs, turn)  # refuses before anything is sampled
    written, words = folder / "start.json", ""
    if written.exists():
        kept = json.loads(written.read_text(encoding="utf-8"))
        knobs, gain = Knobs(**kept["knobs"]), kept["gain"]
    else:
        knobs, gain, plan = _outset(bench, goal)
        if plan is not None:
            words = f"planned from {PLAN_SAMPLES:,} samples, kl {knobs.kl:.3g}: {plan.notes[-1]}"
        if bench.world.leads:
            if plan is not None:
                write_plan(folder / "plan.json", plan)
            write_atomically(written, json.dumps({"knobs": asdict(knobs), "gain": gain}) + "\n")
    if gain is not None and control.name == "law_guided":
        options.setdefault("gain", gain)
    controller = make_controller(control.name, recipe, knobs, goal, turn=turn, **options)
    stopper = stop_when_advised(_stopping_goal(goal, control.name)) if control.advise else None
    if control.stop and stopper is None:
        raise BadData("control.stop needs control.advise: it stops where the advice says so")
    return Pilot(knobs, controller, stopper, control.stop, words)


def _outset(bench: Bench, goal: Goal) -> tuple[Knobs, float | None, Plan | None]:
    """Knobs to begin with, the plant's gain where the frontier tells it, and the plan behind it."""
    recipe, config = bench.recipe, bench.config
    planned = config.control.name == "law_guided" and goal.min_diversity is not None
    if not planned or config.recipe.kl is not None or not _is_tilted(recipe):
        return recipe.knobs, None, None
    plan = make_plan(bench, PLAN_SAMPLES, goal.min_diversity)
    gain = plan.gain if plan.gain == plan.gain else None
    return replace(recipe.knobs, kl=plan.start_kl), gain, plan


def _is_tilted(recipe: Recipe) -> bool:
    """Whether kl is a strength that the frontier speaks of."""
    return recipe.plant == "tilt" and "kl" in recipe.live


def _stopping_goal(goal: Goal, controller: str) -> Goal:
    """A floor that a controller holds is no reason to stop."""
    if controller == "fixed":
        return goal
    return replace(goal, min_diversity=None, min_entropy=None, price=None)
