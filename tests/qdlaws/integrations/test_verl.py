"""The trainer mode for verl: on a stand-in, and on verl's own trainer where it is installed.

The stand-in has the loop of verl 0.9.1's ``PPOTrainer.fit`` as far as the mode touches it. Of
verl's own trainer the loop, the configuration and the KL controller are real; sampling, the workers
and the store between them are replaced, since they need a GPU.
"""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from qdlaws import BadData, read
from qdlaws.integrations import verl as plugin
from qdlaws.integrations.verl_reward import PATH, read_scale, scaled_score, write_scale


class Settings(dict):
    """A configuration whose keys are attributes too, as OmegaConf's."""

    __getattr__ = dict.__getitem__


def settings(values):
    made = {k: settings(v) if isinstance(v, dict) else v for k, v in values.items()}
    return Settings(made)


class PPOTrainerSync:
    """As verl's: what ``fit`` calls, in its order."""

    def __init__(self, config):
        self.config = config
        if config.algorithm.use_kl_in_reward:
            self.kl_ctrl_in_reward = SimpleNamespace(value=config.algorithm.kl_ctrl.kl_coef)

    def on_train_begin(self):
        pass

    def fit(self, agent_loop_manager):
        self.logger.log(data={"val-core/score": 0.1}, step=self.global_steps)
        self.global_steps += 1
        self.on_train_begin()
        while self.global_steps <= self.total_training_steps:
            is_last_step = self.global_steps >= self.total_training_steps
            metrics = {}
            self.step(metrics, {})
            if is_last_step:
                self._save_checkpoint()
            self.logger.log(data=metrics, step=self.global_steps)
            self.global_steps += 1
            if is_last_step:
                return


def standin_trainer(**options):
    """The advised stand-in with the part of verl's configuration that the mode reads."""
    reward = {
        "path": PATH,
        "name": "scaled_score",
        "reward_kwargs": {"run": str(options["folder"])},
    }
    config = {
        "reward": {"custom_reward_function": reward},
        "algorithm": {"use_kl_in_reward": True, "kl_ctrl": {"type": "fixed", "kl_coef": 0.01}},
        "actor_rollout_ref": {"actor": {"use_kl_loss": False, "loss_agg_mode": "token-mean"}},
        "trainer": {"default_local_dir": str(options.pop("folder")), "qdlaws": options},
    }
    return plugin.trainer_class(PPOTrainerSync), settings(config)


def verl_trainer(monkeypatch, **options):
    """verl's own trainer and configuration, with what needs workers replaced."""
    pytest.importorskip("verl")
    from hydra import compose, initialize_config_module
    from verl.trainer.ppo.v1 import get_trainer_cls, trainer_base

    folder = options.pop("folder")
    words = [f"+trainer.qdlaws.{name}={value}" for name, value in options.items()]
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose(
            "ppo_trainer",
            overrides=[
                f"trainer.v1.trainer_mode={plugin.MODE}",
                f"trainer.default_local_dir={folder}",
                "trainer.logger=[console]",
                "trainer.val_before_train=False",
                "trainer.total_epochs=1",
                "trainer.test_freq=-1",
                "trainer.save_freq=1000",
                "algorithm.use_kl_in_reward=True",
                "algorithm.kl_ctrl.kl_coef=0.01",
                f"reward.custom_reward_function.path={PATH}",
                "reward.custom_reward_function.name=scaled_score",
                f"+reward.custom_reward_function.reward_kwargs.run={folder}",
                *words,
            ],
        )
    monkeypatch.setattr(trainer_base.tq, "kv_clear", lambda **_: None)
    advised = get_trainer_cls(plugin.MODE)  # by the entry point
    assert advised.__mro__[1].__name__ == "PPOTrainerSync"
    nothing = {
        name: lambda self, *a, **k: None
        for name in (
            "_build_replay_buffer", "_reissue_inflight_prompts", "_start_profiling",
            "_stop_profiling", "_compute_metrics", "on_step_end", "_shutdown_dump_executor",
        )
    }  # fmt: skip
    nothing["_consume_sync_metrics"] = lambda self: {}
    return type("Replaced", (advised,), nothing), config


