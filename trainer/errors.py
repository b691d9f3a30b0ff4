"""Errors of the trainer beside those of :mod:`qdlaws.errors`."""

from qdlaws.errors import QdlawsError

__all__ = ["RunFailed"]


class RunFailed(QdlawsError, RuntimeError):
    """A run that cannot go on; its last checkpoint is usable."""
