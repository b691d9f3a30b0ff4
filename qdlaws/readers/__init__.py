"""Readers: the logs of other people's trainers, and our own, as a RunLog."""

from qdlaws.readers.reading import read, tools

__all__ = ["read", "tools"]
