"""Generated databases and templated questions about them, each with the SQL that answers it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from qdlaws.errors import QdlawsError
from trainer.tasks.sql.domains import Domain, Entity
from trainer.tasks.sql.sandbox import Limits, ReadOnlyDatabase, Row
from trainer.tasks.sql.templates import (
    GROUPS,
    OF_PARENT,
    ONE_TABLE,
    OVER,
    WHERE,
    Template,
)

__all__ = [
    "Database",
    "Layout",
    "Question",
    "build_database",
    "generated",
    "layouts",
    "questions_about",
]


@dataclass(frozen=True)
class Question:
    """A question about a database, its SQL, and whether the order of rows counts."""

    database: str
    text: str
    sql: str
    ordered: bool = False


@dataclass(frozen=True)
class Database:
    """Instances with the same tables and different rows; an answer must be right in all of them.

    One instance alone would take many a wrong query for right: with the same rows by chance
    (Zhong et al. 2020, test-suite accuracy).
    """

    name: str
    schema: str
    """As the prompt shows it: ``shops(id,name,city,staff) items(name,price,shop_id)``."""
    instances: tuple[ReadOnlyDatabase, ...]

    def close(self) -> None:
        for instance in self.instances:
            instance.close()


@dataclass(frozen=True)
class Layout:
    """The columns of a database of a domain."""

    domain: Domain
    text: str
    number: str
    child_number: str

    @property
    def name(self) -> str:
        return f"{self.domain.parent.table}-{self.text}-{self.number}-{self.child_number}"

    @property
    def schema(self) -> str:
        parent, child = self.domain.parent, self.domain.child
        return (
            f"{parent.table}(id,name,{self.text},{self.number}) "
            f"{child.table}(name,{self.child_number},{parent.one}_id)"
        )

    def create(self) -> str:
        parent, child = self.domain.parent, self.domain.child
        return (
            f"create table {parent.table}(id integer primary key, name text, {self.text} text, "
            f"{self.number} integer); create table {child.table}(name text, "
            f"{self.child_number} integer, {parent.one}_id integer);"
        )


def layouts(domain: Domain) -> list[Layout]:
    """Every choice of a text and two numbers; the two tables share no column but ``name``."""
    return [
        Layout(domain, text, number, child_number)
        for text, number, child_number in product(
            domain.parent.texts, domain.parent.numbers, domain.child.numbers
        )
        if number != child_number
    ]


def build_database(layout: Layout, instances: int, limits: Limits) -> Database:
    """The database of a layout, its rows the same in every process."""
    made = [
        ReadOnlyDatabase(layout.create(), _rows(layout, Random(f"{layout.name} {i}")), limits)
        for i in range(instances)
    ]
    return Database(layout.name, layout.schema, tuple(made))


def questions_about(layout: Layout) -> Iterator[Question]:
    """Every template with every value, in every wording."""
    parent, child = layout.domain.parent, layout.domain.child
    text, number = layout.text, layout.number
    names = {"T": parent.table, "one": parent.one, "c": text, "C": child.table}
    names |= {"y": layout.child_number, "ref": f"{parent.one}_id"}
    for entity, column in ((parent, number), (child, layout.child_number)):
        filled = {**names, "T": entity.table, "one": entity.one, "x": column}
        for k in _thresholds(entity.numbers[column]):
            yield from _filled(OVER, {**filled, "k": str(k)}, layout)
        yield from _filled(ONE_TABLE, filled, layout)
    filled = {**names, "x": number}
    yield from _filled(GROUPS, filled, layout)
    for value in parent.texts[text]:
        yield from _filled(WHERE, {**filled, "v": value}, layout)
    for name in parent.names:
        yield from _filled(OF_PARENT, {**filled, "p": name}, layout)


def generated(
    domains: Sequence[Domain], instances: int, limits: Limits
) -> tuple[list[Database], list[Question]]:
    """The databases of the domains, and the questions whose answer is not empty anywhere."""
    if instances < 1:
        raise QdlawsError(f"sql: instances={instances}: at least 1 was needed")
    databases, questions = [], []
    for domain in domains:
        for layout in layouts(domain):
            database = build_database(layout, instances, limits)
            databases.append(database)
            answers: dict[str, bool] = {}
            for question in questions_about(layout):
                if question.sql not in answers:
                    answers[question.sql] = _has_answer(database, question.sql)
                if answers[question.sql]:
                    questions.append(question)
    return databases, questions


def _has_answer(database: Database, sql: str) -> bool:
    """Whether every instance gives something; a query that fails is kept, to be refused."""
    for instance in database.instances:
        outcome = instance.ask(sql)
        if outcome.status == "rows" and not any(v is not None for row in outcome.rows for v in row):
            return False
    return True


# ---------------------------------------------------------------------- helpers


def _filled(
    templates: Sequence[Template], names: dict[str, str], layout: Layout
) -> Iterator[Question]:
    for template in templates:
        sql = template.sql.format(**names)
        for wording in template.wordings:
            yield Question(layout.name, wording.format(**names), sql, template.ordered)


def _rows(layout: Layout, rng: Random) -> dict[str, list[Row]]:
    """Every name once, every text value at least once, numbers without ties."""
    parent, child = layout.domain.parent, layout.domain.child
    texts = parent.texts[layout.text]
    parents = len(parent.names)
    labels = [*texts, *(rng.choice(texts) for _ in range(parents - len(texts)))][:parents]
    rng.shuffle(labels)
    numbers = _different(parent, layout.number, rng)
    names = rng.sample(parent.names, parents)
    above: list[Row] = list(zip(range(1, parents + 1), names, labels, numbers, strict=True))
    children = rng.randint(len(child.names) - 3, len(child.names))
    owners = [rng.randint(1, parents) for _ in range(children)]
    below: list[Row] = list(
        zip(
            rng.sample(child.names, children),
            _different(child, layout.child_number, rng)[:children],
            owners,
            strict=True,
        )
    )
    return {parent.table: above, child.table: below}


def _different(entity: Entity, column: str, rng: Random) -> list[int]:
    low, high = entity.numbers[column]
    return rng.sample(range(low, high + 1), len(entity.names))


def _thresholds(bounds: tuple[int, int]) -> list[int]:
    """Four values inside the range, round ones where it is wide."""
    low, high = bounds
    step = 10 if high - low > 60 else 1
    values = [low + (high - low) * share // 10 // step * step for share in (3, 4, 6, 7)]
    return sorted({k for k in values if low < k < high})
