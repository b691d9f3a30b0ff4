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
    """The base class of all errors; a message says what the input is and what is needed.

    >>> import qdlaws as qd
    >>> try:
    ...     qd.read("nowhere.csv")
    ... except qd.QdlawsError as error:
    ...     print(type(error).__name__)
    BadLog
    """


class BadData(QdlawsError, ValueError):
    """Values that no law can be fitted to: text in a number column, unequal lengths, …

    >>> import qdlaws as qd
    >>> try:
    ...     qd.Goal(price=-1)
    ... except BadData as error:
    ...     print(type(error).__name__)
    BadData
    """


class NotEnoughData(BadData):
    """Too few usable points, or a column that does not move.

    >>> import qdlaws as qd
    >>> try:
    ...     qd.fit(qd.example_log()[:3])
    ... except NotEnoughData as error:
    ...     print(type(error).__name__)
    NotEnoughData
    """


class MissingColumn(QdlawsError, KeyError):
    """A column is missing; the message names the columns that are there.

    >>> import qdlaws as qd
    >>> try:
    ...     qd.RunLog.from_frame(qd.example_log().to_frame(), quality="reward")
    ... except MissingColumn as error:
    ...     print("reward" in str(error))
    True
    """

    def __str__(self) -> str:  # KeyError would print the repr of its message
        return str(self.args[0]) if self.args else ""


class BadLog(QdlawsError, OSError):
    """A file or folder that cannot be read as a log.

    >>> issubclass(BadLog, QdlawsError)
    True
    """


class WorkerLost(QdlawsError, RuntimeError):
    """A task of a cluster that has no result, because each worker that had it died.

    >>> issubclass(WorkerLost, QdlawsError)
    True
    """
