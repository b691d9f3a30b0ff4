"""``<output_dir>/qdlaws``: the rows and the advice of a run, and the checkpoints beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.json_lines import read_json_lines

__all__ = ["RunFolder"]

ROWS, ADVICE = "metrics.jsonl", "advice.jsonl"


@dataclass(frozen=True)
class RunFolder:
    """The files of a run of transformers; only the main process writes them."""

    output: Path
    writes: bool = True

    @property
    def rows(self) -> Path:
        return self.output / "qdlaws" / ROWS

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Appends a row of measurements."""
        self._append(ROWS, row)

    def add_advice(self, line: Mapping[str, Any]) -> None:
        """Appends a line of advice."""
        self._append(ADVICE, line)

    def _append(self, name: str, line: Mapping[str, Any]) -> None:
        if self.writes:
            with (self.rows.parent / name).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False, ensure_ascii=False) + "\n")

    def resume(self, step: int) -> list[dict[str, Any]]:
        """The rows up to the step that a run resumes from; both files are cut back to it."""
        if self.writes:
            self.rows.parent.mkdir(parents=True, exist_ok=True)
        rows: list[dict[str, Any]] = []
        for name in (ADVICE, ROWS):
            path = self.rows.with_name(name)
            kept = read_json_lines(path).rows if path.exists() and step else ()
            rows = [row for row in kept if "step" in row and row["step"] <= step]
            if self.writes:
                lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
                write_atomically(path, "".join(lines))
        return rows

    def checkpoint(self, step: float) -> Path:
        """Where transformers keeps the checkpoint of a step."""
        return self.output / f"checkpoint-{step:.0f}"

    def checkpoints(self, measured: Sequence[float], saved: float | None) -> list[float] | None:
        """The measured steps whose checkpoints exist and the one being ``saved``.

        None where no checkpoint exists.
        """
        names = (path.name.split("-")[1] for path in self.output.glob("checkpoint-*"))
        steps = {float(name) for name in names if name.isdigit()}
        if not steps and saved is None:
            return None
        return sorted((steps & set(measured)) | ({saved} if saved is not None else set()))
