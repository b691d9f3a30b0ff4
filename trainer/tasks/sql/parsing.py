"""The query in an answer, and its normalised form."""

from __future__ import annotations

import re

__all__ = ["normalised_query", "query_in"]

_FENCE = re.compile(r"```(?:sql)?\s*\n?(.*?)```", re.DOTALL | re.IGNORECASE)
_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?(?:\*/|$))|(?P<string>'(?:[^']|'')*')"""
    r"""|(?P<name>"[^"]*"|`[^`]*`|\[[^\]]*\])|(?P<word>\w+(?:\.\d+)?)"""
    r"""|(?P<sign><>|!=|<=|>=|==|\|\||[^\s\w])""",
    re.DOTALL,
)
_SAME = {"<>": "!=", "==": "="}
_IDLE = frozenset({"as", "asc", "inner", ";"})
"""Words that change nothing: ``as`` before a name, ``asc``, ``inner`` before ``join``."""


def query_in(text: str) -> str:
    """The query in an answer: the part fenced by ```, or all of it without a fence."""
    fenced = _FENCE.search(text)
    return (fenced.group(1) if fenced else text).strip()


def normalised_query(query: str) -> str:
    """A query without case, blanks, comments, quotes of names and words that change nothing.

    Strings keep their case. Aliases, the order of conditions and equal queries that are written
    otherwise count as different.
    """
    parts = []
    for match in _TOKEN.finditer(query):
        kind, token = match.lastgroup, match.group()
        if kind == "comment":
            continue
        if kind == "name":
            token = token[1:-1].lower()
        elif kind != "string":
            token = _SAME.get(token, token.lower())
            if token in _IDLE:
                continue
        parts.append(token)
    return " ".join(parts)
