"""The logs of the tools: written by their released loggers, or by hand as their source writes them.

``docs/reading.md`` has the table. A row by hand holds the keys of the source at the commit named
beside it, in the container that the tool writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from qdlaws import EntropyKind
from qdlaws.readers import read
from tests.helpers.make_fixtures import FIXTURES, SERIES
from tests.helpers.tracker_files import event_file, history_record, scalar_event, wandb_file

STEPS, REWARD, ENTROPY = (np.array(column) for column in zip(*SERIES, strict=True))

# ---------------------------------------------------------------------- released loggers


@pytest.mark.parametrize(
    ("path", "tool", "quality", "entropy", "kind"),
    [
        ("roll/driver.log", "roll", "critic/score/mean", "critic/entropy/mean", EntropyKind.TOKEN),
        ("tinker/metrics.jsonl", "tinker", "env/all/reward/total", "optim/entropy",
         EntropyKind.TOKEN_NLL),
        ("xtuner/tracker.jsonl", "xtuner", "response/raw_rewards/mean", "entropy/train",
         EntropyKind.TOKEN_NLL),
    ],
)  # fmt: skip
def test_a_log_of_the_released_logger(path, tool, quality, entropy, kind):
    log = read(FIXTURES / path)
    assert log.tool == tool
    assert (log.names["quality"], log.names["entropy"]) == (quality, entropy)
    assert log.kinds["entropy"] == kind
    np.testing.assert_array_equal(log.step, STEPS)
    np.testing.assert_allclose(log.quality, REWARD)
    np.testing.assert_allclose(log.entropy, ENTROPY)
    held_out = read(FIXTURES / path, series="eval")
    np.testing.assert_allclose(held_out.quality, REWARD[np.isin(STEPS, held_out.step)] / 2)


def test_reinvent_3_writes_log_likelihoods_in_folders_of_their_own():
    log = read(FIXTURES / "reinvent3-tensorboard")
    assert log.tool == "reinvent3-tensorboard"
    assert log.names["quality"] == "Average score"
    assert log.kinds["entropy"] == EntropyKind.SEQUENCE_NLL
    np.testing.assert_allclose(log.quality, REWARD, rtol=1e-6)
    np.testing.assert_allclose(log.entropy, 10 * ENTROPY, rtol=1e-6)
    np.testing.assert_allclose(log.extra["kl"], 30 - 10 * ENTROPY, rtol=1e-5)
    assert any("'nll/avg/agent' holds log-likelihoods" in note for note in log.notes)


# ---------------------------------------------------------------------- by hand, from the source

Row = dict[str, float]


def nemo_rl(step: int, reward: float, entropy: float) -> Iterator[Row]:
    """NVIDIA-NeMo/RL 7ea279abf: ``algorithms/grpo.py``, prefixes of ``utils/logger.py``."""
    yield {
        "train/loss": 0.01, "train/grad_norm": 0.3, "train/reward": reward,
        "train/mean_prompt_length": 80.0, "train/total_num_tokens": 9e4, "train/probs_ratio": 1.0,
        "train/kl_penalty": 0.02, "train/token_mult_prob_error": 1.01, "train/gen_kl_error": 1e-3,
        "train/approx_entropy": entropy, "train/global_valid_toks": 8e4, "train/lr": 1e-6,
        "timing/train/total_step_time": 31.0,
    }  # fmt: skip
    if step % 10 == 0:
        yield {"validation/accuracy": reward / 2, "validation/avg_length": 300.0}


def skyrl(step: int, reward: float, entropy: float) -> Iterator[Row]:
    """NovaSky-AI/SkyRL a9564572e: ``skyrl/train/trainer.py``, ``workers/worker.py``."""
    row = {
        "reward/avg_pass_at_8": 0.9, "reward/avg_raw_reward": reward,
        "reward/mean_positive_reward": reward, "loss/avg_final_rewards": reward - 0.1,
        "loss/avg_raw_advantages": 0.0, "policy/final_loss": 0.01, "policy/policy_loss": 0.01,
        "policy/policy_entropy": entropy, "policy/policy_kl": 0.02, "policy/policy_lr": 1e-6,
        "generate/avg_num_tokens": 300.0, "trainer/epoch": 0, "trainer/global_step": step,
    }  # fmt: skip
    yield row | ({"eval/all/avg_score": reward / 2} if step % 10 == 0 else {})


def slime(step: int, reward: float, entropy: float) -> Iterator[Row]:
    """THUDM/slime 624b824a8: ``observability/``, ``backends/megatron_utils/{model,loss}.py``."""
    yield {
        "rollout/raw_reward": reward, "rollout/rewards": 0.0, "rollout/response_lengths": 300.0,
        "rollout/log_probs": -0.4, "rollout/ref_log_probs": -0.41, "rollout/step": step,
    }  # fmt: skip
    yield {
        "train/loss": 0.01, "train/pg_loss": 0.01, "train/entropy_loss": entropy,
        "train/pg_clipfrac": 0.0, "train/ppo_kl": 0.0, "train/kl_loss": 0.02,
        "train/grad_norm": 0.1, "train/lr-pg_0": 1e-6, "train/step": step,
    }  # fmt: skip
    if step % 10 == 0:
        yield {"eval/aime": reward / 2, "eval/aime-truncated_ratio": 0.1, "eval/step": step}


def areal(step: int, reward: float, entropy: float) -> Iterator[Row]:
    """inclusionAI/AReaL 4aef98d8d: ``trainer/ppo/actor.py``, ``utils/stats_tracker.py``."""
    stats = {
        "ppo_actor/task_reward": reward, "ppo_actor/update/entropy": entropy,
        "ppo_actor/update/actor_loss": 0.01, "ppo_actor/update/approx_kl": 1e-4,
        "ppo_actor/kl_rewards": 0.0, "ppo_actor/no_eos_ratios": 0.0, "ppo_actor/seq_len": 300.0,
    }  # fmt: skip
    row = {f"{name}/{of}": v for name, v in stats.items() for of in ("avg", "min", "max")}
    row |= {"rollout/reward": reward, "timeperf/train_step": 9.0}
    yield row | ({"eval-rollout/reward": reward / 2} if step % 10 == 0 else {})


def as_events(folder: Path, rows: Callable[..., Iterator[Row]]) -> Path:
    """TensorBoard's event file, whose events have the step."""
    events = [scalar_event(s, row) for s, r, e in SERIES for row in rows(s, r, e)]
    path = folder / "events.out.tfevents.0.host"
    path.write_bytes(event_file(events))
    return path


