# Source of the notebook of the same name; make it with: python notebooks/build.py

# %% [markdown]
# # Many runs
#
# Is the law a property of the task, or of how one happened to train? Eight runs on one reward: two
# learning rates, four seeds each.

# %%
from pathlib import Path

import matplotlib.pyplot as plt

import qdlaws as qd

paths = sorted(Path("../data/sweep").iterdir())
names = [path.name for path in paths]
fits = [qd.fit(qd.read(path)) for path in paths]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
for name, run in zip(names, fits, strict=True):
    colour = "tab:blue" if "0.3" in name else "tab:orange"
    left.plot(run.log.step, run.log.quality, color=colour, lw=1, label=name[:8])
    right.plot(run.log.diversity, run.log.quality, ".", color=colour, ms=3)
left.set(xlabel="step", ylabel="quality", title="against steps: two speeds")
right.set(xlabel="diversity", ylabel="quality", title="against diversity: one law?")
left.legend(*[part[::4] for part in left.get_legend_handles_labels()]);

# %% [markdown]
# The two learning rates differ by a factor of three in speed and by little in the law. `compare`
# tests whether all runs share one law exactly, and if not, which coefficient differs:

# %%
same = qd.compare(fits, names=names)
print(same.summary())

# %% [markdown]
# A p-value does not say how large a difference may be: `fleet` does. It is a mixed model over the
# runs: their mean, and the spread between them, which is a few percent here.

# %%
fleet = qd.fleet(fits, names=names)
print(fleet.summary())
fleet.plot();

# %% [markdown]
# So one knows what a ninth run would be like before it is started, which is what early forecasts
# and plans rest on:

# %%
fleet.predict([0.2, 0.4, 0.6, 0.8]).round(3)

# %% [markdown]
# Runs on *different* tasks do not share a law, and the comparison says so. They are compared on
# entropy (`kind="rh"`): against diversity the readings of `bigram` bend more sharply than
# b − a·exp(c·D) can, and the summary of that fit calls its curve rough.

# %%
tasks = ("additive", "bigram", "motif")
logs = [qd.read(f"../data/runs/{name}") for name in tasks]
other = qd.compare(logs, kind="rh", names=tasks)
other.plot()
print(other.summary())
