"""The numbers of REINVENT4's own diversity filters, penalties and inception, for the tests.

    python benchmarks/record_reinvent4.py SRC

SRC is a checkout of github.com/MolecularAI/REINVENT4. Twenty-five batches of 64 molecules, drawn
from the bundled prior at temperature 0.4 where repeats are many, go row by row through every filter
of the package; reinvent4.csv beside the tests holds, of each row, the molecule, its score (QED,
four digits) and by what each filter multiplied it. The molecules that the inception
memory holds after the last batch have a number in the column ``inception``, from 1 for the best.
reinvent4_scores.csv holds what the package's scorer gives the first of them under the configuration
reinvent4.toml. reinvent4_novelty.json has the novelty that the package's random network distillation
gives five batches, its two networks replaced by functions linear in three features.

Only the modules that filter and score are imported, and their packages are entered without running
what is in ``__init__.py``, so nothing of REINVENT4 has to be installed.
"""

from __future__ import annotations

import csv
import importlib
import json
import sys
import tomllib
import types
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np

BATCHES, SIZE, TEMPERATURE = 25, 64, 0.4
FIXTURES = Path(__file__).parents[1] / "tests/trainer/tasks/molecules"
NOVELTY = Path(__file__).parents[1] / "tests/trainer/training/reinvent4_novelty.json"
SCORED = 120
FILTERS = {
    "scaffold": "identical_murcko_scaffold.IdenticalMurckoScaffold",
    "topological": "identical_topological_scaffold.IdenticalTopologicalScaffold",
    "similar": "scaffold_similarity.ScaffoldSimilarity",
    "same": "penalize_same_smiles.PenalizeSameSmiles",
}
PENALTIES = ("Step", "Linear", "Sigmoid", "Erf", "Tanh")
RL = "reinvent.runmodes.RL"
PACKAGES = (
    *("reinvent", "reinvent.runmodes", RL, f"{RL}.intrinsic_penalty"),
    *("reinvent.models", "reinvent.models.model_factory", "reinvent.utils"),
)
UNUSED = (
    *("molvs", "requests", "apted", "reinvent.models.model_factory.sample_batch"),
    *("pumas", "pumas.desirability", "pumas.desirability.catalogue", "pumas.aggregation"),
)
"""Imported by those modules and not called on the way."""


def enter(source: Path) -> None:
    """Makes the modules of REINVENT4 importable without the ``__init__.py`` of their packages."""
    for name in PACKAGES:
        package = types.ModuleType(name)
        package.__path__ = [str(source.joinpath(*name.split(".")))]
        sys.modules[name] = package
    for name in UNUSED:
        sys.modules[name] = MagicMock()
    sys.modules["reinvent.utils"].config_parse = MagicMock()  # type: ignore[attr-defined]
    sys.path.insert(0, str(source))


def stream() -> tuple[list[str | None], list[float]]:
    """Canonical SMILES of the sampled batches (None: no molecule) and their scores."""
    from trainer.policy import load_policy
    from trainer.policy.bundled_priors import prior_path
    from trainer.sampling import sample
    from trainer.tasks import make_task

    policy = load_policy(prior_path("molecules-250k"), device="cpu")
    task: Any = make_task("molecules")
    prompt = task.prompts()[0]
    smiles: list[str | None] = []
    scores: list[float] = []
    for batch in range(BATCHES):
        keys = [(0, 7, batch, 0, i) for i in range(SIZE)]
        ids = [[policy.bos] if policy.bos is not None else []] * SIZE
        drawn = sample(policy, ids, keys, limit=72, temperature=TEMPERATURE)
        texts = drawn.texts(policy)
        smiles += task.smiles(texts)
        scores += task.score([prompt] * SIZE, texts).score.round(4).tolist()
    return smiles, scores


def factors(update: Any, smiles: list[str | None], scores: list[float]) -> list[float]:
    """By what a filter of the package multiplies each score, batch after batch."""
    result: list[float] = []
    for start in range(0, len(smiles), SIZE):
        batch = smiles[start : start + SIZE]
        raw = np.array(scores[start : start + SIZE])
        changed = raw.copy()
        update(changed, batch, np.array([one is not None for one in batch]))
        result += np.divide(changed, raw, out=np.ones(len(raw)), where=raw != 0).tolist()
    return result


def by_filter(kind: str) -> Any:
    """``update_score`` of a filter with the defaults of the package."""
    module, name = FILTERS[kind].split(".")
    options = {"bucket_size": 25, "minscore": 0.4, "minsimilarity": 0.4, "penalty_multiplier": 0.5}
    made = getattr(importlib.import_module(f"{RL}.memories.{module}"), name)
    return made(**options, rdkit_smiles_flags={}).update_score


