"""The page is complete, self-contained, escaped, bounded and readable by everyone."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from qdlaws import Goal, fit, read, report
from qdlaws.reporting.page import page
from qdlaws.reporting.run_data import RunView
from tests.helpers.report_page import Page, data_of, short_run

EXAMPLE = Path(__file__).parents[3] / "data" / "runs" / "additive"
EVIL = '</script><script>hacked=1</script><img src=x onerror=hacked=2>"\' onload="hacked=3&amp;'


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> str:
    """The report of an example run."""
    path = tmp_path_factory.mktemp("report") / "one.html"
    report(EXAMPLE, path, Goal(min_diversity=0.5), certificates=False)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def several() -> str:
    """The report of two runs beside one that cannot be fitted."""
    views = [RunView(f"{name}/x", fit(short_run(seed=seed))) for seed, name in enumerate("ab")]
    return page(views, None, [("short", "3 checkpoints, 5 are needed")], most=2)


def test_nothing_is_loaded_and_only_the_script_of_the_page_may_run(single):
    for tag, attributes in Page(single).elements:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in single
    assert not re.search(r"url\((?!#)", single)  # only parts of the page itself
    policy = next(a["content"] for a in Page(single).all("meta") if "content" in a)
    code = re.search(r"<script>(.*?)</script>", single, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_verdict_and_advice_come_first_then_the_evidence(single):
    order = [
        'id="answer"',
        'id="laws"',
        'id="steps"',
        'id="details"',
        'id="forecast"',
        'id="checks"',
    ]
    places = [single.index(part) for part in [*order, 'id="sources"']]
    assert places == sorted(places)
    words = Page(single).words()
    assert "Quality is gained by giving up diversity" in words
    assert "Stop" in words
    assert "diversity ≥ 0.5" in words
    assert "Ljung–Box p" in words


def test_no_sentence_stands_in_the_page_twice(single):
    lines = [text for tag, text in Page(single).texts if tag == "li"]
    assert len(lines) > 5
    laws = list(fit(read(EXAMPLE)).laws())
    of_laws = Counter(reason for law in laws for reason in law.summary().remarks)
    assert [line for line, n in Counter(lines).items() if n > max(of_laws[line], 1)] == []


def test_figures_controls_and_parts_have_names_for_those_who_cannot_see(single, several):
    for text in (single, several):
        parsed = Page(text)
        ids = [a["id"] for _, a in parsed.elements if "id" in a]
        assert len(set(ids)) == len(ids)
        for attributes in parsed.all("section"):
            assert attributes["aria-labelledby"] in ids
        for attributes in parsed.all("a"):
            assert attributes["href"][1:] in ids
        charts = [a for a in parsed.all("svg") if "aria-hidden" not in a]
        assert charts
        assert all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in charts)
        assert parsed.all("html")[0]["lang"] == "en"
        # every select and check box stands inside its label
        nested = re.findall(r"<label>(?:(?!</label>).)*<(select|input)", text)
        assert len(nested) == len(parsed.all("select") + parsed.all("input"))
        # each law, and the readings, can be had as a table
        assert text.count("as a table</summary>") >= 3


def test_runs_that_are_left_out_are_named_before_everything_else(several):
    parsed = Page(several)
    assert [run["name"] for run in data_of(several)["runs"]] == ["a/x", "b/x"]
    assert len(parsed.all("input")) == 2
    words = parsed.words()
    assert "2 of 2 runs gain quality by giving up diversity" in words
    assert "1 of 3 runs is left out" in words
    assert several.index("5 are needed") < several.index('id="answer"')


def test_many_runs_that_are_left_out_are_folded():
    left_out = [(f"run {i}", f"reason {i}") for i in range(9)]
    text = page([RunView("a", fit(short_run()))], None, left_out, most=1)
    assert "<summary>9 of 10 runs are left out</summary>" in text
    assert "reason 8" in text


def test_only_the_first_runs_are_drawn_and_all_are_in_the_tables():
    views = [RunView(f"run {i}", fit(short_run(60, seed=i))) for i in range(3)]
    text = page(views, None, [], most=2)
    assert len(data_of(text)["runs"]) == 2
    words = Page(text).words()
    assert "The first 2 of 3 runs are drawn" in words
    assert "run 2" in words


def test_nothing_from_a_log_becomes_markup(tmp_path):
    log = short_run(source=f"runs/{EVIL}", tool=EVIL, kinds={"quality": EVIL}, notes=[EVIL])
    log = replace(log, names={"quality": EVIL})
    plain = short_run(source="runs/plain", tool="tool", notes=["a note"])
    text = report([log, plain], tmp_path / "evil.html").read_text(encoding="utf-8")
    parsed = Page(text)
    clean = Page(report([plain, plain], tmp_path / "clean.html").read_text("utf-8"))
    scripts = [tag for tag, _ in parsed.elements if tag in ("script", "img", "iframe")]
    assert scripts == ["script"] * 2
    tags, expected = (Counter(tag for tag, _ in p.elements) for p in (parsed, clean))
    assert tags - expected == {"ul": 1, "li": 1}  # that the runs measure differently
    assert not expected - tags
    assert not [name for _, a in parsed.elements for name in a if name.startswith("on")]
    assert EVIL in parsed.words()
    assert EVIL.rpartition("/")[2] in data_of(text)["runs"][0]["name"]


def test_a_long_run_makes_no_large_page():
    text = page([RunView("long", fit(short_run(2501)))], None, [], most=1)
    assert "2501" in Page(text).words()
    assert len(text) < 400_000


def test_unknown_readings_are_a_dash():
    quality = np.array(short_run().quality)
    quality[0] = np.nan
    text = page([RunView("gaps", fit(replace(short_run(), quality=quality)))], None, [], most=1)
    assert '<td class="number">–</td>' in text


# ---------------------------------------------------------------------- the style sheet


def test_colours_have_the_contrast_that_readers_need():
    """WCAG 2 AA: 4.5 for text, 3 for marks, in both themes, on paper and on cards."""
    style = files("qdlaws.reporting").joinpath("page.css").read_text(encoding="utf-8")
    pairs = dict(re.findall(r"--([\w]+): light-dark\((#\w+, #\w+)\)", style))
    colours = {name: pair.split(", ") for name, pair in pairs.items()}
    text = ("ink", "soft", "link", "good", "bad", "warn", "turn")
    marks = ("law", "late", *(f"r{i}" for i in range(8)))
    for theme in (0, 1):
        for ground in ("paper", "card"):
            behind = luminance(colours[ground][theme])
            for name in (*text, *marks):
                ratio = contrast(luminance(colours[name][theme]), behind)
                assert ratio >= (4.5 if name in text else 3.0), (name, theme, ground, ratio)


def luminance(colour: str) -> float:
    """Relative luminance of sRGB as WCAG 2 defines it."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)
