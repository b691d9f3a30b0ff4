# Source of the notebook of the same name; make it with: python notebooks/build.py

# %% [markdown]
# # A knob that moves the gradient is not yet a knob one can steer by
#
# Why does `law_guided` refuse some recipes before the run? Because there the state in which the
# policy settles is no function of the KL strength β. A bandit with fifty actions shows it exactly,
# without sampling: let the policy settle at each β, from tight to loose and back again.

# %%
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt

from qdlaws import Goal
from trainer import RECIPES, Knobs
from trainer.algorithms import advantage, divergence, shaping
from trainer.algorithms import weighting as weigh
from trainer.algorithms.objective import Term
from trainer.analysis.exact_bandit import random_bandit
from trainer.analysis.plant import live_knobs, read_plant, settle, sweep
from trainer.control import make_controller

reverse_kl = Term(partial(divergence.reverse, level="sequence"), "kl", reduce=weigh.sequence_sum)
rloo = RECIPES["rloo"]()
grpo = replace(RECIPES["grpo"](), knobs=Knobs(kl=0.3))
folded = replace(rloo, name="group std, reverse KL in the loss", shape=rloo.shape[:1],
                 advantage=advantage.group_standardised, terms=(reverse_kl,), knobs=Knobs(kl=0.3))

# %% [markdown]
# Three recipes: RLOO with the KL in the reward; GRPO, whose k3 has the gradient of the *forward* KL;
# and a likely-looking variant, GRPO's advantage with the gradient of the *reverse* KL.

# %%
strengths = (4.0, 2.0, 1.0, 0.6, 0.3, 0.1)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True, layout="constrained")
for ax, recipe in zip(axes, (rloo, grpo, folded), strict=True):
    swept = sweep(recipe, strengths, knob="kl")
    ax.plot(strengths, [s.entropy for s in swept.loosening], "o-", label="loosened from the prior")
    ax.plot(strengths, [s.entropy for s in swept.tightening], "s--", label="tightened again")
    ax.set(xscale="log", xlabel="β", title=f"{recipe.name}\nplant: {read_plant(swept)}")
    ax.invert_xaxis()
axes[0].set_ylabel("entropy where it settles, nats")
axes[0].legend(frameon=False)
plt.show()

# %% [markdown]
# In the third, a weak enough β ends in the collapse of all groups, and no stronger β brings entropy
# back: with all answers of a group alike the advantage is 0/0, and the reverse KL weighs by π, which
# is zero where the entropy was lost. At one and the same β the end depends on the start:

# %%
bandit = random_bandit()
lost = settle(folded, bandit, Knobs(kl=0.6), bandit.ref_logits)
starts = {"the prior": bandit.ref_logits, "where β = 0.6 ended": lost.policy.clamp_min(1e-300).log()}
for name, start in starts.items():
    state = settle(folded, bandit, Knobs(kl=2.0), start)
    print(f"β = 2 from {name:<20} H = {state.entropy:.2f}")

# %% [markdown]
# Yet the knob is *live*: doubling it does change the direction of the gradient. That is why a
# recipe states both, and why both are computed from its pieces, not declared by hand.

# %%
for recipe in (rloo, grpo, folded):
    print(f"{recipe.name:<34} live: {sorted(live_knobs(recipe))}")

# %% [markdown]
# ## Refused before the run, with the remedy

# %%
try:
    make_controller("law_guided", replace(folded, live=live_knobs(folded), plant="folded"),
                    folded.knobs, Goal(min_diversity=0.7))
except ValueError as refused:
    print(refused)

# %% [markdown]
# Where a fixed step size is wanted, divide by *one scalar of the whole batch* instead
# (`recipe.normalise = "batch"` in a configuration), with the KL in the reward: the target stays
# π_ref·exp(R/β), and both knobs steer again.

# %%
remedy = replace(rloo, shape=(*rloo.shape, shaping.batch_normalised))
live = live_knobs(remedy)
sorted(live), read_plant(sweep(replace(remedy, live=live)))
