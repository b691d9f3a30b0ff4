"""Questions with gaps: T a table, one its singular, x y numbers, c a text column, v k p values.

``C`` is the child table and ``ref`` its column with the parent's id.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GROUPS", "OF_PARENT", "ONE_TABLE", "OVER", "WHERE", "Template"]


@dataclass(frozen=True)
class Template:
    """A query and ways to ask for it."""

    sql: str
    wordings: tuple[str, ...]
    ordered: bool = False
    """The rows must come in the order of the gold query."""


def _t(sql: str, *wordings: str, ordered: bool = False) -> Template:
    return Template(sql, wordings, ordered)


ONE_TABLE = (
    _t("select count(*) from {T}", "how many {T} are there", "number of {T}", "count all {T}"),
    _t("select max({x}) from {T}", "highest {x} of the {T}", "what is the largest {x} of {T}"),
    _t("select min({x}) from {T}", "lowest {x} of the {T}", "what is the smallest {x} of {T}"),
    _t("select avg({x}) from {T}", "average {x} of the {T}", "mean {x} over all {T}"),
    _t("select sum({x}) from {T}", "total {x} of the {T}", "sum of {x} over all {T}"),
    _t(
        "select name from {T} order by {x} desc limit 1",
        "which {one} has the highest {x}",
        "name of the {one} with the most {x}",
    ),
    _t(
        "select name from {T} order by {x} limit 1",
        "which {one} has the lowest {x}",
        "name of the {one} with the least {x}",
    ),
    _t(
        "select name from {T} order by {x} desc",
        "rank the {T} by {x}, highest first",
        "names of {T} by falling {x}",
        ordered=True,
    ),
    _t(
        "select name from {T} order by {x}",
        "rank the {T} by {x}, lowest first",
        "names of {T} by rising {x}",
        ordered=True,
    ),
    _t(
        "select name from {T} order by {x} desc limit 3",
        "top three {T} by {x}, best first",
        "names of the 3 {T} with most {x}, in order",
        ordered=True,
    ),
    _t(
        "select name from {T} where {x}>(select avg({x}) from {T})",
        "which {T} have {x} above average",
        "names of {T} with more {x} than the mean",
    ),
)
OVER = (
    _t(
        "select name from {T} where {x}>{k}",
        "which {T} have {x} over {k}",
        "names of {T} with {x} above {k}",
        "list {T} whose {x} is more than {k}",
    ),
    _t(
        "select name from {T} where {x}<{k}",
        "which {T} have {x} under {k}",
        "names of {T} with {x} below {k}",
        "list {T} whose {x} is less than {k}",
    ),
    _t(
        "select count(*) from {T} where {x}>{k}",
        "how many {T} have {x} over {k}",
        "number of {T} with {x} above {k}",
    ),
)
GROUPS = (
    _t(
        "select {c},count(*) from {T} group by {c}",
        "number of {T} per {c}",
        "for each {c}, how many {T}",
    ),
    _t(
        "select {c},avg({x}) from {T} group by {c}",
        "average {x} of {T} per {c}",
        "for each {c}, the mean {x} of {T}",
    ),
    _t(
        "select distinct {c} from {T}",
        "all different {c} of {T}",
        "which values of {c} do {T} have",
    ),
    _t(
        "select {T}.name,count(*) from {C} join {T} on {ref}={T}.id group by {T}.id",
        "number of {C} per {one}, with its name",
        "for each {one} with {C}: name and how many",
    ),
)
WHERE = (
    _t(
        "select count(*) from {T} where {c}='{v}'",
        "how many {T} have {c} {v}",
        "number of {T} with {c} {v}",
        "count {T} whose {c} is {v}",
    ),
    _t(
        "select name from {T} where {c}='{v}'",
        "which {T} have {c} {v}",
        "names of {T} with {c} {v}",
        "list {T} whose {c} is {v}",
    ),
    _t(
        "select avg({x}) from {T} where {c}='{v}'",
        "average {x} of {T} with {c} {v}",
        "mean {x} where {c} is {v}",
    ),
    _t(
        "select {C}.name from {C} join {T} on {ref}={T}.id where {c}='{v}'",
        "names of {C} whose {one} has {c} {v}",
        "which {C} belong to a {one} with {c} {v}",
    ),
)
OF_PARENT = (
    _t("select {x} from {T} where name='{p}'", "{x} of {p}", "what {x} has the {one} {p}"),
    _t("select {c} from {T} where name='{p}'", "{c} of {p}", "what {c} has the {one} {p}"),
    _t(
        "select {C}.name from {C} join {T} on {ref}={T}.id where {T}.name='{p}'",
        "names of {C} of the {one} {p}",
        "which {C} belong to {p}",
    ),
    _t(
        "select count(*) from {C} join {T} on {ref}={T}.id where {T}.name='{p}'",
        "number of {C} of the {one} {p}",
        "how many {C} belong to {p}",
    ),
    _t(
        "select sum({y}) from {C} join {T} on {ref}={T}.id where {T}.name='{p}'",
        "total {y} of the {C} of {p}",
        "sum of {y} over {C} that belong to {p}",
    ),
)
