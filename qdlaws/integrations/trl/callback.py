"""LawCallback: advises and stops any trainer of transformers, and steers those of TRL.

    callback = LawCallback(Goal(min_diversity=.6), mode="steer")
    args = GRPOConfig(**LawCallback.settings(), …)
    trainer = GRPOTrainer(…, args=args, callbacks=[callback])
    trainer.train()

``callback.attach(trainer)`` adds it to a trainer that is there already, and refuses at once, not at
``train()``, what cannot work.

A trainer that keeps its completions (TRL's GRPOTrainer and RLOOTrainer and what is made of them)
has them measured: every ``every`` steps they become one row of quality, diversity (duplicates
kept), entropy and KL with the knobs that were in force. Of any other trainer the rows are what it
logs. They stand in ``<output_dir>/qdlaws/metrics.jsonl``, which all of ``qdlaws`` reads, and the
advice is one line of ``advice.jsonl`` beside it. Decisions are functions of these rows alone, so a
resumed run goes on where it was.
"""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from qdlaws.advice.advise import advise_run
from qdlaws.control.collapse_guard import clear_breach
from qdlaws.control.controller import check_steerable
from qdlaws.core.advice import Advice
from qdlaws.core.goal import Goal
from qdlaws.core.run_rows import run_log
from qdlaws.core.runlog import RunLog
from qdlaws.core.serialize import plain
from qdlaws.errors import BadData, MissingColumn, QdlawsError
from qdlaws.integrations.batch import Window, batch_of
from qdlaws.integrations.online import turn_within_reach
from qdlaws.integrations.run_folder import RunFolder
from qdlaws.integrations.series import advice_series
from qdlaws.integrations.trl.logged import is_evaluation, logged_row
from qdlaws.integrations.trl.preflight import setup_problems, steering_settings
from qdlaws.integrations.trl.trainer_access import (
    agreed,
    calling_trainer,
    is_main_process,
    keeps_completions,
    log_numbers,
)
from qdlaws.readers import read

if TYPE_CHECKING:
    LawCallback: Any

__all__ = ["LawCallback"]

DiversityMeasure = Callable[[Sequence[str], Sequence[str]], Any]
SHOWN = ("diversity", "unique_share", "kl_coef", "reward_scale")
"""Of each row, what a tracker gets beside the advice."""
say = logging.getLogger("qdlaws")


