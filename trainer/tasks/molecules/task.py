"""The molecules task: write a SMILES (or SELFIES) that scores high; one prompt, no right answer.

make(objective="qed")
make(objective={"objective": "similarity", "query": "CC(=O)Oc1ccccc1C(=O)O"})
make(objective={"name": "mine", "mean": "geometric", "components": [...]}, workers=2, budget=10_000)
make(objective="my_package.my_module:my_score")
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from qdlaws.errors import BadData
from trainer.tasks.molecules.composite import Composite, read_objective
from trainer.tasks.molecules.external_scores import is_outside, takes_list
from trainer.tasks.molecules.reinvent_csv import reinvent_csv
from trainer.tasks.molecules.scaffold_buckets import FILTERS, bucket_keys
from trainer.tasks.molecules.score_function import columns, score_function
from trainer.tasks.molecules.smiles import canonical, corpus, decoder
from trainer.tasks.scoring.oracle import Oracle, Pending, Purpose
from trainer.tasks.task import Prompt, Scores, nearest

if TYPE_CHECKING:
    from qdlaws.measure import Estimate
    from trainer.tasks.capabilities import Samples
    from trainer.types import Traits

__all__ = ["Molecules", "PendingScores", "make"]

INVALID = ("zero", "nan")
SECONDS = 10.0
"""The time limit of a molecule where the score is a function of the user's."""
CIRCLE = 0.75
"""Tanimoto distance at which #Circles are counted."""


def make(
    objective: Any = "qed",
    *,
    mean: str = "geometric",
    representation: str = "smiles",
    invalid: str = "zero",
    prompt: str = "",
    workers: int | None = None,
    timeout: float | None = None,
    budget: int | None = None,
    screen: float = 0.8,
) -> Molecules:
    """The molecules task.

    Parameters
    ----------
    objective : a name, "package.module:function", a table with ``objective`` and its options, a
        table with ``components`` under a ``mean``, or a list of components
    mean : of a list of components: geometric, arithmetic, product or sum
    representation : "smiles" or "selfies"
    invalid : the score of a text that is no molecule: "zero", or "nan" (dropped and counted)
    prompt : the text that the policy is shown; no part of the molecule
    workers, timeout : scoring processes, seconds a molecule. A function of the user's runs in a
        process of its own with a limit of 10 s, unless ``workers = 0``
    budget : most unique molecules that training may have scored; those of evaluations are free
    screen : the score from which a molecule counts for Yield and OB-n
    """
    if invalid not in INVALID:
        hint = nearest(invalid, INVALID)
        raise BadData(f"found invalid={invalid!r}{hint}: 'zero' or 'nan' was needed")
    composite = read_objective(objective, mean)
    is_users = _any_function(composite)
    if workers is None:
        workers = int(is_users)
    if is_users and workers and timeout is None:
        timeout = SECONDS
    oracle = Oracle(
        partial(score_function, composite),
        columns=columns(composite),
        workers=workers,
        timeout=timeout,
        budget=budget,
        together=_any_function(composite, takes_list),
    )
    task = Molecules(composite, oracle, representation, invalid, prompt, screen)
    oracle.ready()
    return task


