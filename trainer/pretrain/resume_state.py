"""The folder ``NAME.partial``: one file per finished phase, so that a stopped training goes on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from pickle import PickleError
from typing import Any

import torch

from qdlaws.errors import BadData
from trainer.pretrain.options import Pair, PretrainOptions

__all__ = ["PhaseStore", "State"]


DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    OverflowError,
    PickleError,
)
"""What reading a damaged file of a phase raises."""


@dataclass
class State:
    """The present model, the samples of it that were accepted, and the measures of every phase."""

    model: Any
    accepted: list[Pair] = field(default_factory=list)
    measures: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class PhaseStore:
    """The folder in which the state after every phase is stored."""

    folder: Path

    @classmethod
    def open(cls, out: Path, options: PretrainOptions) -> PhaseStore:
        """The folder beside ``out``; refused where it holds a training with other options."""
        store = cls(out.with_name(out.name + ".partial"))
        text = json.dumps(asdict(options), default=str, sort_keys=True)
        note = store.folder / "options.json"
        if note.is_file() and note.read_text() != text:
            raise BadData(
                f"{store.folder} holds a training begun with other options: finish it with those, "
                "or remove it"
            )
        store.folder.mkdir(parents=True, exist_ok=True)
        note.write_text(text)
        return store

    def store(self, number: int, state: State) -> None:
        """Stores the state after a phase, in one file that appears complete or not at all."""
        path = self.folder / f"phase-{number}.pt"
        content = {
            "model": state.model.state_dict(),
            "own": json.dumps(state.accepted),
            "found": json.dumps(state.measures, default=_estimate_dict),
        }
        torch.save(content, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def restore(self, number: int, state: State) -> bool:
        """Loads the state after a phase; False where it is not stored or is damaged."""
        path = self.folder / f"phase-{number}.pt"
        if not path.is_file():
            return False
        try:
            content = torch.load(path, weights_only=True)
            accepted = [(prompt, text) for prompt, text in json.loads(content["own"])]
            measures = [_estimates(saved) for saved in json.loads(content["found"])]
            shapes = {name: value.shape for name, value in state.model.state_dict().items()}
            if shapes != {name: value.shape for name, value in content["model"].items()}:
                return False
            state.model.load_state_dict(content["model"])
        except DAMAGE:
            return False
        state.model.eval()
        state.accepted, state.measures = accepted, measures
        return True

    def remove(self) -> None:
        """Deletes the folder."""
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()


def _estimate_dict(value: Any) -> dict[str, Any]:
    return {"estimate": {k: v for k, v in asdict(value).items() if v == v}}


def _estimates(saved: dict[str, Any]) -> dict[str, Any]:
    from qdlaws.measure import Estimate

    def read(value: Any) -> Any:
        if not (isinstance(value, dict) and "estimate" in value):
            return value
        return Estimate(**{"value": float("nan"), "se": float("nan"), **value["estimate"]})

    return {name: read(value) for name, value in saved.items()}
