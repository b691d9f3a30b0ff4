"""Common controllers: fixed, adaptive KL (PPO), dual ascent on entropy (SAC), steps (TRL)."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Literal

import numpy as np

from qdlaws.core.advice import Action, Advice
from qdlaws.core.run_rows import extra_column
from qdlaws.core.runlog import RunLog
from qdlaws.errors import BadData, MissingColumn
from trainer.control.decision import Controller, Decision
from trainer.control.knob_dial import Dial
from trainer.knobs import Knobs

__all__ = ["entropy_target", "fixed", "kl_target", "stepped_entropy"]

UP, DOWN = 0.2, 0.7
"""The most that one decision turns the log ratio, for every controller alike."""


def fixed() -> Controller:
    """Knobs as they are."""

    def decide(log: RunLog, knobs: Knobs) -> Decision:
        reasons = ("the knobs are fixed",)
        step = float(log.step[-1])
        return Decision(Advice(action="continue", step=step, reasons=reasons, du=0.0), knobs)

    return decide


def kl_target(
    dial: Dial,
    target: float,
    *,
    rule: Literal["proportional", "doubling"] = "proportional",
    rate: float = 0.1,
) -> Controller:
    """Adaptive KL: tighter where the measured KL is above the target, looser below.

    Parameters
    ----------
    dial : the knob that is turned
    target : the KL to hold, in nats per completion
    rule : "proportional": log strength += rate·clip(KL/target − 1, −.2, .2) a step (Ziegler et al.
        2019); "doubling": ×2 above 1.5·target, ÷2 below target/1.5 (Schulman et al. 2017)
    rate : of the proportional rule
    """
    _positive("kl_target: target", target)
    _positive("kl_target: rate", rate)
    if rule not in ("proportional", "doubling"):
        raise BadData(f"kl_target: rule={rule!r}, 'proportional' or 'doubling' was needed")

    def decide(log: RunLog, knobs: Knobs) -> Decision:
        now = _last_extra(log, "kl")
        if not isfinite(now):
            return _held(log, dial, knobs, "the last KL is missing", target=target, level=now)
        if rule == "doubling":
            du = float(np.log(2) * ((now < target / 1.5) - float(now > 1.5 * target)))
        else:
            du = -rate * _steps(log) * float(np.clip(now / target - 1, -0.2, 0.2))
            du = float(np.clip(du, -DOWN, UP))
        words = f"KL is {now:.3g}, the target {target:g}"
        return _turned(log, dial, knobs, du, words, target=target, level=now)

    return decide


def entropy_target(dial: Dial, target: float, *, rate: float = 0.5) -> Controller:
    """Dual ascent on the measured entropy H in nats: log strength += rate·(target − H).

    The temperature's own gradient in soft actor-critic (Haarnoja et al. 2018, with log α as there).

    Parameters
    ----------
    dial : the knob that is turned
    target : the entropy to hold, in nats
    rate : turn of the log strength for a nat of distance
    """
    if not isfinite(target):
        raise BadData(f"entropy_target: target={target!r}, a number of nats was needed")
    _positive("entropy_target: rate", rate)

    def decide(log: RunLog, knobs: Knobs) -> Decision:
        now = float(log.column("entropy")[-1])
        if not isfinite(now):
            return _held(log, dial, knobs, "the last entropy is missing", target=target, level=now)
        du = float(np.clip(-rate * (target - now), -DOWN, UP))
        words = f"entropy is {now:.3g}, the target {target:g}"
        return _turned(log, dial, knobs, du, words, target=target, level=now)

    return decide


def stepped_entropy(
    dial: Dial, target: float, *, step: float = 0.05, lowest: float = 0.0, highest: float = 1.0
) -> Controller:
    """A fixed step towards the entropy target at every decision.

    On the entropy bonus this is TRL's ``use_adaptive_entropy`` (there .2 nats, steps of .005): a
    coefficient in [lowest, highest] that rises by the step where H is below the target and falls
    where it is not, and is applied only where H is at most the target. On the KL or the reward
    scale u moves by the step.

    Parameters
    ----------
    dial : the knob that is turned
    target : the entropy to hold, in nats
    step : the turn at each decision
    lowest : the least entropy bonus
    highest : the largest entropy bonus
    """
    _positive("stepped_entropy: step", step)
    if not isfinite(target):
        raise BadData(f"stepped_entropy: target={target!r}, a number of nats was needed")

    def decide(log: RunLog, knobs: Knobs) -> Decision:
        readings = log.column("entropy")
        now = float(readings[-1])
        if not isfinite(now):
            return _held(log, dial, knobs, "the last entropy is missing", target=target, level=now)
        words = f"entropy is {now:.3g}, the target {target:g}"
        if dial.turn != "entropy":
            du = -step if now < target else step
            return _turned(log, dial, knobs, du, words, target=target, level=now)
        bonus = dial.start.entropy  # the coefficient follows from the log alone
        for reading in readings[np.isfinite(readings)]:
            bonus = float(np.clip(bonus + (step if reading < target else -step), lowest, highest))
        turned = replace(knobs, entropy=bonus if now <= target else 0.0)
        figures = {"target": target, "level": now, "coefficient": bonus}
        return _decision(log, dial, knobs, turned, words, **figures)

    return decide


# ---------------------------------------------------------------------- inside


def _turned(
    log: RunLog, dial: Dial, knobs: Knobs, du: float, words: str, **figures: float
) -> Decision:
    return _decision(log, dial, knobs, dial.turned(knobs, du), words, **figures)


def _decision(
    log: RunLog, dial: Dial, before: Knobs, after: Knobs, words: str, **figures: float
) -> Decision:
    du = dial.ratio(after) - dial.ratio(before)
    up = getattr(after, dial.turn) - getattr(before, dial.turn)
    action: Action = "continue"
    if up != 0:
        action = "loosen" if (up > 0) is (dial.turn == "reward_scale") else "tighten"
    advice = Advice(
        action=action,
        step=float(log.step[-1]),
        reasons=(words, *dial.words(before, after)),
        du=dial.step(du),
        figures={"u": dial.ratio(after), "du": du} | figures,
    )
    return Decision(advice, after)


def _held(log: RunLog, dial: Dial, knobs: Knobs, why: str, **figures: float) -> Decision:
    advice = Advice(
        action="wait",
        step=float(log.step[-1]),
        reasons=(f"{why}: nothing is turned",),
        figures={"u": dial.ratio(knobs), "du": 0.0} | figures,
    )
    return Decision(advice, knobs)


def _last_extra(log: RunLog, name: str) -> float:
    values = extra_column(log, name)
    if values is not None:
        return float(values[-1])
    have = ", ".join(map(str, log.extra.columns)) or "none"
    raise MissingColumn(f"kl_target needs a column kl in the evaluations; found {have}")


def _steps(log: RunLog) -> float:
    """Steps since the evaluation before."""
    return float(log.step[-1] - log.step[-2]) if len(log) > 1 else 0.0


def _positive(name: str, value: float) -> None:
    if not (isfinite(value) and value > 0):
        raise BadData(f"{name} is {value!r}, a number above 0 was needed")
