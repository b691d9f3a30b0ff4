"""The rule of imports: which sub-package may import which, and no circles anywhere.

Lazy imports, TYPE_CHECKING and ``__init__`` files count like any other.
"""

from __future__ import annotations

import ast

import pytest

from tests.helpers.import_graph import (
    ROOT,
    circles,
    imported_names,
    imports,
    modules,
    sub_package,
    sub_package_imports,
)

ANYTHING = "*"

QDLAWS = {
    "errors": "",
    "core": "errors",
    "inference kl_frontier measure simulation": "core errors",
    "readers": "measure core errors",
    "laws": "readers inference core errors",
    "forecasting": "laws readers inference core errors",
    "control": "laws inference core errors",
    "comparison": "laws readers core errors",
    "advice": "control forecasting laws readers inference core errors",
    "reporting": "advice comparison control forecasting laws readers core errors",
    "integrations": "reporting advice comparison control forecasting laws readers measure core"
    " errors",
    "cli __init__ __main__": ANYTHING,
}

TRAINER = {
    "config distributed errors knobs": "",
    "user_code": "errors",
    "types control": "knobs",
    "policy": "distributed",
    "sampling": "policy distributed",
    "algorithms": "types knobs",
    "analysis": "algorithms types knobs",
    "tasks": "analysis errors types user_code",
    "consent": "config policy tasks user_code",
    "pretrain": "algorithms policy sampling tasks types",
    "training": "algorithms analysis config control distributed errors knobs policy sampling"
    " tasks types consent user_code",
    "loop": "training config consent control distributed errors tasks types user_code",
    "runs": "loop training config consent types",
    "cli __init__ __main__": ANYTHING,
}


def broken(package: str, rules: dict[str, str]) -> list[str]:
    """The imports of a package that its rules do not allow, in words."""
    allowed = {
        name: set(targets.split()) | {name}
        for names, targets in rules.items()
        for name in names.split()
    }
    wrong = []
    for module, targets in imports(package).items():
        if sub_package(module) not in allowed:
            wrong.append(f"{module} is in no rule")
            continue
        may = allowed[sub_package(module)]
        wrong += [
            f"{module}:{line} imports {target}"
            for target, line in targets.items()
            if ANYTHING not in may and sub_package(target) not in may
        ]
    return wrong


def test_the_library_keeps_its_rule_of_imports():
    assert broken("qdlaws", QDLAWS) == []


def test_the_trainer_keeps_its_rule_of_imports():
    assert broken("trainer", TRAINER) == []


@pytest.mark.parametrize("package", ["qdlaws", "trainer"])
def test_no_module_imports_itself_through_others(package):
    assert circles(imports(package)) == []


@pytest.mark.parametrize("package", ["qdlaws", "trainer"])
def test_no_sub_package_imports_itself_through_others(package):
    assert circles(sub_package_imports(package)) == []


def test_the_library_never_imports_the_trainer():
    for path in modules("qdlaws").values():
        for name in imported_names(path):
            assert name.split(".")[0] != "trainer", f"{path} imports {name}"


def test_tests_and_benchmarks_do_not_import_each_other():
    """What both need is in the packages: qdlaws.simulation and trainer.analysis."""
    benchmarks = {path.stem for path in (ROOT / "benchmarks").rglob("*.py")} - {"conftest"}
    for folder, forbidden in {
        "tests": {"benchmarks"} | benchmarks,
        "benchmarks": {"tests"},
    }.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            for name in imported_names(path):
                assert name.split(".")[0] not in forbidden, f"{path} imports {name}"


def hidden_modules(package: str) -> list[str]:
    """The modules whose name a package binds to something else: ``import a.b as m`` misses them."""
    known = modules(package)
    hidden = []
    for name, path in known.items():
        if path.name != "__init__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            bound = (
                [a.asname or a.name for a in node.names] if isinstance(node, ast.ImportFrom) else []
            )
            bound += [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            source = getattr(node, "module", "")
            hidden += [f"{name}.{b}" for b in bound if f"{name}.{b}" in known and source != name]
    return hidden


@pytest.mark.parametrize("package", ["qdlaws"])
def test_no_package_hides_a_module_behind_a_function_of_its_name(package):
    assert hidden_modules(package) == []


def test_a_forbidden_import_and_a_circle_are_seen():
    assert broken("qdlaws", {**QDLAWS, "laws": "core"}) != []
    assert circles({"a": {"b": 1}, "b": {"c": 1}, "c": {"a": 1}, "d": {"a": 1}}) == [
        ["a", "b", "c"]
    ]
