"""The reference of public names, ``docs/reference.md``, written from the docstrings.

    python docs/reference.py

A name is public where it is in the ``__all__`` of a module of :data:`PUBLIC`; notebooks and docs
use no others. What a function takes is in its own docstring: ``help(qd.fit)``.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference.md"

PUBLIC = {
    "qdlaws": "The library: read a log, fit its laws, forecast, advise, compare, report.",
    "qdlaws.measure": "Estimators of quality, diversity and entropy, each with a standard error.",
    "qdlaws.simulation": "Runs whose law and errors are known.",
    "qdlaws.integrations.trl": "Advice inside any trainer of transformers; steering in TRL.",
    "qdlaws.integrations.watch": "Advice on a log that still grows.",
    "qdlaws.integrations.tuning": "Trials that end where the forecast cannot reach the best.",
    "trainer": "The trainer: train, resume, branch, sweep and evaluate runs.",
    "trainer.types": "The nouns that pieces of recipes work on.",
    "trainer.control": "Controllers; no torch.",
    "trainer.algorithms.shaping": "Pieces of a recipe: the reward that is made of a score.",
    "trainer.algorithms.advantage": "Pieces of a recipe: the advantage of each completion.",
    "trainer.algorithms.surrogate": "Pieces of a recipe: the loss of the policy per token.",
    "trainer.algorithms.divergence": "Pieces of a recipe: the penalty that holds the policy.",
    "trainer.algorithms.weighting": "Pieces of a recipe: weights of tokens, filters of rows.",
    "trainer.algorithms.objective": "Pieces of a recipe put together.",
    "trainer.algorithms.replay": "Pieces of a recipe: earlier samples that join a batch.",
    "trainer.algorithms.recipes": "The published algorithms, each a function that makes a recipe.",
    "trainer.analysis.exact_bandit": "The bandit on which a recipe is analysed.",
    "trainer.analysis.plant": "Live knobs of a recipe, and how its settled policy answers them.",
    "trainer.analysis.simulated_run": "Simulated runs that answer their knobs, to try controllers.",
}


def names_of(module: str) -> list[str]:
    """The names in a module's ``__all__``."""
    for node in _tree(module).body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets):
            return [str(name) for name in ast.literal_eval(node.value)]  # type: ignore[attr-defined]
    raise LookupError(f"{module} has no __all__")


def sentence_of(module: str, name: str) -> str:
    """The first sentence about a name, followed to the module that defines it."""
    return first_sentence(docstring_of(module, name))


def has_example(module: str, name: str) -> bool:
    """Whether an example shows a name: in its docstring, or in that of its public module."""
    if ">>> " in (docstring_of(module, name) or ""):
        return True
    lines = re.findall(r"^\s*(?:>>>|\.\.\.) (.*)", module_docstring(module), re.M)
    lines += [f"``{word}``" for word in _types_named(module)]
    return any(re.search(rf"\b{name}\b", line) for line in lines)


def _types_named(module: str) -> list[str]:
    """Types that the examples of a module name in words: there is nothing to run about them."""
    after = module_docstring(module).partition(">>> ")[2]
    return re.findall(r"``(?:\w+\.)?(\w+)``", after)


def module_docstring(module: str) -> str:
    """The docstring of a module."""
    return ast.get_docstring(_tree(module)) or ""


def docstring_of(module: str, name: str) -> str | None:
    """The docstring of a name, followed to the module that defines it."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    inner = f"{node.module}.{alias.name}"
                    if _path(inner) is None:
                        return docstring_of(node.module, alias.name)
                    return ast.get_docstring(_tree(inner))
        # a class whose base is imported on first use is written as a private one
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in (name, f"_{name}"):
            return ast.get_docstring(node)
    statements = _tree(module).body
    for node, after in zip(statements, [*statements[1:], None], strict=True):
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(t, ast.Name) and name == t.id for t in _flat(targets)):
            text = getattr(after, "value", None)
            words = getattr(text, "value", None)
            return words if isinstance(words, str) else None
    for inner in _modules_inside(module):  # a package may load the name on first use
        if name in names_of(inner):
            return docstring_of(inner, name)
    raise LookupError(f"{module} does not define {name}")


def _modules_inside(package: str) -> list[str]:
    """The modules of a package by their dotted names."""
    folder = ROOT.joinpath(*package.split("."))
    return [f"{package}.{path.stem}" for path in sorted(folder.glob("[a-z]*.py"))]


def _flat(targets: list[ast.expr | None]) -> list[ast.expr | None]:
    """The names that an assignment binds, those of a tuple one by one."""
    return [inner for t in targets for inner in (t.elts if isinstance(t, ast.Tuple) else [t])]


def first_sentence(text: str | None) -> str:
    """The first sentence of a docstring on one line, fit for a table."""
    if not isinstance(text, str):
        return ""
    line = re.split(r"(?<!al)\. ", " ".join(text.split("\n\n")[0].split()))[0]
    line = re.sub(r":\w+:(`[^`]+`)", r"\1", line).replace("``", "`").replace("|", "\\|")
    return line if not line or line[-1] in ".?:" else line + "."


def _path(module: str) -> Path | None:
    """The file of a module, or of a package's ``__init__``; None where it is neither."""
    path = ROOT.joinpath(*module.split("."))
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if file.is_file()), None)


def _tree(module: str) -> ast.Module:
    path = _path(module)
    if path is None:
        raise LookupError(f"no module {module}")
    return ast.parse(path.read_text(encoding="utf-8"))


HEAD = """# Public names

Written by `python docs/reference.py` from the docstrings; `help(name)` has the rest. Notebooks and
docs use these names only; everything else may move.
"""


def page() -> str:
    """The text of docs/reference.md."""
    parts = [HEAD]
    for module, summary in PUBLIC.items():
        rows = [f"| `{name}` | {sentence_of(module, name)} |" for name in names_of(module)]
        parts.append("\n".join([f"## {module}\n\n{summary}\n\n| name | |\n|---|---|", *rows, ""]))
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
