"""The pages of the site that are made when it is built: from code, notebooks, studies and tables.

``docs/conf.py`` writes them into ``docs/generated``, which git ignores. Links of all pages lead to
files of the repository; where such a file has a page of the site, the built link leads there.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE)]

import reference  # noqa: E402  the list of public modules, docs/reference.py

__all__ = ["copied", "homes", "relinked", "write", "written"]


def write(folder: Path) -> None:
    """All generated pages, in a folder that is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, source in copied().items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".md":
            text = source.read_text(encoding="utf-8")
            shown = relinked(text, source.parent, f"generated/{name}")
            target.write_text(shown, encoding="utf-8")
        else:
            shutil.copy(source, target)
    for name, make in written().items():
        (folder / name).write_text(make(), encoding="utf-8")


def copied() -> dict[str, Path]:
    """What is taken over as it is: name below ``docs/generated`` → source."""
    pages = {f"notebooks/{p.name}": p for p in sorted((ROOT / "notebooks").glob("*.ipynb"))}
    for pattern in ("README.md", "*/README.md", "*/*.png"):
        for path in sorted((ROOT / "studies").glob(pattern)):
            pages[f"studies/{path.relative_to(ROOT / 'studies')}"] = path
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.md")):
        pages[f"benchmarks/{path.name}"] = path
    return pages | {"changelog.md": ROOT / "CHANGELOG.md"}


def written() -> dict[str, Any]:
    """What is made from code: name below ``docs/generated`` → the function that makes it."""
    return {
        "api.md": api_page,
        "commands.md": commands_page,
        "recipes.md": recipes_page,
        "examples.md": examples_page,
    }


def homes() -> dict[Path, str]:
    """Files outside of ``docs`` that have a page of the site: file → page, below ``docs``."""
    pages = {path.resolve(): f"generated/{name}" for name, path in copied().items()}
    return pages | {
        ROOT / "examples" / "README.md": "generated/examples.md",
        ROOT / "trainer" / "algorithms" / "recipes" / "__init__.py": "generated/recipes.md",
    }


def relinked(text: str, folder: Path, page: str) -> str:
    """A page whose links lead to pages of the site; those to other files become plain words.

    In the sources links lead to files of the repository, so that they work there. ``folder`` is
    where the text stands, ``page`` where it will be shown, below ``docs``.
    """
    pages = homes()
    up = "../" * page.count("/")

    def link(match: re.Match[str]) -> str:
        sign, words, target = match[1], match[2], match[3]
        address, mark, anchor = target.partition("#")
        if "://" in address or not address:
            return match[0]
        path = (folder / address).resolve()
        if path in pages:
            return f"{sign}[{words}]({up}{pages[path]}{mark}{anchor})"
        if path.exists() and path.is_relative_to(HERE) and path.is_file():
            return f"{sign}[{words}]({up}{path.relative_to(HERE).as_posix()}{mark}{anchor})"
        return words if path.exists() else match[0]

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", link, text)


# ---------------------------------------------------------------------- pages from code


def is_there(module: str, name: str) -> bool:
    """Whether a name can be imported: some belong to a package that is an extra."""
    try:
        getattr(import_module(module), name)
    except ImportError:
        return False
    return True


def api_page() -> str:
    """Every public name with a page of its own, under the module that a user imports."""
    lines = [
        "# Public names",
        "",
        "Everything that notebooks, examples and pages use, each with an example. Other names may",
        "move without notice. On one page, with a sentence each: [the list](../reference.md).",
        "",
    ]
    homes_of: dict[tuple[str, str], str] = {}  # where an object has its page
    for module, words in reference.PUBLIC.items():
        lines += [f"## `{module}`", "", words, "", "```{eval-rst}"]
        lines += [f".. currentmodule:: {module}", "", ".. autosummary::", "   :toctree: api", ""]
        public = reference.names_of(module)
        elsewhere = _with_a_page(module, public, homes_of)
        bare = [name for name in public if not reference.has_example(module, name)]
        if bare:
            raise LookupError(f"{module}: no example shows {', '.join(bare)}")
        lines += [
            f"   {name}" for name in public if is_there(module, name) and name not in elsewhere
        ]
        lines += ["```", ""]
        absent = [name for name in public if not is_there(module, name)]
        if absent:
            lines += [f"{', '.join(absent)}: of a package that was not installed here.", ""]
        lines += [f"`{name}` is that of `{home}`.\n" for name, home in elsewhere.items()]
        lines += _module_examples(module)
    return "\n".join(lines)


