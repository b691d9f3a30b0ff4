"""LawCallback inside the real TRL and transformers, on tiny models."""

from __future__ import annotations

import gc
import json
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("trl")
pytest.importorskip("datasets")

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from qdlaws import BadData, Goal, read
from qdlaws.integrations.trl.callback import LawCallback
from qdlaws.measure import Estimate

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = ["<pad>", "<eos>", *"abcdefgh"]
STEER = {"beta": 0.05, "use_bias_correction_kl": False}


@pytest.fixture(scope="module", autouse=True)
def frozen_imports():
    """Spares the imported packages the garbage collections that accelerate asks for in each run."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    """A Llama of 10 words and 6,000 parameters with its tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<pad>"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


def share_of_a(completions, **kwargs):
    return [text.split().count("a") / max(len(text.split()), 1) for text in completions]


def make(model_folder, out, kind="grpo", steps=6, callbacks=None, **options):
    trainer, config = {
        "grpo": (GRPOTrainer, GRPOConfig),
        "rloo": (RLOOTrainer, RLOOConfig),
    }[kind]
    args = config(
        output_dir=str(out),
        per_device_train_batch_size=16,
        num_generations=8,
        max_completion_length=4,
        max_steps=steps,
        learning_rate=1e-3,
        logging_steps=options.pop("logging_steps", 1),
        report_to="none",
        use_cpu=True,
        save_strategy=options.pop("save_strategy", "no"),
        disable_tqdm=True,
        seed=1,
        **options,
    )
    prompts = Dataset.from_dict({"prompt": ["a b", "c d", "e f", "g h"] * 16})
    return trainer(
        model=model_folder,
        args=args,
        train_dataset=prompts,
        reward_funcs=share_of_a,
        callbacks=callbacks,
    )


def lines(out, name):
    return [json.loads(line) for line in (out / "qdlaws" / name).read_text().splitlines()]


# ── what it logs ──────────────────────────────────────────────────────────────────────────────


def test_rows_hold_what_trl_itself_measured(model_folder, tmp_path, capsys):
    trainer = LawCallback(every=2).attach(make(model_folder, tmp_path, beta=0.05))
    trainer.train()
    rows, history = lines(tmp_path, "metrics.jsonl"), trainer.state.log_history
    assert [row["step"] for row in rows] == [2, 4, 6]
    for row in rows:
        pair = [h for h in history if h["step"] in (row["step"] - 1, row["step"]) and "kl" in h]
        assert row["quality"] == pytest.approx(np.mean([h["reward"] for h in pair]), abs=1e-6)
        assert row["entropy"] == pytest.approx(np.mean([h["entropy"] for h in pair]), abs=1e-6)
        assert row["kl"] == pytest.approx(np.mean([h["kl"] for h in pair]), abs=1e-6)
        assert 0 < row["diversity"] < 1
        assert row["n_samples"] == 32
        assert (row["kl_coef"], row["reward_scale"]) == (0.05, 1.0)
    log = read(tmp_path / "qdlaws" / "metrics.jsonl", series="eval")
    assert log.columns == ("quality", "diversity", "entropy")
    assert log.kinds["entropy"] == "token_entropy"
    stops = [h["qdlaws/stop"] for h in history if "qdlaws/stop" in h]
    assert stops == [float(a["action"] == "stop") for a in lines(tmp_path, "advice.jsonl")]
    shown = [h["qdlaws/diversity"] for h in history if "qdlaws/diversity" in h]
    assert shown == pytest.approx([row["diversity"] for row in rows])
    advice = lines(tmp_path, "advice.jsonl")
    assert [a["step"] for a in advice] == [2, 4, 6]
    assert not any(a["stopped"] for a in advice)
    assert trainer.beta == 0.05
    # what TRL printed meanwhile is a log by itself
    (tmp_path / "output.log").write_text(capsys.readouterr().out)
    printed = read(tmp_path / "output.log")
    rewards = [h["reward"] for h in history if "reward" in h]
    assert list(printed.quality) == pytest.approx(rewards, rel=1e-3)
    assert printed.names["entropy"] == "entropy"


