"""Tables with one molecule a row: REINVENT4's CSV and Saturn's oracle history, summed up by step.

Of each step: quality with the standard error of the batch mean, diversity from the SMILES, and
where the table has likelihoods the sequence entropy (mean agent NLL) and KL to the prior.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, islice

import numpy as np
import pandas as pd

from qdlaws.core.kinds import EntropyKind
from qdlaws.core.number_text import DecimalMark, is_ambiguous, numbers
from qdlaws.core.types import Array
from qdlaws.readers.byte_source import Source
from qdlaws.readers.formats.delimited import Row, Rows, table_mark, two_meanings
from qdlaws.readers.formats.molecule_diversity import (
    BatchDiversity,
    batch_diversity,
    has_rdkit,
)
from qdlaws.readers.formats.reinvent_score import ScoreRule, score_rule
from qdlaws.readers.table import MAX_CELLS, Table

__all__ = ["is_reinvent", "is_saturn", "read_reinvent", "read_saturn"]

MOST_STEPS = 100_000
WHOLE_BATCH = 0.5  # a last step with less than this share of a batch is still being written
REINVENT = ("Agent", "Prior", "Target", "Score", "SMILES", "step")
SATURN = ("oracle_calls", "smiles", "reward")


def is_reinvent(header: list[str]) -> bool:
    """Whether these are the columns of a REINVENT4 summary CSV."""
    return set(REINVENT) <= set(header)


def is_saturn(header: list[str]) -> bool:
    """Whether these are the columns of a Saturn oracle history."""
    return set(SATURN) <= set(header)


@dataclass(frozen=True)
class Batch:
    """The molecules of one step: named columns of texts."""

    step: float
    fields: dict[str, list[str]]
    mark: DecimalMark = "point"

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))

    def numbers(self, name: str) -> Array:
        """A column as numbers."""
        return numbers(self.fields[name], self.mark)


def read_reinvent(source: Source) -> Table:
    """The steps of a REINVENT4 CSV (staged learning, any generator)."""
    rows = Rows(source)
    rule = score_rule(rows)
    sigmas: list[Array] = []
    with batch_diversity(source.name) as measure:
        steps = [_reinvent_step(b, rule, sigmas, measure) for b in _batches(rows, "step")]
    frame, notes = _whole(source, steps)
    kinds = {"entropy": str(EntropyKind.SEQUENCE_NLL), "diversity": "internal_diversity"}
    kinds["quality"] = "mean_score"
    sigma, about_sigma = _sigma(sigmas)
    if sigma is not None:
        frame["sigma"] = sigma
    filtered = frame.pop("filtered").sum()
    if rule and filtered:
        kinds["quality"] = "mean_score before the diversity filter"
        notes.append(
            f"the diversity filter had lowered {filtered:.0f} scores: quality is computed from the "
            f"score's components ({rule.words}); column Score keeps the filtered mean"
        )
    elif not rule:
        notes.append("quality is Score as logged: after the diversity filter, if there was one")
    return Table("reinvent4", frame, kinds, notes=(*rows.notes(), *notes, *about_sigma))


def read_saturn(source: Source) -> Table:
    """The batches of a Saturn oracle history; the step is the number of oracle calls."""
    rows = Rows(source)
    with batch_diversity(source.name) as measure:
        steps = [_saturn_step(b, rows.header, measure) for b in _batches(rows, "oracle_calls")]
    frame, notes = _whole(source, steps)
    kinds = {"quality": "mean_reward", "diversity": "internal_diversity"}
    notes.append(
        "only molecules new to the oracle are in the table, so repeats do not count; "
        "it holds no likelihoods, so the entropy is not known"
    )
    return Table("saturn", frame, kinds, notes=(*rows.notes(), *notes))


# ---------------------------------------------------------------------- one step


def _reinvent_step(
    batch: Batch, rule: ScoreRule | None, sigmas: list[Array], measure: BatchDiversity
) -> dict[str, float]:
    agent, prior = batch.numbers("Agent"), batch.numbers("Prior")
    score, smiles = batch.numbers("Score"), batch.fields["SMILES"]
    with np.errstate(divide="ignore", invalid="ignore"):
        sigmas.append(((batch.numbers("Target") + prior) / score)[score > 0.01])
    before = rule.unfiltered(batch.numbers, score) if rule else score
    states = (
        batch.numbers("SMILES_state") if "SMILES_state" in batch.fields else np.ones(len(score))
    )
    valid = [s for s, state in zip(smiles, states, strict=True) if state != 0]  # 0 means invalid
    row = _mean_and_error("quality", before) | measure(valid)
    row |= _mean_and_error("entropy", agent) | _mean_and_error("kl", prior - agent)
    row |= {"Score": _mean(score), "filtered": float(np.sum(before > score * 1.01 + 1e-6))}
    row |= {"n_failed": float(np.isnan(score).sum()), "n_samples": float(len(score))}
    row |= {
        "valid_fraction": len(valid) / len(smiles),
        "unique_fraction": len({*smiles}) / len(smiles),
    }
    components = [c.removesuffix(" (raw)") for c in batch.fields if c.endswith(" (raw)")]
    row |= {c: _mean(batch.numbers(c)) for c in components if c in batch.fields and c not in row}
    return {"step": batch.step, **row}


def _saturn_step(batch: Batch, header: list[str], measure: BatchDiversity) -> dict[str, float]:
    row = _mean_and_error("quality", batch.numbers("reward")) | measure(batch.fields["smiles"])
    if "penalized_reward" in header:
        row["penalized_reward"] = _mean(batch.numbers("penalized_reward"))
    raw = (c for c in header if c.endswith(("_reward", "_raw_values")))
    row |= {c: _mean(batch.numbers(c)) for c in raw if c not in row}
    return {"step": batch.step, **row, "n_samples": float(len(batch))}


def _mean(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else np.nan


def _mean_and_error(name: str, values: Array) -> dict[str, float]:
    """The mean of the finite values and its standard error s/√n."""
    finite = values[np.isfinite(values)]
    error = float(finite.std(ddof=1) / np.sqrt(len(finite))) if len(finite) > 1 else np.nan
    return {name: _mean(values), f"{name}_se": error}


# ---------------------------------------------------------------------- all steps


def _batches(rows: Rows, step: str) -> Iterator[Batch]:
    """The rows that follow each other with one step; rows without a step are left out."""
    source, place, mark = rows.source, rows.header.index(step), table_mark(rows.source)
    most_rows, count = MAX_CELLS // len(rows.header), 0

    def number_of(row: Row) -> float:
        line, fields = row
        if mark == "unclear" and (cell := next(filter(is_ambiguous, fields), None)):
            raise source.bad(two_meanings(cell), line)
        return float(numbers([fields[place]], mark)[0])

    for value, group in groupby(rows, key=number_of):
        if np.isfinite(value):
            batch = [fields for _, fields in islice(group, most_rows + 1)]
            count += 1
            if len(batch) > most_rows or count > MOST_STEPS:
                most = f"{MOST_STEPS:,} steps of {most_rows:,} rows"
                raise source.bad(f"larger than any run: at most {most} are read")
            columns = map(list, zip(*batch, strict=True))
            yield Batch(value, dict(zip(rows.header, columns, strict=True)), mark)


def _whole(source: Source, steps: list[dict[str, float]]) -> tuple[pd.DataFrame, list[str]]:
    """The frame of the steps; a last one that is still being written is left out."""
    if not steps:
        raise source.bad("no rows with a step")
    frame = pd.DataFrame(steps)
    notes = [] if has_rdkit() else ["diversity needs rdkit: pip install rdkit"]
    size = frame["n_samples"]
    if len(frame) > 3 and size.iloc[-1] < WHOLE_BATCH * size.iloc[-6:-1].min():
        last = f"{frame['step'].iloc[-1]:g}"
        notes.append(f"last step {last} left out: {size.iloc[-1]:.0f} rows only")
        return frame.iloc[:-1], notes
    return frame, notes


def _sigma(sigmas: list[Array]) -> tuple[float | None, list[str]]:
    """σ by Target = −Prior + σ·Score with a note, or a note that some rows do not satisfy it."""
    ratios = np.concatenate([r[np.isfinite(r)] for r in sigmas] or [np.empty(0)])
    if len(ratios) < 10:
        return None, []
    sigma = float(np.median(ratios))
    off = float(np.mean(np.abs(ratios - sigma) > 0.05 * abs(sigma) + 0.1))
    if off > 0.01:
        return None, [
            f"{off:.0%} of the rows do not satisfy Target = −Prior + σ·Score: rows with failed "
            "scores may have shifted the likelihoods, or the reward strategy is not dap"
        ]
    return sigma, [f"σ = {sigma:.4g}, from Target = −Prior + σ·Score"]
