"""The progress of a pre-training in a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

__all__ = ["Display", "Silent", "summary_line"]


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass

    def corpus(self, sizes: dict[str, int]) -> None:
        pass

    def phase(self, name: str) -> None:
        pass

    def advance(self, step: int, steps: int, loss: float) -> None:
        pass

    def measured(self, number: int | None, measures: dict[str, Any]) -> None:
        pass


class Display(Silent):
    """A bar with the loss and the time left; a line for the corpus and one after each phase."""

    def __init__(self, console: Any = None) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self.console = Console() if console is None else console
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.name = ""
        self.task: Any = None
        self.began = time.monotonic()

    def __enter__(self) -> Display:
        self.bar.start()
        return self

    def __exit__(self, *why: Any) -> None:
        self.bar.stop()

    def corpus(self, sizes: dict[str, int]) -> None:
        self._line("corpus: " + ", ".join(f"{name} {count:,}" for name, count in sizes.items()))

    def phase(self, name: str) -> None:
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.name, self.task = name, self.bar.add_task(name, total=None, loss=float("nan"))

    def advance(self, step: int, steps: int, loss: float) -> None:
        if self.task is not None:
            self.bar.update(self.task, completed=step, total=steps, loss=loss)

    def measured(self, number: int | None, measures: dict[str, Any]) -> None:
        name = "stored" if number is None else f"round {number}" if number else "trained"
        self._line(f"{name}: {summary_line(measures)}")

    def _line(self, text: str) -> None:
        minutes = (time.monotonic() - self.began) / 60
        self.console.print(f"{minutes:5.1f} min  {text}", highlight=False, soft_wrap=True)


def summary_line(measures: dict[str, Any]) -> str:
    """The measures in a line such as ``valid 91.2 ± 0.9 %, …``."""
    words = []
    for name, value in measures.items():
        if isinstance(value, int):
            words.append(f"{name} {value:,}")
        elif isinstance(value, float):
            words.append(f"{name} {value:.4g}")
        elif value.share:
            words.append(f"{name} {100 * value.value:.1f} ± {100 * value.se:.1f} %")
        else:
            words.append(f"{name} {value.value:.3f} ± {value.se:.3f}")
    return ", ".join(words)
