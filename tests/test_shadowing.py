"""No module is hidden by a name of its package: ``import a.b as m`` is the module ``a.b``."""

from __future__ import annotations

import importlib
import types

import pytest

from tests.helpers.import_graph import modules


def hidden(package: str) -> list[str]:
    """Modules whose package has something else under their name."""
    names = [name for name in modules(package) if not name.endswith("__main__")]
    loaded = {name: importlib.import_module(name) for name in names}
    return [
        name
        for name, module in loaded.items()
        if (parent := loaded.get(name.rpartition(".")[0])) is not None
        and getattr(parent, name.rpartition(".")[2]) is not module
    ]


@pytest.mark.parametrize("package", ["qdlaws", "trainer"])
def test_no_module_is_hidden_by_a_name_of_its_package(package):
    assert hidden(package) == []


def test_a_hidden_module_is_seen(monkeypatch):
    import qdlaws.core

    monkeypatch.setattr(qdlaws.core, "goal", types.SimpleNamespace())
    assert hidden("qdlaws") == ["qdlaws.core.goal"]
