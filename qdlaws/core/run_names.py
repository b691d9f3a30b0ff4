"""Short names of runs for tables, legends and titles, made from the paths of their logs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

__all__ = ["LONGEST", "fitting_names", "run_name", "short_names"]

LONGEST = 22
"""Characters of a name in a table of runs; a longer one is shortened."""

COMMON = re.compile(
    r"(metrics|log|logs|output|history|progress|trainer_state|train|training|eval|results|stage\d+.*"
    r"|events\..*)\.\w+",
    re.IGNORECASE,
)
"""File names that a tool gives to every run: the folder says which run it is."""


def run_name(source: str) -> str:
    """The name of a run: its folder or file, with the folder of a file that every run has."""
    parts = PurePath(source).parts
    depth = 2 if parts and COMMON.fullmatch(parts[-1]) else 1
    return "/".join(part.strip("/") or part for part in parts[-depth:]) or "run"


def short_names(sources: Sequence[str]) -> list[str]:
    """The shortest ends of the paths that tell all of them apart; a number where none do."""
    parts = [PurePath(source).parts for source in sources]
    for depth in range(1, max([len(p) for p in parts], default=0) + 1):
        names = ["/".join(p[-depth:]) for p in parts]
        if all(names) and len(set(names)) == len(names):
            return names
    return [f"{'/'.join(p[-1:]) or 'run'} ({i + 1})" for i, p in enumerate(parts)]


def fitting_names(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """The names as they are if all of them fit, else short ones, each cut in its middle."""
    if max(map(len, names), default=0) <= longest:
        return list(names)
    half = (longest - 1) // 2
    cut = [
        name if len(name) <= longest else f"{name[:half]}…{name[-(longest - 1 - half) :]}"
        for name in short_names(names)
    ]
    if len(set(cut)) == len(cut):
        return cut
    return [f"{name[: longest - 5]}… {i + 1}" for i, name in enumerate(cut)]
