"""The contextual bandit of the miniatures: many prompts, 40 answers, three of them correct.

A log-linear policy starts from a noisy copy of the truth; what is learned on some prompts carries
over to others. Held-out figures are exact, from the probabilities, not from samples.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from trainer import Knobs, Recipe
from trainer.algorithms.objective import credit, objective
from trainer.types import Rollouts

FEATURES, ACTIONS, RIGHT = 24, 40, 3
LR = 0.6 * FEATURES


@dataclass(frozen=True)
class World:
    """Prompts, which answers are right, and the policy that a run starts from."""

    train: Tensor  # (P, F)
    test: Tensor  # (P', F)
    train_right: Tensor  # (P, A) bool
    test_right: Tensor  # (P', A) bool
    start: Tensor  # (F, A)


def make_world(
    seed: int, train: int = 400, test: int = 400, sharpness: float = 1.3, noise: float = 1.2
) -> World:
    """Prompts N(0, 1)/√24; right are the top 3 of W*·x; start = sharpness·(W* + noise·N(0, 1))."""
    rng = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    truth = normal(FEATURES, ACTIONS)
    prompts = normal(train + test, FEATURES) / FEATURES**0.5
    best = (prompts @ truth).topk(RIGHT, dim=-1).indices
    right = torch.zeros(train + test, ACTIONS, dtype=torch.bool).scatter(1, best, True)
    start = sharpness * (truth + noise * normal(FEATURES, ACTIONS))
    return World(prompts[:train], prompts[train:], right[:train], right[train:], start)


def answer(w: Tensor, prompts: Tensor, n: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """n answers to each prompt: log-probabilities of all answers (P, A), the chosen ones (P, n)."""
    logp = (prompts @ w).log_softmax(-1)
    return logp, torch.multinomial(logp.exp(), n, replacement=True, generator=rng)


def train(
    recipe: Recipe,
    world: World,
    knobs: Knobs,
    *,
    steps: int = 600,
    lr: float = LR,
    prompts: int = 32,
    n: int = 8,
    updates: int = 1,
    start: Tensor | None = None,
    pool: Tensor | None = None,
    rehearsal: tuple[Tensor, Tensor] | None = None,
    rehearsed_per_step: int = 128,
    seed: int = 0,
) -> Tensor:
    """The weights after plain SGD with the recipe's own credit() and objective().

    ``updates`` mini-batches follow each rollout; ``pool`` are the prompts explored (default all);
    ``rehearsal`` are (prompt numbers, answers) stored from the reference.
    """
    rng = torch.Generator().manual_seed(1000 + seed)
    pool = torch.arange(len(world.train)) if pool is None else pool
    w = (world.start if start is None else start).clone().requires_grad_()
    for _ in range(steps):
        chosen = pool[torch.randint(len(pool), (prompts * updates,), generator=rng)]
        with torch.no_grad():
            old, answers = answer(w, world.train[chosen], n, rng)
        for part in torch.arange(prompts * updates).split(prompts):
            batch, who, what = _batch(world, chosen[part], old[part], answers[part])
            if rehearsal is not None:
                batch, who, what = _rehearse(
                    world, batch, who, what, rehearsal, rehearsed_per_step, rng
                )
            every = (world.train[who] @ w).log_softmax(-1)
            logp = every.gather(1, what[:, None])
            entropy = torch.special.entr(every.exp()).sum(-1, keepdim=True)
            credited = credit(recipe, batch, knobs, logp, rng)
            loss = objective(recipe, credited, logp, knobs, entropy)
            (g,) = torch.autograd.grad(loss, w)
            w = (w - lr * g).detach().requires_grad_()
    return w.detach()


def _batch(
    world: World, prompts: Tensor, old: Tensor, answers: Tensor
) -> tuple[Rollouts, Tensor, Tensor]:
    n = answers.shape[1]
    group = torch.arange(len(prompts)).repeat_interleave(n)
    who, what = prompts.repeat_interleave(n), answers.flatten()
    reference = (world.train[prompts] @ world.start).log_softmax(-1)
    batch = Rollouts.of(
        score=world.train_right[who, what].double(),
        group=group,
        mask=torch.ones(len(who), 1, dtype=torch.bool),
        old_logp=old.gather(1, answers).reshape(-1, 1),
        ref_logp=reference.gather(1, answers).reshape(-1, 1),
        equivalent=(what[:, None] == what[None, :]) & (group[:, None] == group[None, :]),
    )
    return batch, who, what


def _rehearse(
    world: World,
    batch: Rollouts,
    who: Tensor,
    what: Tensor,
    rehearsal: tuple[Tensor, Tensor],
    per_step: int,
    rng: torch.Generator,
) -> tuple[Rollouts, Tensor, Tensor]:
    """The batch followed by stored samples of the reference."""
    pick = torch.randint(len(rehearsal[0]), (per_step,), generator=rng)
    prompt, stored_answer = rehearsal[0][pick], rehearsal[1][pick]
    ref = (world.train[prompt] @ world.start).log_softmax(-1).gather(1, stored_answer[:, None])
    assert batch.ref_logp is not None
    joined = Rollouts.of(
        score=torch.cat([batch.score, torch.full((per_step,), torch.nan, dtype=torch.float64)]),
        group=torch.cat([batch.group, int(batch.group.max()) + 1 + torch.arange(per_step)]),
        mask=torch.ones(len(who) + per_step, 1, dtype=torch.bool),
        old_logp=torch.cat([batch.old_logp, ref]),
        ref_logp=torch.cat([batch.ref_logp, ref]),
        stored=torch.arange(len(who) + per_step) >= len(who),
    )
    return joined, torch.cat([who, prompt]), torch.cat([what, stored_answer])


def held_out(world: World, w: Tensor, only: Tensor | None = None) -> dict[str, float]:
    """Exact pass@1, 16, 64, distinct correct answers in 16 samples, and entropy in nats."""
    prompts, right = world.test, world.test_right
    if only is not None:
        prompts, right = prompts[only], right[only]
    p = (prompts @ w).softmax(-1)
    success = (p * right).sum(-1)
    return {
        "pass@1": success.mean().item(),
        "pass@16": (1 - (1 - success) ** 16).mean().item(),
        "pass@64": (1 - (1 - success) ** 64).mean().item(),
        "distinct@16": ((1 - (1 - p) ** 16) * right).sum(-1).mean().item(),
        "entropy": torch.special.entr(p).sum(-1).mean().item(),
    }


def mean_of(runs: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over the seeds."""
    rows = list(runs)
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}


