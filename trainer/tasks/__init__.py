"""Tasks: prompts, the scores of answers, and which answers mean the same.

Importing this package loads no task: each is imported when it is made.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from qdlaws.errors import QdlawsError
from trainer.tasks.task import Prompt, Scores, Task, nearest
from trainer.user_code import error_in_words, find_object

__all__ = ["TASKS", "Prompt", "Scores", "Task", "make_task", "task_maker", "task_options"]

TASKS: dict[str, str] = {
    "molecules": "trainer.tasks.molecules.task:make",
    "arithmetic": "trainer.tasks.arithmetic.task:make",
    "sql": "trainer.tasks.sql.task:make",
    "stories": "trainer.tasks.stories.task:make",
    "dataset": "trainer.tasks.dataset.task:make",
    "bandit": "trainer.tasks.bandit:make",
}
"""name → the function that makes the task from its options."""
MEMBERS = ("name", "traits", "prompts", "score", "keys", "measure")
"""What every task has; see :class:`trainer.tasks.task.Task`."""


def make_task(name: str, **options: Any) -> Task:
    """A task by its name, or one that a function of the user's makes.

    Parameters
    ----------
    name : one of ``TASKS``, or ``package.module:function``
    options : keyword arguments of the function that makes the task (:func:`task_options`)

    Returns
    -------
    Task

    Raises
    ------
    QdlawsError
        In one line, with the nearest right name, for an unknown task or option, and for a task
        that needs a package which is not installed.

    Examples
    --------
    >>> task = make_task("arithmetic", high=20)
    >>> task.score(task.prompts()[:1], ["1+1"]).score.shape
    (1,)
    """
    make = task_maker(name)
    _check(name, make, options)
    try:
        task: Task = make(**options)
    except ModuleNotFoundError as error:  # such as rdkit, which a GPU image may not have
        raise QdlawsError(f"task {name} needs a package that is not installed: {error}") from error
    except (Exception, SystemExit) as error:
        if name in TASKS or isinstance(error, QdlawsError):
            raise
        raise QdlawsError(f"task {name}: {error_in_words(error)}") from error
    if name not in TASKS:
        _check_members(name, task)
    return task


def task_options(name: str) -> dict[str, Any]:
    """The options of a task with their defaults (``inspect.Parameter.empty``: must be given)."""
    parameters = inspect.signature(task_maker(name)).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p.default for p in parameters if p.kind in named}


def task_maker(name: str) -> Callable[..., Any]:
    """The function that makes the task of this name; QdlawsError where there is none."""
    if name not in TASKS and ":" not in name:
        problem = f"no task is called {name!r}{nearest(name, TASKS)}"
        raise QdlawsError(f"{problem}; have {', '.join(TASKS)}, or 'package.module:function'")
    if name in TASKS:
        module, _, function = TASKS[name].partition(":")
        make: Callable[..., Any] = getattr(importlib.import_module(module), function)
    else:
        make = find_object(name, "task")
    return make


def _check(name: str, make: Callable[..., Any], options: dict[str, Any]) -> None:
    """Refuses unknown and missing options in one line, with the nearest right name."""
    signature = inspect.signature(make)
    free = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values())
    names = list(task_options(name))
    for option in options:
        if option not in names and not free:
            raise QdlawsError(
                f"task {name} has no option {option!r}{nearest(option, names)}; "
                f"have {', '.join(names) or 'none'}"
            )
    try:
        signature.bind(**options)
    except TypeError as error:
        raise QdlawsError(f"task {name}: {error}") from None


def _check_members(name: str, task: Any) -> None:
    """Refuses what a function of the user's made and what is no task."""
    missing = [member for member in MEMBERS if not hasattr(task, member)]
    if missing:
        raise QdlawsError(
            f"task {name} made {type(task).__name__!r}, which has no {', '.join(missing)}: a Task "
            "was needed"
        )
