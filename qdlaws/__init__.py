"""qdlaws: the laws of quality, diversity and entropy along an RL fine-tuning run."""

from qdlaws.errors import BadData, BadLog, MissingColumn, NotEnoughData, QdlawsError
from qdlaws.fit import LawFits, fit
from qdlaws.kinds import EntropyKind
from qdlaws.law import Interval, Law
from qdlaws.lawfit import LawFit
from qdlaws.readers import read
from qdlaws.runlog import RunLog

__all__ = [
    "BadData",
    "BadLog",
    "EntropyKind",
    "Interval",
    "Law",
    "LawFit",
    "LawFits",
    "MissingColumn",
    "NotEnoughData",
    "QdlawsError",
    "RunLog",
    "fit",
    "read",
]
