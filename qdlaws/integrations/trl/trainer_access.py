"""What LawCallback needs of a trainer that transformers does not hand to its callbacks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

__all__ = ["agreed", "calling_trainer", "is_main_process", "keeps_completions", "log_numbers"]


def calling_trainer(callback: Any) -> Any:
    """The trainer that is calling this callback, from the frames below; None where none is."""
    frame = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        handler = getattr(owner, "callback_handler", None)
        if callback in getattr(handler, "callbacks", ()):
            return owner
        frame = frame.f_back  # type: ignore[assignment]
    return None


def keeps_completions(trainer: Any) -> bool:
    """Whether it keeps the completions of its last generation, as TRL does since 0.22."""
    samples = getattr(trainer, "_logs", None) or getattr(trainer, "_textual_logs", None)
    return samples is not None and hasattr(trainer, "beta")


def is_main_process(trainer: Any) -> bool:
    """Whether this process writes the files of the run."""
    return bool(getattr(trainer.accelerator, "is_main_process", True))


def agreed(trainer: Any, value: Any) -> Any:
    """The value of the first process, so that all turn and stop alike."""
    if getattr(trainer.accelerator, "num_processes", 1) == 1:
        return value
    held = [value]
    import_module("accelerate.utils").broadcast_object_list(held)
    return held[0]


def log_numbers(trainer: Any, values: Mapping[str, float], state: Any, control: Any) -> None:
    """Hands the numbers to what ``report_to`` names.

    TRL averages a list of readings a metric at its next log; any other trainer gets an event of
    its own, which its log of the run does not repeat.
    """
    metrics = getattr(trainer, "_metrics", None)
    if isinstance(metrics, dict) and "train" in metrics:
        for name, value in values.items():
            metrics["train"][name].append(value)
        return
    handler = getattr(trainer, "callback_handler", None)
    if handler is not None:
        handler.on_log(trainer.args, state, control, dict(values))
