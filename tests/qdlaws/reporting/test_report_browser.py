"""The report in a real browser: no complaints, working controls, narrow screens, paper."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from qdlaws import RunLog
from qdlaws.reporting import report
from tests.helpers.browser import Browser, browser, missing

RUNS = Path(__file__).parents[3] / "data" / "runs"
EVIL = "<img src=x onerror='window.hacked=2'><script>window.hacked=1<!--"

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

FREE = "figure[data-free]"
FIRST = "figure[data-x]"


@pytest.fixture(scope="module")
def screen() -> Iterator[Browser]:
    with browser() as session:
        yield session


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    """The address of a report of an example run and of one with a hostile name."""
    rng = np.random.default_rng(1)
    diversity = np.linspace(0.9, 0.2, 60) + 0.005 * rng.standard_normal(60)
    quality = 1 - 0.1 * np.exp(2 * diversity) + 0.01 * rng.standard_normal(60)
    evil = RunLog.from_arrays(
        range(60), quality=quality, diversity=diversity, source=EVIL, notes=[EVIL]
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    return report([RUNS / "additive", evil], path, certificates=False).as_uri()


def dots(figure: str) -> str:
    """The number of points drawn in a figure, as JavaScript."""
    paths = f"[...document.querySelectorAll('{figure} .dots')]"
    return f"{paths}.flatMap(p => p.getAttribute('d').match(/M/g) || []).length"


def test_opens_without_complaint_and_loads_nothing(screen, page):
    screen.complaints()
    screen.open(page)
    assert screen.complaints() == []
    assert screen.script("performance.getEntriesByType('resource').length") == 0
    assert screen.script("window.hacked === undefined")
    # the hostile name is on the page, as words
    assert screen.script(
        f"document.querySelector('.runs').textContent.includes({json.dumps(EVIL)})"
    )
    assert screen.script(dots(FREE)) == 101 + 60


def test_pointing_at_a_point_tells_its_values(screen, page):
    screen.open(page)
    words = f"document.querySelector('{FREE} .reading').textContent"
    assert "Point at" in screen.script(words)
    x, y = screen.script(
        f"(() => {{ const s = document.querySelector('{FREE} svg').getBoundingClientRect();"
        f"const d = document.querySelector('{FREE} .dots').getAttribute('d');"
        "const [, a, b] = d.match(/M([\\d.]+) ([\\d.]+)/);"
        "return [a - s.width / 2, b - s.height / 2]; })()"
    )
    screen.point_at(f"{FREE} svg", round(x), round(y))
    text = screen.script(words)
    assert text.startswith("additive · step 0 · quality 0.5678 ± 0.0045")
    assert "diversity 0.8702" in text
    assert "entropy 2.035" in text


def test_keys_walk_through_the_points(screen, page):
    screen.open(page)
    words = f"document.querySelector('{FREE} .reading').textContent"
    right, left, end, escape = "\ue014", "\ue012", "\ue010", "\ue00c"
    screen.keys(f"{FREE} svg", right * 3)
    assert "step 10 " in screen.script(words)
    screen.keys(f"{FREE} svg", left)
    assert "step 5 " in screen.script(words)
    screen.keys(f"{FREE} svg", end)
    assert "step 59 " in screen.script(words)
    screen.keys(f"{FREE} svg", escape)
    assert "Point at" in screen.script(words)


def test_runs_can_be_chosen_and_the_choice_is_kept_in_the_address(screen, page):
    screen.open(page)
    screen.click("input[data-run='1']")
    assert screen.script(dots(FREE)) == 101
    assert screen.script("[...document.querySelectorAll('[data-of=\"1\"]')].every(e => e.hidden)")
    kept = screen.script("location.href")
    assert "runs=0" in kept
    screen.open(kept)
    assert screen.script(dots(FREE)) == 101
    screen.click("#all")
    assert screen.script(dots(FREE)) == 161
    screen.click("#all")
    assert screen.script(dots(FREE)) == 0
    assert "no run chosen" in screen.script(f"document.querySelector('{FREE} svg').textContent")
    assert screen.complaints() == []


def test_axes_can_be_chosen(screen, page):
    screen.open(page)
    label = f"document.querySelector('{FREE} svg').getAttribute('aria-label')"
    assert screen.script(label).startswith("quality against step of")
    assert screen.script(f"document.querySelectorAll('{FREE} .law.ahead').length") == 2
    screen.keys("#axis-x", "diversity")
    assert screen.script(label).startswith("quality against diversity of")
    assert "trade-off, concave" in screen.script(label)
    assert screen.script(f"document.querySelectorAll('{FREE} .law:not(.beyond)').length") == 2
    screen.keys("#axis-y", "entropy")  # which only one of the runs has
    assert screen.script(dots(FREE)) == 101
    assert screen.complaints() == []


def test_the_theme_can_be_turned(screen, page):
    screen.open(page)
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    before = screen.script(ground)
    screen.click("#theme")
    assert screen.script(ground) != before
    assert "theme=" in screen.script("location.hash")
    screen.click("#theme")
    assert screen.script(ground) == before


@pytest.mark.parametrize("width", [320, 390, 768, 1440])
def test_nothing_sticks_out_on_any_screen(screen, page, width):
    screen.size(width)
    screen.open(page)
    assert screen.script("document.scrollingElement.scrollWidth") <= width
    drawn = screen.script(f"document.querySelector('{FIRST} svg').getBoundingClientRect().width")
    assert 240 <= drawn <= width
    screen.size(1200)


def test_a_long_verdict_is_broken_within_its_card(screen, page):
    screen.size(390)
    screen.open(page)
    words = "likely trade-off, its bend is unclear, or a steady drift of quality over the steps"
    badge = f"document.querySelector('{FIRST} .badge')"
    screen.script(f"{badge}.textContent = {json.dumps(words)}")
    right = f"{badge}.getBoundingClientRect().right"
    assert screen.script(f"{right} <= {badge}.closest('figure').getBoundingClientRect().right")
    assert screen.script("document.scrollingElement.scrollWidth") <= 390
    screen.size(1200)


def test_a_table_wider_than_a_phone_scrolls_in_its_place(screen, page):
    screen.size(390)
    screen.open(page)
    table = "document.querySelector('[aria-labelledby=all-runs] .scroll')"
    assert screen.script(f"{table}.scrollWidth > {table}.clientWidth")
    assert "more columns" in screen.script(f"getComputedStyle({table}, '::before').content")
    shadow = f"getComputedStyle({table}).backgroundAttachment"
    assert "scroll" in screen.script(shadow)  # the shadow at the edge stays where it is
    screen.size(1200)


def test_it_prints_with_its_details_open_and_without_controls(screen, page):
    screen.open(page)
    paper = screen.pdf()
    assert paper.startswith(b"%PDF")
    assert len(paper) > 20_000
    assert screen.script("[...document.querySelectorAll('details.printed')].every(e => e.open)")


def test_without_its_script_the_pictures_are_still_there(screen, page, tmp_path):
    text = Path(page.removeprefix("file://")).read_text(encoding="utf-8")
    bare = tmp_path / "bare.html"
    bare.write_text(text.replace("sha256-", "sha256-not"), encoding="utf-8")  # blocks the script
    screen.call("POST", "/url", url=bare.as_uri())
    assert screen.script("document.documentElement.dataset.ready === undefined")
    assert screen.script("document.querySelectorAll('figure svg.chart').length") == 4
    assert screen.script(dots(FREE)) == 161
    assert screen.script("getComputedStyle(document.querySelector('.runs')).display") == "none"
    screen.complaints()  # the browser says that it blocked the script
