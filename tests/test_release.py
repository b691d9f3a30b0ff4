"""What stands beside the code for those who install it: workflows, recipe, images, constraints."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import qdlaws as qd

ROOT = Path(__file__).parents[1]
ACTION = ROOT / ".github" / "actions" / "report"
CONDA_NAMES = {"matplotlib": "matplotlib-base"}


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))


def module(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def workflows() -> list[Path]:
    return sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", workflows(), ids=lambda path: path.name)
def test_a_workflow_runs_targets_that_the_makefile_has(path):
    content = yaml.safe_load(path.read_text())
    assert content[True]  # YAML 1.1 reads the key `on` as a truth value
    assert content["permissions"] == {"contents": "read"}
    commands = []
    for job in content["jobs"].values():
        for target in job.get("strategy", {}).get("matrix", {}).get("target", [""]):
            commands += [
                step["run"].replace("${{ matrix.target }}", target)
                for step in job["steps"]
                if "run" in step
            ]
    assert commands
    for command in commands:
        program, *words = command.split()
        assert program == "make"
        assert {word for word in words if "=" not in word} <= make_targets(), command


def test_tests_run_on_three_pythons_and_two_systems():
    matrix = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]["tests"]
    matrix = matrix["strategy"]["matrix"]
    assert len(matrix["python"]) >= 3
    assert len(matrix["os"]) >= 2
    supported = [c.rpartition(" ")[2] for c in project()["classifiers"] if ":: 3." in c]
    assert set(matrix["python"]) <= set(supported)


def test_the_conda_recipe_has_the_requirements_and_version_of_the_project():
    recipe = yaml.safe_load((ROOT / "release/conda/recipe.yaml").read_text())
    wanted = {f"python {project()['requires-python']}"}
    for text in project()["dependencies"]:
        need = Requirement(text)
        wanted.add(f"{CONDA_NAMES.get(need.name, need.name)} {need.specifier}")
    assert set(recipe["requirements"]["run"]) == wanted
    assert recipe["context"]["version"] == project()["version"]
    scripts = {f"{name} = {target}" for name, target in project()["scripts"].items()}
    assert set(recipe["build"]["python"]["entry_points"]) == scripts


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
def test_an_image_is_described_in_few_lines_and_runs_as_nobody_special(name):
    lines = (ROOT / "release" / name).read_text().splitlines()
    assert len(lines) <= 20
    words = [line.split()[0] for line in lines if re.match(r"[A-Z]+ ", line)]
    assert words[0] == "FROM"
    assert words[-1] == "CMD"
    assert "USER" in words
    extras = re.findall(r"\.\[([\w,]+)\]", "\n".join(lines))
    assert extras
    assert set(extras[0].split(",")) <= set(project()["optional-dependencies"])


def test_the_constraints_cover_every_requirement_of_every_extra():
    pinned = {
        canonicalize_name(Requirement(line).name)
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    extras = project()["optional-dependencies"].values()
    wanted = [*project()["dependencies"], *(text for extra in extras for text in extra)]
    missing = {canonicalize_name(Requirement(text).name) for text in wanted} - pinned
    assert missing == set()


def test_the_constraints_are_allowed_by_the_project():
    pins = [
        Requirement(line)
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    extras = project()["optional-dependencies"].values()
    for text in [*project()["dependencies"], *(t for extra in extras for t in extra)]:
        need = Requirement(text)
        assert need.specifier.contains(versions[canonicalize_name(need.name)]), text


def test_the_sdist_leaves_the_tests_out_and_takes_what_says_how_it_was_made():
    lines = (ROOT / "MANIFEST.in").read_text().splitlines()
    assert "prune tests" in lines
    (included,) = (line.split()[1:] for line in lines if line.startswith("include"))
    assert all((ROOT / name).is_file() for name in included)


def test_every_extra_is_tried_by_the_check_of_the_wheel():
    check = ROOT / "release" / "wheel_check.py"
    tree = ast.parse(check.read_text())
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXTRAS"
    )
    assert {key.value for key in table.keys} == set(project()["optional-dependencies"])


def test_the_page_on_installing_names_every_dependency_and_extra():
    page = (ROOT / "docs" / "install.md").read_text()
    names = [Requirement(text).name for text in project()["dependencies"]]
    for name in [*names, *project()["optional-dependencies"]]:
        assert f"`{name}`" in page, name


# ---------------------------------------------------------------------- the comment of the action


@pytest.fixture
def comment():
    return module(ACTION / "comment.py")


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "good.csv"
    qd.example_log().to_frame().to_csv(path, index=False)
    return path


def test_a_comment_has_a_row_for_each_run_with_verdict_and_advice(comment, run, tmp_path):
    out = tmp_path / "comment.md"
    comment.main([str(run), "--min-diversity", "0.5", "--out", str(out)])
    text = out.read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| good.csv")]
    assert "concave" in row
    assert "ALARM: " in row
    assert row.count("|") == len(comment.HEAD) + 1
    assert "Goal: diversity of at least 0.5." in text


def test_a_log_that_cannot_be_read_is_a_row_that_says_so(comment, run, tmp_path):
    bad = tmp_path / "bad|`x`@all.csv"
    bad.write_text("no numbers\nhere\n")
    text = comment.comment([str(bad), str(run)])
    rows = [line for line in text.splitlines() if "cannot be read" in line or "good" in line]
    assert len(rows) == 2
    assert "@" not in rows[0]
    assert "`" not in rows[0]
    assert rows[0].count("|") == len(comment.HEAD) + 1


def test_the_action_hands_what_it_is_given_to_the_shell_as_variables_only():
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    for step in action["runs"]["steps"]:
        assert "${{" not in step.get("run", "")
    used = {
        name for s in action["runs"]["steps"] for name in re.findall(r"inputs\.([\w-]+)", str(s))
    }
    assert used == set(action["inputs"])
