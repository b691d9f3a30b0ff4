"""A run that is told to stop is not told to turn a knob: in advise, in the trainer, and in TRL."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from qdlaws import Goal, advise
from qdlaws.integrations.trl.callback import _LawCallback
from tests.helpers.control_logs import START, lines_of
from tests.helpers.simulated_logs import simulated_log
from trainer.algorithms.recipes import rloo
from trainer.control import make_controller
from trainer.training.run_control import RunControl, RunStart

GOALS = (
    Goal(min_diversity=0.75),
    Goal(min_diversity=0.75, price=0.5),
    Goal(min_diversity=0.6, min_gain_per_step=1e-3),
    Goal(min_entropy=0.3, target_quality=0.6),
    Goal(price=1.0),
    Goal(budget_steps=390, min_diversity=0.5),
    Goal(),
)
KEYS = {
    *("step", "action", "checkpoint", "entropy_target", "diversity_target", "kl_factor"),
    *("reward_scale_factor", "confidence", "strength", "alarms", "reasons", "figures", "knobs"),
    "stopped",
}
"""The keys of every line of ``advice.jsonl``, whoever writes it."""

TURN = re.compile(r"multiply the KL|(kl|beta|scale|entropy) \S+ → ")
"""The sentences that say how a knob is turned."""


def turns_nothing(line):
    factors = (line["kl_factor"], line["reward_scale_factor"])
    return factors == (None, None) and not any(map(TURN.search, line["reasons"]))


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.words())
def test_advice_to_stop_has_no_factor_and_no_turn(goal):
    lines = [advise(simulated_log(seed), goal).to_dict() for seed in range(12)]
    stops = [line for line in lines if line["action"] == "stop"]
    assert stops
    assert all(map(turns_nothing, stops))
    turns = [line for line in lines if line["action"] in ("tighten", "loosen")]
    assert not any(map(turns_nothing, turns))


@pytest.mark.parametrize("name", ["fixed", "law_guided"])
@pytest.mark.parametrize("goal", [GOALS[0], GOALS[2]], ids=lambda goal: goal.words())
def test_a_run_of_the_trainer_that_stops_keeps_its_knobs(name, goal, tmp_path):
    saved = tmp_path / "checkpoints" / "step-000050"
    saved.mkdir(parents=True)
    (saved / "state.json").touch()
    controller, steers = make_controller(name, rloo(), START, goal), name != "fixed"
    stopped = 0
    for seed in range(4):
        log = simulated_log(seed)
        (tmp_path / "metrics.jsonl").write_text("\n".join(lines_of(log)))
        for stops in (True, False):
            control = RunControl(RunStart(START), goal, controller, steers, True, stops)
            decision = control.decide(tmp_path, START, int(log.step[-1]))
            line = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
            assert set(line) == KEYS
            if line["action"] == "stop":
                assert turns_nothing(line)
                assert decision.knobs == START
                # a likely stop is for a person: it ends no run
                assert line["stopped"] is (stops and line["strength"] == "certain")
                assert stops or not steers  # a controller that may not stop goes on steering
            stopped += line["stopped"]
    assert stopped


class FakeTrainer:
    """A trainer as TRL's is seen by the callback, with one reward function."""

    scale_rewards, beta = "none", 0.05
    args = SimpleNamespace(use_bias_correction_kl=False)
    accelerator = SimpleNamespace(num_processes=1, is_main_process=True)
    reward_weights = torch.ones(1)

    def sample(self, number, reward):
        words = [f"w{number} {k}" for k in range(8)]
        self._logs = {"prompt": ["p"] * 8, "completion": words, "rewards": {"f": [reward] * 8}}
        self._metrics = {"train": defaultdict(list, entropy=[0.5], kl=[0.1])}


@pytest.mark.parametrize("mode", ["advise", "stop", "steer"])
def test_a_line_of_trl_is_one_decision(mode, tmp_path):
    goal = Goal(min_diversity=0.65, target_quality=0.9)
    levels = iter(np.concatenate([np.linspace(0.9, 0.6, 15), np.full(25, 0.6)]))
    trainer = FakeTrainer()
    trainer.sample(0, 0.5)
    callback = _LawCallback(
        goal, mode=mode, every=1, diversity=lambda *_: next(levels), gain=0.1, may_stop=True
    )
    callback.trainer = trainer
    args, state = SimpleNamespace(output_dir=str(tmp_path)), SimpleNamespace(global_step=0)
    control = SimpleNamespace(should_training_stop=False, should_save=False)
    callback.on_train_begin(args, state, control)
    for step in range(1, 41):
        before = trainer.beta
        trainer.sample(step, 0.5 + 0.02 * min(step, 30) + 0.001 * (-1) ** step)
        state.global_step = step
        callback.on_step_end(args, state, control)
        line = json.loads((tmp_path / "qdlaws" / "advice.jsonl").read_text().splitlines()[-1])
        assert set(line) == KEYS
        assert line["knobs"]["kl"] == trainer.beta
        if mode == "steer" and line["kl_factor"] is not None:
            assert trainer.beta == pytest.approx(before * line["kl_factor"])
        else:
            assert trainer.beta == before
        if line["action"] == "stop":
            assert turns_nothing(line)
        assert line["stopped"] is control.should_training_stop
        if line["stopped"]:
            break
    assert line["stopped"]
    assert line["action"] == "stop"