@pytest.mark.parametrize(
    ("measure", "value", "se"),
    [
        (lambda texts, prompts: 0.25, 0.25, None),
        (lambda texts, prompts: Estimate(0.5, 0.1, len(texts), "mine"), 0.5, 0.1 / np.sqrt(2)),
    ],
)
def test_a_diversity_function_of_the_user_is_measured_beside_the_reward(
    model_folder, tmp_path, measure, value, se
):
    seen = []

    def diversity(texts, prompts):
        seen.append((len(texts), len(prompts), type(texts[0])))
        return measure(texts, prompts)

    trainer = make(model_folder, tmp_path, steps=2)
    LawCallback(every=2, diversity=diversity).attach(trainer).train()
    (row,) = lines(tmp_path, "metrics.jsonl")
    rewards = [h["reward"] for h in trainer.state.log_history if "reward" in h]
    assert row["quality"] == pytest.approx(np.mean(rewards), abs=1e-6)
    assert row["diversity"] == value
    # two numbers without errors have their own spread, which here is none
    assert row["diversity_se"] == pytest.approx(0.0 if se is None else se)
    assert seen == [(16, 16, str)] * 2


def test_the_settings_for_steering_are_taken_and_refused_by_none_of_the_checks(
    model_folder, tmp_path
):
    for turn in ("beta", "reward_scale"):
        settings = LawCallback.settings(GRPOConfig, turn=turn, beta=0.02)
        trainer = make(model_folder, tmp_path, **settings)
        LawCallback(FLOOR, mode="steer", turn=turn).attach(trainer)
        assert trainer.beta == 0.02
    assert LawCallback.settings(RLOOConfig) == {"beta": 0.05}
    LawCallback(FLOOR, mode="steer").attach(make(model_folder, tmp_path, "rloo", beta=0.05))
    with pytest.raises(BadData, match="above 0"):
        LawCallback.settings(beta=0.0)


@pytest.mark.parametrize("metric", [None, "reward"])
def test_the_checkpoint_to_keep_is_the_best_one_unless_a_metric_of_the_user_says_so(
    model_folder, tmp_path, metric
):
    saving = {"save_strategy": "steps", "save_steps": 2, "metric_for_best_model": metric}
    trainer = make(model_folder, tmp_path, steps=4, **saving)
    callback = LawCallback(Goal(min_diversity=0.75), every=2, diversity=falling(PAIRS))
    callback.attach(trainer).train()
    best = None if metric else str(tmp_path / "checkpoint-2")
    assert trainer.state.best_model_checkpoint == best
    assert callback.advice.checkpoint == 2


PAIRS = [0.8, 0.8, 0.5, 0.5]
"""Two readings a row: only the first row holds a floor of .75."""


# ── what it does ──────────────────────────────────────────────────────────────────────────────


def falling(levels):
    """A measure that returns one level a call, as a run would have it."""
    left = iter(levels)
    return lambda texts, prompts: Estimate(next(left), 0.004, 100, "given")


@pytest.mark.parametrize("kind", ["grpo", "rloo"])
def test_it_raises_beta_where_the_floor_is_near(model_folder, tmp_path, kind):
    options = STEER if kind == "grpo" else {"beta": 0.05}
    trainer = make(model_folder, tmp_path, kind, **options)
    levels = [0.70, 0.68, 0.66, 0.64, 0.62, 0.60]
    goal = Goal(min_diversity=0.65)
    LawCallback(goal, mode="steer", every=1, diversity=falling(levels)).attach(trainer).train()
    rows, advice = lines(tmp_path, "metrics.jsonl"), lines(tmp_path, "advice.jsonl")
    betas = [row["kl_coef"] for row in rows]
    assert betas[0] == 0.05
    assert all(a <= b for a, b in pairwise(betas))
    assert trainer.beta > 0.1
    assert trainer.beta == pytest.approx(advice[-1]["knobs"]["kl"])
    # the knobs in force at a row are those of the decision before it
    for before, row in zip(advice, rows[1:], strict=False):
        assert row["kl_coef"] == pytest.approx(before["knobs"]["kl"])
    assert any("beta" in reason for reason in advice[-1]["reasons"])
    assert not any(line["stopped"] for line in advice)