def at(recipe: Recipe, **knobs: float) -> Knobs:
    """The recipe's published knobs with some of them turned."""
    return replace(recipe.knobs, **knobs)


# ── printing ──────────────────────────────────────────────────────────────────────────────────


def print_table(
    title: str,
    ours: Mapping[str, Mapping[str, float]],
    printed: Mapping[str, Sequence[float | None]],
    columns: Sequence[str],
) -> None:
    """A markdown table: our figure, and after a stroke the one printed in the reference."""
    print(f"\n### {title}\n")
    print("| ours / reference miniature | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, row in ours.items():
        theirs = printed.get(name, [None] * len(columns))
        cells = [
            f"{row[column]:.3f}" + ("" if other is None else f" / {other:g}")
            for column, other in zip(columns, theirs, strict=True)
        ]
        print(f"| {name} | " + " | ".join(cells) + " |")


def print_directions(directions: Mapping[str, bool]) -> None:
    """Each expected direction, as holding or not in this run."""
    print()
    for claim, holds in directions.items():
        print(f"- {'holds' if holds else '**does not hold**'}: {claim}")


def options(description: str | None) -> argparse.Namespace:
    """``--quick``: one seed and an eighth of the steps, to see that it runs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="one seed, an eighth of the steps")
    torch.set_num_threads(1)
    return parser.parse_args()


class Clock:
    """Prints the time that the block took."""

    def __enter__(self) -> Clock:
        self.start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        print(f"\n{time.perf_counter() - self.start:.0f} s, one thread")
