"""Readers: the logs of other people's trainers, and our own, as a RunLog."""

from qdlaws.readers.read import read, tools

__all__ = ["read", "tools"]
