"""qdlaws inside verl: the trainer mode ``qdlaws_sync``, which advises, stops and turns the KL.

An entry point of the group ``verl.plugins`` loads this wherever verl is imported beside qdlaws. A
run uses it by

    trainer.v1.trainer_mode=qdlaws_sync +trainer.qdlaws.mode=steer +trainer.qdlaws.min_entropy=0.3

The trainer is verl's own synchronous one. It reads what the trainer logs (``critic/score/mean``,
``actor/entropy``, ``actor/reward_kl_penalty``), every ``every`` steps one row, in the folder
``qdlaws`` below ``trainer.default_local_dir``; sets ``kl_ctrl_in_reward.value``, which verl reads
at every step; and ends a run by making the next step its last one, which verl saves and validates.
The strength of a KL in the loss (``use_kl_loss``) lives in the workers, where no driver reaches it:
to steer is then refused before the first step. It follows the interface of verl 0.9.1.
"""

from __future__ import annotations

import logging
import math
import sys
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
from qdlaws.integrations.online import OnlineAdvisor, advisor
from qdlaws.integrations.run_folder import RunFolder
from qdlaws.integrations.series import advice_series

__all__ = ["MODE", "VerlRun", "register", "steering_problem", "trainer_class"]

MODE = "qdlaws_sync"
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
    rows: list[dict[str, Any]] = field(default_factory=list)
    _since: list[Mapping[str, Any]] = field(default_factory=list)
    _start: float = math.nan

    def begin(self, step: int, strength: float) -> None:
        """Takes up the rows of a resumed run."""
        self.rows = self.folder.resume(step)
        first = float(self.rows[0]["kl_coef"]) if self.rows else strength
        self._start = _log_ratio(first)

    def take(self, metrics: Mapping[str, Any], step: int, trainer: Any) -> dict[str, float]:
        """Reads what a step logged; at the end of a row advises and acts. The series to log."""
        self._since.append(metrics)
        if step % self.advisor.every:
            return {}
        strength = _strength(trainer)
        row = self._row(step, strength)
        if row["quality"] is None and row["entropy"] is None:
            return {}
        self.rows.append(row)
        self.folder.add_row(row)
        decided = self.advisor.decide(
            run_log(self.rows),
            self._start,
            _log_ratio(strength),
            lambda factor: f"kl_ctrl_in_reward {strength:.4g} → {strength / factor:.4g}",
        )
        if decided.scale_factor != 1:
            trainer.kl_ctrl_in_reward.value = strength / decided.scale_factor
        if decided.stop:
            trainer.total_training_steps = min(trainer.total_training_steps, step + 1)
            say.warning("step %d will be the last: %s", step + 1, decided.advice.reasons[0])
        knobs = {"kl": _strength(trainer), "reward_scale": 1.0, "entropy": 0.0}
        self.folder.add_advice(decided.advice.to_line(knobs, decided.stop))
        return advice_series(decided.advice) | {"qdlaws/kl_coef": knobs["kl"]}

    def _row(self, step: int, strength: float) -> dict[str, Any]:
        row: dict[str, Any] = {"step": step, "phase": "eval", "quality_kind": "train_reward"}
        wanted = METRICS | ({"diversity": self.diversity} if self.diversity else {})
        for name, metric in wanted.items():
            logged = [float(m[metric]) for m in self._since if metric in m]
            row[name], row[f"{name}_se"] = over_steps(logged)
        self._since = []
        row |= {"entropy_kind": self.entropy_kind, "kl_coef": strength, "reward_scale": 1.0}
        values: dict[str, Any] = plain(row)
        return values


def _strength(trainer: Any) -> float:
    """The strength of the KL in the reward that is in force; 0 where there is none."""
    return float(getattr(getattr(trainer, "kl_ctrl_in_reward", None), "value", 0.0))


def _log_ratio(strength: float) -> float:
    return -math.log(strength) if strength > 0 else math.nan


def steering_problem(config: Any) -> str | None:
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
    return None


def _run(config: Any) -> VerlRun:
    """The run that a configuration describes; refused where it cannot be steered."""
    options = dict(config.trainer.get("qdlaws") or {})
    diversity, folder = options.pop("diversity", ""), options.pop("folder", None)
    deciding = advisor(options)
    problem = steering_problem(config) if deciding.mode == "steer" else None
    if problem:
        raise BadData(f"trainer.qdlaws.mode=steer: {problem}")
    mean = config.actor_rollout_ref.actor.get("loss_agg_mode", "token-mean") == "token-mean"
    kind = EntropyKind.TOKEN if mean else EntropyKind.SEQUENCE
    output = Path(folder or config.trainer.default_local_dir)
    return VerlRun(deciding, RunFolder(output), diversity, str(kind))


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
            run.begin(self.global_steps - 1, _strength(self))

            def logged(data: Mapping[str, Any], step: int, **rest: Any) -> None:
                log(data={**data, **run.take(data, step, self)}, step=step, **rest)

            self.logger.log = logged

    return QdlawsTrainerSync


@cache
def register() -> Any:
    """Makes the trainer mode known to verl; returns its class."""
    verl = import_module("verl.trainer.ppo.v1")
    return verl.register_trainer(MODE)(trainer_class(verl.PPOTrainerSync))


if "verl" in sys.modules:  # verl itself loads this, by the entry point
    register()
