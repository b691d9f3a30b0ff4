"""One self-contained HTML file that shows one or many runs: verdict first, then the evidence."""

from qdlaws.reporting.build import report

__all__ = ["report"]
