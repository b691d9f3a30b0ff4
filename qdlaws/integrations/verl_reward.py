"""A reward function for verl whose scale a steered run turns.

    reward.custom_reward_function.path=pkg://qdlaws.integrations.verl_reward
    reward.custom_reward_function.name=scaled_score
    +reward.custom_reward_function.reward_kwargs.run=FOLDER     # trainer.default_local_dir
    +reward.custom_reward_function.reward_kwargs.reward=rewards.py:score     # yours, if any

verl scores in processes of its own, which see nothing of the trainer: the scale stands in the file
``qdlaws/reward_scale.json`` below the folder, which is read again for every score. The unscaled
score is passed on as ``acc``, which verl reports of validations in place of the reward.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from qdlaws.core.atomic_write import write_atomically
from qdlaws.errors import BadData

__all__ = ["PATH", "read_scale", "scaled_score", "write_scale"]

PATH = "pkg://qdlaws.integrations.verl_reward"
"""What ``custom_reward_function.path`` says."""


def _file(run: str | Path) -> Path:
    return Path(run) / "qdlaws" / "reward_scale.json"


def write_scale(run: str | Path, scale: float) -> None:
    """Sets the reward scale of a run; a reader sees the old file or the new one."""
    _file(run).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(_file(run), json.dumps({"reward_scale": scale}) + "\n")


def read_scale(run: str | Path) -> float:
    """The reward scale of a run; 1 where none has been set."""
    path = _file(run)
    return float(json.loads(path.read_text("utf-8"))["reward_scale"]) if path.exists() else 1.0


def scaled_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Any = None,
    *,
    run: str,
    reward: str = "",
    **rest: Any,
) -> dict[str, Any]:
    """The score of a reward function, or of verl's for its data source, times the scale."""
    score = _reward(reward)(
        data_source=data_source,
        solution_str=solution_str,
        ground_truth=ground_truth,
        extra_info=extra_info,
        **rest,
    )
    out = dict(score) if isinstance(score, dict) else {"score": float(score)}
    out.setdefault("acc", out["score"])
    out["score"] = out["score"] * read_scale(run)
    return out


@cache
def _reward(name: str) -> Callable[..., Any]:
    """The function ``FILE:NAME`` or ``pkg://MODULE:NAME``; verl's own where none is named."""
    if not name:
        from verl.utils.reward_score import default_compute_score  # type: ignore[import-not-found]

        default: Callable[..., Any] = default_compute_score
        return default
    path, colon, function = name.rpartition(":")
    if not colon or not path:
        raise BadData(f"reward={name!r}: FILE:FUNCTION was needed, such as rewards.py:score")
    from verl.utils.import_utils import load_extern_object  # type: ignore[import-not-found]

    loaded: Callable[..., Any] = load_extern_object(module_path=path, object_name=function)
    return loaded
