"""SQL: questions over small databases, right where the query gives what the gold query gives.

The prompt is a compact schema and a question,

    shops(id,name,city,staff) items(name,price,shop_id)|which shops have city rome|

and the answer one SELECT for sqlite. ``train`` and ``eval`` ask about the same domains and never
share a gold query; ``cross`` asks about domains that RL never sees. Queries run in memory, read
only, within limits (:mod:`trainer.tasks.sql.sandbox`); one that takes too long is a score that
failed: NaN.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Literal

import numpy as np

from qdlaws.errors import QdlawsError
from trainer.tasks.splits import check_share, hash_fraction, hold_out
from trainer.tasks.sql.domains import CROSS_DOMAINS, DOMAINS
from trainer.tasks.sql.parsing import normalised_query, query_in
from trainer.tasks.sql.questions import (
    Database,
    Question,
    generated,
)
from trainer.tasks.sql.sandbox import Limits, Outcome, Row, canonical_rows
from trainer.tasks.task import Prompt, Scores

if TYPE_CHECKING:
    from qdlaws.measure import Estimate
    from trainer.types import Traits

__all__ = ["Sql", "make"]

Splits = Mapping[str, Sequence[Question]]


def make(
    train: int = 400,
    eval: int = 100,
    cross: int = 100,
    eval_share: float = 0.15,
    instances: int = 2,
    steps: int = 300_000,
    seconds: float = 2.0,
    rows: int = 1000,
    equivalence: Literal["query", "result"] = "query",
    template: str = "{schema}|{question}|",
    right: float = 0.85,
    cross_share: float = 0.2,
    invalid: Literal["zero", "nan"] = "zero",
    seed: int = 0,
) -> Sql:
    """The task on the generated databases, with so many prompts a split.

    Parameters
    ----------
    train : questions to train on
    eval : held-out questions about the same domains
    cross : questions about other domains
    eval_share : the share of questions that is held out
    instances : databases with other rows in which an answer must be right too
    steps : limit of one query, in steps of SQLite's virtual machine
    seconds : limit of one query, in seconds
    rows : limit of one query, in rows of its result
    equivalence : two answers mean the same where their normalised queries agree ("query"), or where
        their results do ("result"; all right answers are then one)
    template : the prompt; ``{schema}`` and ``{question}`` are filled in
    right : the share of right pairs in the corpus that a prior is trained on
    cross_share : the share of the corpus about the cross domains, whose questions in the split
        ``cross`` it never shows (0: a prior that has not seen those domains at all)
    invalid : the score of a text that is no query: "zero", or "nan" (dropped and counted)
    seed : seed of the generated databases and questions
    """
    _check(equivalence, template, invalid)  # before a second is spent on building
    check_share("eval_share", eval_share)
    limits = Limits(steps=steps, seconds=seconds, rows=rows)
    main, cross_generated = (
        generated(DOMAINS, instances, limits),
        generated(CROSS_DOMAINS, instances, limits),
    )
    held = hold_out((q.sql for q in main[1]), eval_share)
    cross_held = hold_out((q.sql for q in cross_generated[1]), 0.3)
    pools = {
        "train": [q for q in main[1] if q.sql not in held],
        "eval": [q for q in main[1] if q.sql in held],
        "cross": [q for q in cross_generated[1] if q.sql in cross_held],
    }
    wanted = {"train": train, "eval": eval, "cross": cross}
    rng = Random(f"sql prompts {seed}")
    splits = {name: _chosen(name, pools[name], wanted[name], rng) for name in pools}
    return Sql(
        main[0] + cross_generated[0],
        splits,
        corpus_pools=(pools["train"], [q for q in cross_generated[1] if q.sql not in cross_held]),
        equivalence=equivalence,
        template=template,
        right=right,
        cross_share=cross_share,
        invalid=invalid,
    )


class Sql:
    """Execution match with a gold query: 1, 0, or NaN where a query takes too long.

    Made from any databases and questions; a gold query that fails, takes too long or gives more
    rows than the limit is refused here.
    """

    name = "sql"

    def __init__(
        self,
        databases: Iterable[Database],
        splits: Splits,
        *,
        corpus_pools: tuple[Sequence[Question], Sequence[Question]] | None = None,
        equivalence: Literal["query", "result"] = "query",
        template: str = "{schema}|{question}|",
        right: float = 0.85,
        cross_share: float = 0.2,
        invalid: Literal["zero", "nan"] = "zero",
    ) -> None:
        _check(equivalence, template, invalid)
        self._databases = {database.name: database for database in databases}
        self._template, self._by_result = template, equivalence == "result"
        self._invalid = 0.0 if invalid == "zero" else float("nan")
        self._right = check_share("right", right)
        self._cross_share = check_share("cross_share", cross_share)
        self._gold: dict[tuple[str, str, bool], list[tuple[Row, ...]]] = {}
        self._pools = corpus_pools or (splits["train"], ())
        self._prompts: dict[str, list[Prompt]] = {}
        for split, questions in splits.items():
            start = sum(map(len, self._prompts.values()))
            self._prompts[split] = [self._prompt(start + i, q) for i, q in enumerate(questions)]

    @cached_property
    def traits(self) -> Traits:
        from trainer.types import Traits  # torch is loaded here, when a recipe asks

        return Traits(self.name, len(self._prompts["train"]) > 1, True, 0.0, 1.0, True)

    def prompts(self, split: str = "train") -> list[Prompt]:
        """The questions of "train", "eval" (same domains) or "cross" (others)."""
        if split not in self._prompts:
            raise QdlawsError(f"sql has the splits {', '.join(self._prompts)}, not {split!r}")
        return self._prompts[split]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """1 where the result is that of the gold query in every instance; NaN: took too long."""
        score, valid = np.zeros(len(texts)), np.zeros(len(texts), bool)
        for i, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            score[i], valid[i] = self._grade(prompt, query_in(text))
        return Scores(score, valid, {"correct": score.copy()})

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """The normalised query, or the result (``equivalence``); None where it does not run."""
        return [self._key(p, query_in(text)) for p, text in zip(prompts, texts, strict=True)]

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, Estimate]:
        """Diversity of queries within a prompt, pass@k, solved, valid."""
        from trainer.tasks.scoring.answer_metrics import answer_metrics

        scores = self.score(prompts, texts)
        numbers = [prompt.number for prompt in prompts]
        return answer_metrics(self.keys(prompts, texts), numbers, scores.score, scores.valid)

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        """n pairs of a question and a query; a share of ``right`` answers it.

        A wrong one is the gold query of another question about the same database. Nothing of the
        splits ``eval`` and ``cross`` is shown.
        """
        rng = Random(f"sql corpus {seed}")
        main, cross = self._pools
        about: dict[str, list[Question]] = {}
        for question in (*main, *cross):
            about.setdefault(question.database, []).append(question)
        pairs = []
        for _ in range(n):
            pool = cross if cross and rng.random() < self._cross_share else main
            question = rng.choice(pool)
            answer = question
            if rng.random() >= self._right:
                answer = rng.choice(about[question.database])
            pairs.append((self._text(question), answer.sql))
        return pairs

    def close(self) -> None:
        """Closes the databases."""
        for database in self._databases.values():
            database.close()

    # ------------------------------------------------------------------ helpers

    def _text(self, question: Question) -> str:
        schema = self._databases[question.database].schema
        return self._template.replace("{schema}", schema).replace("{question}", question.text)

    def _prompt(self, number: int, question: Question) -> Prompt:
        if question.database not in self._databases:
            raise QdlawsError(f"sql: {question.text!r} asks the unknown {question.database!r}")
        self._gold.setdefault(_gold_key(question), self._gold_rows(question))
        return Prompt(
            number,
            self._text(question),
            {"database": question.database, "sql": question.sql, "ordered": question.ordered},
        )

    def _gold_rows(self, question: Question) -> list[tuple[Row, ...]]:
        rows = []
        for instance in self._databases[question.database].instances:
            outcome = instance.ask(question.sql)
            if outcome.status != "rows" or outcome.more:
                why = outcome.message or f"more than {instance.limits.rows} rows"
                raise QdlawsError(f"sql: the gold query of {question.text!r} fails: {why}")
            rows.append(canonical_rows(outcome.rows, ordered=question.ordered))
        return rows

    def _outcomes(self, prompt: Prompt, query: str) -> Iterable[Outcome]:
        return (i.ask(query) for i in self._databases[prompt.data["database"]].instances)

    def _grade(self, prompt: Prompt, query: str) -> tuple[float, bool]:
        """(score, whether it runs). A query that is wrong before it is slow is wrong."""
        data = prompt.data
        gold = self._gold[data["database"], data["sql"], data["ordered"]]
        for outcome, wanted in zip(self._outcomes(prompt, query), gold, strict=True):
            if outcome.status == "error":
                return self._invalid, False
            if outcome.status == "too_slow":
                return float("nan"), True
            rows = canonical_rows(outcome.rows, ordered=data["ordered"])
            if outcome.more or rows != wanted:
                return 0.0, True
        return 1.0, True

    def _key(self, prompt: Prompt, query: str) -> Hashable | None:
        outcomes = list(self._outcomes(prompt, query))
        if any(outcome.status != "rows" for outcome in outcomes):
            return None
        if not self._by_result or any(outcome.more for outcome in outcomes):
            return normalised_query(query)
        ordered = prompt.data["ordered"]
        return tuple(canonical_rows(outcome.rows, ordered=ordered) for outcome in outcomes)


def _gold_key(question: Question) -> tuple[str, str, bool]:
    return question.database, question.sql, question.ordered


def _chosen(split: str, pool: Sequence[Question], count: int, rng: Random) -> list[Question]:
    if not 1 <= count <= len(pool):
        raise QdlawsError(f"sql: {split}={count}: there are 1 to {len(pool)} questions")
    return rng.sample(sorted(pool, key=lambda q: hash_fraction(f"{q.database} {q.text}")), count)


def _check(equivalence: str, template: str, invalid: str) -> None:
    if equivalence not in ("query", "result"):
        raise QdlawsError(f"sql: equivalence={equivalence!r}: 'query' or 'result' was needed")
    if invalid not in ("zero", "nan"):
        raise QdlawsError(f"sql: invalid={invalid!r}: 'zero' or 'nan' was needed")
    if "{schema}" not in template or "{question}" not in template:
        raise QdlawsError(f"sql: template={template!r}: {{schema}} and {{question}} in it")
