"""docs/integrations.md: the lines for each trainer run against a stand-in for its hook."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import NamedTuple

import pytest

torch = pytest.importorskip("torch")

PAGE = Path(__file__).parents[2] / "docs" / "integrations.md"
BLOCKS = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
FACTOR = 1.5


def lines(name: str, **given: object) -> SimpleNamespace:
    """The block of the page that is called so, run with the names that its trainer gives it."""
    namespace: dict[str, object] = {**given}
    exec(compile(dict(BLOCKS)[name], name, "exec"), namespace)
    return SimpleNamespace(**namespace)


@pytest.fixture
def advise(tmp_path, monkeypatch):
    """A function that writes an advice.json, in the folder that the trainer runs in."""
    monkeypatch.chdir(tmp_path)
    module = ModuleType("advised_scale")
    vars(module).update(vars(lines("advised_scale.py")))
    monkeypatch.setitem(sys.modules, "advised_scale", module)

    def write(step, factor):
        advice = {"last_step": step, "reward_scale_factor": factor, "action": "tighten"}
        Path("advice.json").write_text(json.dumps(advice))

    return write


def test_every_advice_is_followed_once_and_carefully(advise):
    scale = lines("advised_scale.py").AdvisedScale()
    assert scale() == 1.0  # no advice yet
    for step, factor, now in ((10, 1.5, 1.5), (10, 1.5, 1.5), (20, None, 1.5), (30, 9.0, 3.0)):
        advise(step, factor)
        assert scale() == pytest.approx(now)


def test_openrlhf(advise):
    hook = lines("reward.py", torch=torch, score=lambda q, label: float(q == label))
    advise(10, FACTOR)
    out = hook.reward_func(["a", "b"], ["", ""], ["a", "a"])
    assert out["scores"].tolist() == [1.0, 0.0]
    assert out["rewards"].tolist() == [FACTOR, 0.0]
    assert out["extra_logs"] == {"reward_scale": FACTOR}


def test_prime_rl(advise):
    hook = lines("loss.py", torch=torch, LossOutputs=SimpleNamespace)
    policy = torch.tensor([-1.0, -2.0, -3.0], requires_grad=True)
    inputs = SimpleNamespace(
        trainer_logprobs=policy,
        inference_logprobs=policy.detach().clone(),
        advantages=torch.tensor([0.5, -0.5, 9.0]),
        loss_mask=torch.tensor([True, True, False]),
    )
    gradients = []
    for step, factor in ((10, 1.0), (20, FACTOR)):
        advise(step, factor)
        policy.grad = None
        hook.advised_loss(inputs).loss.backward()
        gradients.append(policy.grad.tolist())
    assert gradients[0] == [-0.5, 0.5, 0.0]
    assert gradients[1] == [-0.5 * FACTOR, 0.5 * FACTOR, 0.0]


def test_slime(advise):
    hook = lines("advised.py")
    advise(10, FACTOR)
    samples = [SimpleNamespace(get_reward_value=lambda args, r=r: r) for r in (1.0, 0.0, 1.0, 1.0)]
    raw, rewards = hook.post_process_rewards(SimpleNamespace(n_samples_per_prompt=2), samples)
    assert raw == [1.0, 0.0, 1.0, 1.0]
    assert rewards == [0.5 * FACTOR, -0.5 * FACTOR, 0.0, 0.0]


def test_skyrl(advise):
    class RayPPOTrainer:
        def postprocess_generator_output(self, generator_output, uids, metrics=None):
            return generator_output, uids

    hook = lines("trainer.py", RayPPOTrainer=RayPPOTrainer)
    advise(10, FACTOR)
    given = {"rewards": [1.0, [0.0, 2.0]], "response_ids": [[1], [2]]}
    out, uids = hook.AdvisedTrainer().postprocess_generator_output(given, ["a", "b"], metrics=1)
    assert out["rewards"] == [FACTOR, [0.0, 2 * FACTOR]]
    assert uids == ["a", "b"]


def test_nemo_rl(advise):
    class EnvironmentReturn(NamedTuple):
        observations: list
        rewards: torch.Tensor
        terminateds: torch.Tensor

    class MyEnvironment:
        def step(self, message_log_batch, metadata):
            return EnvironmentReturn([], torch.tensor([1.0, 0.0]), torch.tensor([True, True]))

    hook = lines("environment.py", MyEnvironment=MyEnvironment)
    advise(10, FACTOR)
    out = hook.AdvisedEnvironment().step([], [])
    assert out.rewards.tolist() == [FACTOR, 0.0]
    assert out.terminateds.all()
