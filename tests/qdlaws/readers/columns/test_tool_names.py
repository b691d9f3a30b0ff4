"""The columns that are taken from the logs of each tool, and their kinds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from qdlaws import EntropyKind
from qdlaws.readers import read
from qdlaws.readers.columns.column_choice import choose_columns
from qdlaws.readers.columns.tool_names import DIALECTS, dialect_of

STEPS = np.arange(20.0)


def chosen(columns: dict[str, float], tool: str = "jsonl", **options):
    frame = pd.DataFrame({name: value + STEPS / 100 for name, value in columns.items()})
    frame["step"] = STEPS
    dialect = dialect_of(tool, frame.columns)
    return dialect, choose_columns(frame, dialect, **options)


@pytest.mark.parametrize(
    ("columns", "tool", "quality", "entropy", "kind"),
    [
        ({"reward": 0, "reward_std": 1, "entropy": 2, "completions/mean_length": 3}, "trl",
         "reward", "entropy", "token_entropy"),
        ({"train/reward": 0, "train/frac_reward_zero_std": 1, "train/entropy": 2,
          "train/num_tokens": 9}, "trl",
         "train/reward", "train/entropy", "token_entropy"),
        ({"rewards/acc": 0, "completion_length": 1, "kl": 2}, "trl", "rewards/acc", None, None),
        ({"objective/scores": 0, "objective/entropy": 1, "objective/kl": 2}, "trl-ppo",
         "objective/scores", "objective/entropy", "sequence_nll"),
        ({"objective/scores": 0, "objective/entropy": 1, "policy/entropy_avg": 2}, "trl-ppo",
         "objective/scores", "policy/entropy_avg", "token_entropy"),
        ({"train/rollout/reward_mean": 0, "train/entropy_loss": 1, "train/vllm_kl": 1}, "openrlhf",
         "train/rollout/reward_mean", "train/entropy_loss", "token_entropy"),
        ({"train/agg/all/agent/reward/mean": 0, "entropy/all/mean": 1}, "prime-rl",
         "train/agg/all/agent/reward/mean", "entropy/all/mean", "token_entropy"),
        ({"env/all/reward/total": 0, "optim/entropy": 1, "optim/kl_sample_train_v1": 0}, "tinker",
         "env/all/reward/total", "optim/entropy", "token_nll"),
        ({"train/rewards": 0, "train/reward_metrics/format": 1, "train/entropy": 3},
         "nano-aha-moment", "train/rewards", "train/entropy", "token_nll_twice_averaged"),
        ({"rollout/ep_rew_mean": 0, "train/entropy": 1, "time/fps": 5}, "plain",
         "rollout/ep_rew_mean", "train/entropy", "unknown"),
    ],
)  # fmt: skip
def test_names_of_the_tools(columns, tool, quality, entropy, kind):
    dialect, choice = chosen(columns)
    assert dialect.tool == tool
    assert choice.columns["quality"] == quality
    assert choice.columns.get("entropy") == entropy
    assert choice.kinds.get("entropy") == kind


@pytest.mark.parametrize(
    ("column", "role"),
    [
        ("mean_reward", "quality"), ("Reward (not this)", None), ("train/score_mean", "quality"),
        ("test_acc", "quality"), ("math/pass@1", "quality"), ("reward_std", None),
        ("int_div", "diversity"), ("IntDiv1", "diversity"), ("eval_vendi_score", "diversity"),
        ("policy_entropy", "entropy"), ("entropy_coef", None), ("entropy_loss", None),
        ("token_nll", "entropy"), ("diversity_se", None), ("reward_scale", None),
        ("val/accuracy", "quality"), ("learning_rate", None),
    ],
)  # fmt: skip
def test_guesses_for_tables_of_unknown_origin(column, role):
    _, choice = chosen({column: 0.5}, tool="plain")
    assert {r: c for r, c in choice.columns.items() if r != "kl"} == (
        {role: column} if role else {}
    )


def test_a_kl_to_a_recent_policy_is_never_called_kl():
    trl = {"reward": 0.0, "reward_std": 1.0, "kl": 2.0, "num_tokens": 9.0}
    _, choice = chosen(trl)
    assert choice.columns["kl"] == "kl"
    _, choice = chosen({**trl, "perf/weight_sync_s": 3.0})  # AsyncGRPO: against the sampler
    assert "kl" not in choice.columns
    assert choice.kinds["kl"].endswith("the sampling policy")
    _, choice = chosen({"critic/score/mean": 0.0, "actor/ppo_kl": 1.0})
    assert "kl" not in choice.columns
    _, choice = chosen({"critic/score/mean": 0.0, "actor/ppo_kl": 1.0, "actor/kl_loss": 3.0})
    assert choice.columns["kl"] == "actor/kl_loss"
    assert choice.frame["kl"].iloc[0] == 3.0


def test_several_validation_sets_are_averaged_and_named():
    sets = {"val-core/aime/acc/mean@8": 0.2, "val-core/math/acc/mean@8": 0.4}
    _, choice = chosen({"critic/score/mean": 0.9, "actor/entropy": 1.0, **sets})
    np.testing.assert_allclose(choice.frame[choice.columns["quality"]], 0.3 + STEPS / 100)
    assert choice.kinds["quality"] == "validation_acc"
    assert any("val-core/aime" in note and "val-core/math" in note for note in choice.notes)
    _, choice = chosen(
        {"critic/score/mean": 0.9, **sets}, named={"quality": "val-core/math/acc/mean@8"}
    )
    np.testing.assert_allclose(choice.frame[choice.columns["quality"]], 0.4 + STEPS / 100)


def test_every_entropy_kind_in_the_tables_exists():
    for dialect in DIALECTS:
        for evaluation in (False, True):
            for _, kind in dialect.names("entropy", evaluation):
                assert kind in set(EntropyKind)


def test_a_log_without_entropy_says_how_to_get_one(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,reward,reward_std,num_tokens\n1,.1,.2,9\n2,.2,.2,18\n3,.3,.1,27\n")
    assert any("TRL logs it from" in note for note in read(path).notes)
