"""Samples are written as the CSV of REINVENT4, for the tools that read it."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from qdlaws.errors import BadData
from trainer.tasks.task import Scores

__all__ = ["reinvent_csv"]

FIRST = ("Agent", "Prior", "Target", "Score", "SMILES", "SMILES_state")
INVALID, VALID, DUPLICATE = 0, 1, 2
"""States as REINVENT4's code has them (its tutorial says otherwise)."""


def reinvent_csv(
    path: str | Path,
    step: int,
    texts: Sequence[str],
    smiles: Sequence[str | None],
    scores: Scores,
    *,
    agent: npt.ArrayLike,
    prior: npt.ArrayLike,
    sigma: float = 128.0,
    scaffolds: Sequence[str | None] | None = None,
) -> None:
    """Appends one row a sample; the file and its header are made with the first of them.

    ``texts`` are the samples and ``smiles`` their canonical forms (None: invalid). ``agent`` and
    ``prior`` are negative log-likelihoods of whole sequences; Target = −Prior + σ·Score, σ being
    1/β for other recipes than REINVENT's. An unknown number is left empty.
    """
    n = len(scores)
    nll, prior_nll = np.asarray(agent, float), np.asarray(prior, float)
    lengths = {"texts": len(texts), "smiles": len(smiles), "agent": nll.size}
    lengths |= {"prior": prior_nll.size, "scaffolds": n if scaffolds is None else len(scaffolds)}
    for name, length in lengths.items():
        if length != n:
            raise BadData(f"found {length} {name} for {n} scores")
    header = _header(scores, scaffolds is not None)
    path = Path(path)
    new = not path.exists() or path.stat().st_size == 0
    if not new:
        _check_header(path, header)
    target = -prior_nll + sigma * scores.score
    columns = [nll, prior_nll, target, scores.score]
    table: list[Sequence[object]] = [[_number_text(x) for x in column] for column in columns]
    table.append([text if one is None else one for text, one in zip(texts, smiles, strict=True)])
    table.append(_states(smiles))
    if scaffolds is not None:
        table.append(["" if s is None else s for s in scaffolds])
    for name, values in scores.parts.items():
        worth = values if name.endswith(" (raw)") else np.where(scores.valid, values, 0.0)
        table.append([_number_text(x) for x in worth])
    table.append([step] * n)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(header)
        writer.writerows(zip(*table, strict=True))


def _header(scores: Scores, with_scaffold: bool) -> list[str]:
    head = [*FIRST, *(["Scaffold"] if with_scaffold else []), *scores.parts, "step"]
    twice = {name for name in head if head.count(name) > 1}
    if twice:
        raise BadData(f"a component is called {', '.join(twice)}, as a column of REINVENT4's is")
    return head


def _check_header(path: Path, header: list[str]) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        existing = next(csv.reader(file), [])
    if existing != header:
        raise BadData(
            f"{path} has columns {', '.join(existing)}; these rows have {', '.join(header)}"
        )


def _states(smiles: Sequence[str | None]) -> list[int]:
    """The state of each sample: 0 invalid, 1 valid, 2 a duplicate within this batch."""
    earlier: set[str] = set()
    states = []
    for one in smiles:
        states.append(INVALID if one is None else DUPLICATE if one in earlier else VALID)
        if one is not None:
            earlier.add(one)
    return states


def _number_text(x: float) -> str:
    return f"{x:.8g}" if math.isfinite(x) else ""
