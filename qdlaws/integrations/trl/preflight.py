"""Settings of a TRL trainer with which advice or steering cannot work, checked before it trains.

``beta`` is read from the trainer at every loss, so it can be turned live; whether that steers
anything depends on how rewards are normalised, which KL gradient is taken, and whether a reference
model was made at all. The trainer's attributes tell that before the first step; no import.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from qdlaws.errors import BadData
from qdlaws.integrations.trl.trainer_access import keeps_completions

__all__ = ["SetupProblems", "setup_problems", "steering_settings"]

Mode = Literal["advise", "stop", "steer"]
Turned = Literal["beta", "reward_scale"]
SURROGATES = ("grpo", "bnpo", "dr_grpo", "dapo")


@dataclass(frozen=True)
class SetupProblems:
    """Problems that forbid a run, and warnings; each says which setting to change."""

    fatal: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def setup_problems(trainer: Any, mode: Mode, turn: Turned) -> SetupProblems:
    """The problems of a trainer in this mode, turning this knob."""
    steers = mode == "steer"
    if not keeps_completions(trainer):
        name = type(trainer).__name__
        words = f"{name} is no GRPOTrainer or RLOOTrainer of TRL 0.22 or later"
        return SetupProblems((f"{words}: it can be advised and stopped, not steered",) * steers)
    fatal: list[str] = []
    warnings: list[str] = []
    if not trainer.beta > 0 and mode != "stop":  # to stop a run needs no KL
        words = (
            f"beta is {trainer.beta:g}, so no reference model was made, no KL is logged, and "
            "raising it later crashes; set beta to a small positive number, such as 1e-3"
        )
        (fatal if steers else warnings).append(words)
    if steers:
        reasons = (check(trainer, turn) for check in _STEERING_CHECKS)
        fatal += [reason for reason in reasons if reason is not None]
        warnings += _loss_warnings(trainer)
    return SetupProblems(tuple(fatal), tuple(warnings))


def steering_settings(config: Any, turn: str, beta: float) -> dict[str, Any]:
    """The arguments with which none of the checks below refuses a trainer of TRL.

    Only those that the class of arguments ``config`` has; without one, all of TRL's GRPOConfig.
    """
    if turn not in ("beta", "reward_scale"):
        raise BadData(f"turn={turn!r}: one of beta, reward_scale was needed")
    if not beta > 0:
        raise BadData(f"beta={beta!r}: a number above 0 was needed, without KL nothing is steered")
    wanted: dict[str, Any] = {"beta": beta, "use_bias_correction_kl": False}
    if turn == "reward_scale":
        wanted["scale_rewards"] = "none"
    if config is None:
        return wanted
    return {name: value for name, value in wanted.items() if hasattr(config, name)}


def _is_grpo(trainer: Any) -> bool:
    return hasattr(trainer, "scale_rewards")


def _normalised(trainer: Any) -> str | None:
    """The setting by which GRPO divides the reward, but not the KL, by a spread; None without."""
    if not _is_grpo(trainer):
        return None
    if getattr(trainer, "multi_objective_aggregation", "") == "normalize_then_sum":
        return "multi_objective_aggregation='normalize_then_sum'"
    how = str(trainer.scale_rewards).lower()
    how = {"true": "group", "false": "none"}.get(how, how)
    return None if how == "none" else f"scale_rewards={how!r}"


def _folded(trainer: Any, turn: Turned) -> str | None:
    """A reverse KL beside a normalised reward: ρ·k3 in the loss has the reverse KL's gradient."""
    how = _normalised(trainer)
    if how is None or not getattr(trainer.args, "use_bias_correction_kl", False):
        return None
    return (
        f"use_bias_correction_kl=True makes the KL gradient that of the reverse KL, and with {how} "
        "raising beta cannot undo a collapse (the settled state is folded); set "
        "use_bias_correction_kl=False, or scale_rewards='none'"
    )


def _dead_scale(trainer: Any, turn: Turned) -> str | None:
    how = _normalised(trainer)
    if turn != "reward_scale" or how is None:
        return None
    return (
        f"{how} divides a reward scale out again, so turning it does nothing; turn='beta', or set "
        "scale_rewards='none'"
    )


def _clipped_scale(trainer: Any, turn: Turned) -> str | None:
    if turn != "reward_scale" or not getattr(trainer, "reward_clip_range", None):
        return None
    return "reward_clip_range clips the scaled reward; turn='beta', or set it to None"


def _captured_beta(trainer: Any, turn: Turned) -> str | None:
    fused = hasattr(trainer, "liger_grpo_loss") or getattr(trainer.args, "use_liger_loss", False)
    if turn != "beta" or not fused:
        return None
    return "the fused Liger loss took its beta when it was made; set use_liger_loss=False"


def _moving_reference(trainer: Any, turn: Turned) -> str | None:
    if not getattr(trainer.args, "sync_ref_model", False):
        return None
    return (
        "sync_ref_model=True moves the reference, so the same beta no longer gives the same "
        "diversity; set sync_ref_model=False"
    )


def _second_controller(trainer: Any, turn: Turned) -> str | None:
    if not getattr(trainer, "use_adaptive_entropy", False):
        return None
    return (
        "use_adaptive_entropy=True is a controller too, and two of them on one run work against "
        "each other; set it to False, or use mode='advise'"
    )


_STEERING_CHECKS = (
    _folded,
    _dead_scale,
    _clipped_scale,
    _captured_beta,
    _moving_reference,
    _second_controller,
)


def _loss_warnings(trainer: Any) -> list[str]:
    loss = getattr(trainer, "loss_type", None)
    if loss is None or loss in SURROGATES:
        return []
    return [
        f"under loss_type={loss!r} it has not been worked out how turning beta changes the "
        "diversity that a run settles at"
    ]
