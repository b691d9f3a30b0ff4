# Source of the notebook of the same name; make it with: python notebooks/build.py

# %% [markdown]
# # Closing the loop: hold a diversity instead of sweeping a coefficient
#
# A KL strength is set before a run and read off after it: one sweeps. `law_guided` is given what is
# wanted, here *diversity stays at .70 or above*, and turns log(reward scale / KL) while it runs.
#
# The task: write an expression that equals N (`24=20+4`), many answers are right. Diversity is the
# probability that two answers to the same N are different. The molecular version of this page is
# `make demo`; the comparison with its seeds and rivals is `benchmarks/closed_loop.py`.

# %%
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import qdlaws as qd
from trainer import load_config, train

FLOOR = 0.70
runs = Path(tempfile.mkdtemp())
small = ["recipe=rloo", "task.eval_share=0", "steps=100", "lr=1e-3", "train.threads=1"]
small += ["eval.every=5", "eval.samples=360", "eval.keep=false", "control.advise=false"]

# %% [markdown]
# ## A sweep, as one would do it
#
# Three strengths, three runs. Which of them ends where it should is known afterwards.

# %%
strengths = [0.3, 0.1, 0.03]
for kl in strengths:
    train(load_config("arithmetic", [*small, f"recipe.kl={kl}"]), runs / f"kl-{kl}")
fixed = {kl: qd.read(runs / f"kl-{kl}") for kl in strengths}
for kl, log in fixed.items():
    print(f"kl {kl:<5} ends at D {log.diversity[-1]:.2f}, R {log.quality[-1]:.2f}")

# %% [markdown]
# ## One run that is given the floor
#
# Before the first step 2,000 samples of the prior give the frontier: what the best policy of every
# KL would show. With it comes a start on the tight side, no strength has to be guessed.

# %%
floor = ["control=law_guided", f"control.min_diversity={FLOOR}"]
train(load_config("arithmetic", [*small, *floor]), runs / "guided")
guided = qd.read(runs / "guided")
decisions = [json.loads(line) for line in (runs / "guided" / "advice.jsonl").open()]
for decision in decisions[2::4]:
    print(f"step {decision['step']:>3}  {decision['action']:<8} {decision['reasons'][0]}")
print(f"it ends at D {guided.diversity[-1]:.2f}, R {guided.quality[-1]:.2f}")

# %% [markdown]
# ## The trajectories
#
# Left: quality on diversity, the sweep in grey. Right: what was turned, and what it did.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for kl, log in fixed.items():
    left.plot(log.diversity, log.quality, ".-", c="0.7", lw=1)
    left.annotate(f"kl {kl}", (log.diversity[-1], log.quality[-1]), fontsize=8)
left.plot(guided.diversity, guided.quality, "o-", c="C0", ms=4, label="law guided")
left.axvline(FLOOR, c="C3", lw=1, label="floor")
left.invert_xaxis()
left.set(xlabel="diversity", ylabel="quality")
left.legend(frameon=False)

knobs = [decision["knobs"] for decision in decisions]
ratio = [np.log(k["reward_scale"] / k["kl"]) for k in knobs]
right.plot(guided.step, guided.diversity, "o", c="C0", ms=4, label="diversity")
right.axhline(FLOOR, c="C3", lw=1)
right.set(xlabel="step", ylabel="diversity")
other = right.twinx()
other.step([decision["step"] for decision in decisions], ratio, where="post", c="C1")
other.set_ylabel("log(reward scale / KL)", color="C1")
plt.show()

# %% [markdown]
# ## Beside what is possible
#
# No policy of the same KL can be better than the exponentially tilted prior. The plan that the run
# made is kept as `plan.json`; `qdlaws report` draws the same picture.

# %%
plan = json.loads((runs / "guided" / "plan.json").read_text())
tilt = [row for row in plan["table"] if row["quality"] is not None]
plt.figure(figsize=(5.2, 3.6), layout="constrained")
plt.plot([r["kl"] for r in tilt], [r["quality"] for r in tilt], c="C2", label="frontier")
for log in fixed.values():
    plt.plot(log.extra["kl"], log.quality, ".", c="0.7")
plt.plot(guided.extra["kl"], guided.quality, "o", ms=4, c="C0", label="law guided")
plt.xlabel("KL to the prior, nats")
plt.ylabel("quality")
plt.legend(frameon=False)
plt.show()

# %% [markdown]
# ## It can be replayed
#
# A controller is a pure function of the log. From the saved log it decides the same again, so one
# can see why it did what it did, or what another controller would have done.

# %%
from trainer import RECIPES, Knobs
from trainer.control import make_controller, replay

start = json.loads((runs / "guided" / "start.json").read_text())
begin = Knobs(**start["knobs"])
goal = qd.Goal(min_diversity=FLOOR, budget_steps=100)
gain = {} if start["gain"] is None else {"gain": start["gain"]}
controller = make_controller("law_guided", RECIPES["rloo"](), begin, goal, **gain)
again = replay(controller, guided, begin)
assert [d.to_dict()["knobs"] for d in again] == knobs
print(f"{len(again)} decisions, all as they were")
