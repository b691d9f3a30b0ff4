"""Readers of logs: files of many training tools, and of our own trainer, as a RunLog."""

from qdlaws.readers.reading import read, tools

__all__ = ["read", "tools"]
