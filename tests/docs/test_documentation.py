"""README, CONTRIBUTING and docs: their commands exist, their Python runs, their paths are there.

Every line of a ``console`` block is parsed by the command's own parser, every ``python`` block is
compiled and its imports are looked up, every ``toml`` block is loaded as a configuration. What is
cheap is run, in an empty folder with ``data/`` beside it, as a reader would who pasted it.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

import matplotlib
import pytest
from typer.main import get_command

from qdlaws.cli.watching import with_default_port

matplotlib.use("Agg")

ROOT = Path(__file__).parents[2]
PATTERNS = ("*.md", "docs/**/*.md", "examples/**/*.md", "data/README.md", "benchmarks/README.md")
PAGES = sorted(
    path for pattern in PATTERNS for path in ROOT.glob(pattern) if "generated" not in path.parts
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.M | re.S)

spec = importlib.util.spec_from_file_location("site_pages", ROOT / "docs" / "site_pages.py")
assert spec is not None
assert spec.loader is not None
site_pages = importlib.util.module_from_spec(spec)
spec.loader.exec_module(site_pages)
NOT_RUN = {
    "from qdlaws.integrations.trl import LawCallback": "run by test_steering.py",
    "from advised_scale import AdvisedScale": "run by test_integrations_page.py",
}
"""Python blocks that are compiled but not run: a line of each, and why."""

CHEAP = re.compile(r"^qdlaws (?!watch)(?=.*\bdata/)|^qdtrain (recipes|configs)$")
"""Commands that are run: qdlaws on the runs in data/, and what only prints."""


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    language: str
    text: str
    line: int

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> list[Block]:
    """All fenced blocks of all pages."""
    out = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in FENCE.finditer(text):
            line = text.count("\n", 0, fence.start()) + 1
            out.append(Block(page, fence[1], fence[2], line))
    return out


BLOCKS = blocks()
LINES = {
    re.sub(r"\s+#\s.*", "", line.removeprefix("$ ")): f"{block}: {line[2:60]}"
    for block in reversed(BLOCKS)
    if block.language == "console"
    for line in block.text.splitlines()
    if line.strip()
}
COMMANDS = [pytest.param(line, id=name) for line, name in reversed(LINES.items())]


def blocks_in(language: str) -> list[object]:
    """The blocks of a language, as parameters of a test."""
    return [pytest.param(b, id=str(b)) for b in BLOCKS if b.language == language]


@pytest.fixture
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with ``data/`` in it, as the working folder."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------------- commands


def typer_parses(app_module: str, words: list[str]) -> None:
    """The command exists, it has every option, and nothing that it needs is missing."""
    app = get_command(importlib.import_module(app_module).app)
    command, name, arguments = app, "", list(words)
    while hasattr(command, "commands"):  # a command, or a group of them
        name, *arguments = arguments
        assert name in command.commands, f"there is no command {name!r}"
        command = command.commands[name]
    context = command.context_class(command, info_name=name)
    values, leftover, _ = command.make_parser(context).parse_args(list(arguments))
    assert not leftover, f"{name} does not take {leftover}"
    missing = [p.name for p in command.params if p.required and not values.get(p.name)]
    assert not missing, f"{name} needs {missing}"


def make_parses(words: list[str]) -> None:
    """Every target is in the Makefile, and so is every variable that is set."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for word in words:
        name, equals, _ = word.partition("=")
        if equals:
            assert re.search(rf"\$\({name}\)|^{name}\b", makefile, flags=re.M), word
        else:
            assert re.search(rf"^{re.escape(name)}:", makefile, flags=re.M), word


def python_parses(words: list[str]) -> None:
    """A script exists and reads every option; a module is one of ours with a command line."""
    if words[0] == "-c":
        compile(words[1], "-c", "exec")
        return
    if words[0] == "-m":
        module, *rest = words[1:]
        if module in COMMAND_LINES:
            typer_parses(COMMAND_LINES[module], rest)
        else:
            assert importlib.util.find_spec(module), module
        return
    script = ROOT / words[0]
    assert script.is_file(), words[0]
    source = script.read_text(encoding="utf-8")
    for word in words[1:]:
        if word.startswith("--"):
            assert f'"{word.partition("=")[0]}"' in source, f"{words[0]} has no option {word}"


