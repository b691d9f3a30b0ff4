"""The names that ``import trainer`` offers, and that the import itself is light."""

import ast
import subprocess
import sys
import types
from pathlib import Path

import pytest

import trainer

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "transformers", "rdkit", "numpy", "scipy", "pandas", "qdlaws"}


@pytest.mark.parametrize("name", trainer.__all__)
def test_a_public_name_is_no_module_and_is_documented(name):
    value = getattr(trainer, name)
    assert not isinstance(value, types.ModuleType)
    assert value.__doc__


def test_type_checkers_see_every_public_name():
    tree = ast.parse(Path(trainer.__file__).read_text(encoding="utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    aliases = [alias for line in block.body for alias in line.names]
    assert {alias.asname or alias.name for alias in aliases} == set(trainer.__all__)


def test_tab_completion_shows_the_public_names_only():
    assert dir(trainer) == sorted(trainer.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        trainer.trian  # noqa: B018


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, trainer; print(sorted(set(sys.modules) & {HEAVY}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
