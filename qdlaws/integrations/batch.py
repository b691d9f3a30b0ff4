"""The completions of TRL's generations, and the row of measurements that several of them make."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qdlaws.core.kinds import EntropyKind
from qdlaws.core.types import Array
from qdlaws.measure import Estimate, samples

__all__ = ["Batch", "Window", "batch_of", "over_steps"]

Diversity = str | Callable[[Sequence[str], Sequence[str]], Any]
MEASURED = ("quality", "diversity", "diversity_unique", "unique_share", "valid_share")


@dataclass(frozen=True)
class Batch:
    """The completions of one generation with their rewards, over all processes."""

    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    rewards: Array  # (n,) weighted sum, NaN where no reward function scored it
    entropy: float
    kl: float


def batch_of(trainer: Any, weights: Any) -> Batch | None:
    """The last generation of a TRL trainer; None before there is one."""
    logs = getattr(trainer, "_logs", None) or getattr(trainer, "_textual_logs", None)
    if not logs or not logs["completion"]:
        return None
    by_function = np.array([list(column) for column in logs["rewards"].values()], float)
    weight = np.asarray(weights.tolist(), float)[:, None]
    rewards = np.nansum(by_function * weight, axis=0)
    rewards[np.isnan(by_function).all(axis=0)] = np.nan
    metrics = getattr(trainer, "_metrics", {}).get("train", {})
    return Batch(
        tuple(map(_text, logs["prompt"])),
        tuple(map(_text, logs["completion"])),
        rewards,
        _last(metrics.get("entropy")),
        _last(metrics.get("kl")),
    )


@dataclass
class Window:
    """The steps of one row."""

    records: list[dict[str, Any]] = field(default_factory=list)
    entropies: list[float] = field(default_factory=list)
    kls: list[float] = field(default_factory=list)
    _seen: tuple[tuple[str, ...], ...] = ()

    @property
    def empty(self) -> bool:
        return not self.records

    def add(self, batch: Batch, diversity: Diversity) -> None:
        """Measures a generation once, however many steps are made of it."""
        self.entropies.append(batch.entropy)
        self.kls.append(batch.kl)
        key = (batch.prompts, batch.texts)
        if key != self._seen:
            self._seen = key
            self.records.append(_measured(batch, diversity))

    def record(self) -> dict[str, Any]:
        """Means over the generations with their standard errors; unknown numbers are None."""
        out: dict[str, Any] = {}
        for name in MEASURED:
            value, error = _pooled(self.records, name)
            if math.isfinite(value):
                out[name] = value
                out[f"{name}_se"] = error
        for name in ("quality_kind", "diversity_kind"):
            out[name] = self.records[-1].get(name)
        out["quality_kind"] = "train_reward"
        for name in ("n_samples", "n_failed"):
            out[name] = sum(int(record.get(name) or 0) for record in self.records)
        out["entropy"], out["entropy_se"] = over_steps(self.entropies)
        out["entropy_kind"] = str(EntropyKind.TOKEN)
        out["kl"], _ = over_steps(self.kls)
        return out


# ---------------------------------------------------------------------- inside


def _measured(batch: Batch, diversity: Diversity) -> dict[str, Any]:
    """The record of a generation; completions are molecules only where ``diversity`` says so."""
    texts, prompts = list(batch.texts), list(batch.prompts)
    if diversity == "molecules":
        return samples(texts, batch.rewards, prompts=prompts, kind="molecule")
    if not callable(diversity):
        return samples(texts, batch.rewards, prompts=prompts, kind="text")
    record = samples(texts, batch.rewards, prompts=prompts, kind="text", same=_identical)
    record = {k: v for k, v in record.items() if not k.startswith("diversity")}
    measured = diversity(texts, prompts)
    if isinstance(measured, Estimate):
        return record | {"diversity": measured.value, "diversity_se": measured.se}
    name = getattr(diversity, "__name__", type(diversity).__name__)
    return record | {"diversity": float(measured), "diversity_kind": name}


def _identical(one: str, other: str) -> bool:
    return one == other


def _pooled(records: list[dict[str, Any]], name: str) -> tuple[float, float]:
    """The mean over generations, and its error from theirs, or from their spread."""
    records = [r for r in records if r.get(name) is not None and math.isfinite(r[name])]
    if not records:
        return math.nan, math.nan
    values = np.array([r[name] for r in records], float)
    errors = np.array([_number(r.get(f"{name}_se")) for r in records])
    if np.isfinite(errors).all():
        return float(values.mean()), float(np.sqrt((errors**2).sum()) / len(records))
    spread = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else math.nan
    return float(values.mean()), spread


def over_steps(readings: list[float]) -> tuple[float | None, float | None]:
    """The mean over steps and its error from their spread; None where unknown."""
    values = np.array([v for v in readings if math.isfinite(v)])
    if not len(values):
        return None, None
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 2 else None
    return float(values.mean()), error


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _last(values: Any) -> float:
    return float(values[-1]) if values else math.nan


def _text(value: Any) -> str:
    """A text, or the text of the messages of a conversation."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(_text(part) for part in value)
    if isinstance(value, dict):
        return _text(value.get("content") or value.get("text") or "")
    return str(value)
