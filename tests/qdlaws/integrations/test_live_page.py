"""The live page: made of the newest updates, and in a real browser beside two growing runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from qdlaws import Goal
from qdlaws.errors import BadData
from qdlaws.integrations.live_page import LivePage
from qdlaws.integrations.live_server import LiveServer
from qdlaws.integrations.watch import watch_runs
from tests.helpers.browser import browser, missing

RUN = Path(__file__).parents[3] / "data" / "runs" / "additive" / "metrics.jsonl"
LINES = RUN.read_text(encoding="utf-8").splitlines(keepends=True)
CHART = "figure[data-free]"


def grown(folder: Path, lines: int) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "metrics.jsonl"
    path.write_text("".join(LINES[:lines]), encoding="utf-8")
    return path


def test_the_report_is_kept_beside_without_the_script_that_follows(tmp_path):
    kept = tmp_path / "out.html"
    page = LivePage(Goal(min_diversity=0.5), kept)
    for lines in (40, 60):
        page.show(next(watch_runs([grown(tmp_path / "a", lines)], page.goal)))
        report = kept.read_text(encoding="utf-8")
        assert f"{lines} checkpoints" in report
        assert f"{lines} checkpoints" in page.html
        assert "connect-src" not in report
        assert page.html.count("connect-src 'self'") == 1
    assert "data-version='2'" in page.html


def test_a_run_that_cannot_be_read_yet_is_waited_for(tmp_path):
    paths = [tmp_path / "b" / "metrics.jsonl"]
    page = LivePage()
    page.show(next(watch_runs(paths)))
    assert "Nothing to draw yet" in page.html
    assert "no such file" in page.html
    page.show(next(watch_runs([grown(tmp_path / "a", 40), *paths])))
    assert "40" in page.html
    assert "1 of 2 runs is left out" in page.html


def test_a_goal_that_is_impossible_ends_the_page(tmp_path):
    page = LivePage(Goal(min_diversity=80))
    with pytest.raises(BadData, match=r"did you mean 0\.8\?"):
        page.show(next(watch_runs([grown(tmp_path / "a", 40)], page.goal)))


# ── in a browser ──────────────────────────────────────────────────────────────────────────────

in_browser = pytest.mark.skipif(bool(missing()), reason=missing())


@pytest.fixture(scope="module")
def screen():
    with browser() as session:
        yield session


@pytest.fixture
def live(screen, tmp_path):
    """A served page of two runs, and a function that lets the first one grow."""
    paths = [grown(tmp_path / "a", 40), grown(tmp_path / "b", 50)]
    page = LivePage(Goal(min_diversity=0.5))
    page.show(next(watch_runs(paths)))

    def grow(lines):
        page.show(next(watch_runs([grown(tmp_path / "a", lines)])))

    with LiveServer(page) as server:
        yield server.url, grow
        screen.call("POST", "/url", url="about:blank")  # before its server ends
        screen.complaints()


def dots(screen) -> int:
    return screen.script(
        f"[...document.querySelectorAll('{CHART} .dots')]"
        ".flatMap(p => p.getAttribute('d').match(/M/g) || []).length"
    )


def press(screen, words):
    screen.script(
        f"[...document.querySelectorAll('{CHART} .tools button')]"
        f".find(b => b.textContent === '{words}').click()"
    )


@in_browser
def test_the_page_follows_the_runs_and_keeps_the_zoom_and_the_place(screen, live):
    url, grow = live
    screen.size(1280)
    screen.open(url)
    screen.wait("document.documentElement.dataset.live === 'yes'")
    assert screen.complaints() == []
    assert dots(screen) == 90
    press(screen, "Zoom in")
    kept = screen.script("JSON.stringify(report.charts.find(c => c.zoom).zoom)")
    screen.script("scrollTo(0, 400)")
    grow(60)
    screen.wait("document.getElementById('live').dataset.version === '2'")
    screen.wait("document.documentElement.dataset.live === 'yes'")
    assert dots(screen) == 110
    assert screen.script("JSON.stringify(report.charts.find(c => c.zoom).zoom)") == kept
    assert screen.script("scrollY") == 400
    assert screen.complaints() == []


@in_browser
def test_a_rectangle_is_zoomed_and_a_double_click_shows_the_whole_again(screen, live):
    screen.size(1280)
    screen.open(live[0])
    chart = "report.charts.find(c => c.figure.dataset.free !== undefined)"
    whole = screen.script(f"{chart}.frame.xs")
    screen.script(
        f"(() => {{ const h = document.querySelector('{CHART} .holder'),"
        "b = h.getBoundingClientRect();"
        "const go = (type, x, y) => h.dispatchEvent(new PointerEvent(type,"
        "{ clientX: b.left + x, clientY: b.top + y, button: 0, bubbles: true }));"
        "go('pointerdown', 120, 60); go('pointermove', 200, 120); go('pointerup', 260, 160); })()"
    )
    low, high = screen.script(f"{chart}.zoom.x")
    assert whole[0] < low < high < whole[1]
    outside = screen.script(f"{chart}.spots.filter(s => s.cx < {chart}.frame.box.left).length")
    assert outside == 0
    assert screen.script(f"document.querySelector('{CHART} svg [clip-path]') !== null")
    screen.script(
        f"document.querySelector('{CHART} .holder')"
        ".dispatchEvent(new MouseEvent('dblclick', { bubbles: true }))"
    )
    assert screen.script(f"{chart}.frame.xs") == whole
    assert screen.complaints() == []


@in_browser
def test_picture_and_numbers_of_a_chart_are_saved(screen, live):
    screen.open(live[0])
    screen.script(
        "(() => { globalThis.saved = [];"
        "URL.createObjectURL = (blob) => { blob.text().then(t => saved.push(t)); return '#'; };"
        "})()"
    )
    press(screen, "Numbers")
    press(screen, "Picture")
    screen.wait("saved.length === 2")
    numbers, picture = screen.script("saved")
    head, *rows = numbers.splitlines()
    assert head.startswith("run,step,quality,quality_se,diversity")
    assert len(rows) == 90
    assert rows[0].startswith('"a/metrics.jsonl",0,')
    assert picture.startswith("<svg")
    assert 'xmlns="http://www.w3.org/2000/svg"' in picture
    # the colours of the style sheet are in it, no variable that a viewer would not know
    assert re.search(r"fill: ?(rgb|oklab|color)", picture)
    assert "var(" not in picture


@in_browser
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_cut_off(screen, live, width):
    screen.size(width)
    screen.open(live[0])
    screen.wait("document.documentElement.dataset.live === 'yes'")
    assert screen.script("document.scrollingElement.scrollWidth") <= width
    for part in ("#live", ".tools", ".tools button"):
        right = screen.script(
            f"Math.max(...[...document.querySelectorAll('{part}')]"
            ".map(e => e.getBoundingClientRect().right))"
        )
        assert right <= width
    screen.size(1280)


@in_browser
def test_the_end_of_the_watch_is_said(screen, tmp_path):
    page = LivePage()
    page.show(next(watch_runs([grown(tmp_path / "a", 40)])))
    with LiveServer(page) as server:
        screen.open(server.url)
        screen.wait("document.documentElement.dataset.live === 'yes'")
    screen.wait("document.querySelector('#live.lost') !== null")
    assert "No connection" in screen.script("document.getElementById('live').textContent")
