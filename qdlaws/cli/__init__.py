"""The command line: ``qdlaws fit LOG`` and its companions."""

from qdlaws.cli.app import main

__all__ = ["main"]
