"""Readers of logs: files of many training tools, and of our own trainer, as a RunLog."""

from qdlaws.readers.reading import as_log, example_log, read, tools

__all__ = ["as_log", "example_log", "read", "tools"]
