"""Notebooks and docs use public names only, and docs/reference.md lists them all."""

from __future__ import annotations

import ast
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
assert spec is not None
assert spec.loader is not None
reference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(reference)

DOCS = [page for page in ROOT.glob("docs/**/*.md") if "generated" not in page.parts]
PAGES = sorted([*ROOT.glob("*.md"), *DOCS, *ROOT.glob("data/*.md")])
NOTEBOOKS = sorted(ROOT.glob("notebooks/[0-9]*.py"))
EXAMPLES = sorted(ROOT.glob("examples/**/*.py"))

BENCHMARKS = sorted(ROOT.glob("benchmarks/**/*.py"))


def code_of(path: Path) -> list[str]:
    """The Python of a file: all of it, or the python blocks of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        # a notebook writes modules of its reader from text: their imports count too
        inner = re.findall(r"\'\'\'\n(.*?)\'\'\'", text, flags=re.S)
        return [text, *(t for t in inner if "import" in t)]
    return re.findall(r"```python\n(.*?)```", text, flags=re.S)


def imports_of(path: Path) -> set[str]:
    """What a file imports of our packages: ``module:name``, or ``module`` alone."""
    names = set()
    for code in code_of(path):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names |= {f"{node.module}:{alias.name}" for alias in node.names}
    return {name for name in names if re.match(r"(qdlaws|trainer)\b", name)}


def is_public(name: str) -> bool:
    """A public module, or a name in the ``__all__`` of one."""
    module, _, inner = name.partition(":")
    if not inner or f"{module}.{inner}" in reference.PUBLIC:
        return f"{module}.{inner}".rstrip(".") in reference.PUBLIC
    return module in reference.PUBLIC and inner in reference.names_of(module)


@pytest.mark.parametrize(
    "path", [*PAGES, *NOTEBOOKS, *EXAMPLES], ids=lambda p: str(p.relative_to(ROOT))
)
def test_notebooks_and_docs_import_public_names_only(path):
    assert sorted(name for name in imports_of(path) if not is_public(name)) == []


def test_sub_packages_that_benchmarks_measure_inside_are_in_their_table():
    used = {
        ".".join(name.partition(":")[0].split(".")[:2])
        for path in BENCHMARKS
        for name in imports_of(path)
        if not is_public(name)
    }
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]*) \|", page.partition("**Internal modules.**")[2], flags=re.M)
    assert used == {name for row in rows for name in re.findall(r"`([\w.]+)`", row)}


def test_an_internal_import_would_be_seen():
    assert is_public("qdlaws")
    assert is_public("qdlaws:measure")
    assert is_public("qdlaws:fit")
    assert is_public("trainer.algorithms:advantage")
    assert not is_public("qdlaws.laws.fit")
    assert not is_public("qdlaws:laws")
    assert not is_public("trainer.loop:train")
    assert not is_public("trainer.training.metrics:read_rows")


def test_the_reference_is_up_to_date():
    fresh = reference.page()
    assert reference.PAGE.read_text(encoding="utf-8") == fresh, "run: python docs/reference.py"


@pytest.mark.parametrize("module", reference.PUBLIC)
def test_every_public_name_has_a_sentence(module):
    silent = [n for n in reference.names_of(module) if not reference.sentence_of(module, n)]
    assert silent == []


@pytest.mark.parametrize("module", reference.PUBLIC)
def test_every_public_name_has_an_example(module):
    assert [n for n in reference.names_of(module) if not reference.has_example(module, n)] == []


def test_a_name_without_an_example_would_be_seen(monkeypatch):
    assert reference.has_example("qdlaws", "fit")
    monkeypatch.setattr(reference, "docstring_of", lambda module, name: "Nothing is shown.")
    assert not reference.has_example("qdlaws", "fit")


def test_a_name_is_followed_to_the_module_that_defines_it():
    assert reference.sentence_of("qdlaws", "EntropyKind") == reference.sentence_of(
        "qdlaws.core.kinds", "EntropyKind"
    )
    assert reference.sentence_of("trainer", "Knobs") == reference.sentence_of(
        "trainer.knobs", "Knobs"
    )


@pytest.mark.parametrize(
    ("docstring", "sentence"),
    [
        ("Quality. And more.", "Quality."),
        ("As by Li et al. 2016. And more.", "As by Li et al. 2016."),
        ("Two\n    lines\n\n    and a paragraph", "Two lines."),
        ("Is it |x|?", "Is it \\|x\\|?"),
        ("See :func:`fit` and ``y``", "See `fit` and `y`."),
        (None, ""),
    ],
)
def test_the_first_sentence_of_a_docstring_fits_a_table(docstring, sentence):
    assert reference.first_sentence(docstring) == sentence
