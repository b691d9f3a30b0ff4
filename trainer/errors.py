"""Errors of the trainer beside those of :mod:`qdlaws.errors`."""

from qdlaws.errors import QdlawsError

__all__ = ["RunFailed", "TaskFailed"]


class RunFailed(QdlawsError, RuntimeError):
    """A run that cannot go on; its last checkpoint is usable."""


class TaskFailed(QdlawsError, RuntimeError):
    """Code of the user's task raised an error, was out of time, or has ended its process."""
