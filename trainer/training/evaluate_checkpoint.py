"""A checkpoint, a run or a model is measured on fresh samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from qdlaws.errors import BadData
from trainer.config import load_config, with_settings
from trainer.consent import Trust, check_file, check_run
from trainer.distributed.tensor_parts import has_parts
from trainer.distributed.world import World
from trainer.training import checkpoint
from trainer.training.context import Phase
from trainer.training.evaluation import evaluate, write_table
from trainer.training.setup import load_models, make_context
from trainer.user_code import exits_are_failures

__all__ = ["evaluate_checkpoint"]


def evaluate_checkpoint(
    source: str,
    config: str | None = None,
    samples: int = 1000,
    out: Path | None = None,
    settings: Iterable[str] = (),
    trust: Trust = False,
) -> dict[str, Any]:
    """The row of an evaluation: R, D, H, KL against the reference, pass@k where it makes sense.

    ``source`` is a checkpoint of a run, a run (its newest checkpoint), or any model; the task is
    that of the run or of ``config``. What the run names beyond this project is used only where its
    user trusts it (:mod:`trainer.consent`).
    """
    model, run, step = _located(source)
    if config is None and run is None:
        raise BadData(f"{source} is no run: say with --config on which task to evaluate it")
    base = load_config(config or Path(run or "") / "config.toml")
    given = with_settings(replace(base, eval=replace(base.eval, samples=samples)), settings)
    if config is not None:
        check_file(config, given, trust)
    elif run is not None:
        check_run(run, given, trust, Path(model))
    if has_parts(Path(model)):
        raise BadData(f"{model} is saved in parts: qdtrain export {model} --out FOLDER, then that")
    context = make_context(given, World())
    try:
        policy, _ = load_models(replace(given, policy=replace(given.policy, model=model)))
        with exits_are_failures():
            evaluation = evaluate(replace(context, policy=policy), step, samples, phase=Phase.FINAL)
    finally:
        context.close()
    if out is not None:
        write_table(out, evaluation.table)
    return {"source": source, **evaluation.row}


def _located(source: str) -> tuple[str, Path | None, int]:
    """The model's folder or id, the folder of its run, its step."""
    path = Path(source)
    step = checkpoint.step_of(path)
    if step is not None and (path / "state.json").exists():
        run = path.parent.parent
        checkpoint.load_state(run, step)
        return str(path), run, step
    if (path / "config.toml").exists():
        saved, state = checkpoint.load_state(path)
        return str(saved), path, int(state["step"])
    return source, None, 0
