"""Entropy: exact per-token entropies from logits, and estimates from the sampled tokens.

The meanings of "entropy" are those of :class:`qdlaws.core.kinds.EntropyKind`; a conversion between
them that the numbers do not allow is refused.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.core.kinds import EntropyKind
from qdlaws.core.types import Array
from qdlaws.errors import BadData
from qdlaws.measure.estimate import Estimate
from qdlaws.measure.standard_errors import clustered_mean

__all__ = [
    "convert_entropy",
    "sequence_entropy",
    "sequence_nll",
    "token_entropies",
    "token_entropy",
    "token_entropy_mean",
    "token_nll",
]

Prompts = Sequence[Hashable] | npt.NDArray[Any] | None
Ragged = Any
"""Numbers per token: one array a sequence in a list, or (B, T) with padding masked or NaN."""

BLOCK = 1 << 22
"""Logits that are worked on at once: 32 MiB of float64."""


def token_entropies(logits: Any, temperature: float = 1.0) -> Array:
    """The exact entropy of the next token at each position, −Σ_v p_v log p_v in nats.

    Parameters
    ----------
    logits : array or torch tensor, shape (…, V)
    temperature : float
        p = softmax(logits / temperature).

    Returns
    -------
    array, shape (…)
        In float64, worked out block by block, so that no second copy of all logits is made.

    Examples
    --------
    >>> import numpy as np
    >>> token_entropies(np.zeros((1, 4))).round(4)  # four equally likely tokens: log 4
    array([1.3863])
    """
    if not (temperature > 0 and math.isfinite(temperature)):
        raise BadData(f"temperature {temperature}: a positive number was needed")
    if not hasattr(logits, "shape"):
        logits = np.asarray(logits, float)
    *shape, vocabulary = logits.shape
    if not shape:
        raise BadData("logits of one position: shape (…, V) was needed, at least (1, V)")
    flat = logits.reshape(-1, vocabulary)
    step = max(1, BLOCK // max(vocabulary, 1))
    blocks = [_entropy(_array(flat[i : i + step]) / temperature) for i in range(0, len(flat), step)]
    return np.concatenate(blocks or [np.empty(0)]).reshape(shape)


def token_entropy(
    logits: Any,
    temperature: float = 1.0,
    mask: npt.ArrayLike | None = None,
    prompts: Prompts = None,
) -> Estimate:
    """The mean exact entropy per token, with its error over sequences (over prompts if given).

    ``logits`` (B, T, V), or (T, V) where each position is a unit of its own; ``mask`` (B, T) is
    True where a token counts. Kind ``token_entropy``, at the temperature given.

    >>> import numpy as np
    >>> round(token_entropy(np.zeros((2, 3, 4))).value, 3)  # (samples, tokens, vocabulary)
    1.386
    """
    values = token_entropies(logits, temperature)
    if values.ndim == 1:
        values = values[:, None]
        mask = None if mask is None else np.asarray(_array(mask), bool)[:, None]
    return token_entropy_mean(values, mask, prompts, temperature=temperature)


def token_entropy_mean(
    entropies: Ragged,
    mask: npt.ArrayLike | None = None,
    prompts: Prompts = None,
    *,
    temperature: float | None = None,
) -> Estimate:
    """The mean over tokens of exact entropies measured elsewhere, with its error over sequences.

    >>> token_entropy_mean([[1.0, 3.0], [2.0]]).value
    2.0
    """
    return _per_token(entropies, mask, prompts, EntropyKind.TOKEN, temperature)


def sequence_entropy(
    entropies: Ragged,
    mask: npt.ArrayLike | None = None,
    prompts: Prompts = None,
    *,
    temperature: float | None = None,
) -> Estimate:
    """The mean over sequences of the summed exact token entropies, with its error.

    >>> sequence_entropy([[1.0, 3.0], [2.0]]).value
    3.0
    """
    return _per_sequence(entropies, mask, prompts, EntropyKind.SEQUENCE, temperature, 1)


def token_nll(
    logprobs: Ragged,
    mask: npt.ArrayLike | None = None,
    prompts: Prompts = None,
    *,
    temperature: float | None = None,
) -> Estimate:
    """Mean of −log p of the sampled tokens, Σ over all tokens / number of tokens, with its error.

    Tokens of one sequence depend on each other, so the units are sequences (or prompts).

    >>> token_nll([[-1.0, -3.0], [-2.0]]).value
    2.0
    """
    return _per_token(logprobs, mask, prompts, EntropyKind.TOKEN_NLL, temperature, -1)


def sequence_nll(
    logprobs: Ragged,
    mask: npt.ArrayLike | None = None,
    prompts: Prompts = None,
    *,
    temperature: float | None = None,
) -> Estimate:
    """Mean over sequences of −log π(y), with its error.

    ``logprobs`` per token, or one number a sequence (already summed).

    >>> sequence_nll([[-1.0, -3.0], [-2.0]]).value
    3.0
    """
    return _per_sequence(logprobs, mask, prompts, EntropyKind.SEQUENCE_NLL, temperature, -1)


def convert_entropy(
    estimate: Estimate, to: EntropyKind | str, *, mean_length: float | None = None
) -> Estimate:
    """The estimate as another kind of entropy, where the numbers allow it; refused otherwise.

    A mean over sequences and a mean over tokens of the *same* quantity differ by the mean number
    of tokens of the same samples, which has to be given. Its covariance with the sums is not in
    an Estimate, so the standard error is then unknown. An exact entropy cannot be had from the
    likelihood of samples, nor the other way round; nor can anything from a kind that is unknown or
    was divided by every sequence's own length.

    >>> per_token = token_entropy_mean([[1.0, 3.0], [2.0, 2.0]])
    >>> convert_entropy(per_token, "sequence_entropy", mean_length=2.0).value
    4.0
    """
    source, target = _kind(estimate.kind), _kind(to)
    if source == target and source != EntropyKind.UNKNOWN:
        return estimate
    pairs = {
        (EntropyKind.SEQUENCE, EntropyKind.TOKEN): -1,
        (EntropyKind.SEQUENCE_NLL, EntropyKind.TOKEN_NLL): -1,
        (EntropyKind.TOKEN, EntropyKind.SEQUENCE): 1,
        (EntropyKind.TOKEN_NLL, EntropyKind.SEQUENCE_NLL): 1,
    }
    power = pairs.get((source, target))
    if power is None:
        raise BadData(f"{source} cannot be turned into {target}: {_why_not(source, target)}")
    if mean_length is None or not mean_length > 0:
        raise BadData(f"{source} into {target} needs mean_length, the mean tokens a sequence")
    return replace(
        estimate,
        value=estimate.value * mean_length**power,
        se=math.nan,
        kind=str(target),
        reason="the covariance of sums and lengths is not known; measure it from the samples",
    )


# ---------------------------------------------------------------------- helpers


def _entropy(logits: Array) -> Array:
    """log Z − Σ p·z, with z shifted by its maximum; a logit of −inf has p = 0."""
    z = logits - logits.max(axis=-1, keepdims=True)
    p = np.exp(z)
    total = p.sum(axis=-1)
    z[p == 0] = 0.0  # 0·log 0 = 0
    entropy: Array = np.log(total) - (p * z).sum(axis=-1) / total
    return np.maximum(entropy, 0.0)


def _array(values: Any) -> Array:
    """float64 of an array or of a torch tensor on any device, of any type."""
    torch = sys.modules.get("torch")  # a tensor can only come from somebody who imported it
    if torch is not None and isinstance(values, torch.Tensor):
        values = values.detach().to("cpu", torch.float64).numpy()
    return np.asarray(values, np.float64)


def _sums(values: Ragged, mask: npt.ArrayLike | None) -> tuple[Array, Array, int]:
    """Sum and token count of each sequence; NaN beyond the mask is padding, inside it a failure."""
    if mask is None and not hasattr(values, "shape"):
        rows = [np.atleast_1d(_array(row)) for row in values]
        failed = np.array([not np.isfinite(row).all() for row in rows], bool)
        sums = np.array([row.sum() for row in rows], float)
        counts = np.array([row.size for row in rows], float)
    else:
        table = _array(values)
        if table.ndim == 1:  # one number a sequence: nothing to pad
            return _sums(table.tolist(), None)
        shown: Any = ~np.isnan(table) if mask is None else _array(mask)
        given = np.asarray(shown, bool)
        if given.shape != table.shape:
            raise BadData(f"mask of shape {given.shape} for values of shape {table.shape}")
        failed = np.asarray((given & ~np.isfinite(table)).any(axis=1))
        sums = np.where(given & np.isfinite(table), table, 0.0).sum(axis=1)
        counts = given.sum(axis=1).astype(float)
    sums, counts = np.where(failed, 0.0, sums), np.where(failed, 0.0, counts)
    return sums, counts, int(failed.sum())


def _per_token(
    values: Ragged,
    mask: npt.ArrayLike | None,
    prompts: Prompts,
    kind: EntropyKind,
    temperature: float | None,
    sign: int = 1,
) -> Estimate:
    sums, counts, dropped = _sums(values, mask)
    return clustered_mean(
        sign * sums, counts, prompts, kind=str(kind), temperature=temperature, dropped=dropped
    )


def _per_sequence(
    values: Ragged,
    mask: npt.ArrayLike | None,
    prompts: Prompts,
    kind: EntropyKind,
    temperature: float | None,
    sign: int,
) -> Estimate:
    sums, counts, dropped = _sums(values, mask)
    there = (counts > 0).astype(float)
    return clustered_mean(
        sign * sums, there, prompts, kind=str(kind), temperature=temperature, dropped=dropped
    )


def _kind(name: EntropyKind | str) -> EntropyKind:
    try:
        return EntropyKind(name)
    except ValueError:
        kinds = ", ".join(EntropyKind)
        raise BadData(f"{name!r} is no kind of entropy; there are {kinds}") from None


def _why_not(source: EntropyKind, target: EntropyKind) -> str:
    if EntropyKind.UNKNOWN in (source, target):
        return "its kind has to be known first"
    if EntropyKind.TOKEN_NLL_TWICE_AVERAGED in (source, target):
        return "it was divided by each sequence's own length before the mean was taken"
    exact = {EntropyKind.TOKEN, EntropyKind.SEQUENCE}
    if (source in exact) != (target in exact):
        return "an exact entropy and the likelihood of the samples are different numbers"
    return "they are different means"
