# Source of the notebook of the same name; make it with: python notebooks/build.py

# %% [markdown]
# # From a log to advice in ten lines
#
# A policy is trained with RL: its reward rises, its diversity falls. How far should it go? Here is
# an example run of 500 steps, of which we pretend to have seen the first 150.

# %%
import qdlaws as qd

log = qd.read("../data/runs/additive")  # any tool's log; recognised by content
early = log[:150]
fits = qd.fit(early)
fits.plot();

# %% [markdown]
# Three laws: quality on diversity, quality on entropy, entropy on diversity. The points run from
# early (dark) to late (light); the band is that of the law itself. In words and numbers:

# %%
fits.rd

# %% [markdown]
# What comes if nothing is changed? The shades hold 50, 80 and 95 % of what is expected.

# %%
forecast = qd.forecast(fits, horizon=120)
forecast.plot();

# %%
forecast

# %% [markdown]
# And what to do, if diversity is to stay at .4 or above?

# %%
advice = qd.advise(fits, qd.Goal(min_diversity=0.4))
print(advice)

# %% [markdown]
# Was the forecast worth anything? The run went on, so we can look. `forecast.at` gives an 80 %
# interval for the true level at any step:

# %%
later = forecast.at([170, 200, 250]).set_index(["column", "step"])
seen = log.to_frame().set_index("step").loc[[170, 200, 250], ["quality", "diversity", "entropy"]]
later["what came"] = [seen.loc[step, column] for column, step in later.index]
later.round(3)

# %% [markdown]
# The same can be checked on the past of a run that is still going. `backtest` cuts it at earlier
# steps, forecasts from each, and compares with what is known by now and with what people use
# instead. Of this run it says not to rely on forecasts: it speeds up and slows down too much. So the
# advice above rests on where diversity is and how fast it falls, not on the far end of the fan.

# %%
qd.backtest(early)

# %% [markdown]
# All of this on one page, to send to a colleague: `qd.report(early, "report.html")`. To have it kept
# up to date while the run goes on: `qdlaws watch runs/NAME --write advice.json --min-diversity 0.4`.
