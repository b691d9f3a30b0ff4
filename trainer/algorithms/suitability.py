"""Which recipe fits which task, and which plant a controller can steer; else the reason."""

from __future__ import annotations

from trainer.algorithms.objective import Recipe
from trainer.types import Knobs, Traits

__all__ = ["TASKS", "refusal", "unsure"]

TASKS: dict[str, Traits] = {
    traits.name: traits
    for traits in (
        Traits("molecules", False, False, 0.0, 1.0, True),
        Traits("arithmetic", True, True, 0.0, 1.0, True),
        Traits("sql", True, True, 0.0, 1.0, True),
        Traits("stories", True, False, 0.0, 1.0, True),
        Traits("bandit", True, True, 0.0, 1.0, True),
        Traits("dataset", None, None, None, None, None),
    )
}
"""The bundled tasks as they come; a dataset's traits are known when its rewards are."""


def refusal(recipe: Recipe, task: Traits, knobs: Knobs | None = None) -> str | None:
    """Why the recipe cannot run on the task, all reasons in one line; None where it can."""
    knobs = recipe.knobs if knobs is None else knobs
    reasons = []
    if "many_prompts" in recipe.needs and task.many_prompts is False:
        reasons.append(f"many prompts, but {task.name} has a single one")
    if "binary" in recipe.needs and task.binary is False:
        reasons.append(f"rewards of 0 or 1, but those of {task.name} are graded")
    if "equivalence" in recipe.needs and task.equivalence is False:
        reasons.append(f"to know which answers of {task.name} mean the same")
    if "nonnegative" in recipe.needs and task.lowest is not None and task.lowest < 0:
        reasons.append(
            f"rewards of at least 0, because it multiplies them by the diversity, and {task.name} "
            f"goes down to {task.lowest:g} (quality='group_min' shifts, 'sigmoid' squashes them)"
        )
    if _out_of_reach(recipe, task):
        reasons.append(
            f"a threshold of at most the largest reward, found {recipe.threshold:g} > "
            f"{task.highest:g} of {task.name}"
        )
    if "kl" in recipe.needs and knobs.kl <= 0:
        reasons.append("kl > 0: without a KL there is nothing to even out")
    return f"{recipe.name} needs " + "; and ".join(reasons) if reasons else None


def _out_of_reach(recipe: Recipe, task: Traits) -> bool:
    if recipe.threshold is None or task.highest is None:
        return False
    return recipe.threshold > task.highest


def unsure(recipe: Recipe, task: Traits) -> bool:
    """Whether something the recipe needs is only known once the user's data are."""
    traits = {
        "binary": task.binary,
        "many_prompts": task.many_prompts,
        "equivalence": task.equivalence,
        "nonnegative": task.lowest,
    }
    needs_range = recipe.threshold is not None and task.highest is None
    return needs_range or any(traits.get(need, True) is None for need in recipe.needs)