def pip_parses(words: list[str]) -> None:
    """What is installed is this project, with extras that it has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert words[0] == "install"
    for word in words[1:]:
        for extra in re.findall(r"\[(.*)\]", word):
            assert set(extra.split(",")) <= set(project["optional-dependencies"]), word
        if not word.startswith("-"):
            assert re.fullmatch(r"(\.|qdlaws)(\[.*\])?|constraints.txt", word), word


def echo_parses(words: list[str]) -> None:
    """What is written into a run's folder is a set of knobs that exist."""
    from trainer.knobs import Knobs

    text, arrow, target = words
    assert arrow == ">"
    assert Path(target).name == "knobs.json"
    assert set(json.loads(text)) <= {field.name for field in fields(Knobs)}


COMMAND_LINES = {"qdlaws": "qdlaws.cli.app", "trainer": "trainer.cli.app"}


def check(line: str) -> None:
    """One line of a shell, by the parser of its program."""
    program, *words = shlex.split(line, comments=True)
    if program in ("torchrun", "accelerate"):
        words = words[words.index("-m") :]
    if program == "uvx":
        program, *words = words
    parsers = {
        "qdlaws": lambda: typer_parses("qdlaws.cli.app", with_default_port(words)),
        "qdtrain": lambda: typer_parses("trainer.cli.app", words),
        "make": lambda: make_parses(words),
        "python": lambda: python_parses(words),
        "torchrun": lambda: python_parses(words),
        "accelerate": lambda: python_parses(words),
        "pip": lambda: pip_parses(words),
        "echo": lambda: echo_parses(words),
    }
    assert program in parsers, f"no parser for {program!r}"
    parsers[program]()


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_exists_with_its_options(line: str) -> None:
    check(line)


INLINE = [
    pytest.param(span, id=f"{page.relative_to(ROOT)}: {span}")
    for page in PAGES
    if page.name != "CHANGELOG.md"
    for span in re.findall(
        r"`((?:qdlaws|qdtrain|python|make) [^`]+)`", FENCE.sub("", page.read_text(encoding="utf-8"))
    )
]


@pytest.mark.parametrize("span", INLINE)
def test_commands_within_a_sentence_exist(span: str) -> None:
    """Their arguments may be left out: the command and its options must be there."""
    program, first, *rest = shlex.split(span)
    if program in ("qdlaws", "qdtrain"):
        module = {"qdlaws": "qdlaws", "qdtrain": "trainer"}[program]
        app = get_command(importlib.import_module(COMMAND_LINES[module]).app)
        for name in first.split("|"):
            assert name in app.commands  # type: ignore[attr-defined]
            options = {o for p in app.commands[name].params for o in p.opts}  # type: ignore[attr-defined]
            assert {w.partition("=")[0] for w in rest if w.startswith("--")} <= options
    else:
        {"python": python_parses, "make": make_parses}[program]([first, *rest])


def test_shell_lines_stand_in_console_blocks_only() -> None:
    """So that none escapes the tests: indented lines and prose are not parsed."""
    strays = []
    for page in PAGES:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        strays += re.findall(r"^ {4,}(?:\$ )?(?:qdlaws|qdtrain|python|make|pip) .*", text, re.M)
    assert strays == []
    assert {b.language for b in BLOCKS} <= {"console", "python", "toml", ""}
    assert all(line.values[0] and line.values[0][0] != " " for line in COMMANDS)


@pytest.mark.parametrize(
    "line", [c for c in COMMANDS if CHEAP.search(re.sub(r" +#.*", "", str(c.values[0])))]
)
def test_cheap_commands_run_as_pasted(line: str, working_folder: Path) -> None:
    program, *words = shlex.split(line, comments=True)
    words = [str(path) for word in words for path in (sorted(working_folder.glob(word)) or [word])]
    module = {"qdlaws": "qdlaws", "qdtrain": "trainer"}[program]
    done = subprocess.run(
        [sys.executable, "-m", module, *words], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("qdlaws fit", "needs"),
        ("qdlaws fit log --ploot x.png", "ploot"),
        ("qdlaws predict log", "no command"),
        ("qdtrain evaluate", "needs"),
        ("make cake", "cake"),
        ("python benchmarks/law_coverage.py --quik", "no option"),
        ('pip install ".[trainers]"', "trainers"),
        ("echo '{\"kll\": 1}' > runs/x/knobs.json", "kll"),
        ("rm -rf runs", "no parser"),
    ],
)
def test_a_wrong_line_would_be_seen(line: str, why: str) -> None:
    with pytest.raises(Exception, match=why):
        check(line)


# ---------------------------------------------------------------------- Python and TOML


