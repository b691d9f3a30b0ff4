"""A module imports only from floors below its own; imports inside functions count too."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "qdlaws"

FLOORS: dict[str, int] = {
    "errors": 0,
    "kinds": 0,
    "plain": 0,
    "law": 0,
    "even": 0,
    "noise": 1,
    "path": 1,
    "runlog": 1,
    "persistence": 1,
    "regression": 2,
    "measure": 1,
    "problem": 3,
    "grid": 3,
    "posterior": 4,
    "instep": 5,
    "readers": 3,
    "verdict": 5,
    "classical": 5,
    "bootstrap": 5,
    "lawfit": 6,
    "userfit": 6,
    "composition": 7,
    "certificate": 7,
    "rivals": 7,
    "fit": 7,
    "trends": 2,
    "prior": 3,
    "stacking": 3,
    "clock": 7,
    "learn": 8,
    "through": 8,
    "bestof": 6,
    "frontier": 7,
    "summary": 8,
    "plot": 9,
    "forecast": 9,
    "fan": 10,
    "baselines": 8,
    "backtest": 10,
    "goal": 3,
    "anytime": 8,
    "truth": 8,
    "settling": 2,
    "runaway": 2,
    "steer": 8,
    "rows": 2,
    "outset": 8,
    "turning": 10,
    "targets": 9,
    "remeasure": 9,
    "checkpoints": 10,
    "runs": 10,
    "decide": 11,
    "advise": 12,
    "fleet": 11,
    "whole": 2,
    "runfiles": 0,
    "watch": 13,
    "report": 13,
    "cli_show": 14,
    "integrations": 14,
    "options": 13,
    "cli": 15,
    "__main__": 16,
    "__init__": 15,
}
"""The floor of each module; a package (``readers``, ``measure``) is one module here."""

SAME_FLOOR = {"measure", "readers", "report", "integrations"}
"""Packages whose modules may import each other."""

VIEWS = {
    ("lawfit", "certificate"),
    ("lawfit", "rivals"),
    ("lawfit", "summary"),
    ("lawfit", "plot"),
    ("userfit", "summary"),
    ("userfit", "plot"),
    ("fit", "composition"),
    ("fit", "summary"),
    ("fit", "plot"),
    ("clock", "fan"),
    ("forecast", "fan"),
}
"""Methods that show a result (``law.summary()``): they may reach up, inside the function only."""


def module_of(path: Path) -> str:
    """The module of the table that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(tree: ast.AST, path: Path) -> list[tuple[str, bool, int]]:
    """(module imported, inside a function?, line) for every import of the package by itself."""
    found = []

    def visit(node: ast.AST, inside: bool) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                visit(other, inside)
            return
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, path)
            names = [base]
            if base == "qdlaws":
                names = [f"qdlaws.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "qdlaws":
                found.append((parts[1] if len(parts) > 1 else "__init__", inside, node.lineno))
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(tree, False)
    return found


def absolute(node: ast.ImportFrom, path: Path) -> str:
    """The full name of what a ``from … import`` imports from."""
    if not node.level:
        return node.module or ""
    package = ["qdlaws", *path.relative_to(PACKAGE).parts[:-1]]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def climbs(path: Path, source: str) -> list[str]:
    """What is wrong with the imports of one file, in words."""
    module = module_of(path)
    if module not in FLOORS:
        return [f"{module} has no floor: add it to FLOORS in {Path(__file__).name}"]
    wrong = []
    for target, inside, line in imports(ast.parse(source), path):
        if target not in FLOORS:
            # `from qdlaws import Name` imports a public name: that is the front door
            if (PACKAGE / f"{target}.py").exists() or (PACKAGE / target).is_dir():
                wrong.append(f"{path.name}:{line} imports {target}, which has no floor")
                continue
            target = "__init__"
        if target == module and module in SAME_FLOOR:
            continue
        if FLOORS[target] < FLOORS[module] or (inside and (module, target) in VIEWS):
            continue
        wrong.append(
            f"{path.name}:{line} imports {target} (floor {FLOORS[target]}) "
            f"from floor {FLOORS[module]}"
        )
    return wrong


FILES = sorted(p for p in PACKAGE.rglob("*.py") if "__pycache__" not in p.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_import_climbs(path):
    assert climbs(path, path.read_text()) == []


def test_the_library_never_imports_the_trainer_nor_torch_at_the_top():
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                assert name.split(".")[0] not in {"trainer", "torch"}, path


@pytest.mark.parametrize(
    ("module", "source", "fine"),
    [
        ("law", "from qdlaws.errors import BadData", False),
        ("runlog", "from qdlaws.errors import BadData", True),
        ("runlog", "from qdlaws.laws.fit import fit", False),
        ("runlog", "def f():\n    from qdlaws.laws.fit import fit", False),
        ("runlog", "if TYPE_CHECKING:\n    from qdlaws.laws.fit import fit", True),
        ("lawfit", "def f():\n    from qdlaws.laws.summary import law_summary", True),
        ("lawfit", "from qdlaws.laws.summary import law_summary", False),
        ("posterior", "from . import fit", False),
        ("posterior", "from .fit import fit", False),
        ("posterior", "import qdlaws", False),
        ("posterior", "from qdlaws import RunLog", False),
        ("nowhere", "", False),
    ],
)
def test_the_test_itself_sees_what_climbs(module, source, fine):
    assert (climbs(PACKAGE / f"{module}.py", source) == []) is fine
