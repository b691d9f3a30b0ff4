"""The HTML report: complete, self-contained, escaped, bounded, readable by everyone."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from qdlaws import QdlawsError, RunLog, fit, read
from qdlaws.core.goal import Goal
from qdlaws.reporting import report
from qdlaws.reporting.charts import BOTTOM, HEIGHT, LEFT, RIGHT, WIDTH, Layer, chart, ticks
from qdlaws.reporting.page import page
from qdlaws.reporting.run_data import RunView, page_data, short_names, table_of

RUNS = Path(__file__).parents[3] / "data" / "runs"
VOID = {"meta", "link", "input", "br"}
EVIL = '</script><script>hacked=1</script><img src=x onerror=hacked=2>"\' onload="hacked=3&amp;'


class Page(HTMLParser):
    """Elements of a page, each with its attributes and text; complains about bad nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"repeated attribute in {tag}: {names}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self):
        return " ".join(text for tag, text in self.texts if tag not in ("script", "style"))


def small(n=40, seed=3, **options) -> RunLog:
    """A short run on a concave law."""
    rng = np.random.default_rng(seed)
    diversity = np.linspace(0.9, 0.3, n) + 0.004 * rng.standard_normal(n)
    quality = 1 - 0.1 * np.exp(2 * diversity) + 0.01 * rng.standard_normal(n)
    return RunLog.from_arrays(np.arange(n) * 10, quality=quality, diversity=diversity, **options)


