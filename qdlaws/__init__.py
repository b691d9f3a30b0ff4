"""qdlaws: the laws of quality, diversity and entropy along an RL fine-tuning run."""

from qdlaws.errors import BadData, BadLog, MissingColumn, NotEnoughData, QdlawsError
from qdlaws.kinds import EntropyKind
from qdlaws.runlog import RunLog

__all__ = [
    "BadData",
    "BadLog",
    "EntropyKind",
    "MissingColumn",
    "NotEnoughData",
    "QdlawsError",
    "RunLog",
]
