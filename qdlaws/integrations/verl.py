"""qdlaws inside verl: the trainer mode ``qdlaws_sync``, which advises, stops and turns a knob.

An entry point of the group ``verl.plugins`` loads this wherever verl is imported beside qdlaws. A
run uses it by

    trainer.v1.trainer_mode=qdlaws_sync +trainer.qdlaws.mode=steer +trainer.qdlaws.min_entropy=0.3

The trainer is verl's own synchronous one. It reads what the trainer logs (``critic/score/mean``,
``actor/entropy``, ``actor/reward_kl_penalty``), every ``every`` steps one row, in the folder
``qdlaws`` below ``trainer.default_local_dir``; sets ``kl_ctrl_in_reward.value``, which verl reads
at every step, or with ``turn=reward_scale`` the scale of
:func:`qdlaws.integrations.verl_reward.scaled_score`; and ends a run by making the next step its
last one, which verl saves and validates where ``save_freq`` and ``test_freq`` are above 0.
The strength of a KL in the loss (``use_kl_loss``) lives in the workers, where no driver reaches it:
to steer is then refused before the first step. It follows the interface of verl 0.9.1.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from qdlaws.core.kinds import EntropyKind
from qdlaws.core.run_rows import run_log
from qdlaws.core.serialize import plain
from qdlaws.errors import BadData
from qdlaws.integrations.batch import over_steps
from qdlaws.integrations.online import Decision, OnlineAdvisor, advisor
from qdlaws.integrations.run_folder import RunFolder
from qdlaws.integrations.series import advice_series
from qdlaws.integrations.verl_reward import PATH, write_scale

__all__ = ["MODE", "VerlRun", "register", "steering_problem", "trainer_class"]

MODE = "qdlaws_sync"
TURNS = ("kl", "reward_scale")
METRICS = {
    "quality": "critic/score/mean",
    "entropy": "actor/entropy",
    "kl": "actor/reward_kl_penalty",
}
say = logging.getLogger("qdlaws")


@dataclass
class VerlRun:
    """A run of verl: the rows measured so far, and how the trainer is to be turned."""

    advisor: OnlineAdvisor
    folder: RunFolder
    diversity: str = ""
    """The logged metric that is its diversity, where there is one."""
    entropy_kind: str = str(EntropyKind.TOKEN)
    turn: str = "kl"
    """The knob that steering turns, of ``TURNS``."""
    scale: float = 1.0
    """The reward scale in force."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    _since: list[Mapping[str, Any]] = field(default_factory=list)
    _start: float = math.nan

    def begin(self, step: int, trainer: Any) -> None:
        """Takes up the rows of a resumed run; its knobs follow from them."""
        self.rows = self.folder.resume(step)
        steers = self.advisor.mode == "steer"
        if self.rows and steers:
            self.scale = float(self.rows[-1]["reward_scale"])
            trainer.kl_ctrl_in_reward.value = float(self.rows[-1]["kl_coef"])
        first = self.rows[0] if self.rows else {"kl_coef": _strength(trainer), "reward_scale": 1.0}
        self._start = _log_ratio(float(first["kl_coef"]), float(first["reward_scale"]))
        if self.rows and steers:
            self._turn(self._decide(trainer), trainer)
        elif steers and self.turn == "reward_scale":
            write_scale(self.folder.output, self.scale)  # an earlier run may have left one

    def _decide(self, trainer: Any) -> Decision:
        """The decision on the rows so far."""
        strength, scale = _strength(trainer), self.scale

        def words(factor: float) -> str:
            if self.turn == "kl":
                return f"kl_ctrl_in_reward {strength:.4g} → {strength / factor:.4g}"
            return f"reward scale {scale:.4g} → {scale * factor:.4g}"

        now = _log_ratio(strength, scale)
        return self.advisor.decide(run_log(self.rows), self._start, now, words)

    def _turn(self, decided: Decision, trainer: Any) -> None:
        """Puts a decision on the knob."""
        if decided.scale_factor == 1 and self.turn == "kl":
            return
        if self.turn == "kl":
            trainer.kl_ctrl_in_reward.value = _strength(trainer) / decided.scale_factor
        else:
            self.scale *= decided.scale_factor
            write_scale(self.folder.output, self.scale)

    def take(self, metrics: Mapping[str, Any], step: int, trainer: Any) -> dict[str, float]:
        """Reads what a step logged; at the end of a row advises and acts. The series to log."""
        self._since.append(metrics)
        if step % self.advisor.every:
            return {}
        row = self._row(step, _strength(trainer))
        if row["quality"] is None and row["entropy"] is None:
            return {}
        self.rows.append(row)
        self.folder.add_row(row)
        decided = self._decide(trainer)
        self._turn(decided, trainer)
        if decided.stop:
            trainer.total_training_steps = min(trainer.total_training_steps, step + 1)
            say.warning("step %d will be the last: %s", step + 1, decided.advice.reasons[0])
        knobs = {"kl": _strength(trainer), "reward_scale": self.scale, "entropy": 0.0}
        self.folder.add_advice(decided.advice.to_line(knobs, decided.stop))
        shown = {"qdlaws/kl_coef": knobs["kl"], "qdlaws/reward_scale": self.scale}
        return advice_series(decided.advice) | shown

    def _row(self, step: int, strength: float) -> dict[str, Any]:
        row: dict[str, Any] = {"step": step, "phase": "eval", "quality_kind": "train_reward"}
        wanted = METRICS | ({"diversity": self.diversity} if self.diversity else {})
        for name, metric in wanted.items():
            logged = [float(m[metric]) for m in self._since if metric in m]
            if name == "quality":  # the reward itself, not the scaled one
                logged = [value / self.scale for value in logged]
            row[name], row[f"{name}_se"] = over_steps(logged)
        self._since = []
        row |= {"entropy_kind": self.entropy_kind, "kl_coef": strength}
        row["reward_scale"] = self.scale
        values: dict[str, Any] = plain(row)
        return values


