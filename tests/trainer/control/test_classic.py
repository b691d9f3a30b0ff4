"""The controllers of other trainers: adaptive KL, dual ascent on entropy, fixed steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qdlaws import Goal, MissingColumn, RunLog
from tests.helpers.control_logs import START, log_with
from trainer.algorithms.recipes import entropy_bonus, rloo
from trainer.analysis.simulated_run import QED
from trainer.analysis.simulated_run import simulate as run
from trainer.control import make_controller
from trainer.knobs import Knobs


def test_kl_target_moves_the_kl_towards_the_target():
    options = {"target": 0.1, "turn": "kl"}
    proportional = make_controller("kl_target", rloo(), START, **options)
    doubling = make_controller("kl_target", rloo(), START, rule="doubling", **options)
    for kl, factor, doubled in ((0.1, 1.0, 1.0), (0.105, np.exp(0.05), 1), (0.2, np.exp(0.2), 2)):
        log = log_with([0.8, 0.8], kl=[kl, kl])  # 10 steps apart: rate .1 a step
        assert proportional(log, START).knobs.kl == pytest.approx(0.1 * factor)
        assert doubling(log, START).knobs.kl == pytest.approx(0.1 * doubled)
    assert doubling(log_with([0.8], kl=[0.01]), START).knobs.kl == pytest.approx(0.05)
    held = proportional(log_with([0.8, 0.8], kl=[0.3, np.nan]), START)
    assert (held.advice.action, held.knobs) == ("wait", START)


def test_kl_target_without_a_kl_column_names_the_columns_of_the_log():
    log = RunLog.from_records([{"step": 0, "quality": 1.0, "reward_scale": 1.0}])
    with pytest.raises(MissingColumn, match="reward_scale"):
        make_controller("kl_target", rloo(), START, target=1.0)(log, START)


@pytest.mark.parametrize("name", ["entropy_target", "stepped_entropy"])
@pytest.mark.parametrize("turn", ["kl", "reward_scale"])
def test_entropy_controllers_settle_at_their_target(name, turn):
    target = QED.curves.entropy(4.0)
    plant = replace(QED, noise=0.002)
    controller = make_controller(name, rloo(), START, target=target, turn=turn)
    trace = run(plant, controller, START, steps=1500, seed=0)
    assert np.mean(trace.truth[-40:, 2]) == pytest.approx(target, abs=0.06)


def test_stepped_entropy_on_the_bonus_follows_trl():
    start = Knobs(0.0, 1.0, 0.01)
    controller = make_controller(
        "stepped_entropy", entropy_bonus(), start, Goal(min_entropy=0.2), step=0.005
    )
    readings = [0.1, 0.15, 0.3, 0.1]  # TRL: .015, .020, .015 (not applied above the target), .020
    applied = [0.015, 0.020, 0.0, 0.020]
    knobs = start
    for n, (expected, action) in enumerate(
        zip(applied, ("tighten", "tighten", "loosen", "tighten"), strict=True), 1
    ):
        decision = controller(log_with([0.8] * n, entropy=readings[:n]), knobs)
        assert decision.knobs.entropy == pytest.approx(expected)
        assert decision.advice.action == action
        knobs = decision.knobs
    many = log_with([0.8] * 300, entropy=[0.1] * 300)
    assert controller(many, knobs).knobs.entropy == 1.0