def test_it_lowers_beta_where_there_is_diversity_to_spend_and_trl_trains_with_it(
    model_folder, tmp_path
):
    trainer = make(model_folder, tmp_path, steps=5, **STEER)
    goal = Goal(min_diversity=0.3)
    LawCallback(goal, mode="steer", every=1, diversity=falling([0.8] * 5)).attach(trainer).train()
    assert trainer.beta < 0.03
    assert trainer.args.beta == 0.05
    assert all("kl" in h for h in trainer.state.log_history if "reward" in h)


def test_the_reward_scale_can_carry_the_ratio(model_folder, tmp_path):
    trainer = make(model_folder, tmp_path, scale_rewards="none", **STEER)
    callback = LawCallback(
        Goal(min_diversity=0.3),
        mode="steer",
        every=1,
        turn="reward_scale",
        diversity=falling([0.8] * 6),
    )
    callback.attach(trainer).train()
    rows = lines(tmp_path, "metrics.jsonl")
    assert trainer.beta == 0.05
    assert float(trainer.reward_weights[0]) > 1.3
    assert rows[-1]["reward_scale"] > rows[0]["reward_scale"] == 1.0
    assert all(row["quality"] <= 1 for row in rows)  # the raw reward, not the scaled one


def test_stop_ends_the_run_when_advised_and_advise_does_not(model_folder, tmp_path):
    goal = Goal(min_diversity=0.65)
    levels = [0.6 + 0.002 * (-1) ** k for k in range(10)]
    for mode in ("stop", "advise"):
        trainer = make(model_folder, tmp_path / mode, steps=10)
        callback = LawCallback(goal, mode=mode, every=1, diversity=falling(levels))
        callback.attach(trainer).train()
        advice = lines(tmp_path / mode, "advice.jsonl")
        ended = trainer.state.global_step
        assert (ended < 10) is (mode == "stop")
        assert "stop" in {a["action"] for a in advice}
        assert advice[-1]["stopped"] is (mode == "stop")
    assert callback.advice.action == "stop"


def checkpoints(out):
    return sorted(path.name for path in out.glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("saving", "left"),
    [
        ({}, ["checkpoint-3"]),
        # the trainer's own newest one stays too
        ({"save_strategy": "steps", "save_steps": 5, "save_total_limit": 1}, ["checkpoint-3"]),
        ({"save_strategy": "steps", "save_steps": 2}, [f"checkpoint-{k}" for k in (2, 3, 4, 6)]),
    ],
)
def test_a_stop_comes_at_the_third_clear_breach_and_keeps_the_last_policy_that_held(
    model_folder, tmp_path, saving, left, caplog
):
    levels = [0.80, 0.79, 0.78, *[0.30, 0.28, 0.26] * 9]
    callback = LawCallback(FLOOR, mode="stop", every=1, diversity=falling(levels))
    trainer = make(model_folder, tmp_path, steps=20, callbacks=[callback], **saving)
    assert trainer.beta == 0
    trainer.train()
    assert callback.trainer is trainer
    assert trainer.state.global_step == 6
    assert checkpoints(tmp_path) == left
    *before, last = lines(tmp_path, "advice.jsonl")
    assert not any(line["stopped"] for line in before)
    assert (last["action"], last["stopped"], last["kl_factor"]) == ("stop", True, None)
    assert last["checkpoint"] == 3
    assert "checkpoint-3" in " ".join(last["reasons"])
    # without a KL none is spoken of
    assert "KL" not in " ".join(r for line in (*before, last) for r in line["reasons"])
    assert "KL" not in caplog.text


