# Source of the notebook of the same name; make it with: python notebooks/build.py

# %% [markdown]
# # Reading the laws and their verdicts
#
# Each law comes with a verdict, and most of the skill is in believing it. Four runs:

# %%
import matplotlib.pyplot as plt

import qdlaws as qd

runs = {name: qd.fit(qd.read(f"../data/runs/{name}")) for name in ("additive", "bigram", "motif")}
runs["the end of additive"] = qd.fit(qd.read("../data/runs/additive")[400:])

figure, axes = plt.subplots(1, 4, figsize=(15, 3.4), layout="constrained")
for ax, (name, fits) in zip(axes, runs.items(), strict=True):
    fits.rd.plot(ax=ax, legend=False, colorbar=False)
    ax.set_title(f"{name}: {fits.rd.verdict}", loc="left")

# %% [markdown]
# - **concave**: quality saturates. The last units of diversity given up bring the least; holding
#   some diversity is cheap. Only here is there an operating point.
# - **convex**: quality accelerates. The last units bring the most; the policy must collapse to get
#   the reward (a needle in a haystack), and stopping half way is the worst of both.
# - **linear**: nearly straight, one price everywhere.
# - **falling**: a trade-off, but too little data to see how it bends.
# - **peaked**: quality is best inside the range; `law.best` says where.
# - **unsupported**: no trade-off can be seen, or the curve does not describe the run. Nothing is
#   printed that rests on one.
#
# A trade-off is *clear* from a probability of .975 and *likely* from .9.

# %%
for name, fits in runs.items():
    print(f"{name}: {fits.rd.headline}")
    for reason in fits.rd.reasons:
        print(f"    {reason}")

# %% [markdown]
# ## Numbers from a law
#
# Every answer is an interval, and NaN where the data do not know. The coefficients a and b run away
# to infinity as a law becomes straight, so better ask for what you want to know:

# %%
law = runs["additive"].rd
print("the price of a unit of diversity, when there is much of it:", law.exchange_rate(0.8))
print("and when there is little:                                  ", law.exchange_rate(0.1))
print("the diversity at which quality is .9:                      ", law.diversity_for(0.9))
print("the quality if all diversity were given up:                ", law.ceiling())
print("the diversity to hold if a unit is worth .4 of quality:    ", law.operating_point(0.4))

# %%
law.plot(price=0.4);

# %% [markdown]
# ## How far to believe an interval
#
# The certificate simulates runs like this one, with errors as fitted, with a slow wander and with a
# jump, refits them, and counts. Where the count falls short, it says which level to ask for instead.

# %%
print(law.certificate())

# %% [markdown]
# Ordinary least squares takes the checkpoints of one run for independent. Where errors persist, as
# in the last law of this run, its intervals are several times too narrow:

# %%
line = runs["additive"].hd
classical = line.to_lmfit().params["slope"]
print(f"correlation of errors {line.rho:.2f}")
print(f"least squares: slope {classical.value:.3f} ± {1.96 * classical.stderr:.3f}")
print(f"this library:  slope {line.params.slope}")

# %% [markdown]
# ## Do the three laws compose?
#
# If entropy is a line in diversity, H = k·D + m, then the curvatures must match: c = c0·k. The check
# knows that the three laws share the noise of one run.

# %%
check = runs["additive"].composition
print(check.verdict, check.reasons)
print("c − c0·k:", check.c_difference)

# %% [markdown]
# Entropy measures the collapse a little differently from diversity here: the line is slightly bent,
# and the check sees it. A law is a description of one run, and this one says where it ends.