@pytest.fixture(scope="module")
def additive(tmp_path_factory):
    """The report of an example run, as text."""
    path = tmp_path_factory.mktemp("report") / "one.html"
    assert report(RUNS / "additive", path, Goal(min_diversity=0.5), certificates=False) == path
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The report of two small runs and one that cannot be fitted."""
    logs = [small(source="a/x"), small(seed=4, source="b/x"), small(3, source="short")]
    path = tmp_path_factory.mktemp("report") / "two.html"
    return report(logs, path).read_text(encoding="utf-8")


def data_of(text):
    return json.loads(re.search(r"id='data'>(.*?)</script>", text, re.S).group(1))


def test_nothing_is_loaded_and_only_our_script_may_run(additive):
    found = Page(additive)
    for tag, attributes in found.elements:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)
        assert not [name for name in attributes if name.startswith("on")]
    assert "@import" not in additive
    assert "url(" not in additive
    policy = next(a["content"] for a in found.all("meta") if "content" in a)
    code = re.search(r"<script>(.*?)</script>", additive, re.S).group(1)
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_the_numbers_in_the_page_are_those_of_the_log_and_the_fit(additive):
    log = read(RUNS / "additive")
    law = fit(log).rd
    run = data_of(additive)["runs"][0]
    assert run["name"] == "additive"
    np.testing.assert_array_equal(run["data"]["step"], log.step)
    for column in ("quality", "diversity", "entropy", "quality_se"):
        np.testing.assert_allclose(run["data"][column], getattr(log, column), rtol=1e-5)
    curve = run["laws"]["rd"]
    assert curve["verdict"] == law.verdict == "concave"
    np.testing.assert_allclose(curve["mid"], law.predict(curve["x"])["mid"], rtol=2e-5)
    ahead = run["forecast"]["quality"]
    assert ahead["step"][0] == log.step[-1]
    assert np.all(np.array(ahead["low"]) <= np.array(ahead["high"]))


def test_the_verdict_comes_first_then_laws_forecast_advice_and_diagnostics(additive):
    order = ['id="answer"', 'id="laws"', 'id="forecast"', 'id="advice"', 'id="checks"']
    places = [additive.index(part) for part in [*order, 'id="sources"']]
    assert places == sorted(places)
    words = Page(additive).words()
    assert "Quality is bought with diversity" in words
    assert "Stop" in words
    assert "diversity ≥ 0.5" in words
    assert "Ljung–Box p" in words


def test_figures_controls_and_parts_have_names_for_those_who_cannot_see(additive, two):
    for text in (additive, two):
        found = Page(text)
        ids = [a["id"] for _, a in found.elements if "id" in a]
        assert len(set(ids)) == len(ids)
        for attributes in found.all("section"):
            assert attributes["aria-labelledby"] in ids
        for attributes in found.all("a"):
            assert attributes["href"][1:] in ids
        charts = [a for a in found.all("svg") if "aria-hidden" not in a]
        assert charts
        assert all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in charts)
        assert found.all("html")[0]["lang"] == "en"
        # every select and check box stands inside its label
        nested = re.findall(r"<label>(?:(?!</label>).)*<(select|input)", text)
        assert len(nested) == len(found.all("select") + found.all("input"))
        # each law, and the readings, can be had as a table
        assert text.count("as a table</summary>") >= 3


def test_runs_are_told_apart_and_those_left_out_are_named_with_the_reason(two):
    found = Page(two)
    assert [run["name"] for run in data_of(two)["runs"]] == ["a/x", "b/x"]
    assert len(found.all("input")) == 2
    words = found.words()
    assert "2 of 2 runs trade quality for diversity" in words
    assert "short was left out: " in words
    assert "5 are needed" in words


def test_one_name_for_different_measures_is_pointed_out(two):
    assert "not one measure" not in Page(two).words()
    views = [RunView(kind, fit(small(kinds={"diversity": kind}))) for kind in ("hamming", "iSIM")]
    words = Page(page(views, None, [], most=2)).words()
    assert "diversity is not one measure here" in words
    assert "hamming in 1 run, iSIM in 1 run" in words


def test_nothing_from_a_log_becomes_markup(tmp_path):
    log = small(
        source=f"runs/{EVIL}",
        tool=EVIL,
        kinds={"quality": EVIL},
        notes=[EVIL],
    )
    log = replace(log, names={"quality": EVIL})
    plain_log = small(source="runs/plain", tool="tool")
    text = report([log, plain_log], tmp_path / "evil.html").read_text(encoding="utf-8")
    found = Page(text)
    clean = Page(report([plain_log, plain_log], tmp_path / "clean.html").read_text("utf-8"))
    assert [tag for tag, _ in found.elements if tag in ("script", "img", "iframe")] == [
        "script"
    ] * 2
    tags, wanted = (Counter(tag for tag, _ in p.elements) for p in (found, clean))
    assert tags - wanted == {"ul": 2, "li": 2}  # the note, and that the runs measure differently
    assert not wanted - tags
    assert not [name for _, a in found.elements for name in a if name.startswith("on")]
    assert EVIL in found.words()
    assert EVIL.rpartition("/")[2] in data_of(text)["runs"][0]["name"]


def test_long_runs_are_thinned_for_the_picture_only(tmp_path):
    log = small(2501)
    fits = fit(log)
    text = report(fits, tmp_path / "long.html", certificates=False).read_text(encoding="utf-8")
    steps = data_of(text)["runs"][0]["data"]["step"]
    assert 1900 <= len(steps) <= 2000
    assert (steps[0], steps[-1]) == (0, 25_000)
    assert "2501" in Page(text).words()
    assert len(text) < 400_000


def test_many_runs_share_the_points_and_only_the_first_are_drawn():
    views = [RunView(f"run {i}", fit(small(150, seed=i))) for i in range(3)]
    text = page(views, None, [], most=2)
    found = Page(text)
    assert len(data_of(text)["runs"]) == 2
    assert "The first 2 of 3 runs are drawn." in found.words()
    assert "run 2" in found.words()  # in the tables all the same
    crowd = json.loads(page_data(views * 100))
    assert sum(len(run["data"]["step"]) for run in crowd["runs"]) <= 100 * 300


def test_unknown_values_are_null_in_the_data_and_a_dash_in_the_table():
    quality = np.array(small().quality)
    quality[[0, 7]] = np.nan
    log = replace(small(), quality=quality)
    view = RunView("gaps", fit(log))
    values = json.loads(page_data([view]))["runs"][0]["data"]["quality"]
    assert values[0] is None
    assert values[7] is None
    assert 0 not in values
    assert '<td class="number">–</td>' in page([view], None, [], most=1)


def test_all_regimes_are_drawn_and_their_borders_marked():
    fits = fit(small().with_marks(200))
    run = json.loads(page_data([RunView("two regimes", fits)]))["runs"][0]
    assert len(run["data"]["step"]) == 40
    assert run["marks"] == [200]


def test_a_run_without_a_trade_off_says_so(tmp_path):
    rng = np.random.default_rng(0)
    log = RunLog.from_arrays(
        range(60), quality=rng.standard_normal(60), diversity=rng.standard_normal(60)
    )
    words = Page(report(log, tmp_path / "none.html").read_text(encoding="utf-8")).words()
    assert "No trade-off of quality for diversity can be seen" in words


def test_a_model_of_the_user_is_shown_in_place_of_the_laws(tmp_path):
    from lmfit.models import QuadraticModel

    fits = fit(small(), model=QuadraticModel())
    words = Page(report(fits, tmp_path / "own.html").read_text(encoding="utf-8")).words()
    assert "user model" in words


def test_the_same_runs_give_the_same_bytes(tmp_path):
    fits = fit(small())
    first = report(fits, tmp_path / "1.html", certificates=False).read_bytes()
    assert report(fits, tmp_path / "2.html", certificates=False).read_bytes() == first


def test_certificates_are_told(tmp_path):
    text = report(small(), tmp_path / "c.html", certificates=True).read_text(encoding="utf-8")
    assert "runs simulated from this fit" in Page(text).words()


def test_what_cannot_be_reported_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(QdlawsError, match="at least one run"):
        report([], tmp_path / "r.html")
    with pytest.raises(QdlawsError, match="5 are needed"):
        report(small(3), tmp_path / "r.html")
    with pytest.raises(QdlawsError, match="none of 2 runs"):
        report([small(3), small(4)], tmp_path / "r.html")
    with pytest.raises(QdlawsError, match="entropy"):
        report(small(), tmp_path / "r.html", Goal(min_entropy=1.0))
    with pytest.raises(QdlawsError, match="cannot write"):
        report(small(), tmp_path / "no" / "r.html", certificates=False)
    assert not list(tmp_path.iterdir())


def test_short_names_are_the_shortest_ends_that_differ():
    assert short_names(["/r/a", "/r/b"]) == ["a", "b"]
    assert short_names(["/r/a/log", "/r/b/log"]) == ["a/log", "b/log"]
    assert short_names(["/r/a", "/r/a"]) == ["a (1)", "a (2)"]
    assert short_names([""]) == ["run (1)"]


def test_ticks_are_round_numbers_inside():
    np.testing.assert_allclose(ticks(0.03, 0.97), [0.2, 0.4, 0.6, 0.8])
    np.testing.assert_allclose(ticks(-1.2e6, 1.1e6), [-1e6, -5e5, 0, 5e5, 1e6])
    np.testing.assert_allclose(ticks(2.0, 2.0), [2.0])


def test_the_static_picture_puts_points_where_they_belong():
    svg = chart([Layer(np.array([0.0, 10.0]), np.array([1.0, 3.0]))], "x", "y", "two points")
    points = [tuple(map(float, p)) for p in re.findall(r"M([\d.]+) ([\d.]+)h0", svg)]
    pad = 0.04 / 1.08  # the axes end 4 % of the range beyond the points
    width, base = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM
    assert points[0][0] == pytest.approx(LEFT + pad * width, abs=0.1)
    assert points[1][0] == pytest.approx(LEFT + (1 - pad) * width, abs=0.1)
    assert points[0][1] > points[1][1]
    assert points[0][1] == pytest.approx(base - pad * (base - 10), abs=0.1)


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


def test_the_table_behind_the_page_is_thinned_evenly():
    view = RunView("run", fit(small(300)))
    steps = table_of(view, most=20)["step"]
    assert len(steps) == 20
    assert np.ptp(np.diff(steps)) <= 10  # never two apart by more than one row
