"""DARLING and MARA against GRPO on the contextual bandit (arXiv 2509.02534, 2510.20817).

    python benchmarks/systems/darling_bandit.py [--quick]

Three correct answers a prompt: does a method keep all of them? No KL in GRPO and DARLING, as in
their mathematics runs.
"""

from contextual import (
    LR,
    Clock,
    at,
    held_out,
    make_world,
    mean_of,
    options,
    print_directions,
    print_table,
    train,
)

from trainer.algorithms.recipes import darling, grpo, mara

PRINTED = {
    "base": (0.323, 0.920, 0.990, 1.63, 2.32),
    "GRPO": (0.711, 0.967, 0.991, 1.58, 0.95),
    "DARLING": (0.698, 0.994, 0.999, 2.06, 1.44),
    "MARA β=.03": (0.700, 0.975, 0.994, 1.68, 1.09),
}
COLUMNS = ("pass@1", "pass@16", "pass@64", "distinct@16", "entropy")


def main() -> None:
    """Train each recipe on three seeds and print the held-out figures."""
    quick = options(__doc__).quick
    seeds, steps = (range(1), 75) if quick else (range(3), 600)
    runs = {
        "GRPO": (grpo(), 0.0, LR),
        "DARLING": (darling(), 0.0, LR),
        "DARLING, twice the step": (darling(), 0.0, 2 * LR),
        "MARA β=.03": (mara(), 0.03, LR),
        "MARA β=.03, twice the step": (mara(), 0.03, 2 * LR),
    }
    with Clock():
        worlds = [make_world(seed) for seed in seeds]
        ours = {"base": mean_of(held_out(world, world.start) for world in worlds)}
        for name, (recipe, kl, lr) in runs.items():
            ours[name] = mean_of(
                held_out(world, train(recipe, world, at(recipe, kl=kl), steps=steps, lr=lr, seed=i))
                for i, world in zip(seeds, worlds, strict=True)
            )
        print_table(f"DARLING and MARA, {steps} steps, {len(worlds)} seeds", ours, PRINTED, COLUMNS)
        print(
            "\nGRPO divides by the std of 0/1 rewards, at most one half, and the others do not: "
            "at one learning rate they have learnt less. The second row of each makes up for that."
        )
    print_directions(directions(ours, ""))
    print("\nat twice the step:")
    print_directions(directions(ours, ", twice the step"))


def directions(ours: dict[str, dict[str, float]], which: str) -> dict[str, bool]:
    """What the reference expects of DARLING against GRPO."""
    g, d, m = ours["GRPO"], ours["DARLING" + which], ours["MARA β=.03" + which]
    distinct = d["distinct@16"] - g["distinct@16"]
    return {
        "DARLING keeps ≥ .4 more distinct correct answers than GRPO": distinct >= 0.4,
        "DARLING gains ≥ 2.5 points of pass@16": d["pass@16"] >= g["pass@16"] + 0.025,
        "at ≤ 1.5 points of pass@1": d["pass@1"] >= g["pass@1"] - 0.015,
        "MARA's pass@16 lies between": g["pass@16"] < m["pass@16"] < d["pass@16"],
    }


if __name__ == "__main__":
    main()