def _with_a_page(
    module: str, names: list[str], homes_of: dict[tuple[str, str], str]
) -> dict[str, str]:
    """The names whose object has its page under an earlier module; others are added."""
    elsewhere = {}
    for name in names:
        if not is_there(module, name):
            continue
        thing = getattr(import_module(module), name)
        key = (getattr(thing, "__module__", ""), getattr(thing, "__qualname__", ""))
        if not all(key) or key[0] in ("typing", "builtins", "collections.abc"):
            continue
        if key in homes_of:
            elsewhere[name] = homes_of[key]
        homes_of.setdefault(key, module)
    return elsewhere


def _module_examples(module: str) -> list[str]:
    """The examples in the docstring of a public module, as the page shows them."""
    text = reference.module_docstring(module)
    at = text.find(">>> ")
    if at < 0:
        return []
    return ["```{eval-rst}", text[at:], "```", ""]


def commands_page() -> str:
    """Both command lines, from the parsers themselves."""
    from typer.main import get_command

    lines = ["# Commands", "", "Also by `qdlaws COMMAND --help` and `qdtrain COMMAND --help`.", ""]
    for program, module in (("qdlaws", "qdlaws.cli.app"), ("qdtrain", "trainer.cli.app")):
        lines += [f"## {program}", ""]
        for name, command in _commands(get_command(import_module(module).app), program):
            lines += _command(name, command)
    return "\n".join(lines)


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(what to type, the command) of every command below, those of groups included."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


def _command(name: str, command: Any) -> list[str]:
    """The section of one command."""
    params = [p for p in command.params if not getattr(p, "hidden", False)]
    words, *examples = " ".join((command.help or "").split("\f")[0].split()).split(" Example: ")
    arguments = " ".join(p.name.upper() for p in params if p.param_type_name == "argument")
    lines = [f"### {name}", "", _plain(words), "", f"`{name} {arguments} [options]`", ""]
    if examples:
        lines += ["```console", *(f"$ {example}" for example in examples), "```", ""]
    rows = []
    for param in params:
        given = ", ".join(f"`{o}`" for o in (*param.opts, *param.secondary_opts))
        if param.param_type_name == "argument":
            given = f"`{param.name.upper()}`"
        default = param.default
        usual = "" if default in (None, False, True, (), []) or callable(default) else str(default)
        rows.append(f"| {given} | {_plain(param.help or '')} | {_plain(usual)} |")
    return [*lines, "| | | default |", "|---|---|---|", *rows, ""] if rows else lines


def _plain(text: str) -> str:
    """A text for a cell of a table."""
    words = re.sub(r"\[/?\w+\]", "", " ".join(str(text).split()))
    return words.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def recipes_page() -> str:
    """The published algorithms: what they are made of, live knobs, plant, paper."""
    from trainer import RECIPES
    from trainer.cli.recipe_table import as_dict

    lines = [
        "# Recipes",
        "",
        "The published algorithms, each a function that makes a recipe; a default is the paper's.",
        "`qdtrain recipes` shows which fits which task, `qdtrain recipes NAME` pieces and options.",
        "Knobs and plants are explained in [steering](../concepts/steering.md), every option in",
        "[configuration](../configuration.md), the pieces in [public names](api.md).",
        "",
        "| name | live knobs | plant | advantage | loss of the policy | other terms |",
        "|---|---|---|---|---|---|",
    ]
    papers = []
    for name, make in RECIPES.items():
        papers.append(f"- **{name}**: {_sentence(make)}")
        try:
            recipe = make()
        except TypeError:  # a constant that nobody published must be given
            lines.append(f"| `{name}` | | | | needs an option that nobody published | |")
            continue
        parts = as_dict(recipe)
        papers[-1] += f" {recipe.paper}."
        cells = [f"`{name}`", ", ".join(parts["live"]), parts["plant"] or "–"]
        cells += [parts["advantage"], parts["policy"], "; ".join(parts["terms"]) or "–"]
        lines.append("| " + " | ".join(_plain(cell) for cell in cells) + " |")
    return "\n".join([*lines, "", "## What each is", "", *papers, ""])


def _sentence(make: Any) -> str:
    return reference.first_sentence(make.__doc__).replace("*", "\\*")


EXAMPLES = {
    "mini_rl.py": "The whole algorithm on one page",
    "fit_a_csv.py": "The laws of a table of your own",
    "advise_live.py": "Advice on a log while it grows",
    "steer_trl.py": "A GRPOTrainer of TRL that holds a floor",
    "my_reward/rewards.py": "A reward of your own",
    "my_task.py": "A task of your own",
}


def examples_page() -> str:
    """The programs of ``examples``, as they stand there; the tests run them."""
    lines = ["# Examples", "", "Short programs to start from; the tests run each of them.", ""]
    for file, title in EXAMPLES.items():
        lines += [f"## {title}", "", f"`examples/{file}`", ""]
        lines += [f":::{{literalinclude}} ../../examples/{file}", ":language: python", ":::", ""]
    return "\n".join(lines)