@pytest.fixture(params=["stand-in", "verl"])
def start(request, monkeypatch, tmp_path):
    """A function that makes a trainer with the entropies of its steps and options of the mode."""

    def make(entropies, steps, begin=0, **options):
        options["folder"] = tmp_path
        if request.param == "verl":
            cls, config = verl_trainer(monkeypatch, **options)
        else:
            cls, config = standin_trainer(**options)
        rng, logged = np.random.default_rng(0), []

        class Trainer(cls):
            saved: tuple[int, ...] = ()

            def step(self, metrics, timing_raw):
                level = entropies[min(self.global_steps - 1, len(entropies) - 1)]
                scale = read_scale(tmp_path)
                metrics |= {
                    "critic/score/mean": scale * (0.5 + 0.01 * rng.standard_normal()),
                    "actor/entropy": level + 0.001 * rng.standard_normal(),
                    "actor/reward_kl_penalty": 0.02,
                }
                return SimpleNamespace(keys=[], partition_id="train", tags=[])

            def _save_checkpoint(self):
                self.saved = (*self.saved, self.global_steps)

        trainer = Trainer(config)
        trainer.global_steps, trainer.total_training_steps = begin, steps
        trainer.steps_per_epoch = 1000
        trainer.logger = SimpleNamespace(log=lambda data, step: logged.append((step, data)))
        if request.param == "verl":
            from verl.trainer.ppo.v1 import trainer_base

            monkeypatch.setattr(trainer_base, "Tracking", lambda **_: trainer.logger)
        return trainer, logged

    return make


def lines(folder, name):
    return [json.loads(line) for line in (folder / "qdlaws" / name).read_text().splitlines()]


def test_rows_are_what_the_trainer_logs_and_advice_goes_to_its_loggers(start, tmp_path):
    trainer, logged = start([1.0] * 12, 12, every=3)
    trainer.fit(None)
    rows = lines(tmp_path, "metrics.jsonl")
    assert [row["step"] for row in rows] == [3, 6, 9, 12]
    by_step = {step: data for step, data in logged if step}
    expected = np.mean([by_step[s]["actor/entropy"] for s in (1, 2, 3)])
    assert rows[0]["entropy"] == pytest.approx(expected)
    assert (rows[0]["kl"], rows[0]["kl_coef"]) == (0.02, 0.01)
    assert read(tmp_path / "qdlaws", series="eval").kinds["entropy"] == "token_entropy"
    assert "qdlaws/stop" in by_step[6]
    assert "qdlaws/stop" not in by_step[5]
    assert trainer.kl_ctrl_in_reward.value == 0.01


def test_the_kl_in_the_reward_is_raised_where_the_floor_is_near(start, tmp_path):
    trainer, _ = start(
        [0.7 - 0.02 * k for k in range(10)], 10, mode="steer", min_entropy=0.6, every=1
    )
    trainer.fit(None)
    assert trainer.kl_ctrl_in_reward.value > 0.02
    advice, rows = lines(tmp_path, "advice.jsonl"), lines(tmp_path, "metrics.jsonl")
    assert advice[-1]["knobs"]["kl"] == pytest.approx(trainer.kl_ctrl_in_reward.value)
    for before, row in zip(advice, rows[1:], strict=False):
        assert row["kl_coef"] == pytest.approx(before["knobs"]["kl"])


def test_the_reward_scale_is_lowered_where_the_floor_is_near(start, tmp_path):
    falling = [0.7 - 0.02 * k for k in range(10)]
    options = {"mode": "steer", "turn": "reward_scale", "min_entropy": 0.6, "every": 1}
    trainer, _ = start(falling, 10, **options)
    trainer.fit(None)
    assert trainer.kl_ctrl_in_reward.value == 0.01
    assert read_scale(tmp_path) < 0.5
    advice, rows = lines(tmp_path, "advice.jsonl"), lines(tmp_path, "metrics.jsonl")
    assert advice[-1]["knobs"]["reward_scale"] == pytest.approx(read_scale(tmp_path))
    assert any("reward scale" in reason for reason in advice[-1]["reasons"])
    for before, row in zip(advice, rows[1:], strict=False):
        assert row["reward_scale"] == pytest.approx(before["knobs"]["reward_scale"])
    # the reward that is read is the one before scaling
    assert [row["quality"] for row in rows] == pytest.approx([0.5] * 10, abs=0.05)


@pytest.mark.parametrize("turn", ["kl", "reward_scale"])
def test_a_resumed_run_goes_on_with_its_knobs(start, tmp_path, turn):
    falling = [0.7 - 0.02 * k for k in range(10)]
    options = {"mode": "steer", "turn": turn, "min_entropy": 0.6, "every": 1}
    first, _ = start(falling, 6, **options)
    first.fit(None)
    knobs = first.kl_ctrl_in_reward.value, read_scale(tmp_path)
    assert knobs != (0.01, 1.0)
    again, _ = start(falling, 7, begin=6, **options)
    assert again.kl_ctrl_in_reward.value == 0.01
    again.fit(None)
    row = lines(tmp_path, "metrics.jsonl")[-1]
    assert row["step"] == 7
    assert (row["kl_coef"], row["reward_scale"]) == pytest.approx(knobs)