def as_wandb(folder: Path, rows: Callable[..., Iterator[Row]]) -> Path:
    """An offline run of W&B: a record a call of ``log``, with W&B's own count of calls."""
    calls = (row for s, r, e in SERIES for row in rows(s, r, e))
    records = [history_record({**row, "_step": i}) for i, row in enumerate(calls)]
    path = folder / "run-x.wandb"
    path.write_bytes(wandb_file(records))
    return path


@pytest.mark.parametrize(
    ("rows", "container", "tool", "quality", "entropy", "kl"),
    [
        (nemo_rl, as_events, "nemo-rl", "train/reward", "train/approx_entropy", "train/kl_penalty"),
        (skyrl, as_wandb, "skyrl", "reward/avg_raw_reward", "policy/policy_entropy",
         "policy/policy_kl"),
        (skyrl, as_events, "skyrl", "reward/avg_raw_reward", "policy/policy_entropy",
         "policy/policy_kl"),
        (slime, as_wandb, "slime", "rollout/raw_reward", "train/entropy_loss", "train/kl_loss"),
        (slime, as_events, "slime", "rollout/raw_reward", "train/entropy_loss", "train/kl_loss"),
        (areal, as_events, "areal", "ppo_actor/task_reward/avg", "ppo_actor/update/entropy/avg",
         None),
    ],
)  # fmt: skip
def test_a_log_as_the_source_writes_it(tmp_path, rows, container, tool, quality, entropy, kl):
    log = read(container(tmp_path, rows))
    assert log.tool == tool
    assert (log.names["quality"], log.names["entropy"]) == (quality, entropy)
    assert log.names.get("kl") == kl
    np.testing.assert_array_equal(log.step, STEPS)
    np.testing.assert_allclose(log.quality, REWARD, rtol=1e-6)
    np.testing.assert_allclose(log.entropy, ENTROPY, rtol=1e-6)
    held_out = read(container(tmp_path, rows), series="eval")
    np.testing.assert_array_equal(held_out.step, [10, 20, 30, 40])
    np.testing.assert_allclose(held_out.quality, REWARD[9::10] / 2, rtol=1e-6)


