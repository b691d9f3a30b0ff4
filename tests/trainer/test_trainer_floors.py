"""A module of the trainer imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

import trainer

ROOT = Path(trainer.__file__).parent
FLOORS = [
    {"knobs", "grouping", "noise"},
    {"types", "distributed"},
    {"shaping", "advantage", "surrogate", "divergence", "weigh", "sharding"},
    {"objective", "policy", "tasks", "equivalence", "rehearsal", "metrics", "controllers",
     "tokenizer", "priors"},
    {"recipes", "config", "plant", "suitability", "sampling", "checkpoint", "representation"},
    {"build", "smiles_corpus"},
    {"bench", "recombine"},
    {"again", "evaluation", "setup", "pretrain"},
    {"rollout", "plan", "judge", "desk"},
    {"update", "pilot"},
    {"loop"},
    {"runs", "listing"},
    {"show", "cli_pretrain"},
    {"cli", "__main__"},
]  # fmt: skip
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py")


def imported(path):
    """(package, module) of every import in the file, function bodies included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (*alias.name.split("."), "")[:2]
        elif isinstance(node, ast.ImportFrom) and node.module == "trainer":
            yield from (("trainer", alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield (*node.module.split("."), "")[:2]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if own == "__main__":
        return
    for package, module in imported(path):
        if package == "trainer" and module != own:
            assert FLOOR[module] < FLOOR[own], f"{own} imports {module}"
        if FLOOR[own] <= 2:
            assert package != "qdlaws", f"{own} is on floor {FLOOR[own]} and imports qdlaws"
