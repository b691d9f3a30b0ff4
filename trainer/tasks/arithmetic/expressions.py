"""Arithmetic expressions: parsed by hand, evaluated exactly, brought to a canonical form.

    sum     := product (("+" | "-") product)*
    product := atom (("*" | "/") atom)*
    atom    := digits | "(" sum ")"

Blanks may stand between tokens. There is no sign in front of a number and no leading zero.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

__all__ = ["DEPTH", "Canon", "Node", "canonical", "operands", "parse", "render", "value"]

DEPTH = 20
"""Parentheses inside parentheses that are still read: bounds the recursion."""

Node = int | tuple[str, "Node", "Node"]
"""A number, or (operator, left, right)."""
Canon = int | tuple[str, tuple[tuple["Canon", int], ...]]
"""A number, or ("+" | "*", ((part, how often; negative: subtracted or divided by), …))."""

_TOKEN = re.compile(r"\s*(?:(0|[1-9][0-9]*)(?![0-9])|([-+*/()]))", re.ASCII)
_NEUTRAL = {"+": 0, "*": 1}
_INVERSE = {"+": "-", "*": "/"}


def parse(text: str, operators: str = "+-*/", max_length: int = 80) -> Node | None:
    """The tree of an expression; None where it is none, too long or uses another operator."""
    text = text.strip()
    tokens = _tokens(text) if len(text) <= max_length else None
    if not tokens or any(t in "+-*/" and t not in operators for t in tokens):
        return None
    tokens.append("")  # the end
    try:
        node, at = _sum(tokens, 0, 0)
    except _NoExpressionError:
        return None
    return node if at == len(tokens) - 1 else None


def value(node: Node) -> Fraction | None:
    """The exact value; None where something is divided by zero."""
    if isinstance(node, int):
        return Fraction(node)
    operator, left, right = node
    a, b = value(left), value(right)
    if a is None or b is None or (operator == "/" and b == 0):
        return None
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    return a * b if operator == "*" else a / b


def canonical(node: Node) -> Canon:
    """The form that equal expressions share; the expression must have a value.

    Equal are: other orders and groupings of one sum or one product (3+4 and 4+3; 9-(4-2), 9-4+2
    and 2+9-4), what cancels (24+5-5 is 24; 6*4/4 is 6) and what does nothing (24+0, 24*1, 24/1,
    24+0*7). Not equal are: what is multiplied out (2*(3+4) and 2*3+2*4) or worked out (12+12 and
    20+4).
    """
    if isinstance(node, int):
        return node
    operator, left, right = node
    kind = "+" if operator in "+-" else "*"
    sign = 1 if operator == kind else -1
    return _combined(kind, ((canonical(left), 1), (canonical(right), sign)))


def render(form: Canon) -> str:
    """A canonical form as an expression, which has the same value and the same canonical form."""
    if isinstance(form, int):
        return str(form)
    kind, items = form
    text = ""
    for part, times in items:
        inner = render(part)
        if kind == "*" and isinstance(part, tuple):
            inner = f"({inner})"
        for _ in range(abs(times)):
            sign = kind if times > 0 else _INVERSE[kind]
            text += inner if not text and times > 0 else sign + inner
    # nothing positive: 0-3, 1/3
    return text if items[0][1] > 0 else f"{_NEUTRAL[kind]}{text}"


def operands(form: Canon) -> int:
    """How many numbers stand in a canonical form; 24+0 and 24+5-5 have one."""
    if isinstance(form, int):
        return 1
    return sum(abs(times) * operands(part) for part, times in form[1])


# ---------------------------------------------------------------------- helpers


class _NoExpressionError(Exception):
    pass


def _tokens(text: str) -> list[str] | None:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            return None
        found.append(match.group(1) or match.group(2))
        at = match.end()
    return found


def _sum(tokens: list[str], at: int, depth: int) -> tuple[Node, int]:
    node, at = _product(tokens, at, depth)
    while tokens[at] in ("+", "-"):
        right, after = _product(tokens, at + 1, depth)
        node, at = (tokens[at], node, right), after
    return node, at


def _product(tokens: list[str], at: int, depth: int) -> tuple[Node, int]:
    node, at = _atom(tokens, at, depth)
    while tokens[at] in ("*", "/"):
        right, after = _atom(tokens, at + 1, depth)
        node, at = (tokens[at], node, right), after
    return node, at


def _atom(tokens: list[str], at: int, depth: int) -> tuple[Node, int]:
    if tokens[at].isdigit():
        return int(tokens[at]), at + 1
    if tokens[at] != "(" or depth == DEPTH:
        raise _NoExpressionError
    node, at = _sum(tokens, at + 1, depth + 1)
    if tokens[at] != ")":
        raise _NoExpressionError
    return node, at + 1


def _combined(kind: str, parts: tuple[tuple[Canon, int], ...]) -> Canon:
    """A sum or product of canonical parts as a signed multiset, flattened and cancelled."""
    neutral = _NEUTRAL[kind]
    times: Counter[Canon] = Counter()
    for part, sign in parts:
        if isinstance(part, tuple) and part[0] == kind:
            for inner, count in part[1]:
                times[inner] += sign * count
        elif part != neutral:
            times[part] += sign
    if kind == "*" and times[0] > 0:
        return 0
    items = [(part, count) for part, count in times.items() if count]
    if not items:
        return neutral
    if len(items) == 1 and items[0][1] == 1:
        return items[0][0]
    return kind, tuple(sorted(items, key=_order))


def _order(item: tuple[Canon, int]) -> tuple[bool, int, str]:
    text = render(item[0])
    return item[1] < 0, len(text), text