def test_prime_rl_writes_a_file_for_the_trainer_and_one_for_the_orchestrator(tmp_path):
    """PrimeIntellect-ai/prime-rl 559b44772: ``trainer/rl/train.py``, ``orchestrator/``."""
    trainer: list[Mapping[str, float]] = []
    orchestrator: list[Mapping[str, float]] = []
    for step, reward, entropy in SERIES:
        trainer.append({"step": step, "time": 1.0, "optim/lr": 1e-6, "optim/grad_norm": 0.1})
        kl = {"mismatch_kl/all/mean": 1e-3, "kl_ent_ratio/mean": 1e-3}
        trainer.append({"step": step, "time": 1.1, "entropy/all/mean": entropy, **kl})
        agg = {"train/agg/all/solver/reward/mean": reward, "train/agg/all/num_turns/mean": 1.0}
        orchestrator.append({"step": step, "time": 1.2, **agg, "train/agg/all/has_error/mean": 0})
        if step % 10 == 0:
            row = {"eval/aime/effective/solver/avg@8": reward / 2}
            orchestrator.append({"step": step, "time": 1.3, **row})
    for name, rows in (("trainer", trainer), ("orchestrator", orchestrator)):
        (tmp_path / name).mkdir()
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / name / "metrics.jsonl").write_text(text)
    log = read(tmp_path)
    assert log.tool == "prime-rl"
    np.testing.assert_allclose(log.quality, REWARD)
    np.testing.assert_allclose(log.entropy, ENTROPY)
    np.testing.assert_allclose(read(tmp_path, series="eval").quality, REWARD[9::10] / 2)


def test_openrlhf_logs_a_dictionary_a_step(tmp_path):
    """OpenRLHF/OpenRLHF 3c3be6239: ``trainer/ppo_trainer.py``, ``trainer/ray/ppo_actor.py``."""
    lines = []
    for step, reward, entropy in SERIES:
        status = {
            "policy_loss": 0.01, "entropy_loss": entropy, "actor_lr": 1e-6, "actor_grad_norm": 0.1,
            "kl": 0.02, "logprobs_diff": 0.01, "reward": reward, "return": reward,
            "group_reward_std": 0.3, "response_length": 300.0, "total_length": 380.0,
            "timing/make_experience": 9.0, "rollout/reward_mean": reward,
            "rollout/reward_std": 0.4, "rollout/truncated_rate": 0.0, "rollout/num_samples": 64.0,
        }  # fmt: skip
        lines.append(f"INFO 11-28 10:00:00 [ppo_trainer.py:547] ✨ Global step {step}: {status}")
    (tmp_path / "train.log").write_text("\n".join(lines) + "\n")
    log = read(tmp_path / "train.log")
    assert log.tool == "openrlhf"
    assert log.names["quality"] == "rollout/reward_mean"
    np.testing.assert_allclose(log.entropy, ENTROPY)
    assert log.names["kl"] == "kl"
