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
        node, position = _sum(tokens, 0, 0)
    except _NoExpressionError:
        return None
    return node if position == len(tokens) - 1 else None


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
    """The number of operands of a canonical form; 24+0 and 24+5-5 have one."""
    if isinstance(form, int):
        return 1
    return sum(abs(times) * operands(part) for part, times in form[1])


# ---------------------------------------------------------------------- helpers


class _NoExpressionError(Exception):
    pass


def _tokens(text: str) -> list[str] | None:
    tokens, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return None
        tokens.append(match.group(1) or match.group(2))
        position = match.end()
    return tokens


def _sum(tokens: list[str], position: int, depth: int) -> tuple[Node, int]:
    node, position = _product(tokens, position, depth)
    while tokens[position] in ("+", "-"):
        right, after = _product(tokens, position + 1, depth)
        node, position = (tokens[position], node, right), after
    return node, position


def _product(tokens: list[str], position: int, depth: int) -> tuple[Node, int]:
    node, position = _atom(tokens, position, depth)
    while tokens[position] in ("*", "/"):
        right, after = _atom(tokens, position + 1, depth)
        node, position = (tokens[position], node, right), after
    return node, position


def _atom(tokens: list[str], position: int, depth: int) -> tuple[Node, int]:
    if tokens[position].isdigit():
        return int(tokens[position]), position + 1
    if tokens[position] != "(" or depth == DEPTH:
        raise _NoExpressionError
    node, position = _sum(tokens, position + 1, depth + 1)
    if tokens[position] != ")":
        raise _NoExpressionError
    return node, position + 1


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
