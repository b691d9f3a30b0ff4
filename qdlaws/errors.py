"""Errors of the library: few, and rooted in the built-in class a caller would expect."""

__all__ = [
    "BadData",
    "BadLog",
    "MissingColumn",
    "NotEnoughData",
    "QdlawsError",
    "WorkerLost",
]


class QdlawsError(Exception):
    """The base class of all errors; a message says what the input is and what is needed."""


class BadData(QdlawsError, ValueError):
    """Values that no law can be fitted to: text in a number column, unequal lengths, …"""


class NotEnoughData(BadData):
    """Too few usable points, or a column that does not move."""


class MissingColumn(QdlawsError, KeyError):
    """A column is missing; the message names the columns that are there."""

    def __str__(self) -> str:  # KeyError would print the repr of its message
        return str(self.args[0]) if self.args else ""


class BadLog(QdlawsError, OSError):
    """A file or folder that cannot be read as a log."""


class WorkerLost(QdlawsError, RuntimeError):
    """A task of a cluster that has no result, because each worker that had it died."""
