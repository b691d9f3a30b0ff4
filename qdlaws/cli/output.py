"""What the commands print and write: summaries or JSON on stdout, pictures in files.

Names and texts of a log may hold what a terminal obeys (it clears the screen, fills the clipboard):
everything is printed here, with such characters as escapes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol, TypeVar

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.serialize import printable, printable_json
from qdlaws.errors import QdlawsError

__all__ = [
    "Answer",
    "answers",
    "json_line",
    "print_answers",
    "print_error",
    "print_text",
    "save_plots",
]

T = TypeVar("T")


class Answer(Protocol):
    """What a command prints: every result of the library, and the fits with their checks."""

    def summary(self) -> object: ...

    def to_dict(self) -> dict[str, Any]: ...


def answers(logs: Sequence[Path], question: Callable[[Path], T]) -> list[T]:
    """The answer for every log; an error says which log it is about."""
    out = []
    for path in logs:
        try:
            out.append(question(path))
        except QdlawsError as error:
            words = str(error)
            raise QdlawsError(words if str(path) in words else f"{path}: {words}") from None
    return out


def print_answers(logs: Sequence[Path], results: Sequence[Answer], as_json: bool) -> None:
    """The summaries, those of several logs each below its name; or one line of JSON."""
    if as_json:
        objects = [result.to_dict() for result in results]
        print(json_line(objects[0] if len(objects) == 1 else {"runs": objects}))
        return
    names = [f"{path}\n" if len(logs) > 1 else "" for path in logs]
    texts = [f"{name}{result.summary()}" for name, result in zip(names, results, strict=True)]
    print_text("\n\n".join(texts))


def print_text(text: object) -> None:
    """Prints on stdout, at once."""
    print(printable(str(text)), flush=True)


def print_error(text: str) -> None:
    """Prints one line on stderr that begins with the command's name."""
    print(printable(f"qdlaws: {' '.join(text.split())}"), file=sys.stderr)


def json_line(values: dict[str, Any]) -> str:
    """Strict JSON on one line."""
    return printable_json(json.dumps(values, allow_nan=False, ensure_ascii=False))


def save_plots(results: Sequence[Any], path: Path | None, **options: Any) -> None:
    """A picture of each result, all drawn before the first is written; several are numbered."""
    if path is None:
        return
    import matplotlib

    matplotlib.use("Agg")
    pictures = [_picture(result.plot(**options), path) for result in results]
    for i, picture in enumerate(pictures):
        write_atomically(
            path if len(pictures) == 1 else path.with_stem(f"{path.stem}-{i + 1}"), picture
        )


def _picture(drawn: Any, path: Path) -> bytes:
    """The bytes of a figure, or of the figure of some axes, in the format of the file's name."""
    file = BytesIO()
    try:
        drawn.get_figure(root=True).savefig(file, format=path.suffix[1:] or "png")
    except ValueError as error:
        raise QdlawsError(f"cannot write {path}: {error}") from None
    return file.getvalue()
