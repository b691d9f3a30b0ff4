"""What a piece of a recipe declares of itself, and the refusal of a piece that reads more.

A piece is a plain function; ``@declares("reference")`` attaches a :class:`Declaration` to it. The
trainer collects what the declarations of a recipe's pieces name and nothing else, so it knows no
algorithm by name. A piece of the user's own declares in the same way::

    @declares("reference")
    def distance_in_reward(rollouts, knobs):
        return rollouts.rewarded(rollouts.reward + 0.1 * rollouts.sequence_ref_logp())
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NoReturn, TypeVar, get_args

from qdlaws.errors import BadData
from trainer.types import Rollouts, Step

__all__ = ["Declaration", "Need", "declaration_of", "declares", "with_declared_inputs"]

Need = Literal[
    "reference",
    "reference_if_kl",
    "equivalence",
    "buckets",
    "outcomes",
    "filter",
    "novelty",
    "entropy",
    "log_partition",
    "redraws",
]
"""What a piece may need of the trainer.

``reference``: ``ref_logp``, log π_ref of every token sampled. ``reference_if_kl``: the same, but it
cancels where the KL strength is 0. ``equivalence``: ``equivalent``, which completions mean the
same. ``buckets``: ``seen``, earlier samples in the same bucket. ``outcomes``: ``seen``, earlier
samples of the same prompt that mean the same. ``filter``: ``filter_factor``, by
what the diversity filter multiplies the score, as the recipe's ``filter`` plans it. ``novelty``:
``novelty``, the bonus of the recipe's plan of that name. ``entropy``: the exact entropy of every
token, with gradient. ``log_partition``: ``log_z``, log Z of each prompt
by the head that the recipe declares, with gradient. ``redraws``: prompts whose samples it drops are
replaced by fresh ones.
"""

INPUTS: dict[str, tuple[Need, ...]] = {
    "ref_logp": ("reference", "reference_if_kl"),
    "equivalent": ("equivalence",),
    "seen": ("buckets", "outcomes"),
    "filter_factor": ("filter",),
    "novelty": ("novelty",),
    "entropy": ("entropy",),
    "log_z": ("log_partition",),
}
"""Field of Rollouts or Step → the needs that provide it."""

Piece = TypeVar("Piece", bound=Callable[..., Any])
Batch = TypeVar("Batch", Rollouts, Step)


@dataclass(frozen=True)
class Declaration:
    """What a piece needs, and what it does to the signal that other pieces should know."""

    needs: frozenset[Need] = frozenset()
    divides_by: Literal["batch", "group"] | None = None
    """The signal is divided by its spread over the optimizer batch, or over the prompt's group."""
    kl_in_reward: bool = False
    """The divergence to the reference is subtracted from the reward."""


def declares(
    *needs: Need,
    divides_by: Literal["batch", "group"] | None = None,
    kl_in_reward: bool = False,
) -> Callable[[Piece], Piece]:
    """A decorator that attaches the declaration to a piece."""
    unknown = [need for need in needs if need not in get_args(Need)]
    if unknown:
        raise BadData(f"no need is called {unknown[0]!r}; there are {', '.join(get_args(Need))}")

    def attach(piece: Piece) -> Piece:
        piece.declaration = Declaration(  # type: ignore[attr-defined]
            frozenset(needs), divides_by, kl_in_reward
        )
        return piece

    return attach


def declaration_of(piece: Any) -> Declaration:
    """The declaration of a piece, options bound by ``functools.partial`` aside."""
    while isinstance(piece, partial):
        piece = piece.func
    declaration: Declaration = getattr(piece, "declaration", Declaration())
    return declaration


def with_declared_inputs(piece: Any, batch: Batch) -> Batch:
    """The batch as the piece may read it: any use of an input it does not declare is refused."""
    needs = declaration_of(piece).needs
    hidden: dict[str, Any] = {
        name: _Undeclared(piece, name, providers[0])
        for name, providers in INPUTS.items()
        if name in vars(batch) and not needs & set(providers)
    }
    return replace(batch, **hidden)


class _Undeclared:
    """Stands where an input would be that a piece does not declare; whatever reads it fails."""

    def __init__(self, piece: Any, name: str, need: Need) -> None:
        while isinstance(piece, partial):
            piece = piece.func
        name_of_piece = getattr(piece, "__name__", type(piece).__name__)
        self._message = (
            f"{name_of_piece} reads {name} without declaring it; decorate it with "
            f"@declares({need!r}) from trainer.algorithms.declaration"
        )

    def _refuse(self, *args: Any) -> NoReturn:
        raise BadData(self._message)

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> NoReturn:
        values = [*args, *(kwargs or {}).values()]
        flat = [v for x in values for v in (x if isinstance(x, (list, tuple)) else (x,))]
        next(v for v in flat if isinstance(v, cls))._refuse()

    __getattr__ = __getitem__ = __len__ = __iter__ = __bool__ = _refuse
    __neg__ = __invert__ = __abs__ = __float__ = __int__ = _refuse
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse
    __truediv__ = __rtruediv__ = __pow__ = __rpow__ = __matmul__ = __rmatmul__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __and__ = __rand__ = __or__ = __ror__ = _refuse
