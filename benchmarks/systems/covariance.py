"""Clip-Cov and KL-Cov against GRPO on the contextual bandit (arXiv 2505.22617).

    python benchmarks/systems/covariance.py [--quick]

Four updates follow each rollout of 128 prompts, so the policy is off by up to three steps: KL-Cov
acts only there. The reference gives a design for this miniature and no numbers. Both methods keep
mixed groups only, which lengthens their steps here: their peer is GRPO on mixed groups.
"""

from dataclasses import replace
from functools import partial

from contextual import (
    LR,
    Clock,
    World,
    at,
    held_out,
    make_world,
    mean_of,
    options,
    print_directions,
    print_table,
    train,
)

from trainer import Recipe
from trainer.algorithms.recipes import clip_cov, grpo, kl_cov
from trainer.algorithms.surrogate import clipped
from trainer.algorithms.weighting import mixed_groups

COLUMNS = ("pass@1", "pass@16", "pass@64", "distinct@16", "entropy")


def main() -> None:
    """Train each recipe on three seeds and print the held-out figures."""
    quick = options(__doc__).quick
    seeds, rollouts = (range(1), 20) if quick else (range(3), 150)
    band = {"low": 50.0, "high": 99.0, "percentiles": True}
    recipes: dict[str, tuple[Recipe, float]] = {
        "GRPO": (grpo(), 0.0),
        "GRPO, mixed groups": (replace(grpo(), keep=(mixed_groups,)), 0.0),
        "clip-higher .28, mixed groups": (
            replace(grpo(), keep=(mixed_groups,), policy=partial(clipped, low=0.2, high=0.28)),
            0.0,
        ),
        "Clip-Cov 2 %": (clip_cov(share=0.02, **band), 0.0),
        "Clip-Cov 10 %": (clip_cov(share=0.1, **band), 0.0),
        "KL-Cov 2 %, β=.1": (kl_cov(share=0.02), 0.1),
        "KL-Cov 2 %, β=1": (kl_cov(share=0.02), 1.0),
        "KL-Cov 20 %, β=1": (kl_cov(share=0.2), 1.0),
    }
    with Clock():
        worlds = [make_world(seed) for seed in seeds]
        ours = {"base": mean_of(held_out(world, world.start) for world in worlds)}
        for name, (recipe, kl) in recipes.items():
            ours[name] = mean_of(
                run(recipe, kl, world, rollouts, i) for i, world in enumerate(worlds)
            )
        title = f"Clip-Cov and KL-Cov, {rollouts} rollouts × 4 updates, {len(worlds)} seeds"
        print_table(title, ours, {}, COLUMNS)
    print_directions(directions(ours))


def run(recipe: Recipe, kl: float, world: World, rollouts: int, seed: int) -> dict[str, float]:
    """Held-out figures of one run."""
    knobs = at(recipe, kl=kl)
    return held_out(world, train(recipe, world, knobs, steps=rollouts, lr=LR, updates=4, seed=seed))


def directions(ours: dict[str, dict[str, float]]) -> dict[str, bool]:
    """What the design expects, against GRPO and against GRPO on mixed groups, as the two are."""
    h = {name: row["entropy"] for name, row in ours.items()}
    clip, kl = h["Clip-Cov 2 %"], h["KL-Cov 2 %, β=1"]
    most = max(h["Clip-Cov 10 %"], h["KL-Cov 20 %, β=1"])
    two = ("Clip-Cov 2 %", "KL-Cov 2 %, β=1")
    lost = ours["GRPO"]["pass@1"] - min(ours[name]["pass@1"] for name in two)
    return {
        "Clip-Cov keeps more entropy than GRPO": clip > h["GRPO"],
        "Clip-Cov keeps more entropy than GRPO on mixed groups": clip > h["GRPO, mixed groups"],
        "more with a larger share": h["Clip-Cov 10 %"] > clip,
        "KL-Cov keeps more entropy than GRPO": kl > h["GRPO"],
        "KL-Cov keeps more entropy than GRPO on mixed groups": kl > h["GRPO, mixed groups"],
        "more with a larger β": kl > h["KL-Cov 2 %, β=.1"],
        "more with a larger share of tokens": h["KL-Cov 20 %, β=1"] > kl,
        "at most shares, twice the entropy of GRPO on mixed groups": most
        >= 2 * h["GRPO, mixed groups"],
        "pass@1 lower than GRPO's by at most 2 points": lost <= 0.02,
    }


if __name__ == "__main__":
    main()