def by_penalty(curve: str) -> Any:
    """The same of an intrinsic penalty, without its random network."""
    penalties = importlib.import_module(f"{RL}.intrinsic_penalty.penalties")
    base = importlib.import_module(f"{RL}.intrinsic_penalty.intrinsic_penalty").IntrinsicPenalty
    sys.modules[f"{RL}.intrinsic_penalty"].penalties = penalties  # type: ignore[attr-defined]

    class Penalty(base):  # type: ignore[misc, valid-type]
        def update_score(self, scores: Any, smiles: Any, mask: Any, sampled: Any = None) -> Any:
            return self.score_scaffolds(scores, smiles, mask, topological=False)

    options = {"bucket_size": 25, "minscore": 0.4, "device": None, "learning_rate": 1e-4}
    return Penalty(curve, **options, prior_model_file_path="", rdkit_smiles_flags={}).update_score


def novelty() -> dict[str, Any]:
    """Five batches through the package's class; its networks are features·w, w learned or not."""
    import torch

    for name in ("identical_murcko_scaffold_rnd", "intrinsic_penalty"):
        sys.modules.pop(f"{RL}.intrinsic_penalty.{name}", None)
    sys.modules["reinvent.runmodes"].create_adapter = MagicMock()  # type: ignore[attr-defined]
    module = importlib.import_module(f"{RL}.intrinsic_penalty.identical_murcko_scaffold_rnd")

    class Network:
        def __init__(self, w: Any) -> None:
            self.w = torch.tensor(w, dtype=torch.float64)

        def likelihood_smiles(self, rows: Any) -> Any:
            return torch.tensor(np.array(rows)) @ self.w

    rng = np.random.default_rng(0)
    target, learner = rng.normal(size=(2, 3)).tolist()
    record: dict[str, Any] = {"target": target, "learner": learner, "lr": 0.05, "batches": []}
    made = object.__new__(module.IdenticalMurckoScaffoldRND)
    made._target_network, made._prediction_network = Network(target), Network(learner)
    made._prediction_network.w.requires_grad_()
    made._optimizer = torch.optim.Adam([made._prediction_network.w], lr=record["lr"])
    for _ in range(5):
        features = rng.normal(size=(8, 3))
        sampled = types.SimpleNamespace(items2=list(features))
        values = made._calculate_novelty_reinvent(sampled, np.zeros(8), list(range(8)))
        learned = made._prediction_network.w.tolist()
        step = {"features": features.tolist(), "novelty": values.tolist(), "weights": learned}
        record["batches"].append(step)
    return record


def inception(smiles: list[str | None], scores: np.ndarray) -> dict[str, int]:
    """The place in the memory of every molecule that it holds at the end, 1 for the best."""
    module = importlib.import_module(f"{RL}.memories.inception")
    memory = module.Inception(50, 10, [], None, None)
    for start in range(0, len(smiles), SIZE):
        batch = smiles[start : start + SIZE]
        first = [i for i, s in enumerate(batch) if s is not None and s not in batch[:i]]
        rows = np.array([batch[i] for i in first]), scores[start : start + SIZE][first]
        memory(*rows, np.zeros(len(first)))
    return {smiles: place for place, (smiles, _, _) in enumerate(memory.storage, 1)}


def total_scores(scoring: dict[str, Any], smiles: list[str]) -> list[float]:
    """What the package's scorer gives each molecule."""
    scorer = importlib.import_module("reinvent.scoring.scorer").Scorer(scoring)
    valid = np.ones(len(smiles), bool)
    result: list[float] = scorer(smiles, valid, valid).total_scores.tolist()
    return result


def write(name: str, header: list[str], rows: list[list[Any]]) -> None:
    """A table beside the tests."""
    with (FIXTURES / name).open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def main(source: str) -> None:
    """Records all columns of both tables."""
    smiles, scores = stream()
    enter(Path(source))
    columns = {kind: factors(by_filter(kind), smiles, scores) for kind in FILTERS}
    columns |= {c.lower(): factors(by_penalty(c), smiles, scores) for c in PENALTIES}
    places = inception(smiles, np.array(scores) * np.array(columns["scaffold"]))
    last = {one: i for i, one in enumerate(smiles) if one in places}
    rows = []
    for i, (one, score) in enumerate(zip(smiles, scores, strict=True)):
        place = places[one] if one is not None and last.get(one) == i else ""
        row = [f"{column[i]:.10g}" for column in columns.values()]
        rows.append([one or "", f"{score:g}", *row, place])
    write("reinvent4.csv", ["smiles", "score", *columns, "inception"], rows)
    different = list(dict.fromkeys(one for one in smiles if one is not None))[:SCORED]
    stages = tomllib.loads((FIXTURES / "reinvent4.toml").read_text())["stage"]
    totals = total_scores(stages[0]["scoring"], different)
    table = [[one, f"{total:.8g}"] for one, total in zip(different, totals, strict=True)]
    write("reinvent4_scores.csv", ["smiles", "score"], table)
    NOVELTY.write_text(json.dumps(novelty(), indent=1) + "\n")
    worse = {kind: sum(x < 1 for x in column) for kind, column in columns.items()}
    print(f"{len(smiles)} rows, {len(set(smiles))} different; made worth less: {worse}")


if __name__ == "__main__":
    main(*sys.argv[1:])
