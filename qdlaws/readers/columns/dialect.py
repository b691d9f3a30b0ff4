"""The dialect of a tool: the names under which it logs quality, diversity, entropy and KL."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from qdlaws.readers.columns.generic_names import UNSTATED

__all__ = [
    "AUXILIARY", "BEHAVIOUR", "OLD", "PRIOR", "ROLES", "Dialect", "Names", "kl_kind",
    "to_reference",
]  # fmt: skip

Names = tuple[tuple[str, str], ...]
"""(pattern of a key, kind), the preferred first; ``{}`` in a kind stands for the group."""

ROLES = ("quality", "diversity", "entropy", "kl")
REFERENCE, PRIOR = "the reference", "the prior"
BEHAVIOUR, OLD = "the sampling policy", "the policy before the update"
AUXILIARY = "auxiliary"
"""How the kind of an evaluation begins that is only taken where it is asked for."""
FEWEST_MARKS = 2
"""Marks by which a tool is recognised: other tools borrow single names, ``actor/pg_loss``."""


@dataclass(frozen=True)
class Dialect:
    """The names of one tool; a log that bears two of the ``marks`` is that tool's."""

    tool: str
    marks: tuple[str, ...]
    """Patterns of keys that few other tools write."""
    quality: Names = ()
    diversity: Names = ()
    entropy: Names = ()
    kl: Names = ()
    eval_quality: Names = ()
    eval_diversity: Names = ()
    eval_entropy: Names = ()
    eval_kl: Names = ()
    evaluates: bool = False
    """It evaluates on fresh samples: a few evaluations are still better than rollouts."""

    def names(self, role: str, evaluation: bool) -> Names:
        """The names for quality, diversity, entropy or kl, of one series."""
        names: Names = getattr(self, f"eval_{role}" if evaluation else role)
        return names

    def is_written_in(self, columns: Collection[str], fewest: int = FEWEST_MARKS) -> bool:
        """Whether the columns bear so many different marks of the tool."""
        borne = (any(re.fullmatch(mark, name) for name in columns) for mark in self.marks)
        return sum(borne) >= fewest


def kl_kind(estimator: str, unit: str, reference: str = REFERENCE) -> str:
    """The kind of a KL column: its estimator, its unit, and the policy on the other side."""
    return f"{estimator}, {unit}, against {reference}"


def to_reference(kind: str) -> bool:
    """Whether a KL in these words is one to the reference (or prior), not to a recent policy."""
    return kind.endswith((REFERENCE, PRIOR, UNSTATED))
