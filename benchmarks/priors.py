"""What the bundled priors are worth: fresh samples at temperature 1, weights as they are stored.

    python benchmarks/priors.py [--quick] [--samples 2000] [--seed 1]

Molecules beside the corpus that they learned from (one row, as many molecules drawn from it);
texts on the prompts of their task. Wanted of the two larger molecule priors at 1,000 samples:
at least 90 % valid, 95 % unique, 70 % of the valid not among what they were trained on. The samples
are not those of the priors' cards (another seed).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from qdlaws.measure import Estimate
from trainer.policy import load_policy
from trainer.policy.bundled_priors import PRIORS, prior_path
from trainer.pretrain.evaluation import (
    CorpusHashes,
    measure_answers,
    measure_molecules,
    share_estimate,
)
from trainer.pretrain.model import sample_texts
from trainer.pretrain.model_card import read_corpus_hashes
from trainer.pretrain.smiles_corpus import bundled_smiles, clean_all
from trainer.tasks import make_task

SHARES = ("valid", "unique", "novel")
TARGETS = {"valid": 0.9, "unique": 0.95, "novel": 0.7}
WANTED = ("molecules-250k", "molecules-1m")
BENCHMARK = 77
"""The round in the keys of the noise: no card was measured on these samples."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200 samples of each")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    samples = 200 if asked.quick else asked.samples
    torch.set_num_threads(1)
    print(f"# The bundled priors\n\n{samples} fresh samples of each at temperature 1.\n")
    molecules(samples, asked.seed)
    texts(samples, asked.seed)


def molecules(samples: int, seed: int) -> None:
    """The table of the molecule priors and of their corpus."""
    print("| prior | parameters | valid | unique | novel | diversity | mean QED | MiB | reached |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name in (name for name in PRIORS if name.startswith("molecules")):
        folder = prior_path(name)
        policy = load_policy(folder, dtype="float32")
        drawn = sample_texts(
            policy.model, policy.tokenizer, [""] * samples, key=(seed, BENCHMARK, 0), limit=120
        )
        found = measure_molecules(drawn, read_corpus_hashes(folder))
        print(
            f"| `{name}` | {size(policy)} | {cells(found)} | {mebibytes(folder)} | {verdict(name, found)} |"
        )
    corpus = clean_all(bundled_smiles())
    rng = np.random.default_rng(seed)
    drawn = [corpus[i] for i in rng.choice(len(corpus), size=samples, replace=False)]
    print(
        f"| their corpus | – | {cells(measure_molecules(drawn, CorpusHashes.of(corpus)))} | – | – |\n"
    )


def texts(samples: int, seed: int) -> None:
    """The table of the text priors, on every split of their task."""
    print(
        "| prior | parameters | split | valid | mean score | solved at least once in 8 | diversity | MiB |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in ("arithmetic", "sql", "stories"):
        folder = prior_path(name)
        policy = load_policy(folder, dtype="float32")
        limit = int(json.loads((folder / "prior.json").read_text())["options"]["longest"] or 400)
        task = make_task(name)
        for split in ("train", "eval", "cross") if name == "sql" else ("train", "eval"):
            asked = task.prompts(split)
            groups = max(1, samples // 8)
            prompts = [asked[i % len(asked)] for i in range(groups) for _ in range(8)]
            drawn = sample_texts(
                policy.model, policy.tokenizer, [p.text for p in prompts],
                key=(seed, BENCHMARK, 0), limit=limit,
            )  # fmt: skip
            found = measure_answers(task, drawn, prompts)
            scores = task.score(prompts, drawn).score.reshape(-1, 8)
            solved = share_estimate(int((scores >= 1).any(1).sum()), groups, "solved")
            row = [found["valid"], found["score"], solved, found.get("diversity")]
            shown = " | ".join("–" if one is None else cell(one) for one in row)
            print(f"| `{name}` | {size(policy)} | {split} | {shown} | {mebibytes(folder)} |")
        task.close()
    total = sum(float(mebibytes(prior_path(name))) for name in PRIORS)
    print(f"\nAll folders together: {total:.1f} MiB (wanted: at most 6).")


def cells(found: dict[str, Estimate]) -> str:
    """The measures of molecules as cells of a row."""
    return " | ".join(cell(found[name]) for name in (*SHARES, "diversity", "qed"))


def cell(one: Estimate) -> str:
    """``91.2 ± 0.9 %`` of a share, ``0.881 ± 0.002`` of anything else; no error where unknown."""
    factor, unit, digits = (100, " %", 1) if one.share else (1, "", 3)
    error = f" ± {factor * one.se:.{digits}f}" if np.isfinite(one.se) else ""
    return f"{factor * one.value:.{digits}f}{error}{unit}"


def verdict(name: str, found: dict[str, Estimate]) -> str:
    """Whether the shares that were wanted are reached."""
    if name not in WANTED:
        return "–"
    missed = [n for n in SHARES if found[n].value < TARGETS[n]]
    return "NO: " + ", ".join(missed) if missed else "yes"


def size(policy: Any) -> str:
    """The number of parameters."""
    return f"{sum(parameter.numel() for parameter in policy.model.parameters()):,}"


def mebibytes(folder: Path) -> str:
    """The size of a folder's files."""
    return f"{sum(file.stat().st_size for file in folder.iterdir()) / 2**20:.2f}"


if __name__ == "__main__":
    main()
