"""trainer: reinforcement learning of language models from small pieces that compose.

The names below are loaded on first use, so ``import trainer`` loads neither torch nor anything
else that is heavy::

    import trainer

    config = trainer.load_config("molecules", ["train.steps=20"])
    outcome = trainer.train(config, Path("runs/first"))
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