def _strength(trainer: Any) -> float:
    """The strength of the KL in the reward that is in force; 0 where there is none."""
    return float(getattr(getattr(trainer, "kl_ctrl_in_reward", None), "value", 0.0))


def _log_ratio(strength: float, scale: float) -> float:
    return math.log(scale / strength) if strength > 0 else math.nan


def steering_problem(config: Any, turn: str = "kl", folder: str = "") -> str | None:
    """Why a run of this configuration cannot be steered, with the remedy; None where it can."""
    if config.actor_rollout_ref.actor.get("use_kl_loss", False):
        return (
            "use_kl_loss=True: the strength of a KL in the loss lives in the workers, where no "
            "driver can turn it; set actor_rollout_ref.actor.use_kl_loss=False and "
            "algorithm.use_kl_in_reward=True"
        )
    if not config.algorithm.get("use_kl_in_reward", False):
        return "without a KL there is nothing to turn; set algorithm.use_kl_in_reward=True"
    if config.algorithm.kl_ctrl.get("type", "fixed") != "fixed":
        return (
            "algorithm.kl_ctrl.type=adaptive is a controller too, and two of them on one run work "
            "against each other; set it to fixed"
        )
    if not config.algorithm.kl_ctrl.kl_coef > 0:
        return "algorithm.kl_ctrl.kl_coef is not above 0; set it to a small positive number"
    if turn == "reward_scale":
        reward = dict(config.reward.get("custom_reward_function") or {})
        run = Path(str(dict(reward.get("reward_kwargs") or {}).get("run", "")))
        named = (reward.get("path"), reward.get("name")) == (PATH, "scaled_score")
        if not named or run != Path(folder):
            where = "reward.custom_reward_function"
            return (
                f"turn=reward_scale needs the reward function that reads the scale: set "
                f"{where}.path={PATH}, {where}.name=scaled_score and "
                f"+{where}.reward_kwargs.run={folder}"
            )
    return None


def _run(config: Any) -> VerlRun:
    """The run that a configuration describes; refused where it cannot be steered."""
    options = dict(config.trainer.get("qdlaws") or {})
    diversity, turn = options.pop("diversity", ""), options.pop("turn", "kl")
    output = Path(options.pop("folder", None) or config.trainer.default_local_dir)
    deciding = advisor(options)
    if turn not in TURNS:
        raise BadData(f"trainer.qdlaws.turn={turn}: one of {', '.join(TURNS)} was needed")
    steers = deciding.mode == "steer"
    problem = steering_problem(config, turn, str(output)) if steers else None
    if problem:
        raise BadData(f"trainer.qdlaws.mode=steer: {problem}")
    mean = config.actor_rollout_ref.actor.get("loss_agg_mode", "token-mean") == "token-mean"
    kind = EntropyKind.TOKEN if mean else EntropyKind.SEQUENCE
    return VerlRun(deciding, RunFolder(output), diversity, str(kind), turn)


def trainer_class(base: Any) -> Any:
    """The synchronous trainer of verl, advised."""

    class QdlawsTrainerSync(base):  # type: ignore[misc]
        """verl's synchronous trainer, whose log is read after every step."""

        def __init__(self, config: Any) -> None:
            self.qdlaws_run = _run(config)
            super().__init__(config)

        def on_train_begin(self) -> None:
            super().on_train_begin()
            run, log = self.qdlaws_run, self.logger.log
            run.begin(self.global_steps - 1, self)

            def logged(data: Mapping[str, Any], step: int, **rest: Any) -> None:
                log(data={**data, **run.take(data, step, self)}, step=step, **rest)

            self.logger.log = logged

    return QdlawsTrainerSync


@cache
def register() -> Any:
    """Makes the trainer mode known to verl; returns its class."""
    verl = import_module("verl.trainer.ppo.v1")
    return verl.register_trainer(MODE)(trainer_class(verl.PPOTrainerSync))


def __getattr__(name: str) -> Any:
    """Registers the mode where verl takes ``plugin``, the entry point, from this module."""
    if name == "plugin":
        return register()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
