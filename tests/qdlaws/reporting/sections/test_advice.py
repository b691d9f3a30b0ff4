"""The advice in a line, its reasons and numbers; the forecast at three steps."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest

from qdlaws import Goal, advise, fit, forecast
from qdlaws.core.advice import Alarm
from qdlaws.core.interval import show
from qdlaws.reporting.run_data import RunView
from qdlaws.reporting.sections.advice import (
    advice_section,
    alarm_lines,
    call,
    forecast_section,
    reasons,
)
from tests.helpers.report_page import Page, short_run

GOAL = Goal(min_diversity=0.5)


@pytest.fixture(scope="module")
def view() -> RunView:
    fits = fit(short_run())
    return RunView("run", fits, advise(fits, GOAL), forecast(fits, 200))


def test_the_call_says_what_to_do_how_sure_and_what_to_keep(view):
    advice = replace(view.advice, action="stop", du=None, confidence=0.934, checkpoint=120.0)
    assert call(advice) == "Stop (93% sure). Keep the row of step 120."
    saved = replace(advice, choice=replace(advice.choice, saved=True))
    assert call(saved) == "Stop (93% sure). Keep checkpoint 120."
    fell = replace(saved, alarms=(Alarm("quality fell", "quality fell by 0.3", 120.0),))
    assert call(fell) == "Stop (93% sure). Go back to checkpoint 120."
    assert "quality fell by 0.3" in alarm_lines(fell)
    assert alarm_lines(saved) == ""
    advice = replace(advice, action="wait", confidence=None, checkpoint=None)
    assert call(advice) == "Wait, the log does not say enough."


def test_certainty_is_never_complete(view):
    assert "(over 99% sure)" in call(replace(view.advice, confidence=1.0))


def test_the_first_reason_is_seen_and_the_others_are_folded_with_the_goal(view):
    advice = replace(view.advice, reasons=("first", "second", "third"))
    text = reasons(advice, GOAL)
    folded = text.index("<details")
    assert text.index("first") < folded < text.index("second") < text.index("third")
    assert "diversity ≥ 0.5" in Page(text).words()


def test_a_factor_of_one_is_no_advice_to_turn_a_knob(view):
    turned = replace(view.advice, action="tighten", du=-math.log(2))
    assert "KL strength × 2, or reward scale × 0.5" in reasons(turned, GOAL)
    still = replace(view.advice, action="continue", du=0.0)
    assert "reward scale ×" not in reasons(still, GOAL)


def test_a_single_run_has_its_advice_in_the_head_of_the_page_only(view):
    assert advice_section([view], GOAL) == ""
    words = Page(advice_section([view, replace(view, name="other")], GOAL)).words()
    assert "other" in words
    assert view.advice.reasons[0] in words


def test_a_run_without_advice_or_forecast_says_why(view):
    bare = RunView("bare", view.fits, problems={"advice": "reason one", "forecast": "reason two"})
    assert "reason one" in advice_section([view, bare], None)
    assert "reason two" in forecast_section([bare])


def test_the_forecast_in_numbers_is_folded_and_narrow_enough_for_a_phone(view):
    text = forecast_section([view])
    assert re.findall(r">step (\d+)<", text) == ["390", "590"]
    assert text.startswith("<details")
    last = view.forecast.final["quality"]
    mid, ends = show(last).split(" ", 1)
    assert f"{mid}<br><span class='soft'>{ends}</span>" in text