def imported(tree: ast.AST) -> list[tuple[str, str | None]]:
    """(module, name) of every import of qdlaws and trainer; None: the module itself."""
    out: list[tuple[str, str | None]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            out += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            out += [(node.module or "", alias.name) for alias in node.names]
    return [(module, name) for module, name in out if module.split(".")[0] in COMMAND_LINES]


@pytest.mark.parametrize("block", blocks_in("python"))
def test_python_blocks_compile_and_import_what_exists(block: Block) -> None:
    tree = ast.parse(block.text)
    for module, name in imported(tree):
        home = importlib.import_module(module)
        if name and not hasattr(home, name):
            importlib.import_module(f"{module}.{name}")


@pytest.mark.parametrize("block", blocks_in("python"))
def test_python_blocks_run_as_pasted(block: Block, working_folder: Path) -> None:
    for line, why in NOT_RUN.items():
        if line in block.text:
            pytest.skip(why)
    exec(compile(block.text, str(block), "exec"), {"__name__": "pasted"})


def test_every_exception_from_running_is_of_use() -> None:
    texts = [b.text for b in BLOCKS if b.language == "python"]
    assert [line for line in NOT_RUN if not any(line in text for text in texts)] == []


def test_the_first_block_says_what_comes_out(working_folder: Path) -> None:
    import qdlaws as qd

    block = next(b for b in BLOCKS if b.page.name == "README.md" and b.language == "python")
    stated = re.search(r"fits\.rd\.verdict  # \"(\w+)\"", block.text)
    assert stated is not None
    fits = qd.fit(qd.example_log())
    assert fits.rd is not None
    assert fits.rd.verdict == stated[1]
    shown = next(b for b in BLOCKS if b.page.name == "README.md" and "price of a" in b.text)
    printed = str(fits.summary()).splitlines()
    assert [line for line in shown.text.splitlines() if line not in printed] == []


@pytest.mark.parametrize("block", blocks_in("toml"))
def test_toml_blocks_are_configurations(block: Block, tmp_path: Path) -> None:
    from trainer.config import load_config

    path = tmp_path / "my.toml"
    path.write_text(block.text, encoding="utf-8")
    load_config(str(path))


# ---------------------------------------------------------------------- paths and the tree


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [x for x in links if x and "://" not in x and not (page.parent / x).exists()]
    assert missing == []


def test_a_link_to_a_table_of_a_benchmark_leads_to_its_page_of_the_site() -> None:
    text = "[t](../../benchmarks/results/verdicts.md) [b](../../benchmarks) [l](laws.md#more)"
    shown = site_pages.relinked(text, ROOT / "docs" / "concepts", "concepts/intervals.md")
    assert shown == "[t](../generated/benchmarks/verdicts.md) b [l](../concepts/laws.md#more)"


def test_every_page_of_the_site_is_in_its_table_of_contents() -> None:
    entries = set()
    for page in PAGES:
        for tree in re.findall(
            r"^:::\{toctree\}\n(.*?)^:::", page.read_text(encoding="utf-8"), re.M | re.S
        ):
            entries |= {
                (page.parent / f"{line}.md").resolve()
                for line in tree.splitlines()
                if line and line[0] not in ":"
            }
    pages = {page for page in PAGES if page.parent.is_relative_to(ROOT / "docs")}
    assert pages - entries == {ROOT / "docs" / "index.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_path_in_backticks_is_there(page: Path) -> None:
    """Of files and folders of this repository; what a run writes is the reader's."""
    if page.name == "CHANGELOG.md":
        pytest.skip("a changelog names what is gone")
    words = re.findall(r"`([\w./*-]+)`", FENCE.sub("", page.read_text(encoding="utf-8")))
    folders = ["qdlaws", "trainer", "tests", "docs", "data", "notebooks", "benchmarks", "examples"]
    missing = [
        word
        for word in words
        if word.split("/")[0] in folders and "/" in word and not list(ROOT.glob(word.rstrip("/")))
    ]
    assert missing == []


def test_the_tree_of_contributing_is_the_tree() -> None:
    page = (ROOT / "docs" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = next(f[2] for f in FENCE.finditer(page) if f[2].startswith("qdlaws/"))
    listed: dict[str, list[str]] = {}
    for line in tree.splitlines():
        name = line.split()[0].rstrip("/")
        if line.startswith(" "):
            listed[list(listed)[-1]].append(name)
        else:
            listed[name] = []

    def folders(path: Path) -> set[str]:
        inside = (p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "_")))
        return {p.name for p in inside if any(p.rglob("*.*"))}

    assert set(listed) <= folders(ROOT)
    for package in ("qdlaws", "trainer"):
        assert set(listed[package]) == folders(ROOT / package)
    tracked = {p.parts[0] for p in map(Path, _tracked()) if len(p.parts) > 1}
    assert {name for name in tracked if not name.startswith(".")} == set(listed)


def _tracked() -> list[str]:
    """The files that git knows; without git, what the test needs of them."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return done.stdout.splitlines()
