"""The command line: ``qdtrain run | resume | branch | sweep | …``."""

from trainer.cli.app import main

__all__ = ["main"]