def test_a_stop_makes_the_next_step_the_last_which_is_saved(start, tmp_path):
    trainer, _ = start([0.9] * 5 + [0.2] * 40, 45, mode="stop", min_entropy=0.6, every=1)
    trainer.fit(None)
    stopped = next(line["step"] for line in lines(tmp_path, "advice.jsonl") if line["stopped"])
    assert 6 <= stopped < 20
    assert trainer.saved == (stopped + 1,)


@pytest.mark.parametrize(
    ("section", "name", "value", "words"),
    [
        ("actor", "use_kl_loss", True, "lives in the workers"),
        ("algorithm", "use_kl_in_reward", False, "nothing to turn"),
        ("kl_ctrl", "type", "adaptive", "a controller too"),
        ("kl_ctrl", "kl_coef", 0.0, "not above 0"),
    ],
)
def test_what_cannot_be_steered_is_refused_before_the_trainer_is_made(
    tmp_path, section, name, value, words
):
    cls, config = standin_trainer(folder=tmp_path, mode="steer", min_entropy=0.5)
    places = {
        "actor": config.actor_rollout_ref.actor,
        "algorithm": config.algorithm,
        "kl_ctrl": config.algorithm.kl_ctrl,
    }
    places[section][name] = value
    with pytest.raises(BadData, match=words) as caught:
        cls(config)
    assert "\n" not in str(caught.value)
    config.trainer.qdlaws["mode"] = "advise"  # to advise needs no KL
    assert cls(config).qdlaws_run.advisor.mode == "advise"


def test_a_turn_of_the_reward_scale_needs_the_reward_function_that_reads_it(tmp_path):
    options = {"mode": "steer", "turn": "reward_scale", "min_entropy": 0.5}
    for change in ({"name": "mine"}, {"path": None}, {"reward_kwargs": {"run": "elsewhere"}}):
        cls, config = standin_trainer(folder=tmp_path, **options)
        config.reward.custom_reward_function.update(change)
        with pytest.raises(
            BadData, match="needs the reward function that reads the scale"
        ) as caught:
            cls(config)
        assert f"reward_kwargs.run={tmp_path}" in str(caught.value)
    cls, config = standin_trainer(folder=tmp_path, turn="temperature")
    with pytest.raises(BadData, match="one of kl, reward_scale was needed"):
        cls(config)


REWARD = """
def share(data_source, solution_str, ground_truth, extra_info=None):
    right = float(solution_str == ground_truth)
    return {"score": right + 0.5, "acc": right} if data_source == "both" else right
"""


def test_a_score_is_scaled_and_the_unscaled_one_passed_on_by_verls_own_loader(tmp_path):
    pytest.importorskip("verl")
    from omegaconf import OmegaConf
    from verl.trainer.ppo.reward import get_custom_reward_fn

    (tmp_path / "rewards.py").write_text(REWARD)
    kwargs = {"run": str(tmp_path), "reward": f"{tmp_path / 'rewards.py'}:share"}
    chosen = {"path": PATH, "name": "scaled_score", "reward_kwargs": kwargs}
    config = OmegaConf.create({"reward": {"custom_reward_function": chosen}})
    score = get_custom_reward_fn(config)
    given = {"solution_str": "4", "ground_truth": "4", "extra_info": {}}
    assert score(data_source="one", **given) == {"score": 1.0, "acc": 1.0}
    write_scale(tmp_path, 0.25)
    assert score(data_source="one", **given) == {"score": 0.25, "acc": 1.0}
    assert score(data_source="both", **given) == {"score": 0.375, "acc": 1.0}
    # without a function, verl's own for the data source
    answer = {"data_source": "openai/gsm8k", "solution_str": "#### 7", "ground_truth": "7"}
    assert scaled_score(**answer, run=str(tmp_path)) == {"score": 0.25, "acc": 1.0}
    with pytest.raises(BadData, match=r"rewards\.py:score"):
        scaled_score(**answer, run=str(tmp_path), reward="share")


def test_a_misspelt_option_is_refused(tmp_path):
    cls, config = standin_trainer(folder=tmp_path, min_entrpy=0.5)
    with pytest.raises(BadData, match="unknown option min_entrpy"):
        cls(config)


def test_the_mode_is_registered_under_its_name(monkeypatch):
    names = ("verl", "verl.trainer", "verl.trainer.ppo", "verl.trainer.ppo.v1")
    modules = {name: ModuleType(name) for name in names}
    registered = {}
    modules[names[-1]].PPOTrainerSync = PPOTrainerSync
    modules[names[-1]].register_trainer = lambda name: lambda cls: registered.setdefault(name, cls)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    plugin.register.cache_clear()
    assert plugin.plugin is registered["qdlaws_sync"]  # what the entry point loads
    assert issubclass(registered["qdlaws_sync"], PPOTrainerSync)
    plugin.register.cache_clear()
