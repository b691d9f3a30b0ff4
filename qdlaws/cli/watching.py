"""``qdlaws watch``: lines of advice, a live page, and series in a tracker, as runs grow."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import typer

from qdlaws import Goal
from qdlaws.cli.options import Reader, reader, with_options
from qdlaws.cli.output import json_line, print_error, print_text
from qdlaws.errors import QdlawsError
from qdlaws.integrations.live_page import LivePage
from qdlaws.integrations.live_server import LOOPBACK, LiveServer
from qdlaws.integrations.trackers import Poster, TrackerName
from qdlaws.integrations.watch import Update, watch_runs

__all__ = ["watch_command", "with_default_port"]

PORT = "8765"


@with_options(read=reader, goal=Goal)
def watch_command(
    logs: list[Path],
    *,
    write: Path | None = None,
    every: float = 10.0,
    once: bool = False,
    serve: int | None = None,
    host: str = LOOPBACK,
    report: Path | None = None,
    to: TrackerName | None = None,
    stop_file: Path | None = None,
    signal: int | None = None,
    signal_name: Literal["USR1", "TERM"] = "USR1",
    as_json: bool = False,
    read: Reader,
    goal: Goal,
) -> None:
    """Follow growing logs, in the terminal or on a live page.

    Example: qdlaws watch runs/grpo-3 --write advice.json --min-diversity 0.7

    Example: qdlaws watch runs/* --serve
    """
    if once and serve is not None:
        raise QdlawsError("--once ends after one look, --serve goes on: one of the two was needed")
    rounds = watch_runs(
        logs,
        goal,
        every=every,
        write=write,
        stop_file=stop_file,
        signal_pid=signal,
        signal_name=signal_name,
        reader=read,
    )
    page = LivePage(goal, report) if serve is not None or report is not None else None
    with ExitStack() as stack:
        poster = None if to is None else stack.enter_context(Poster(to))
        if serve is not None and page is not None:
            server = stack.enter_context(LiveServer(page, serve, host))
            print_error(f"the live page is at {server.url}")
        try:
            for updates in rounds:
                _print(updates, len(logs) > 1, once, as_json)
                if page is not None:
                    page.show(updates)
                if poster is not None:
                    poster.post(updates)
                if once:
                    return
        except KeyboardInterrupt:  # the way to end it
            raise typer.Exit(0) from None


def _print(updates: Sequence[Update], several: bool, once: bool, as_json: bool) -> None:
    """One line an update; in a single look a log that cannot be read is an error."""
    for update in updates:
        if once and update.step is None:  # without --once it may come yet
            raise QdlawsError(update.reason)
        words = f"{update.source}: {update}" if several else str(update)
        print_text(json_line(update.to_dict()) if as_json else words)


def with_default_port(arguments: Sequence[str]) -> list[str]:
    """The arguments, with a port behind a ``--serve`` that has none.

    Examples
    --------
    >>> with_default_port(["watch", "runs/a", "--serve", "--every", "3"])
    ['watch', 'runs/a', '--serve', '8765', '--every', '3']
    >>> with_default_port(["watch", "--serve", "80", "runs/a"])
    ['watch', '--serve', '80', 'runs/a']
    """
    out: list[str] = []
    for argument, after in zip(arguments, [*arguments, ""][1:], strict=True):
        out.append(argument)
        if argument == "--serve" and not after.isdecimal():
            out.append(PORT)
    return out
