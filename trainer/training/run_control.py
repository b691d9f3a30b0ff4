"""What decides a run's knobs and its end, from its log alone.

:func:`plan_run` settles where the run begins and writes that to ``start.json``, so a resumed run is
steered as it would have been, and a plan that was made for it to ``plan.json``, for the report.
:func:`make_run_control` is pure: it samples nothing and writes nothing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from qdlaws.advice.advise import advise_run
from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.goal import Goal
from qdlaws.core.regular_file import read_regular
from qdlaws.errors import BadData, BadLog, MissingColumn
from trainer.algorithms.objective import Recipe
from trainer.config import Config
from trainer.control import Controller, Decision, make_controller, run_log
from trainer.knobs import Knobs
from trainer.training.checkpoint import due_steps
from trainer.training.context import RunContext
from trainer.training.metrics import read_rows
from trainer.training.plan import make_plan, write_plan

__all__ = ["RunControl", "RunStart", "goal_of", "make_run_control", "plan_run"]

PLAN_SAMPLES = 2000
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
"""What reading a JSON text of another shape raises."""


@dataclass(frozen=True)
class RunStart:
    """The knobs that a run begins with; the plant's gain −dD/du where a plan predicted it."""

    knobs: Knobs
    gain: float | None = None
    reason: str = ""
    """Why it begins there, where a plan was made for it just now."""


@dataclass(frozen=True)
class RunControl:
    """How a run decides at its evaluations: its goal, its controller, and whether it may stop."""

    start: RunStart
    goal: Goal
    controller: Controller
    steers: bool
    """Whether the controller turns knobs, so that its turn is the advice."""
    advises: bool
    """Whether the advice names a checkpoint, and a stop where one may be made."""
    stops: bool
    """Whether the run ends where the advice is to stop, by a test that is valid at every look."""

    def decide(self, folder: Path, knobs: Knobs, step: int) -> Decision:
        """The decision at an evaluation, from what ``metrics.jsonl`` holds."""
        log = run_log(read_rows(folder / "metrics.jsonl"))
        if len(log) == 1:  # a goal that cannot be is refused at the start, whoever steers
            with suppress(MissingColumn):
                self.goal.check(log)
        decision = self.controller(log, knobs)
        if not self.advises:
            return decision
        advice = advise_run(
            log,
            self.goal,
            decision.advice if self.steers else None,
            checkpoints=[s for s in {*due_steps(folder), step} if s in set(log.step)],
            may_stop=self.stops,
        )
        if advice.action == "stop":
            return Decision(advice, knobs, stopped=self.stops and advice.anytime)
        return Decision(advice, decision.knobs)


def goal_of(config: Config) -> Goal:
    """The goal that a configuration states."""
    return Goal(**config.control.goal, budget_steps=float(config.train.steps))


# ---------------------------------------------------------------------- where a run begins


def plan_run(context: RunContext, folder: Path) -> RunStart:
    """Where the run in ``folder`` begins: as written there, else as planned now and then written.

    Where the user gives no KL strength, a law-guided run with a floor on diversity begins on the
    tight side: where the frontier of the reference's samples predicts the floor and a margin. What
    cannot be steered is refused before anything is sampled.
    """
    path = folder / "start.json"
    if path.exists():
        return _read_start(path)
    start = RunStart(context.recipe.knobs)
    make_run_control(context.config, context.recipe, start)
    if _is_planned(context.config, context.recipe):
        plan = make_plan(context, PLAN_SAMPLES, context.config.control.min_diversity)
        knobs = replace(start.knobs, kl=plan.start_kl)
        reason = f"planned from {PLAN_SAMPLES:,} samples, kl {knobs.kl:.3g}: {plan.notes[-1]}"
        start = RunStart(knobs, plan.gain if plan.gain == plan.gain else None, reason)
        if context.world.leads:
            write_plan(folder / "plan.json", plan)
    if context.world.leads:
        values = {"knobs": asdict(start.knobs), "gain": start.gain}
        write_atomically(path, json.dumps(values) + "\n")
    return start


def _read_start(path: Path) -> RunStart:
    try:
        written = json.loads(read_regular(path))
        knobs = Knobs(**{name: float(value) for name, value in written["knobs"].items()})
        return RunStart(knobs, None if written["gain"] is None else float(written["gain"]))
    except (*MALFORMED, OSError) as error:
        raise BadLog(
            f"{path} is damaged ({error!r}): remove it, and it is made anew with the same numbers"
        ) from None


def _is_planned(config: Config, recipe: Recipe) -> bool:
    """Whether a floor on diversity is to be held from a strength that the frontier can predict."""
    floor = config.control.name == "law_guided" and config.control.min_diversity is not None
    tilted = recipe.plant == "tilt" and "kl" in recipe.live
    return floor and tilted and config.recipe.kl is None


# ---------------------------------------------------------------------- what decides


def make_run_control(config: Config, recipe: Recipe, start: RunStart) -> RunControl:
    """The control of a run that begins there; BadData where its recipe cannot be steered that way.

    It follows from its arguments alone, so a resumed run gets the same.
    """
    control, goal, options = config.control, goal_of(config), dict(config.control.options)
    turn = options.pop("turn", None)
    if start.gain is not None and control.name == "law_guided":
        options.setdefault("gain", start.gain)
    controller = make_controller(control.name, recipe, start.knobs, goal, turn=turn, **options)
    if control.stop and not control.advise:
        raise BadData("control.stop needs control.advise: it stops where the advice says so")
    steers = control.name != "fixed"
    return RunControl(start, goal, controller, steers, control.advise, control.stop)
