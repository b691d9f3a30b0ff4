"""trainer: reinforcement learning of language models from small pieces that compose.

The names below are loaded on first use, so ``import trainer`` loads neither torch nor anything
else that is heavy::

    import trainer

    config = trainer.load_config("molecules", ["train.steps=20"])
    outcome = trainer.train(config, Path("runs/first"))

A whole run of a task of one token, on disk for a moment:

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> import trainer
>>> config = trainer.load_config("bandit", ["steps=2", "eval.every=1", "eval.samples=16"])
>>> with TemporaryDirectory() as folder:
...     run = Path(folder) / "run"
...     print(trainer.train(config, run).ended)
...     print(trainer.resume(run).step)
...     print(trainer.branch(run, run.with_name("other"), step=1).step)
...     print(trainer.evaluate(str(run), samples=16)["n_samples"])
...     swept = trainer.sweep(config, {"seed": ["0"]}, run.with_name("grid"), jobs=1)
done
2
2
16
>>> len(swept)
1
>>> isinstance(trainer.RECIPES["grpo"](), trainer.Recipe)
True
>>> trainer.Knobs(kl=0.1).reward_scale
1.0
>>> import numpy as np
>>> trainer.Scores(np.array([1.0, np.nan]), np.array([True, False])).failed
1
>>> trainer.Prompt(0, "24=", {"target": 24}).text
'24='

``trainer.Task`` is the form of a task; ``examples/my_task.py`` is one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.algorithms.objective import Recipe
    from trainer.algorithms.recipes import RECIPES
    from trainer.config import load_config
    from trainer.knobs import Knobs
    from trainer.loop import resume, train
    from trainer.runs import branch, sweep
    from trainer.tasks.task import Prompt, Scores, Task
    from trainer.training.evaluate_checkpoint import evaluate_checkpoint as evaluate

__all__ = [
    "RECIPES",
    "Knobs",
    "Prompt",
    "Recipe",
    "Scores",
    "Task",
    "branch",
    "evaluate",
    "load_config",
    "resume",
    "sweep",
    "train",
]

_HOMES = {
    "RECIPES": "trainer.algorithms.recipes:RECIPES",
    "Knobs": "trainer.knobs:Knobs",
    "Prompt": "trainer.tasks.task:Prompt",
    "Recipe": "trainer.algorithms.objective:Recipe",
    "Scores": "trainer.tasks.task:Scores",
    "Task": "trainer.tasks.task:Task",
    "branch": "trainer.runs:branch",
    "evaluate": "trainer.training.evaluate_checkpoint:evaluate_checkpoint",
    "load_config": "trainer.config:load_config",
    "resume": "trainer.loop:resume",
    "sweep": "trainer.runs:sweep",
    "train": "trainer.loop:train",
}
"""public name → where it is defined, as ``module:name``."""


def __getattr__(name: str) -> Any:
    """The public name, imported on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, for tab completion."""
    return sorted(__all__)
