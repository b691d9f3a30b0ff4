# Source of the notebook of the same name; make it with: python notebooks/build.py

# %% [markdown]
# # Inside TRL: advice, stopping and steering in a `GRPOTrainer`
#
# `LawCallback` measures the completions that TRL trains on, writes a log that all of `qdlaws` reads,
# gives advice beside it, and, where wanted, stops the run or turns `beta` while it runs. It needs TRL
# (`pip install trl`). The model here is a toy of ten words, so that the page runs in seconds; with a
# hub model nothing but its name changes.

# %%
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, PrinterCallback
from trl import GRPOConfig, GRPOTrainer

import qdlaws as qd
from qdlaws.integrations.trl import LawCallback

out = Path(tempfile.mkdtemp())
words = ["<pad>", "<eos>", *"abcdefgh"]
raw = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<pad>"))
raw.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>")
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=2, max_position_embeddings=64, pad_token_id=0, eos_token_id=1))
model.save_pretrained(out / "model")
tokenizer.save_pretrained(out / "model")


def share_of_a(completions, **kwargs):
    """The reward: how many of the words are an a."""
    return [text.split().count("a") / max(len(text.split()), 1) for text in completions]


def trainer_with(callback, name, **settings):
    config = GRPOConfig(
        output_dir=str(out / name), per_device_train_batch_size=32, num_generations=16,
        max_completion_length=6, max_steps=240, learning_rate=5e-4, logging_steps=240, seed=1,
        lr_scheduler_type="constant",
        report_to="none", use_cpu=True, save_strategy="no", disable_tqdm=True, **settings)
    trainer = GRPOTrainer(model=str(out / "model"), reward_funcs=share_of_a, args=config,
                          train_dataset=Dataset.from_dict({"prompt": ["b c", "d e"] * 200}),
                          processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)  # no dictionaries on this page
    return callback.attach(trainer)


# %% [markdown]
# ## What is refused before training begins
#
# Some settings make steering impossible, silently. They are met with a word and the remedy.

# %%
goal = qd.Goal(min_diversity=0.6)
for settings in ({"beta": 0.0}, {"beta": 0.05, "use_bias_correction_kl": True}):
    try:
        trainer_with(LawCallback(goal, mode="steer"), "refused", **settings)
    except ValueError as refused:
        print(f"{settings}\n  {refused}\n")

# %% [markdown]
# ## Advise only, and steer
#
# The first run only watches. The second holds the diversity of the words, the share of different
# ones, at .60 by turning `beta`.

# %%
def spread(completions, prompts):
    """Probability that two words drawn from all completions differ."""
    drawn = [w for text in completions for w in text.split()]
    n = len(drawn)
    alike = sum(drawn.count(w) * (drawn.count(w) - 1) for w in set(drawn))
    return 1 - alike / (n * (n - 1))


right = {"use_bias_correction_kl": False, "scale_rewards": "none", "beta": 0.1}
for mode in ("advise", "steer"):
    callback = LawCallback(goal, mode=mode, every=4, diversity=spread, gain=0.25)
    trainer_with(callback, mode, **right).train()
    print(mode, "->", callback.advice.action if callback.advice else None)

# %% [markdown]
# Each wrote a log and one line of advice a row, in the run's output folder.

# %%
watched, steered = (qd.read(out / mode / "qdlaws") for mode in ("advise", "steer"))
lines = [json.loads(line) for line in (out / "steer" / "qdlaws" / "advice.jsonl").open()]
for line in lines[3::8]:
    print(line["step"], line["action"], "|", line["reasons"][0])

# %%
figure, (left, right_) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
left.plot(watched.step, watched.diversity, ".-", c="0.6", label="beta fixed")
left.plot(steered.step, steered.diversity, "o-", ms=4, label="steered")
left.axhline(0.6, c="C3", lw=1)
left.set(xlabel="step", ylabel="diversity of words")
left.legend(frameon=False)
right_.plot(steered.step, steered.extra["kl_coef"], "o-", ms=4, c="C1")
right_.set(xlabel="step", ylabel="beta in force", yscale="log")
plt.show()

# %% [markdown]
# At first it knows neither the lag nor the gain of this run (here D costs several times what it does
# for a language model: say so by `gain=`), so it overshoots and comes back. Later it turns little, and
# the diversity swings about a target a little above the floor, now and then below it: a row here is
# 128 completions of a toy, and its noise is as large as the margin.
#
# `mode="stop"` ends the run where the advice to stop is valid however often one looks; `may_stop=True`
# does so while steering. For any other trainer: `qdlaws watch --write advice.json`
# (docs/steering.md has the ten lines that follow it).
