"""What to do and what to expect: advice with its reasons, and the forecast."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from qdlaws.advice.advise import Advice
from qdlaws.core.goal import Goal
from qdlaws.core.interval import Interval, show
from qdlaws.core.serialize import chance
from qdlaws.core.summary import Summary
from qdlaws.forecasting.forecast import Forecast
from qdlaws.reporting.html import Raw, badge, bullets, facts, fold, folded, of_run, section, table
from qdlaws.reporting.run_data import RunView

__all__ = ["advice_section", "alarm_lines", "call", "forecast_section", "reasons"]

CALLS = {
    "continue": "Go on",
    "stop": "Stop",
    "wait": "Wait, the log does not say enough",
    "tighten": "Hold the policy closer to its reference",
    "loosen": "There is room to let the policy move away from its reference",
}


# ---------------------------------------------------------------------- advice


def call(advice: Advice) -> str:
    """The advice in a line: what to do, how sure, which checkpoint."""
    sure = "" if advice.confidence is None else f" ({chance(advice.confidence)} sure)"
    keep = ""
    if advice.checkpoint is not None:
        fell = advice.action == "stop" and any(a.rollback is not None for a in advice.alarms)
        noun = "checkpoint" if advice.choice is None else advice.choice.noun
        keep = f" {'Go back to' if fell else 'Keep'} {noun} {advice.checkpoint:g}."
    return f"{CALLS.get(advice.action, advice.action)}{sure}.{keep}"


def alarm_lines(advice: Advice) -> str:
    """The alarms that ring; empty where none does."""
    return bullets([Raw(f"<b>Alarm</b>: {escape(str(alarm))}") for alarm in advice.alarms])


def reasons(advice: Advice, goal: Goal | None) -> str:
    """The first reason of the advice; the others, the goal and the numbers folded."""
    numbers = _numbers(advice, goal)
    more = bullets(advice.reasons[1:]) + numbers
    return bullets(advice.reasons[:1]) + fold("All reasons, and the numbers", more)


def advice_section(views: Sequence[RunView], goal: Goal | None) -> str:
    """The advice for each of several runs; that for a single one heads the page."""
    if len(views) == 1:
        return ""
    body = "".join(of_run(i, _one_of_many(view, goal)) for i, view in enumerate(views))
    return section("Advice for each run", body, "advice")


def _one_of_many(view: RunView, goal: Goal | None) -> str:
    name, advice = f"<strong>{escape(view.name)}</strong>", view.advice
    if advice is None:
        return f"<p>{name} {escape(view.problems.get('advice', 'no advice'))}</p>"
    title = Raw(f"{name} {badge(advice.action)} {escape(call(advice))}")
    return fold(title, alarm_lines(advice) + bullets(advice.reasons) + _numbers(advice, goal))


def _numbers(advice: Advice, goal: Goal | None) -> str:
    """The goal and the numbers behind the advice as a table."""
    rows = [("goal", (goal or Goal()).words(advice.clock))]
    if (choice := advice.choice) is not None and choice.quality is not None:
        rows.append(
            (f"estimated true quality at {choice.clock} {choice.step:g}", show(choice.quality))
        )
    for name in ("diversity", "entropy"):
        target = getattr(advice, f"{name}_target")
        if target is not None and target.known:
            rows.append((f"{name} to aim for", show(target)))
    if words := advice.turn_words:
        rows.append(("turn", words))
    return facts(Summary("", rows=tuple(rows)))


# ---------------------------------------------------------------------- forecast


def forecast_section(views: Sequence[RunView]) -> str:
    """Where every column is heading, folded: the figure of the steps shows it."""
    if len(views) == 1:
        return folded("The forecast in numbers", _forecast(views[0]), "forecast")
    body = "".join(of_run(i, fold(v.name, _forecast(v))) for i, v in enumerate(views))
    return folded("The forecasts in numbers", body, "forecast")


def _forecast(view: RunView) -> str:
    forecast = view.forecast
    if forecast is None:
        return bullets([view.problems.get("forecast", "no forecast")])
    caption = f"expected value with its {forecast.level:.0%} interval"
    return table(*_now_and_then(forecast), caption, numbers=1) + bullets(forecast.reasons)


def _now_and_then(forecast: Forecast) -> tuple[list[str], list[list[str]]]:
    """The columns now and at the horizon."""
    steps = np.array([forecast.step, forecast.step + forecast.horizon])
    head = ["", *(f"{forecast.log.clock} {step:.6g}" for step in steps)]
    rows = []
    for name, part in forecast.at(steps).groupby("column", sort=False):
        ends = zip(part["low"], part["mid"], part["high"], strict=True)
        rows.append([str(name), *(_two_lines(Interval(*e, forecast.level)) for e in ends)])
    return head, rows


def _two_lines(value: Interval) -> str:
    """The value above its interval."""
    mid, _, ends = show(value).partition(" ")
    return Raw(f"{mid}<br><span class='soft'>{ends}</span>") if ends else mid
