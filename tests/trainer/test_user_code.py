"""Functions of the user's are imported by name, after it was seen what that would run."""

import sys

import pytest

from qdlaws.errors import QdlawsError
from trainer.user_code import find_object, is_reference, source_files


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a module into the working folder; what it imports is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    before = set(sys.modules)

    def module(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    yield module
    for name in set(sys.modules) - before:
        if name.partition(".")[0].startswith("mine"):
            del sys.modules[name]


@pytest.mark.parametrize(
    "reference",
    [
        "os:system",
        "builtins:eval",
        "subprocess:run",
        "shutil:rmtree",
        "os.path:join",
        "tests.helpers.example_rewards:dataclass",
        "tests.helpers.score_makers:os.system",
        "tests.helpers.score_makers:time.sleep",
    ],
)
def test_what_belongs_to_python_is_no_function_of_the_user(reference):
    with pytest.raises(QdlawsError, match="belongs to Python itself"):
        find_object(reference, "reward")


def test_partial_functions_and_instances_of_the_user_are_allowed(write):
    write(
        "mine_partial.py",
        "from functools import lru_cache, partial\n"
        "import os\n"
        "def f(a, b): return a + b\n"
        "g = partial(f, b=1)\n"
        "h = partial(os.system)\n"
        "@lru_cache\n"
        "def kept(a): return a\n"
        "class Callable:\n"
        "    def __call__(self, text): return 1.0\n"
        "    def method(self, text): return 2.0\n"
        "one = Callable()\n",
    )
    assert find_object("mine_partial:g")(1) == 2
    assert find_object("mine_partial:kept")(3) == 3
    assert find_object("mine_partial:one")("") == 1.0
    assert find_object("mine_partial:one.method")("") == 2.0
    with pytest.raises(QdlawsError, match="belongs to Python"):
        find_object("mine_partial:h")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def f(:\n", r"SyntaxError.*mine_broken.py, line 1"),
        ("\n1 / 0\n", r"ZeroDivisionError: division by zero \(mine_broken.py, line 2\)"),
        ("import sys\nsys.exit(0)\n", r"SystemExit: 0"),
        ("import mine_nothing\n", "No module named 'mine_nothing'"),
    ],
)
def test_a_module_that_cannot_be_imported_is_one_line(write, text, message):
    write("mine_broken.py", text)
    with pytest.raises(QdlawsError, match=message) as raised:
        find_object("mine_broken:f", "reward")
    assert "\n" not in str(raised.value)


def test_a_missing_name_is_refused():
    with pytest.raises(QdlawsError, match=r"example_rewards has no nothing"):
        find_object("tests.helpers.example_rewards:nothing")


@pytest.mark.parametrize("reference", [".rel:x", "a.:x", ":x", "a:", "a", "a b:c", "a:b:c", "a:1"])
def test_names_of_another_form_are_refused(reference):
    assert not is_reference(reference)
    with pytest.raises(QdlawsError, match=r"package\.module:name"):
        find_object(reference)


def test_prints_of_a_module_go_to_stderr(write, capfd):
    write("mine_loud.py", "print('loud')\ndef f(): pass\n")
    find_object("mine_loud:f")
    streams = capfd.readouterr()
    assert (streams.out, streams.err) == ("", "loud\n")


def test_files_are_named_without_an_import(write):
    top = write("mine_package/__init__.py", "raise SystemExit('imported')\n")
    inner = write("mine_package/part/rewards.py", "raise SystemExit('imported')\n")
    alone = write("mine_alone.py", "raise SystemExit('imported')\n")
    assert source_files("mine_alone:f") == [alone]
    assert source_files("mine_package.part.rewards:f") == [top, inner]
    assert source_files("mine_package.nothing:f") == [top]
    assert source_files("mine_nothing.at.all:f") == []
    assert not [name for name in sys.modules if name.startswith("mine")]


def test_files_inside_of_namespace_packages_are_named(write):
    inner = write("mine_space/part/rewards.py", "")
    assert source_files("mine_space.part.rewards:f") == [inner]
