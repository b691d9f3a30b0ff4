# Source of the notebook of the same name; make it with: python notebooks/build.py

# %% [markdown]
# # Training a policy, and rewards and tasks of one's own
#
# `trainer` fine-tunes a language model by RL; a run is a folder that `qdlaws` reads. Everything here
# is one command in a terminal, too: `qdtrain run demo --out runs/first --set steps=30`.
#
# A small chemical language model (60,000 weights, made by `qdtrain pretrain`) is to write molecules
# with a high drug-likeness, QED. The bundled priors are for demonstration, not drug-like chemistry.

# %%
import tempfile
from pathlib import Path

import qdlaws as qd
from trainer import load_config, train

runs = Path(tempfile.mkdtemp())
small = ["policy.model=molecules-60k", "train.samples=32", "train.threads=1", "eval.samples=150"]
config = load_config("demo", [*small, "steps=30", "eval.every=3", "eval.final=150"])
train(config, runs / "first")

log = qd.read(runs / "first")
log.to_frame()[["step", "quality", "diversity", "entropy", "kl"]].round(3).tail(3)

# %% [markdown]
# Every evaluation is on fresh samples, with standard errors, so the laws can be fitted at once.

# %%
fits = qd.fit(log)
fits.plot();

# %% [markdown]
# ## What if?
#
# Randomness is keyed by (seed, step, prompt, sample): a run is a function of its configuration. So
# one can go back to a checkpoint and change a single thing.

# %%
from trainer import branch

branch(runs / "first", runs / "looser", step=15, settings=["recipe.kl=0.01"])
other = qd.read(runs / "looser")
print(f"at step 30: R {log.quality[-1]:.3f}, D {log.diversity[-1]:.3f}")
print(f"with a weaker KL from step 15 on: R {other.quality[-1]:.3f}, D {other.diversity[-1]:.3f}")

# %% [markdown]
# ## A reward of one's own
#
# is one plain Python function of a SMILES. It lives in a module, here one that we write next to the
# notebook; `objective = "my_rewards:rings"` in a TOML file does the same.

# %%
import sys

(runs / "my_rewards.py").write_text('''
from rdkit import Chem

def rings(smiles: str) -> float:
    """More rings, up to five."""
    return min(Chem.MolFromSmiles(smiles).GetRingInfo().NumRings() / 5, 1.0)
''')
sys.path.append(str(runs))

train(load_config("demo", [*small, "task.objective=my_rewards:rings", "steps=20", "eval.every=10"]),
      runs / "rings")
qd.read(runs / "rings").quality.round(3)

# %% [markdown]
# ## A task of one's own
#
# is one small class: its prompts, the score of an answer, which answers mean the same, how diverse
# they are. Nothing has to be inherited. Here the arithmetic prior has to write sums with many terms.

# %%
(runs / "my_task.py").write_text('''
import numpy as np
from qdlaws import measure
from trainer import Prompt, Scores
from trainer.types import Traits

class LongSums:
    name = "long sums"
    traits = Traits("long sums", many_prompts=True, binary=False, lowest=0.0, highest=1.0, equivalence=True)

    def prompts(self, split="train"):
        return [Prompt(n, f"{n}=") for n in range(10, 30)]

    def score(self, prompts, texts):
        """The number of plus signs, up to four; anything but digits and + is worth nothing."""
        good = [bool(t) and set(t) <= set("0123456789+") for t in texts]
        value = [min(t.count("+") / 4, 1.0) if ok else 0.0 for t, ok in zip(texts, good)]
        return Scores(np.array(value), np.array(good))

    def keys(self, prompts, texts):
        return ["+".join(sorted(t.split("+"))) for t in texts]

    def measure(self, prompts, texts):
        same = measure.by_key("sorted terms", lambda t: "+".join(sorted(t.split("+"))))
        return {"diversity": measure.distinct_classes(texts, same, reading="pairwise")}

    def corpus(self, n, seed):
        return []

    def close(self):
        pass

def make():
    return LongSums()
''')

settings = ["task=my_task:make", "recipe=rloo", "steps=20", "eval.every=10", "eval.samples=100"]
train(load_config("arithmetic", [*settings, "train.threads=1"]), runs / "sums")
qd.read(runs / "sums").quality.round(3)

# %% [markdown]
# ## A recipe of one's own
#
# An algorithm is one frozen value made of plain functions; the published ones are listed by
# `qdtrain recipes`. A new one is composed in a few lines. Does its reward scale do anything? Does its
# KL steer where it settles? An exact bandit answers before a single sample is drawn.

# %%
from dataclasses import replace

from trainer import RECIPES
from trainer.algorithms import advantage
from trainer.algorithms import weighting as weigh
from trainer.analysis.plant import live_knobs, read_plant, sweep

mine = replace(RECIPES["rloo"](), name="mine", advantage=advantage.centred, reduce=weigh.sequence_sum)
live = live_knobs(mine)
sorted(live), read_plant(sweep(replace(mine, live=live)))

# %% [markdown]
# `tilt`: it settles in π_ref·exp(scale·R/kl), so KL strength and reward scale are knobs that a
# controller can steer by. Next: `qdtrain plan demo` says before the first step what to expect at
# which strength, and `control.name = "law_guided"` turns the knobs while the run runs.
