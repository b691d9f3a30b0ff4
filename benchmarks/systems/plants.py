"""How the settled state answers the knobs: pieces and recipes on the exact bandit.

    python benchmarks/systems/plants.py [--quick]

50 actions, no sampling; a knob is loosened from the reference and tightened again. H along the
way down, and in brackets on the way up where it differs.
"""

from functools import partial

from contextual import Clock, options

from trainer import RECIPES, Knobs, Recipe
from trainer.algorithms import advantage, divergence, shaping, surrogate
from trainer.algorithms import weighting as weigh
from trainer.algorithms.objective import Term
from trainer.algorithms.recipes import illustrated
from trainer.analysis.exact_bandit import forward_optimum, random_bandit, tilt, total_variation
from trainer.analysis.plant import Sweep, live_knobs, read_plant, settle, sweep

IN_REWARD = (shaping.scaled, shaping.kl_in_reward)
K2 = Term(partial(divergence.reverse, level="sequence"), "kl", reduce=weigh.sequence_sum)
K3 = Term(partial(divergence.forward, level="sequence"), "kl", reduce=weigh.sequence_sum)
RHO_K3 = Term(divergence.reverse_weighted, "kl")
STD = advantage.group_standardised
ROWS = {
    "raw, KL in the reward": (advantage.raw, (), IN_REWARD, "tilt"),
    "leave-one-out, k2 in the loss": (advantage.leave_one_out, (K2,), IN_REWARD[:1], "tilt"),
    "raw, k3 in the loss": (advantage.raw, (K3,), IN_REWARD[:1], "monotone"),
    "group std, k3 in the loss": (STD, (K3,), IN_REWARD[:1], "monotone"),
    "group std, k2 in the loss": (STD, (K2,), IN_REWARD[:1], "folded"),
    "group std, ρ·k3 in the loss": (STD, (RHO_K3,), IN_REWARD[:1], "folded"),
}


def main() -> None:
    """Print control.md's table from our pieces, then one row a recipe."""
    quick = options(__doc__).quick
    values = (4.0, 0.6) if quick else (4.0, 2.0, 1.0, 0.6, 0.3, 0.1)
    with Clock():
        print("\n### Pieces\n")
        betas = " ".join(map(str, values))
        print(f"| pieces | live | plant, ours / reference | H at β = {betas} |")
        print("|---|---|---|---|")
        for name, (of, terms, shape, expected) in ROWS.items():
            row = Recipe(name, "–", surrogate.score_function, of, weigh.sequence_sum, shape, terms)
            swept = sweep(row, values, knob="kl")
            live = ", ".join(sorted(live_knobs(row)))
            print(f"| {name} | {live} | {read_plant(swept)} / {expected} | {entropies(swept)} |")
        one_state_against_the_tilt()
        print("\n### Recipes\n")
        print("| recipe | live | plant, stated / found | H |\n|---|---|---|---|")
        for name in RECIPES:
            recipe = illustrated(name)
            live = ", ".join(sorted(live_knobs(recipe))) or "–"
            if not recipe.live:
                print(f"| {name} | {live} | {recipe.plant} / no live knob | |")
                continue
            swept = sweep(recipe, values)
            found = read_plant(swept)
            print(f"| {name} | {live} | {recipe.plant} / {found} | {entropies(swept)} |")


def entropies(swept: Sweep) -> str:
    """H along the sweep; the way back in brackets where it ends elsewhere."""
    cells = []
    for down, up in zip(swept.loosening, swept.tightening, strict=True):
        apart = abs(down.entropy - up.entropy) > 0.01
        cells.append(f"{down.entropy:.2f}" + (f" ({up.entropy:.2f})" if apart else ""))
    return " ".join(cells)


def one_state_against_the_tilt() -> None:
    """The third row in numbers: k3 in the loss is not the tilt."""
    bandit = random_bandit()
    of, terms, shape, _ = ROWS["raw, k3 in the loss"]
    row = Recipe("k3", "–", surrogate.score_function, of, weigh.sequence_sum, shape, terms)
    print()
    for beta in (0.3, 0.2, 0.1):
        state = settle(row, bandit, Knobs(kl=beta), bandit.ref_logits)
        wanted = tilt(bandit, beta)
        apart = total_variation(state.policy, wanted).item()
        formula = total_variation(
            state.policy, forward_optimum(bandit.reward, bandit.reference, beta)
        ).item()
        h = Sweep("kl", (state,), (state,)).loosening[0].entropy
        print(
            f"- raw and k3 at β={beta}: H {h:.2f}, of the tilt "
            f"{-(wanted * wanted.log()).sum().item():.2f}, total variation {apart:.3f} "
            f"(to the forward optimum {formula:.0e}); reference: .05–.10, H 2.61 against 2.45"
        )


if __name__ == "__main__":
    main()
