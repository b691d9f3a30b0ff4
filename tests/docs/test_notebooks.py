"""The notebooks run from their sources, and the .ipynb files are made from these sources."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytest.importorskip("nbclient", reason="nbclient is not installed")
pytest.importorskip("ipykernel", reason="ipykernel is not installed")

import nbformat

FOLDER = Path(__file__).parents[2] / "notebooks"
spec = importlib.util.spec_from_file_location("build_notebooks", FOLDER / "build.py")
assert spec is not None
assert spec.loader is not None
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)

SOURCES = build.sources()


def test_there_are_eight_notebooks():
    assert [source.stem[:2] for source in SOURCES] == [f"{n}-" for n in range(1, 9)]


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.stem)
def test_the_notebook_in_the_repository_is_made_from_its_source(source):
    fresh = build.notebook(source)
    kept = nbformat.read(source.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(kept)
    assert [(c.cell_type, c.source) for c in kept.cells] == [
        (c.cell_type, c.source) for c in fresh.cells
    ]
    outputs = [o for c in kept.cells if c.cell_type == "code" for o in c.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert any("image/png" in o.get("data", {}) for o in outputs)
    assert source.with_suffix(".ipynb").stat().st_size < 500_000


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.stem)
def test_the_notebook_runs_and_draws(source):
    if "trl" in source.stem:
        pytest.importorskip("trl", reason="trl is not installed")
    book = build.execute(build.notebook(source))  # raises where a cell does
    outputs = [o for c in book.cells if c.cell_type == "code" for o in c.outputs]
    assert any("image/png" in o.get("data", {}) for o in outputs)
    assert not [o for o in outputs if o.output_type == "stream" and o.name == "stderr"]
