"""Arithmetic: write an expression that equals N. Many answers are right, and differ.

The prompt is ``24=`` (or any template with ``{n}``), an answer ``20+4`` or ``(9-5)*6``. Two answers
mean the same where their canonical forms agree
(:func:`trainer.tasks.arithmetic.expressions.canonical`:
3+4 and 4+3). The held-out numbers are never trained on by RL; a prior has seen all of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property, lru_cache
from random import Random
from typing import TYPE_CHECKING, Literal

import numpy as np

from qdlaws.errors import QdlawsError
from trainer.tasks.arithmetic import expressions
from trainer.tasks.splits import check_share, hold_out
from trainer.tasks.task import Prompt, Scores

if TYPE_CHECKING:
    from qdlaws.measure import Estimate
    from trainer.types import Traits

__all__ = ["Arithmetic", "express", "make"]

LONGEST = 200
"""No ``max_length`` beyond: it bounds the recursion over a chain of operators."""
OFTEN = {"+": 4, "-": 3, "*": 2, "/": 1}
"""How often each operator is tried in the corpus."""
TRIES = 200
"""Expressions drawn for a number before it counts as out of reach."""


def make(
    low: int = 5,
    high: int = 40,
    operators: str = "+-*/",
    min_operands: int = 2,
    max_length: int = 24,
    eval_share: float = 0.25,
    template: str = "{n}=",
    right: float = 1.0,
    invalid: Literal["zero", "nan"] = "zero",
) -> Arithmetic:
    """The task for the numbers ``low`` … ``high``.

    Parameters
    ----------
    low : the smallest number that is asked for
    high : the largest one; the range is small for the sake of a small prior, which has to learn to
        calculate (a larger model can have 999)
    operators : those that an answer may use
    min_operands : the least numbers of an answer, counted in the canonical form, so that 24 itself
        does not count and neither do 24+0, 24*1 or 24+5-5
    max_length : characters of the longest answer that counts
    eval_share : the share of the numbers that is held out
    template : the prompt; ``{n}`` is the number
    right : the share of right pairs in the corpus that a prior is trained on
    invalid : the score of a text that is no expression: "zero", or "nan" (dropped and counted)
    """
    return Arithmetic(
        low, high, operators, min_operands, max_length, eval_share, template, right, invalid
    )


class Arithmetic:
    """Write an expression that equals N: 1 where it does, else 0."""

    name = "arithmetic"

    def __init__(
        self,
        low: int,
        high: int,
        operators: str,
        min_operands: int,
        max_length: int,
        eval_share: float,
        template: str,
        right: float,
        invalid: Literal["zero", "nan"],
    ) -> None:
        if not 1 <= low <= high:
            raise QdlawsError(f"arithmetic: low={low}, high={high}: 1 <= low <= high was needed")
        if not operators or set(operators) - set("+-*/"):
            raise QdlawsError(f"arithmetic: operators={operators!r}: some of + - * / were needed")
        if not 1 <= max_length <= LONGEST:
            raise QdlawsError(f"arithmetic: max_length={max_length}: 1 to {LONGEST} was needed")
        if min_operands < 1:
            raise QdlawsError(f"arithmetic: min_operands={min_operands}: at least 1 was needed")
        if "{n}" not in template:
            raise QdlawsError(f"arithmetic: template={template!r}: it must contain {{n}}")
        if invalid not in ("zero", "nan"):
            raise QdlawsError(f"arithmetic: invalid={invalid!r}: 'zero' or 'nan' was needed")
        self.operators, self.min_operands, self.max_length = operators, min_operands, max_length
        self._high = high
        self.right = check_share("right", right)
        self.invalid = 0.0 if invalid == "zero" else float("nan")
        held = hold_out(map(str, range(low, high + 1)), check_share("eval_share", eval_share))
        self._prompts = [
            Prompt(i, template.replace("{n}", str(n)), {"target": n})
            for i, n in enumerate(range(low, high + 1))
        ]
        self._held = held
        self._read = lru_cache(maxsize=1 << 16)(self._meaning)
        self._refuse_unreachable()

    @cached_property
    def traits(self) -> Traits:
        from trainer.types import Traits  # torch is loaded here, when a recipe asks

        return Traits(self.name, len(self._prompts) > 1, True, 0.0, 1.0, True)

    def prompts(self, split: str = "train") -> list[Prompt]:
        """The numbers to train on, or those held out ("eval"; all where none are)."""
        if split not in ("train", "eval"):
            raise QdlawsError(f"arithmetic has the splits train and eval, not {split!r}")
        if not self._held:
            return self._prompts
        held_out = split == "eval"
        return [p for p in self._prompts if (str(p.data["target"]) in self._held) == held_out]

    def score(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> Scores:
        """1 where the text equals the prompt's number with enough operands, else 0."""
        score, valid = np.zeros(len(texts)), np.zeros(len(texts), bool)
        for i, (prompt, text) in enumerate(zip(prompts, texts, strict=True)):
            read = self._read(text)
            valid[i] = read is not None
            score[i] = self.invalid if read is None else self._is_right(read, prompt)
        return Scores(score, valid, {"correct": score.copy()})

    def keys(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> list[Hashable | None]:
        """The canonical form of each expression, as text; right or wrong."""
        return [None if (read := self._read(text)) is None else read[0] for text in texts]

    def measure(self, prompts: Sequence[Prompt], texts: Sequence[str]) -> dict[str, Estimate]:
        """Diversity of canonical forms within a prompt, pass@k, solved, valid."""
        from trainer.tasks.scoring.answer_metrics import answer_metrics

        scores = self.score(prompts, texts)
        numbers = [prompt.number for prompt in prompts]
        return answer_metrics(self.keys(prompts, texts), numbers, scores.score, scores.valid)

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        """n pairs of any number's prompt and an expression; a share of ``right`` equals it.

        A wrong one is a well-formed expression of another number of the range.
        """
        rng = Random(f"arithmetic corpus {seed}")
        pairs = []
        for _ in range(n):
            prompt = rng.choice(self._prompts)
            wrong = rng.random() >= self.right and len(self._prompts) > 1
            shown = prompt
            while wrong and shown is prompt:
                shown = rng.choice(self._prompts)
            pairs.append((prompt.text, self._an_answer(shown.data["target"], rng)))
        return pairs

    def close(self) -> None:
        """Nothing to give back."""

    # ------------------------------------------------------------------ helpers

    def _meaning(self, text: str) -> tuple[str, str, int] | None:
        """(canonical form, value, operands) of a text; None where it is no expression."""
        node = expressions.parse(text, self.operators, self.max_length)
        result = None if node is None else expressions.value(node)
        if node is None or result is None:
            return None
        form = expressions.canonical(node)
        return expressions.render(form), str(result), expressions.operands(form)

    def _is_right(self, read: tuple[str, str, int], prompt: Prompt) -> bool:
        _, result, numbers = read
        return result == str(prompt.data["target"]) and numbers >= self.min_operands

    def _an_answer(self, target: int, rng: Random) -> str:
        """A right expression: mostly two or three operands, up to four."""
        largest = self._high + 10
        for attempt in range(TRIES):
            if attempt == TRIES // 2:
                largest = 2 * largest + 99  # with minus or division alone the range is not enough
            numbers = self.min_operands + rng.choices((0, 1, 2), (6, 3, 1))[0]
            text = express(target, numbers, self.operators, rng, largest)
            read = None if text is None else self._read(text)
            if text and read and read[1] == str(target) and read[2] >= self.min_operands:
                return text
        raise QdlawsError(
            f"arithmetic: found no expression for {target} with operators {self.operators!r}, "
            f"min_operands={self.min_operands}, max_length={self.max_length}: widen them"
        )

    def _refuse_unreachable(self) -> None:
        rng = Random("arithmetic reach")
        for prompt in self._prompts:
            self._an_answer(prompt.data["target"], rng)


def express(
    target: int, numbers: int, operators: str, rng: Random, largest: int, outer: str = ""
) -> str | None:
    """A random expression of ``numbers`` operands up to ``largest`` that equals ``target``.

    Built from the top: an operator, two operands that give the target, each expanded in turn.
    None where a step has no way on. ``outer`` is the operator around the text, for parentheses.
    """
    if numbers == 1:
        return str(target) if 0 <= target <= largest else None
    operator = rng.choices(operators, [OFTEN[sign] for sign in operators])[0]
    split = _split(target, operator, rng, largest)
    if split is None:
        return None
    left_numbers = rng.randint(1, numbers - 1)
    left = express(split[0], left_numbers, operators, rng, largest, operator)
    right = express(split[1], numbers - left_numbers, operators, rng, largest, operator + "right")
    if left is None or right is None:
        return None
    text = f"{left}{operator}{right}"
    return f"({text})" if _needs_parentheses(operator, outer) else text


def _split(target: int, operator: str, rng: Random, largest: int) -> tuple[int, int] | None:
    """Two numbers from 1 on that give ``target``; a factor or divisor is at least 2."""
    if operator == "+":
        if target < 2:
            return None
        left = rng.randint(1, target - 1)
        return left, target - left
    if operator == "-":
        if target >= largest:
            return None
        right = rng.randint(1, largest - target)
        return target + right, right
    if operator == "*":
        divisors = [d for d in range(2, target // 2 + 1) if target % d == 0]
        left = rng.choice(divisors) if divisors else 0
        return (left, target // left) if left else None
    if 2 * target > largest:
        return None
    right = rng.randint(2, min(9, largest // target))
    return target * right, right


def _needs_parentheses(operator: str, outer: str) -> bool:
    """Whether a+b or a*b must be enclosed where ``outer`` stands before or after it."""
    if outer[:1] in ("*", "/"):
        return operator in "+-" or outer.endswith("right")
    return operator in "+-" and outer == "-right"
