"""The folder ``NAME.partial``: one file per finished phase, so that a stopped training goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from qdlaws.errors import BadData
from trainer.pretrain.options import Pair, PretrainOptions

__all__ = ["State", "Work"]


@dataclass
class State:
    """The model as it is now, its own samples that were kept, and what was measured so far."""

    model: Any
    own: list[Pair] = field(default_factory=list)
    found: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Work:
    """Stores and restores the state after every phase."""

    folder: Path

    @classmethod
    def begin(cls, out: Path, options: PretrainOptions) -> Work:
        work = cls(out.with_name(out.name + ".partial"))
        asked = json.dumps(asdict(options), default=str, sort_keys=True)
        note = work.folder / "options.json"
        if note.is_file() and note.read_text() != asked:
            raise BadData(
                f"{work.folder} holds a training begun with other options: finish it with those, "
                "or remove it"
            )
        work.folder.mkdir(parents=True, exist_ok=True)
        note.write_text(asked)
        return work

    def store(self, number: int, state: State) -> None:
        """The state after a phase, in one file that appears complete or not at all."""
        path = self.folder / f"phase-{number}.pt"
        content = {
            "model": state.model.state_dict(),
            "own": json.dumps(state.own),
            "found": json.dumps(state.found, default=_estimate_dict),
        }
        torch.save(content, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def restore(self, number: int, state: State) -> bool:
        """Whether the phase was stored; its state is then loaded."""
        path = self.folder / f"phase-{number}.pt"
        if not path.is_file():
            return False
        content = torch.load(path, weights_only=True)
        state.model.load_state_dict(content["model"])
        state.model.eval()
        state.own = [(prompt, text) for prompt, text in json.loads(content["own"])]
        state.found = [_estimates(found) for found in json.loads(content["found"])]
        return True

    def remove(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()


def _estimate_dict(value: Any) -> dict[str, Any]:
    return {"estimate": {k: v for k, v in asdict(value).items() if v == v}}


def _estimates(found: dict[str, Any]) -> dict[str, Any]:
    from qdlaws.measure import Estimate

    def read(value: Any) -> Any:
        if not (isinstance(value, dict) and "estimate" in value):
            return value
        return Estimate(**{"value": float("nan"), "se": float("nan"), **value["estimate"]})

    return {name: read(value) for name, value in found.items()}
