"""Commands that put qdlaws into other people's trainers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qdlaws.cli.output import print_text

__all__ = ["reinvent4"]

reinvent4 = typer.Typer(
    help="Advice, stopping and steering inside REINVENT4.", no_args_is_help=True
)


@reinvent4.callback()
def _reinvent4() -> None:
    """Advice, stopping and steering inside REINVENT4."""


@reinvent4.command("install")
def install_command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="A folder to put on the PYTHONPATH.")
    ],
) -> None:
    """Write the plug-in that REINVENT4 loads, and say how a run uses it.

    Example: qdlaws reinvent4 install plugins
    """
    from qdlaws.integrations.reinvent4 import USE, install

    path = install(folder)
    print_text(f"{path}\n\nRun REINVENT4 with PYTHONPATH={folder} and, in each stage:\n\n{USE}")
