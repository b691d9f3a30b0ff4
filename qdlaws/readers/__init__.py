"""Readers of logs: files of many training tools, and of our own trainer, as a RunLog."""

from qdlaws.readers.reading import as_log, as_logs, example_log, read, read_many, tools

__all__ = ["as_log", "as_logs", "example_log", "read", "read_many", "tools"]
