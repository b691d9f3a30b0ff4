"""Errors of the library: few, and rooted in the built-in class a caller would expect."""

__all__ = ["BadData", "BadLog", "MissingColumn", "NotEnoughData", "QdlawsError"]


class QdlawsError(Exception):
    """Anything that qdlaws refuses to do; the message says what was found and what was needed."""


class BadData(QdlawsError, ValueError):
    """Values that no law can be fitted to: text in a number column, unequal lengths, …"""


class NotEnoughData(BadData):
    """Too few usable points, or a column that does not move."""


class MissingColumn(QdlawsError, KeyError):
    """A column that was asked for is not there; the message names the columns that are."""

    def __str__(self) -> str:  # KeyError would print the repr of its message
        return str(self.args[0]) if self.args else ""


class BadLog(QdlawsError, OSError):
    """A file or folder that cannot be read as a log."""
