"""DPH-RL on the contextual bandit, made so that exploring hard prompts forgets easy ones.

    python benchmarks/systems/dph_bandit.py [--quick]

RL on prompts that the base solves at most once in 8 attempts, rehearsal of those that it solves at
least 6 times (arXiv 2509.07430). Base-solved: held-out prompts with a base success of .75 or more.
"""

import torch
from contextual import (
    FEATURES,
    Clock,
    World,
    answer,
    at,
    held_out,
    make_world,
    mean_of,
    options,
    print_directions,
    print_table,
    train,
)
from torch import Tensor

from trainer import Recipe
from trainer.algorithms.recipes import dph_alpha, dph_forward, dph_js, reverse_kl
from trainer.algorithms.replay import StoredSamples, confirm, partition
from trainer.types import ReferencePlan

PRINTED = {
    "base": (0.501, 0.942, 0.880, 1.00, 1.67),
    "η = 0": (0.598, 0.892, 0.701, 0.934, 1.32),
    "reverse KL .05": (0.614, 0.905, 0.729, 0.944, 1.36),
    "DPH-F η=.3": (0.641, 0.937, 0.820, 0.981, 1.52),
    "DPH-JS η=1": (0.657, 0.931, 0.835, 0.980, 1.47),
}
COLUMNS = ("pass@1", "pass@16", "solved pass@1", "solved pass@16", "distinct@16")


def pre_sample(world: World, seed: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """The hard prompts, and (prompt, answer) of one confirmed sample of each near-perfect one."""
    rng = torch.Generator().manual_seed(500 + seed)
    _, tries = answer(world.start, world.train, 8, rng)
    score = world.train_right.gather(1, tries).double()
    parts = partition(score, ReferencePlan(attempts=8, threshold=6))
    logp, once = answer(world.start, world.train[parts.near_perfect], 1, rng)
    drawn = StoredSamples(
        parts.near_perfect, once, torch.ones_like(once, dtype=torch.bool), logp.gather(1, once)
    )
    kept = confirm(drawn, world.train_right[parts.near_perfect].gather(1, once)[:, 0].double())
    hard = (score.sum(1) <= 1).nonzero().squeeze(1)
    print(f"seed {seed}: {parts.summary()}; {len(kept)} confirmed, {len(hard)} hard")
    return hard, (kept.prompt, kept.tokens[:, 0])


def figures(world: World, w: Tensor) -> dict[str, float]:
    """All held-out prompts, and those that the base solves."""
    base = ((world.test @ world.start).softmax(-1) * world.test_right).sum(-1)
    every, solved = held_out(world, w), held_out(world, w, base >= 0.75)
    return {
        "pass@1": every["pass@1"],
        "pass@16": every["pass@16"],
        "solved pass@1": solved["pass@1"],
        "solved pass@16": solved["pass@16"],
        "distinct@16": every["distinct@16"],
    }


def main() -> None:
    """Train each variant on three seeds and print the held-out figures."""
    quick = options(__doc__).quick
    seeds, steps = (range(1), 100) if quick else (range(3), 800)
    runs: dict[str, tuple[Recipe, float]] = {
        "η = 0": (dph_forward(), 0.0),
        "reverse KL .05": (reverse_kl(), 0.05),
        "DPH-F η=.3": (dph_forward(), 0.3),
        "DPH-JS η=1": (dph_js(), 1.0),
        "DPH-α η=.3": (dph_alpha(), 0.3),
    }
    with Clock():
        worlds = [make_world(seed, train=600, sharpness=2.2, noise=0.9) for seed in seeds]
        parts = [pre_sample(world, seed) for seed, world in enumerate(worlds)]
        ours = {"base": mean_of(figures(world, world.start) for world in worlds)}
        for name, (recipe, eta) in runs.items():
            ours[name] = mean_of(
                figures(world, one(recipe, eta, world, parts[i], steps, i))
                for i, world in enumerate(worlds)
            )
        print_table(f"DPH-RL, {steps} steps, {len(worlds)} seeds", ours, PRINTED, COLUMNS)
    print_directions(directions(ours))


def one(
    recipe: Recipe,
    eta: float,
    world: World,
    parts: tuple[Tensor, tuple[Tensor, Tensor]],
    steps: int,
    seed: int,
) -> Tensor:
    """The weights after one run on the hard prompts."""
    hard, stored = parts
    rehearsal = stored if recipe.presamples is not None else None
    return train(
        recipe,
        world,
        at(recipe, kl=eta),
        steps=steps,
        lr=1.0 * FEATURES,
        pool=hard,
        rehearsal=rehearsal,
        seed=seed,
    )


def directions(ours: dict[str, dict[str, float]]) -> dict[str, bool]:
    """What the reference expects."""
    base, none, reverse = ours["base"], ours["η = 0"], ours["reverse KL .05"]
    good = [ours["DPH-F η=.3"], ours["DPH-JS η=1"]]

    def recovered(column: str) -> bool:
        return all(row[column] - none[column] > 0.5 * (base[column] - none[column]) for row in good)

    return {
        "RL without a divergence loses pass@16": none["pass@16"] < base["pass@16"] - 0.01,
        "and retention": none["solved pass@1"] < base["solved pass@1"] - 0.1,
        "the reverse KL gives back less than a third of the retention": reverse["solved pass@1"]
        - none["solved pass@1"]
        < (base["solved pass@1"] - none["solved pass@1"]) / 3,
        "DPH-F and JS recover more than half of pass@16": recovered("pass@16"),
        "and more than half of the retention": recovered("solved pass@1"),
        "and raise pass@1 above that of η = 0": all(r["pass@1"] > none["pass@1"] for r in good),
    }


if __name__ == "__main__":
    main()
