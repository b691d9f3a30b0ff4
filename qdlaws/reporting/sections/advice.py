"""What to do and what to expect: advice with its reasons, and the forecast."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from qdlaws.advice.advise import Advice
from qdlaws.core.goal import Goal
from qdlaws.core.summary import Summary, show
from qdlaws.forecasting.forecast import Forecast
from qdlaws.reporting.html import Raw, badge, bullets, facts, of_run, section, table
from qdlaws.reporting.run_data import RunView

__all__ = ["advice_section", "call", "forecast_section"]

CALLS = {
    "continue": "Go on.",
    "stop": "Stop.",
    "wait": "Wait: the log does not say enough.",
    "tighten": "Tighten: hold the policy closer to its reference.",
    "loosen": "Loosen: there is room to move away from the reference.",
}


def call(advice: Advice) -> str:
    """The advice in a line: what to do, how sure, which checkpoint."""
    sure = "" if advice.confidence is None else f" ({_percent(advice.confidence)} sure)"
    keep = "" if advice.checkpoint is None else f" Keep checkpoint {advice.checkpoint:g}."
    return f"{CALLS.get(advice.action, advice.action)[:-1]}{sure}.{keep}"


def _percent(share: float) -> str:
    """Never 100 %: nothing learnt from data is certain."""
    return "> 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def advice_section(views: Sequence[RunView], goal: Goal | None) -> str:
    """The advice for every run, its reasons and the numbers behind it."""
    alone = len(views) == 1
    body = "".join(of_run(i, _advice(v, alone)) for i, v in enumerate(views))
    told = f'<p class="soft">The goal: {escape((goal or Goal()).words())}.</p>'
    return section("What to do", told + body, "advice")


def _advice(view: RunView, alone: bool) -> str:
    advice = view.advice
    whose = "" if alone else f"<strong>{escape(view.name)}</strong> "
    if advice is None:
        return f"<p>{whose}{escape(view.troubles.get('advice', ''))}</p>"
    rows = _advice_rows(advice)
    body = bullets(advice.reasons) + facts(Summary("", "", rows))
    head = f"{whose}{badge(advice.action)} {escape(call(advice))}"
    if alone:
        return f"<p>{head}</p>{body}"
    return f'<details class="run"><summary>{head}</summary>{body}</details>'


def _advice_rows(advice: Advice) -> tuple[tuple[str, str], ...]:
    rows = []
    if (choice := advice.choice) is not None and choice.quality is not None:
        rows.append((f"quality at {choice.step:g}", f"{show(choice.quality)}, its true value"))
    for name in ("diversity", "entropy"):
        target = getattr(advice, f"{name}_target")
        if target is not None and target.known:
            rows.append((f"{name} target", show(target)))
    if advice.kl_factor is not None and advice.reward_scale_factor is not None:
        turned = f"{advice.kl_factor:.3g}, or the reward scale by {advice.reward_scale_factor:.3g}"
        rows.append(("multiply KL by", turned))
    return tuple(rows)


def forecast_section(views: Sequence[RunView]) -> str:
    """Where every column is heading."""
    alone = len(views) == 1
    body = "".join(of_run(i, _forecast(v, alone)) for i, v in enumerate(views))
    return section("Forecast", f'<div class="grid wide">{body}</div>', "forecast")


def _forecast(view: RunView, alone: bool) -> str:
    found = view.forecast
    whose = "" if alone else f"{view.name}: "
    if found is None:
        return bullets([f"{whose}{view.troubles.get('forecast', 'no forecast')}"])
    shown = table(*_forecast_table(found), f"{whose}{found.level:.0%} intervals", numbers=1)
    reasons = bullets(found.reasons)
    if not alone:
        reasons = f'<details class="run"><summary>Why</summary>{reasons}</details>'
    return shown + reasons


def _forecast_table(found: Forecast) -> tuple[list[str], list[list[str]]]:
    """The columns at three steps up to the horizon."""
    steps = np.unique(np.round(found.step + found.horizon * np.linspace(0, 1, 3)))
    frame = found.at(steps)
    head = ["column", *(f"step {step:.6g}" for step in steps)]
    rows = []
    for name in found.columns:
        part = frame[frame["column"] == name]
        cells = zip(part["low"], part["mid"], part["high"], strict=True)
        rows.append([name, *(_spread(*map(float, cell)) for cell in cells)])
    return head, rows


def _spread(low: float, mid: float, high: float) -> str:
    if not np.isfinite(mid):
        return "unknown"
    return Raw(f"{mid:.3g}<br><span class='soft'>{low:.3g} to {high:.3g}</span>")
