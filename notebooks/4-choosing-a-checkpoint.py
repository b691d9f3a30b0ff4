# Source of the notebook of the same name; make it with: python notebooks/build.py

# %% [markdown]
# # Choosing a checkpoint
#
# The checkpoint with the highest reading is mostly the one with the luckiest evaluation. To see by
# how much, take a run that was evaluated on 400 samples a checkpoint, and add the noise that an
# evaluation on a handful of samples would have had.

# %%
import matplotlib.pyplot as plt
import numpy as np

import qdlaws as qd

log = qd.read("../data/runs/additive")[50:350]
noise = 0.06 * np.random.default_rng(4).standard_normal(len(log))
noisy = qd.RunLog.from_arrays(
    log.step,
    quality=log.quality + noise,
    quality_se=np.full(len(log), 0.06),
    diversity=log.diversity,
    diversity_se=log.diversity_se,
)
goal = qd.Goal(min_diversity=0.35)
choice = qd.advise(noisy, goal).choice

figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
choice.plot(ax=ax)
ax.plot(log.step, log.quality, color="black", lw=1, ls=":", label="400 samples")
ax.legend();

# %% [markdown]
# The band is the posterior of each checkpoint's *true* quality, given the readings of all of them.
# Crosses are checkpoints that cannot be trusted to hold the floor on diversity of .35.

# %%
print(choice.summary())

# %% [markdown]
# What would have happened with the highest reading among those that read a diversity above the floor?

# %%
allowed = noisy.diversity >= 0.35
naive = noisy.step[allowed][np.argmax(noisy.quality[allowed])]
for name, step in (("highest reading", naive), ("chosen here", choice.step)):
    row = int(np.flatnonzero(log.step == step)[0])
    stated = noisy.quality[row] if name == "highest reading" else choice.quality.mid
    print(f"{name:<16} step {step:g}: stated {stated:.3f}, with 400 samples {log.quality[row]:.3f}")

# %% [markdown]
# The table behind the choice: what each candidate is likely to be worth, the probability that it
# holds the goal, and that it is the best of those that do.

# %%
choice.table.sort_values("p_best", ascending=False).head(6).round(3)

# %% [markdown]
# If that is not sure enough, the choice says which checkpoints to evaluate again, and what it buys:

# %%
print(choice.measure)
