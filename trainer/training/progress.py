"""The progress of a run, beside weights and optimizer, and its form in a checkpoint."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from trainer.algorithms.replay import Buckets, Memory
from trainer.types import Knobs, ReplayPlan

__all__ = ["Progress"]


@dataclass(frozen=True)
class Progress:
    """All that a run carries from step to step, beside weights and optimizer."""

    step: int = 0
    cursor: int = 0
    """Prompts taken from the stream so far."""
    samples: int = 0
    """Completions drawn for training so far."""
    knobs: Knobs = field(default_factory=Knobs)
    memory: Memory | None = None
    buckets: Buckets = field(default_factory=Buckets)
    kept: int | None = None
    """Step of the checkpoint that the last advice names."""

    def to_state(self) -> dict[str, Any]:
        """JSON values for ``state.json``."""
        memory = None
        if self.memory is not None:
            plan = asdict(self.memory.plan)
            memory = {"plan": plan, "keys": self.memory.keys, "scores": self.memory.scores}
        return {
            "step": self.step,
            "cursor": self.cursor,
            "samples": self.samples,
            "knobs": asdict(self.knobs),
            "memory": memory,
            "buckets": [[bucket, count] for bucket, count in self.buckets.counts.items()],
            "kept": self.kept,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Progress:
        """The progress that was saved; what else is in ``state.json`` is left aside."""
        memory = None
        if (saved := state["memory"]) is not None:
            keys = tuple(_hashable(key) for key in saved["keys"])
            memory = Memory(ReplayPlan(**saved["plan"]), keys, tuple(saved["scores"]))
        return cls(
            step=state["step"],
            cursor=state["cursor"],
            samples=state["samples"],
            knobs=Knobs(**state["knobs"]),
            memory=memory,
            buckets=Buckets({_hashable(bucket): count for bucket, count in state["buckets"]}),
            kept=state["kept"],
        )


def _hashable(key: Any) -> Any:
    """A key as it was before JSON made a list of it."""
    return tuple(key) if isinstance(key, list) else key
