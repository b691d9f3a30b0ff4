"""docs/architecture.md and its pictures are what the imports of the code say today."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from tests.helpers.import_graph import (
    ROOT,
    architecture,
    drawn,
    layers,
    modules,
    pages,
    sentence,
    without_what_follows,
)

PACKAGES = ("qdlaws", "trainer")


def test_the_page_and_its_pictures_are_up_to_date():
    stale = [
        name
        for name, text in pages().items()
        if (ROOT / "docs" / name).read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run: python docs/architecture.py"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_sub_package_has_one_sentence(package):
    silent = [name for name, path in modules(package).items() if not sentence(path)]
    assert silent == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_picture_has_every_sub_package_and_its_arrows_point_down(package):
    text = pages()[f"architecture-{package}.svg"]
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert {node.text for node in root.iter(f"{space}text")} == set(drawn(package))
    arrows = [node.get("d") for node in root.iter(f"{space}path") if node.get("marker-end")]
    assert len(arrows) == sum(map(len, without_what_follows(drawn(package)).values()))
    for arrow in arrows:
        ys = [float(y) for y in re.findall(r"-?[\d.]+,(-?[\d.]+)", arrow)]
        assert ys == sorted(ys)


def test_an_arrow_that_follows_from_others_is_left_out_and_layers_are_above_what_they_import():
    graph = {"top": {"middle": 1, "base": 2}, "middle": {"base": 1}, "base": {}}
    assert without_what_follows(graph) == {"top": ["middle"], "middle": ["base"], "base": []}
    assert layers(graph) == {"top": 2, "middle": 1, "base": 0}


def test_a_sentence_that_would_break_the_table_is_escaped(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('"""The line ``a | b`` of this. And more."""')
    assert architecture.sentence(path) == "The line `a \\| b` of this."