def test_readings_a_little_below_the_floor_do_not_stop_at_once(model_folder, tmp_path):
    levels = [0.80, 0.79, 0.78, 0.49, 0.495, 0.485, 0.51]  # 1.25 to 3.75 s.e. below .5
    callback = LawCallback(FLOOR, mode="stop", every=1, diversity=falling(levels))
    make(model_folder, tmp_path, steps=7, callbacks=[callback]).train()
    assert not any(line["stopped"] for line in lines(tmp_path, "advice.jsonl"))
    assert checkpoints(tmp_path) == ["checkpoint-7"]


def test_a_resumed_run_goes_on_with_the_same_knobs(model_folder, tmp_path):
    goal, levels = Goal(min_diversity=0.65), [0.70 - 0.01 * k for k in range(12)]

    def go(out, steps, given, **resume):
        trainer = make(model_folder, out, steps=steps, save_strategy="steps", save_steps=4, **STEER)
        measure = falling(given)
        LawCallback(goal, mode="steer", every=1, diversity=measure).attach(trainer)
        trainer.train(**resume)
        return [row["kl_coef"] for row in lines(out, "metrics.jsonl")], trainer.beta

    whole = go(tmp_path / "whole", 6, levels)
    go(tmp_path / "cut", 5, levels)  # saved at 4; row 5 is lost with the process
    again = go(
        tmp_path / "cut", 6, levels[4:], resume_from_checkpoint=str(tmp_path / "cut/checkpoint-4")
    )
    assert again == whole
    assert len(set(whole[0])) > 3


# ── what it refuses ───────────────────────────────────────────────────────────────────────────

FLOOR = Goal(min_diversity=0.5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"beta": 0.0}, "small positive number"),
        ({"beta": 0.05}, "folded"),
        ({"beta": 0.05, "scale_rewards": "batch"}, "folded"),
        ({**STEER, "use_adaptive_entropy": True}, "two of them"),
        ({**STEER, "sync_ref_model": True}, "moves the reference"),
    ],
)
def test_settings_that_cannot_be_steered_are_refused_before_training(
    model_folder, tmp_path, options, words
):
    trainer = make(model_folder, tmp_path, **options)
    with pytest.raises(BadData, match=words) as caught:
        LawCallback(FLOOR, mode="steer").attach(trainer)
    assert "\n" not in str(caught.value)
    # and where the trainer was changed after it was attached, before the first step
    callback = LawCallback(FLOOR, mode="steer")
    callback.trainer = trainer
    trainer.add_callback(callback)
    with pytest.raises(BadData, match=words):
        trainer.train()
    assert trainer.state.global_step == 0


def test_a_dead_reward_scale_is_refused(model_folder, tmp_path):
    trainer = make(model_folder, tmp_path, **STEER)
    with pytest.raises(BadData, match="divides a reward scale out"):
        LawCallback(FLOOR, mode="steer", turn="reward_scale").attach(trainer)


def test_advice_needs_no_kl_and_says_what_it_lacks(model_folder, tmp_path, caplog):
    trainer = LawCallback(FLOOR, every=2).attach(make(model_folder, tmp_path, steps=2, beta=0.0))
    trainer.train()
    assert "no KL is logged" in caplog.text
    assert lines(tmp_path, "metrics.jsonl")[0]["kl"] is None


