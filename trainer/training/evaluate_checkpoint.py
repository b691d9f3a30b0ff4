"""Any checkpoint, a run, or a model, measured on fresh samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qdlaws.errors import BadData
from trainer.config import Config, load_config, with_settings
from trainer.distributed.world import World
from trainer.tasks import capabilities
from trainer.training import checkpoint
from trainer.training.context import Phase
from trainer.training.evaluation import evaluate, write_table
from trainer.training.setup import load_models, make_bench

__all__ = ["judge"]


def judge(
    source: str,
    config: str | None = None,
    samples: int = 1000,
    out: Path | None = None,
    settings: Iterable[str] = (),
) -> dict[str, Any]:
    """The row of an evaluation: R, D, H, KL against the reference, pass@k where it makes sense.

    ``source`` is a checkpoint of a run, a run (its newest checkpoint), or any model; the task is
    that of the run or of ``config``.
    """
    model, found, step = _find(source)
    if config is None and found is None:
        raise BadData(f"{source} is no run: say with --config on which task to evaluate it")
    base = load_config(config) if config is not None else found
    assert base is not None
    asked = replace(base, eval=replace(base.eval, samples=samples))
    given = with_settings(asked, settings)
    bench = make_bench(_plain(given), World())
    try:
        judged, _ = load_models(replace(given, policy=replace(given.policy, model=model)))
        found_row = evaluate(replace(bench, policy=judged), step, samples, phase=Phase.FINAL)
    finally:
        capabilities.close(bench.task)
    if out is not None:
        write_table(out, found_row.table)
    return {"source": source, **found_row.row}


def _plain(config: Config) -> Config:
    """Without what is done before a first step: rehearsal has no part in an evaluation."""
    recipe = replace(config.recipe, name="rloo", options={}, kl=None, normalise="recipe")
    return replace(config, recipe=recipe)


def _find(source: str) -> tuple[str, Config | None, int]:
    """The model's folder or id, the configuration of its run, its step."""
    path = Path(source)
    if path.name.startswith("step-") and (path / "state.json").exists():
        return str(path), load_config(path.parent.parent / "config.toml"), _step(path)
    if (path / "config.toml").exists():
        saved, _ = checkpoint.load_state(path)
        return str(saved), load_config(path / "config.toml"), _step(saved)
    return source, None, 0


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))