class _LawCallback:
    """Advice inside a trainer of transformers, in three modes; steering needs one of TRL's.

    Parameters
    ----------
    goal : what is wanted; to steer it needs a floor or a price
    mode : ``"advise"`` writes and logs; ``"stop"`` also ends the run when advised (an anytime-valid
        statement, wrong in at most ``alpha`` of runs) or after three readings clearly below a
        floor, and keeps a checkpoint of the last row that held it; ``"steer"`` turns ``beta`` or
        the reward scale at every row
    every : optimizer steps that make one row
    diversity : ``"text"``, ``"molecules"``, or a function (completions, prompts) -> a number or a
        ``qdlaws.measure.Estimate``
    turn : what carries the ratio in ``"steer"``
    gain : prior of −dD/du, the diversity that a unit of log(scale/beta) costs
    may_stop : stop when advised while steering, too
    columns : names of logged metrics for a trainer that keeps no completions, where the automatic
        choice is not the one you want: ``{"quality": "eval_accuracy"}``

    Examples
    --------
    >>> import qdlaws as qd
    >>> from qdlaws.integrations.trl import LawCallback
    >>> callback = LawCallback(qd.Goal(min_diversity=0.6), mode="stop")
    >>> callback.mode
    'stop'
    """

    def __init__(
        self,
        goal: Goal | None = None,
        *,
        mode: Literal["advise", "stop", "steer"] = "advise",
        every: int = 10,
        diversity: Literal["text", "molecules"] | DiversityMeasure = "text",
        turn: Literal["beta", "reward_scale"] = "beta",
        gain: float | None = None,
        may_stop: bool = False,
        alpha: float = 0.05,
        columns: Mapping[str, str] | None = None,
    ) -> None:
        self.goal = goal or Goal()
        for name, value, allowed in (
            ("mode", mode, ("advise", "stop", "steer")),
            ("turn", turn, ("beta", "reward_scale")),
        ):
            if value not in allowed:
                raise BadData(f"{name}={value!r}: one of {', '.join(allowed)} was needed")
        if not (callable(diversity) or diversity in ("text", "molecules")):
            raise BadData(f"diversity={diversity!r}: 'text', 'molecules' or a function was needed")
        if not (isinstance(every, int) and every > 0):
            raise BadData(f"every={every!r}: a number of steps above 0 was needed")
        unknown = set(columns or {}) - {"quality", "diversity", "entropy"}
        if unknown:
            words = ", ".join(sorted(unknown))
            raise BadData(f"columns names {words}: quality, diversity or entropy was needed")
        if mode == "steer":
            check_steerable(self.goal, gain)
        self.mode, self.every, self.diversity = mode, every, diversity
        self.turn, self.gain, self.alpha = turn, gain, alpha
        self.stops = mode == "stop" or may_stop
        self.trainer: Any = None
        self.advice: Advice | None = None
        """The newest advice."""
        self.rows: list[dict[str, Any]] = []
        self.columns = dict(columns or {})
        self._window = Window()
        self._held: Path | None = None
        """The checkpoint of the last row that held the floors, where this wrote it."""
        self._saving, self._advised, self._reporting = -1, 0, False

    @staticmethod
    def settings(config: Any = None, *, turn: str = "beta", beta: float = 0.05) -> dict[str, Any]:
        """The arguments that steering needs, for ``GRPOConfig(**LawCallback.settings(), …)``.

        Parameters
        ----------
        config : the class of the arguments, ``RLOOConfig`` for one; by default TRL's GRPOConfig
        turn : what will carry the ratio, as ``LawCallback(turn=…)``
        beta : the KL strength to start from; above 0
        """
        return steering_settings(config, turn, beta)

    def attach(self, trainer: Any) -> Any:
        """Adds itself to the trainer, which is returned; refuses at once what cannot work."""
        self.trainer = trainer
        self._refuse_problems()
        trainer.add_callback(self)
        return trainer

    # ------------------------------------------------------------------ events of transformers

    def on_init_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Finds the trainer that it was given to in ``callbacks=[…]``."""
        self.trainer = calling_trainer(self) or self.trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Refuses what cannot work; takes up the rows of a resumed run."""
        self.trainer = self.trainer or calling_trainer(self)
        if self.trainer is None:
            raise BadData("LawCallback does not see its trainer: call callback.attach(trainer)")
        self._refuse_problems()
        for words in setup_problems(self.trainer, self.mode, self.turn).warnings:
            say.warning("%s", words)
        self.folder = RunFolder(Path(args.output_dir), is_main_process(self.trainer))
        self._scale, self._window, self._held = 1.0, Window(), None
        self.rows = self.folder.resume(state.global_step)
        self._advised, self._measures = state.global_step, keeps_completions(self.trainer)
        if not self._measures:
            return
        self._start = (float(self.trainer.beta), 1.0)
        self._weights = self.trainer.reward_weights.clone()
        if self.rows and self.mode == "steer":  # the knobs of a resumed run follow from its rows
            last = self.rows[-1]
            self._set(float(last["kl_coef"]), float(last["reward_scale"]))
            self._turn_by(self._controlled(run_log(self.rows)).du or 0.0)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        """Measures the step; at the end of a row advises and acts."""
        if not self._measures:
            return control
        batch = batch_of(self.trainer, self._weights)
        if batch is not None:
            self._window.add(batch, self.diversity)
        if state.global_step % self.every or self._window.empty:
            return control
        row = self._row(state.global_step)
        self.rows.append(row)
        self.folder.add_row(row)
        log = run_log(self.rows)
        saved = self._save_where_held(state, control)
        advice = self._decide(log, self._checkpoints(saved))
        readable = self.mode == "stop" and set(self.goal.floors()) <= set(log.columns)
        breach = clear_breach(log, self.goal) if readable else ""
        stop = bool(agreed(self.trainer, self.stops and (advice.anytime or bool(breach))))
        if breach and not advice.anytime:
            advice = self._stop_at_breach(advice, breach)
        if self.mode == "steer":
            self._turn_by(advice.du or 0.0)
        self._give(advice, stop, state, control, **{name: row.get(name) for name in SHOWN})
        if stop:
            self._end(control)
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Takes what the trainer logs for a row, where there are no completions to measure."""
        if self.trainer is None or self._measures or self._reporting:
            return
        row = logged_row(logs or {}, state.global_step)
        if row is None:
            return
        self.folder.add_row(row)
        if is_evaluation(row) or state.global_step - self._advised >= self.every:
            self._advised = state.global_step
            advice = self._advice_on_what_is_logged() if is_main_process(self.trainer) else None
            stop = bool(agreed(self.trainer, self.stops and advice is not None and advice.anytime))
            if advice is not None:
                self._give(advice, stop, state, control)
            if stop:
                self._end(control)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """A new checkpoint that holds the floors replaces the one that this saved before it."""
        if self._saving != state.global_step:
            return
        before, self._held = self._held, Path(args.output_dir) / f"checkpoint-{self._saving}"
        self._saving = -1
        if args.metric_for_best_model is None:  # protects it from save_total_limit
            state.best_model_checkpoint = str(self._held)
        if before is not None and is_main_process(self.trainer):
            shutil.rmtree(before, ignore_errors=True)

    # ------------------------------------------------------------------ inside

    def _refuse_problems(self) -> None:
        problems = setup_problems(self.trainer, self.mode, self.turn).fatal
        if problems:
            raise BadData(f"LawCallback(mode={self.mode!r}): " + "; and ".join(problems))

    def _advice_on_what_is_logged(self) -> Advice:
        """The advice on the rows of a trainer that logs its metrics itself."""
        try:
            log = read(self.folder.rows, **self.columns)  # type: ignore[arg-type]
            existing = self.folder.checkpoints(log.step.tolist(), None)
            return advise_run(log, self.goal, checkpoints=existing or None, alpha=self.alpha)
        except QdlawsError as problem:  # too few rows, no such metric: no reason to end a run
            step = float(self._advised)
            return Advice(action="wait", step=step, reasons=(" ".join(str(problem).split()),))

    def _give(self, advice: Advice, stop: bool, state: Any, control: Any, **shown: Any) -> None:
        """Writes and logs the advice, and marks the checkpoint to keep."""
        self.advice = advice
        self.folder.add_advice(advice.to_line(self._knobs(), stop))
        numbers = {f"qdlaws/{name}": value for name, value in shown.items() if value is not None}
        self._reporting = True
        log_numbers(self.trainer, {**numbers, **advice_series(advice)}, state, control)
        self._reporting = False
        self._mark_best(advice, state)
        if stop:
            why = advice.reasons[0] if advice.reasons else ""
            say.warning("stopped at step %d: %s", state.global_step, why)

    def _end(self, control: Any) -> None:
        """Ends the run, with a checkpoint, unless one that held the floor is there already."""
        control.should_training_stop = True
        control.should_save = control.should_save or self._held is None

    def _mark_best(self, advice: Advice, state: Any) -> None:
        """Names the checkpoint to keep as the best one, unless a metric of the user's does."""
        free = getattr(self.trainer.args, "metric_for_best_model", None) is None
        if not free or self._held is not None or advice.checkpoint is None:
            return
        path = self.folder.checkpoint(advice.checkpoint)
        if path.is_dir():
            state.best_model_checkpoint = str(path)

    def _save_where_held(self, state: Any, control: Any) -> float | None:
        """Saves the policy of a row that holds all floors, which a stop may have to go back to."""
        floors, row = self.goal.floors(), self.rows[-1]
        holds = all(row.get(c) is not None and row[c] >= floor for c, floor in floors.items())
        if self.mode != "stop" or not floors or not agreed(self.trainer, holds):
            return None
        if not control.should_save:  # else the trainer saves it, and decides how long it stays
            control.should_save, self._saving = True, state.global_step
        return float(state.global_step)

    def _stop_at_breach(self, advice: Advice, words: str) -> Advice:
        """The advice to stop for a floor that is broken beyond doubt."""
        kept = [reason for reason in advice.reasons if reason.startswith("Keep checkpoint")]
        if self._held is not None:
            kept = [f"{self._held} has the policy of the last row that held it", *kept]
        return replace(
            advice, action="stop", du=None, confidence=None, reasons=(words, *dict.fromkeys(kept))
        )

    def _row(self, step: int) -> dict[str, Any]:
        beta, scale = self._now()
        knobs = {"kl_coef": beta, "reward_scale": scale, "entropy_coef": self._bonus()}
        row = {"step": step, "phase": "eval", **self._window.record(), **knobs}
        self._window = Window()
        values: dict[str, Any] = plain(row)
        return values

    def _bonus(self) -> float:
        return float(getattr(self.trainer, "entropy_coef", 0.0) or 0.0)

    def _now(self) -> tuple[float, float]:
        """beta and the reward scale in force."""
        return float(self.trainer.beta), self._scale

    def _decide(self, log: RunLog, checkpoints: list[float] | None) -> Advice:
        """The one decision of a row: a stop, the turn of the controller, or advice to a person."""
        try:
            return advise_run(
                log,
                self.goal,
                self._controlled(log) if self.mode == "steer" else None,
                checkpoints=checkpoints,
                may_stop=self.stops,
                plant_gain=self.gain,
                alpha=self.alpha,
            )
        except MissingColumn as problem:  # no completion could be measured so far
            return Advice(action="wait", step=float(log.step[-1]), reasons=(str(problem),))

    def _controlled(self, log: RunLog) -> Advice:
        """The turn of the controller, u staying within reach of that of the start."""
        beta, scale = self._now()
        start, u = _log_ratio(*self._start), _log_ratio(beta, scale)
        advice = turn_within_reach(log, self.goal, start, u, self.gain)
        if not advice.du:
            return advice
        name, old, new = "beta", beta, beta * math.exp(-advice.du)
        if self.turn == "reward_scale":
            name, old, new = "reward scale", scale, scale * math.exp(advice.du)
        return replace(advice, reasons=(*advice.reasons, f"{name} {old:.4g} → {new:.4g}"))

    def _turn_by(self, du: float) -> None:
        du = float(agreed(self.trainer, du))
        beta, scale = self._now()
        if self.turn == "beta":
            self._set(beta * math.exp(-du), scale)
        else:
            self._set(beta, scale * math.exp(du))

    def _set(self, beta: float, scale: float) -> None:
        if self.turn == "beta":
            self.trainer.beta = beta
        else:
            self._scale = scale
            self.trainer.reward_weights = self._weights * scale

    def _knobs(self) -> dict[str, float]:
        """The knobs from now on, as every ``advice.jsonl`` calls them."""
        if not self._measures:
            return {}
        beta, scale = self._now()
        return {"kl": beta, "reward_scale": scale, "entropy": self._bonus()}

    def _checkpoints(self, saved: float | None) -> list[float] | None:
        """The steps with a row whose checkpoints exist, one being ``saved`` included.

        Where none is kept a run that stops saves its last policy, so that one counts too.
        """
        seen = [float(row["step"]) for row in self.rows]
        existing = self.folder.checkpoints(seen, saved)
        if existing is None or self._held is not None:
            return existing
        return sorted({*existing, seen[-1]})


def _log_ratio(beta: float, scale: float) -> float:
    return float(np.log(scale / beta)) if beta > 0 and scale > 0 else float("nan")


@cache
def _made() -> Any:
    """The class, made a TrainerCallback at its first use."""
    from transformers import TrainerCallback

    return type("LawCallback", (_LawCallback, TrainerCallback), {"__doc__": _LawCallback.__doc__})


def __getattr__(name: str) -> Any:
    if name == "LawCallback":
        return _made()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
