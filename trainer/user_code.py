"""Code of the user's: functions that a configuration names as ``package.module:function``.

A name is looked at in two ways. :func:`source_files` says what an import would run and runs
nothing; :func:`find_object` imports. What belongs to Python itself (``os:system``,
``builtins:eval``) is no reward and no task, and is refused.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import partial
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from pkgutil import get_importer
from re import compile as pattern
from traceback import extract_tb
from typing import Any

from qdlaws.core.serialize import printable
from qdlaws.errors import QdlawsError
from trainer.errors import TaskFailed

__all__ = [
    "error_in_words",
    "exits_are_failures",
    "find_object",
    "is_reference",
    "source_files",
]

NAME = r"[^\W\d]\w*(?:\.[^\W\d]\w*)*"
REFERENCE = pattern(f"{NAME}:{NAME}")


def is_reference(text: str) -> bool:
    """Whether a text has the form ``package.module:function``."""
    return REFERENCE.fullmatch(text) is not None


def source_files(reference: str) -> list[Path]:
    """The files of the module that a reference names and of the packages around it.

    Nothing is imported: of ``a.b:f`` these are ``a/__init__.py`` and ``a/b.py``. Empty where there
    is no such module.
    """
    specs = list(_specs(reference.partition(":")[0]))
    return [Path(spec.origin) for spec in specs if spec.origin and Path(spec.origin).is_file()]


def find_object(reference: str, what: str = "function") -> Any:
    """The object that ``package.module:name`` names; the working folder is searched too.

    Raises
    ------
    QdlawsError
        In one line, for a name of another form, a module that cannot be imported (whatever it
        raises, ``sys.exit`` included), and for what belongs to Python itself.
    """
    if not is_reference(reference):
        raise QdlawsError(f"found {reference!r} for a {what}: 'package.module:name' was needed")
    module_name, _, name = reference.partition(":")
    _refuse_standard(module_name, reference, what)
    _search_working_folder()
    try:
        with redirect_stdout(sys.stderr):  # a command's answer holds nothing that a module prints
            value: Any = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's module may raise anything
        raise QdlawsError(f"{what} {reference!r}: {error_in_words(error)}") from error
    for attribute in name.split("."):
        if not hasattr(value, attribute):
            raise QdlawsError(f"{what} {reference!r}: {module_name} has no {name}")
        value = getattr(value, attribute)
    if callable(value):
        _refuse_standard(_home(value), reference, what)
    return value


def error_in_words(error: BaseException) -> str:
    """The message of an error; of one that Python or the user raised also its kind and line."""
    text = printable(" ".join(str(error).split()))
    if isinstance(error, QdlawsError | ImportError) and text:
        return text
    frames = extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):  # its own message has the place
        where = ""
    return f"{type(error).__name__}: {text}{where}" if text else f"{type(error).__name__}{where}"


@contextmanager
def exits_are_failures(kind: type[QdlawsError] = QdlawsError) -> Iterator[None]:
    """``sys.exit`` in a user's task is an error: a command that it ended would report success.

    So is the failure of a task in a process of its own.
    """
    try:
        yield
    except TaskFailed as error:
        raise kind(str(error)) from error
    except SystemExit as error:
        raise kind(f"code of the task ended the program: {error_in_words(error)}") from error


# ---------------------------------------------------------------------- helpers


def _specs(module_name: str) -> Iterator[ModuleSpec]:
    """Where the packages around a module and the module itself lie; ends where one is missing."""
    top, *rest = module_name.split(".")
    try:
        spec = find_spec(top) or _spec_among(top, [str(Path.cwd())])
    except ValueError:  # a module that was made by hand, such as __main__
        spec = None
    name = top
    while spec is not None:
        yield spec
        if not rest or spec.submodule_search_locations is None:
            return
        name = f"{name}.{rest.pop(0)}"
        spec = _spec_among(name, list(spec.submodule_search_locations))


def _spec_among(name: str, folders: Sequence[str]) -> ModuleSpec | None:
    """A module in one of the folders; ``importlib.util.find_spec`` would import its package."""
    portions: list[str] = []  # of a package that is spread over several folders
    for folder in folders:
        finder = get_importer(folder)
        spec = None if finder is None else finder.find_spec(name)
        if spec is not None and spec.loader is not None:
            return spec
        portions += [] if spec is None else spec.submodule_search_locations or []
    if not portions:
        return None
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = portions
    return spec


def _search_working_folder() -> None:
    """A console script does not search the working folder by itself."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)


def _refuse_standard(module_name: str, reference: str, what: str) -> None:
    top = module_name.partition(".")[0]
    if top in sys.stdlib_module_names:
        raise QdlawsError(
            f"{what} {reference!r}: {top} belongs to Python itself; a function of your own was "
            "needed"
        )


def _home(value: Any) -> str:
    """The module that defines an object; of a partial function the one of the function."""
    while isinstance(value, partial):
        value = value.func
    return str(getattr(value, "__module__", None) or type(value).__module__)