class Molecules:
    """The task that :func:`make` makes; its oracle holds the state of a run."""

    name = "molecules"
    sample_files = ("reinvent_1.csv",)
    filters = FILTERS

    def __init__(
        self,
        objective: Composite,
        oracle: Oracle,
        representation: str = "smiles",
        invalid: str = "zero",
        prompt: str = "",
        screen: float = 0.8,
    ) -> None:
        from trainer.types import Traits

        self.objective, self.oracle, self.screen = objective, oracle, screen
        self._decode = decoder(representation)
        self._representation = representation
        self._worth = 0.0 if invalid == "zero" else math.nan
        self._prompt = Prompt(0, prompt)
        bounds = objective.range
        low, high = bounds.low, bounds.high
        if invalid == "zero":
            low = None if low is None else min(low, 0.0)
            high = None if high is None else max(high, 0.0)
        self.traits: Traits = Traits(self.name, False, bounds.binary, low, high, True)

    def prompts(self, split: str = "train") -> Sequence[Prompt]:
        """The only prompt."""
        if split not in ("train", "eval"):
            raise BadData(f"molecules has no split {split!r}; have train, eval")
        return [self._prompt]

    def smiles(self, texts: Sequence[str]) -> list[str | None]:
        """The canonical SMILES of each text; None where it is no molecule."""
        return canonical([self._decode(text) for text in texts])

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """Each molecule scored; ``parts`` holds every component, transformed and raw."""
        return self.submit(prompts, texts).result()

    def score_for(
        self, purpose: Purpose, prompts: Sequence[Prompt], texts: Sequence[str]
    ) -> Scores:
        """The same, counted as calls for training, for an evaluation or for a plan."""
        return self.submit(prompts, texts, purpose).result()

    def submit(
        self, prompts: Sequence[Prompt], texts: Sequence[str], purpose: Purpose = "train"
    ) -> PendingScores:
        """Starts scoring; with workers it goes on while other work is done."""
        smiles = self.smiles(texts)
        return PendingScores(self.oracle.submit(smiles, purpose=purpose), smiles, self._worth)

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """Canonical SMILES."""
        return list(self.smiles(texts))

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, Estimate]:
        """Diversity with duplicates and without, shares of valid and unique, scaffolds, #Circles.

        Measures that depend on the sample size are rarefied to a quarter of the samples (half of
        the valid ones where that is less), so that evaluations of one size compare.
        """
        from qdlaws import measure

        smiles = [key or "" for key in self.smiles(texts)]
        molecules = measure.read_molecules(smiles)
        valid = int(molecules.valid.sum())
        measures = {"valid_share": measure.valid_share(molecules)}
        if valid < 2:
            return measures | _unknown(len(texts), valid)
        size = max(1, min(len(texts) // 4, valid // 2))
        scaffolds = measure.scaffolds(molecules, size)
        return measures | {
            "diversity": measure.internal_diversity(molecules),
            "diversity_unique": measure.internal_diversity(molecules, unique=True),
            "unique_share": measure.unique_share(molecules, size),
            "scaffold_count": scaffolds.count,
            "scaffold_entropy": scaffolds.entropy,
            "circles": measure.circles(molecules, CIRCLE, size, method="greedy"),
        }

    @property
    def central(self) -> bool:
        """Whether one process must score for all: a budget is counted in one place."""
        return self.oracle.budget is not None

    def buckets(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """The bucket of each molecule: its scaffold."""
        return list(bucket_keys(self.smiles(texts), "scaffold"))

    def filter_buckets(
        self,
        prompts: Sequence[Prompt],
        texts: Sequence[str],
        by: str,
        known: Iterable[Hashable] = (),
        similarity: float = 0.4,
    ) -> list[Hashable | None]:
        """The bucket of each molecule in a diversity filter by scaffolds of some kind."""
        return list(bucket_keys(self.smiles(texts), by, known=known, similarity=similarity))

    def distances(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> npt.NDArray[Any]:
        """Tanimoto distances (n, n) of the molecules; NaN where a text is none."""
        from qdlaws import measure

        molecules = measure.read_molecules([one or "" for one in self.smiles(texts)])
        rows = np.flatnonzero(molecules.valid)
        apart = np.full((len(texts), len(texts)), np.nan)
        apart[np.ix_(rows, rows)] = 1 - measure.tanimoto_matrix(molecules.fingerprints)
        return apart

    def write_samples(self, folder: Path, step: int, samples: Samples) -> None:
        """Appends the samples of an evaluation to ``reinvent_1.csv``, in REINVENT4's columns."""
        assert samples.scores is not None
        reinvent_csv(
            folder / "reinvent_1.csv",
            step,
            samples.texts,
            self.smiles(samples.texts),
            samples.scores,
            agent=-np.asarray(samples.logp),
            prior=-np.asarray(samples.ref_logp),
        )

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        """Molecules from rdkit's wheel, in random atom orders."""
        return [(self._prompt.text, text) for text in corpus(n, seed, self._representation)]

    def report(self) -> dict[str, float | None]:
        """The cost and the yield of training so far: calls, Yield, OB-100, top-10 AUC."""
        return self.oracle.report(self.screen)

    def state_dict(self) -> dict[str, Any]:
        """The oracle's memory."""
        return self.oracle.state_dict()

    def load_state(self, state: dict[str, Any]) -> None:
        """Restores the oracle's memory."""
        self.oracle.load_state(state)

    def close(self) -> None:
        """Ends the scoring processes."""
        self.oracle.close()


@dataclass(frozen=True)
class PendingScores:
    """Scores that are being worked out."""

    pending: Pending
    smiles: list[str | None]
    worth: float
    """The score of a text that is no molecule."""

    def done(self) -> bool:
        """Whether :meth:`result` would not wait."""
        return self.pending.done()

    def result(self) -> Scores:
        """The scores; waits for them."""
        answers = self.pending.result()
        valid = np.array([one is not None for one in self.smiles], bool)
        names = self.pending.oracle.columns[1:]
        unknown = valid & np.isnan(answers.rows[:, 0]) & ~answers.over_budget
        failure = "the score is not a number" if unknown.any() else ""
        return Scores(
            score=np.where(valid, answers.rows[:, 0], self.worth),
            valid=valid,
            parts={name: answers.rows[:, i] for i, name in enumerate(names, 1)},
            over_budget=None if self.pending.oracle.budget is None else answers.over_budget,
            spent=answers.spent,
            failure=next(iter(self.pending.oracle.failures), failure),
        )


def _any_function(
    composite: Composite, has: Callable[[str, Mapping[str, Any]], bool] = lambda *_: True
) -> bool:
    """Whether any score is a function of the user's (or an oracle of TDC) for which this holds."""
    for part in composite.components:
        if isinstance(part.objective, Composite):
            if _any_function(part.objective, has):
                return True
        elif is_outside(part.objective) and has(part.objective, part.options):
            return True
    return False


def _unknown(n: int, valid: int) -> dict[str, Estimate]:
    """The measures of a sample without two molecules: all of them, all NaN."""
    from qdlaws.measure import Estimate

    kinds = {
        "diversity": "internal_diversity",
        "diversity_unique": "internal_diversity_unique",
        "unique_share": "unique_share",
        "scaffold_count": "scaffold_count",
        "scaffold_entropy": "scaffold_entropy",
        "circles": f"circles_greedy@{CIRCLE:g}",
    }
    why = f"{valid} valid among {n} texts: two make a pair"
    nothing = Estimate(math.nan, math.nan, 0, "", reason=why, dropped=n - valid)
    return {name: nothing.renamed(kind) for name, kind in kinds.items()}