def test_given_in_callbacks_it_refuses_at_train_what_cannot_be_steered(model_folder, tmp_path):
    callback = LawCallback(FLOOR, mode="steer")
    trainer = make(model_folder, tmp_path, callbacks=[callback], beta=0.0)
    with pytest.raises(BadData, match="small positive number"):
        trainer.train()
    assert trainer.state.global_step == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "watch"}, "advise, stop, steer"),
        ({"turn": "kl"}, "beta, reward_scale"),
        ({"diversity": "words"}, "'text', 'molecules' or a function"),
        ({"every": 0}, "above 0"),
        ({"columns": {"reward": "x"}}, "quality, diversity or entropy"),
        ({"mode": "steer"}, "min_diversity"),
        ({"goal": FLOOR, "mode": "steer", "gain": -1.0}, "above 0"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(BadData, match=words):
        LawCallback(**options)


# ── in any other trainer of transformers ──────────────────────────────────────────────────────


class Recorder(TrainerCallback):
    """What a tracker that ``report_to`` names is given."""

    def __init__(self):
        self.seen = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.seen.append((state.global_step, dict(logs)))


class LoggingTrainer(Trainer):
    """A trainer that logs a reward and an entropy, as the trainers of other packages do."""

    def log(self, logs, *rest, **named):
        step = self.state.global_step
        wander = 0.002 * (-1) ** step
        if "loss" in logs:
            logs |= {"reward": 0.5 + 0.1 * min(step, 8) / 8 + wander, "entropy": 2 / (1 + step / 9)}
        super().log(logs, *rest, **named)


def plain_trainer(model_folder, out, callbacks, steps=40, **options):
    rows = [{"input_ids": [2, 3, 4], "labels": [2, 3, 4]}] * 8
    args = TrainingArguments(
        output_dir=str(out),
        max_steps=steps,
        per_device_train_batch_size=2,
        logging_steps=1,
        report_to="none",
        use_cpu=True,
        save_strategy=options.pop("save_strategy", "no"),
        disable_tqdm=True,
        **options,
    )
    model = LlamaForCausalLM.from_pretrained(model_folder)
    return LoggingTrainer(model, args, train_dataset=rows, callbacks=callbacks)


def test_any_trainer_is_advised_on_what_it_logs(model_folder, tmp_path):
    recorder, callback = Recorder(), LawCallback(every=10)
    trainer = plain_trainer(model_folder, tmp_path, [callback, recorder])
    trainer.train()
    assert trainer.state.global_step == 40
    log = read(tmp_path / "qdlaws")
    assert (len(log), log.names["quality"], log.names["entropy"]) == (40, "reward", "entropy")
    advice = lines(tmp_path, "advice.jsonl")
    assert [line["step"] for line in advice] == [10, 20, 30, 40]
    assert not any(line["stopped"] for line in advice)
    reported = [(step, logs) for step, logs in recorder.seen if "qdlaws/stop" in logs]
    assert [step for step, _ in reported] == [10, 20, 30, 40]
    assert reported[-1][1]["qdlaws/checkpoint"] == callback.advice.checkpoint
    # its own log of the run is as without the callback
    assert not any("qdlaws/stop" in row for row in trainer.state.log_history)


def test_any_trainer_is_stopped_and_keeps_a_checkpoint(model_folder, tmp_path):
    callback = LawCallback(Goal(min_entropy=1.0), mode="stop", every=2)
    trainer = plain_trainer(model_folder, tmp_path, [callback])
    trainer.train()
    ended = trainer.state.global_step
    assert 9 < ended < 30  # the entropy falls through the floor at step 9
    *before, last = lines(tmp_path, "advice.jsonl")
    assert (last["action"], last["stopped"], last["step"]) == ("stop", True, ended)
    assert not any(line["stopped"] for line in before)
    assert checkpoints(tmp_path) == [f"checkpoint-{ended}"]


def test_a_metric_is_named_and_one_that_is_not_logged_is_waited_for(model_folder, tmp_path):
    for name, words in (("loss", ""), ("eval_accuracy", "eval_accuracy")):
        callback = LawCallback(every=20, columns={"quality": name})
        plain_trainer(model_folder, tmp_path / name, [callback], steps=20).train()
        assert words in callback.advice.reasons[0]
        assert (callback.advice.action == "wait") or not words


def test_a_trainer_without_completions_is_not_steered(model_folder, tmp_path):
    callback = LawCallback(FLOOR, mode="steer")
    trainer = plain_trainer(model_folder, tmp_path, [callback])
    with pytest.raises(BadData, match="advised and stopped, not steered"):
        trainer.train()
    assert trainer.state.global_step == 0


def test_a_resumed_run_cuts_its_rows_back_to_the_checkpoint(model_folder, tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 6}
    plain_trainer(model_folder, tmp_path, [LawCallback(every=5)], steps=8, **saving).train()
    trainer = plain_trainer(model_folder, tmp_path, [LawCallback(every=5)], steps=10, **saving)
    trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert [row["step"] for row in lines(tmp_path, "metrics.jsonl")] == list(range(1, 11))
