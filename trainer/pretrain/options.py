"""The options of a pre-training: one field per flag of ``qdtrain pretrain``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from qdlaws.errors import BadData

__all__ = ["SHAPES", "PretrainOptions", "Shape"]

Pair = tuple[str, str]


@dataclass(frozen=True)
class Shape:
    """A small Llama: width, layers, heads, width of the feed-forward layer."""

    width: int
    layers: int
    heads: int
    inner: int


SHAPES = {
    "60k": Shape(40, 3, 5, 112),
    "250k": Shape(80, 3, 5, 240),
    "1m": Shape(128, 5, 8, 352),
}
"""About so many parameters, the embeddings of a small vocabulary included."""


@dataclass(frozen=True)
class PretrainOptions:
    """The options of a pre-training; the defaults make the prior ``molecules-250k``.

    Attributes
    ----------
    out : the folder to write; it must not exist yet, or be an unfinished pre-training
    smiles : a file of molecules (.smi, .csv, .gz); None: those of rdkit's wheel, unless ``task``
    task : a task whose corpus is learned, such as ``arithmetic``; ``molecules`` is the default
    texts : (prompt, completion) pairs to learn instead (from Python only)
    size : 60k, 250k, 1m, or ``width-layers-heads-inner`` such as 96-4-6-256
    representation : how molecules are spelled: ``smiles`` or ``selfies``
    examples : pairs taken from the task's corpus
    recombine : new molecules made of fragments, per real one
    randomise : share of the real molecules that are also spelled from a random atom
    longest : tokens; longer examples are left out (None: 60 for molecules, 400 for texts)
    fewest : a molecule with a symbol that fewer molecules hold is left out
    held_out : share of the examples kept for the held-out loss
    epochs, learning_rate, weight_decay, batch_tokens : of the first training
    rounds : at most so many rounds of sampling, keeping the valid, and training on
    round_samples, round_epochs, round_learning_rate : of each round
    polish : steps of RLOO on validity after the rounds; 0 for none
    polish_samples, polish_learning_rate, polish_beta : of each such step; its KL strength
    valid, unique, novel : once these shares hold with two standard errors to spare, no more rounds
    samples : fresh samples for each measurement
    completion_only : of texts, learn the completion and not the prompt
    seed, threads : same seed and threads, same weights
    """

    out: Path
    smiles: Path | None = None
    task: str | None = None
    texts: Sequence[Pair] | None = None
    size: str = "250k"
    representation: str = "smiles"
    examples: int = 20_000
    recombine: float = 1.0
    randomise: float = 0.0
    longest: int | None = None
    fewest: int = 20
    held_out: float = 0.05
    epochs: float = 8
    learning_rate: float = 0.02
    weight_decay: float = 0.1
    batch_tokens: int = 4096
    rounds: int = 1
    round_samples: int = 20_000
    round_epochs: float = 2
    round_learning_rate: float = 0.01
    polish: int = 20
    polish_samples: int = 512
    polish_learning_rate: float = 4e-4
    polish_beta: float = 0.3
    valid: float = 0.9
    unique: float = 0.95
    novel: float = 0.7
    samples: int = 1000
    completion_only: bool = True
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        corpora = [n for n in ("smiles", "task", "texts") if getattr(self, n) is not None]
        if len(corpora) > 1:
            raise BadData(f"found {' and '.join(corpora)}: one corpus was needed")
        if self.representation not in ("smiles", "selfies"):
            raise BadData(f"representation={self.representation!r}: smiles or selfies was needed")
        positive = ("epochs", "learning_rate", "batch_tokens", "samples", "threads", "examples")
        for name in positive:
            if not getattr(self, name) > 0:
                raise BadData(f"{name}={getattr(self, name)}: a number above 0 was needed")
        for name in ("held_out", "randomise", "valid", "unique", "novel"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadData(f"{name}={getattr(self, name)}: a share from 0 to 1 was needed")
        _ = self.shape

    @property
    def molecules(self) -> bool:
        """Whether the corpus is molecules."""
        return self.texts is None and self.task in (None, "molecules")

    @property
    def shape(self) -> Shape:
        """The widths and numbers of the model's layers."""
        if self.size in SHAPES:
            return SHAPES[self.size]
        if not re.fullmatch(r"\d+-\d+-\d+-\d+", self.size):
            names = ", ".join(SHAPES)
            raise BadData(f"size={self.size!r}: {names} or width-layers-heads-inner was needed")
        shape = Shape(*map(int, self.size.split("-")))
        if min(shape.width, shape.layers, shape.heads, shape.inner) < 1:
            raise BadData(f"size={self.size!r}: every number must be above 0")
        if shape.width % (2 * shape.heads):
            raise BadData(f"size={self.size!r}: the width must be an even multiple of the heads")
        return shape

    @property
    def limit(self) -> int:
        """Tokens of the longest example."""
        if self.longest is not None:
            return self.longest
        return 60 if self.molecules else 400

    def command(self) -> str:
        """The ``qdtrain pretrain`` line with these options, defaults left out."""
        words = ["qdtrain pretrain"]
        for field in fields(self):
            value: Any = getattr(self, field.name)
            if field.name in ("out", "texts") or value == field.default:
                continue
            flag = field.name.replace("_", "-")
            if isinstance(value, bool):
                words.append(f"--{flag}" if value else f"--no-{flag}")
            else:
                words.append(f"--{flag} {value}")
        return " ".join([*words, f"--out {self.out}"])
