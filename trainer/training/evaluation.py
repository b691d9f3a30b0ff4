"""One evaluation: fresh samples of the policy, measured with errors, and kept as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from qdlaws import measure
from qdlaws.core.atomic_write import write_atomically
from qdlaws.measure.record import add_estimate
from trainer.control import knob_columns
from trainer.tasks import capabilities
from trainer.tasks.scoring.oracle import Purpose
from trainer.tasks.task import Prompt, Scores
from trainer.training.context import Phase, RunContext, draw, log_probs
from trainer.training.run_folder import one_line
from trainer.types import Knobs

__all__ = ["Evaluation", "evaluate", "write_table"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The row for metrics.jsonl and the completions it was measured on."""

    row: dict[str, Any]
    table: list[dict[str, Any]]
    texts: list[str] = field(default_factory=list)
    scores: Scores | None = None
    logp: Any = None  # (n,) of whole completions
    ref_logp: Any = None


def evaluate(
    context: RunContext,
    step: int,
    samples: int,
    knobs: Knobs | None = None,
    phase: int = Phase.EVAL,
) -> Evaluation:
    """Quality, diversity, entropy and KL of ``samples`` fresh completions.

    The samples are spread evenly over the prompts of the split; errors are clustered by prompt.
    """
    config, world = context.config, context.world
    temperature = config.eval.temperature or config.train.temperature
    prompts = spread(context.task.prompts(config.eval.split), samples, config.eval.prompts)
    share = world.mine(len(prompts))
    mine = prompts[share.start : share.stop]
    keys = [
        (config.train.seed, phase, step, mine[i].number, share.start + i) for i in range(len(mine))
    ]
    drawn, ids, texts = draw(context, mine, keys, temperature)
    ref = log_probs(context, context.reference, ids, drawn.tokens, drawn.mask, temperature)
    mask = drawn.mask
    drawn_logp = drawn.logp
    # The KL is of the policy, not of a sampler that is nearly the policy.
    if context.foreign or context.policy.products is not None:
        drawn_logp = log_probs(context, context.policy, ids, drawn.tokens, mask, temperature)
    texts = world.gather(texts)
    logp = np.array(world.gather((drawn_logp.double() * mask).sum(1).tolist()))
    ref_logp = np.array(world.gather((ref * mask).sum(1).tolist()))
    entropies = world.gather(
        [drawn.entropy[i][mask[i]].double().cpu().numpy() for i in range(len(mine))]
    )
    truncated = np.array(world.gather(drawn.truncated.tolist()), float)
    purpose: Purpose = "plan" if phase == Phase.REFERENCE else "evaluation"
    scores = world.broadcast(
        capabilities.score_for(context.task, purpose, prompts, texts) if world.leads else None
    )
    assert scores is not None
    row = _row(context, prompts, texts, scores, logp - ref_logp, entropies, temperature)
    row = {"step": step, "phase": "eval", **row, "truncated_share": float(truncated.mean())}
    if knobs is not None:
        row |= knob_columns(knobs)
    table = _table(prompts, texts, scores, logp, ref_logp, entropies)
    return Evaluation(row, table, texts, scores, logp, ref_logp)


def spread(prompts: Sequence[Prompt], samples: int, most: int | None = None) -> list[Prompt]:
    """One prompt a sample: as many different ones as allowed, each as often as the next.

    At least two samples a prompt, because diversity is measured within prompts.
    """
    n = min(len(prompts), max(samples // 2, 1), most or len(prompts))
    chosen = [prompts[i * len(prompts) // n] for i in range(n)]
    each, rest = divmod(samples, n)
    return [q for i, q in enumerate(chosen) for _ in range(each + (i < rest))]


def _row(
    context: RunContext,
    prompts: Sequence[Prompt],
    texts: Sequence[str],
    scores: Scores,
    gap: Any,
    entropies: list[Any],
    temperature: float,
) -> dict[str, Any]:
    labels = None if len({q.number for q in prompts}) == 1 else [q.number for q in prompts]
    row: dict[str, Any] = {
        "n_samples": len(texts),
        "n_failed": scores.failed,
        "n_prompts": 1 if labels is None else len(set(labels)),
    }
    quality = measure.mean_score(_known_scores(scores), labels)
    add_estimate(row, "quality", quality, kind=True)
    estimates = context.task.measure(prompts, texts)
    add_estimate(row, "diversity", estimates.pop("diversity", None), kind=True)
    some = [i for i, e in enumerate(entropies) if len(e)]
    kept = None if labels is None else [labels[i] for i in some]
    entropy = measure.token_entropy_mean(
        [entropies[i] for i in some], prompts=kept, temperature=temperature
    )
    add_estimate(row, "entropy", entropy, kind=True)
    row["entropy_temperature"] = temperature
    add_estimate(row, "kl", measure.mean_score(gap, labels))
    add_estimate(
        row,
        "quality_valid",
        measure.mean_score(scores.score, labels, valid=scores.valid, over="valid"),
    )
    for name, estimate in estimates.items():
        add_estimate(row, name, estimate)
    for name, values in scores.parts.items():
        finite = values[np.isfinite(values)]
        row[f"reward/{name}"] = float(finite.mean()) if len(finite) else None
    row["length"] = float(np.mean([len(e) for e in entropies]))
    return row


def _known_scores(scores: Scores) -> Any:
    """The scores; all unknown where no valid completion has one.

    The 0 that a task gives invalid completions is then no measure of quality.
    """
    nothing = scores.valid.any() and not np.isfinite(scores.score[scores.valid]).any()
    return np.full(len(scores), np.nan) if nothing else scores.score


def _table(
    prompts: Sequence[Prompt],
    texts: Sequence[str],
    scores: Scores,
    logp: Any,
    ref_logp: Any,
    entropies: list[Any],
) -> list[dict[str, Any]]:
    return [
        {
            "prompt": prompts[i].text,
            "completion": texts[i],
            "score": _blank(scores.score[i]),
            "valid": int(scores.valid[i]),
            **{name: _blank(values[i]) for name, values in scores.parts.items()},
            "logp": round(float(logp[i]), 5),
            "ref_logp": round(float(ref_logp[i]), 5),
            "entropy": round(float(np.mean(entropies[i])), 5) if len(entropies[i]) else "",
            "tokens": len(entropies[i]),
        }
        for i in range(len(texts))
    ]


def _blank(value: Any) -> Any:
    """A number with six digits; nothing where it is not known."""
    return round(float(value), 6) if np.isfinite(value) else ""


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """The completions as CSV."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["completion"])
    writer.writeheader()
    writer.writerows(rows)
    with one_line(f"write {path}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.getvalue().encode())
