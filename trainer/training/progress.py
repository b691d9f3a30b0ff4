"""The progress of a run, beside weights and optimizer, and its form in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from qdlaws.errors import BadLog
from trainer.algorithms.diversity_filter import FilterMemory
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
    filter: FilterMemory = field(default_factory=FilterMemory)
    kept: int | None = None
    """Step of the checkpoint that the last advice names."""
    stage_began: bool = False
    """Whether a stage began after the last evaluation: the next one carries the mark."""

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
            "filter": {
                "counts": [[bucket, count] for bucket, count in self.filter.counts.items()],
                "answers": list(self.filter.answers),
                "buckets": list(self.filter.buckets),
            },
            "kept": self.kept,
            "stage_began": self.stage_began,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Progress:
        """The progress that was saved; BadLog where it lacks something.

        What else is in ``state.json`` is left aside.
        """
        try:
            memory = None
            if (saved := state["memory"]) is not None:
                keys = tuple(_hashable(key) for key in saved["keys"])
                memory = Memory(ReplayPlan(**saved["plan"]), keys, tuple(saved["scores"]))
            return cls(
                step=_count(state["step"]),
                cursor=_count(state["cursor"]),
                samples=_count(state["samples"]),
                knobs=Knobs(**{name: float(value) for name, value in state["knobs"].items()}),
                memory=memory,
                buckets=Buckets({_hashable(bucket): count for bucket, count in state["buckets"]}),
                filter=_filter_memory(state),
                kept=None if state["kept"] is None else _count(state["kept"]),
                stage_began=bool(state.get("stage_began", False)),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BadLog(f"state.json is not of this version: {error!r}") from None


def _filter_memory(state: Mapping[str, Any]) -> FilterMemory:
    """The diversity filter's memory; older states kept its counts among the buckets."""
    if "filter" not in state:
        return FilterMemory({_hashable(bucket): count for bucket, count in state["buckets"]})
    saved = state["filter"]
    return FilterMemory(
        {_hashable(bucket): count for bucket, count in saved["counts"]},
        {_hashable(answer): None for answer in saved["answers"]},
        {_hashable(bucket): None for bucket in saved["buckets"]},
    )


def _count(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError(f"{value!r} where a count was expected")
    return value


def _hashable(key: Any) -> Any:
    """A key as it was before JSON made a list of it."""
    return tuple(key) if isinstance(key, list) else key
