"""EntropyKind: the meaning of a logged entropy. Five tools write "entropy" and mean six things.

Quality and diversity kinds are free words (``"train_reward"``, ``"internal_diversity"``), because
every task brings its own; entropy kinds are closed, because laws of different kinds never pool.
"""

from enum import StrEnum

__all__ = ["EntropyKind"]


class EntropyKind(StrEnum):
    """The meanings of "entropy" in logs of RL trainers; all in nats.

    Examples
    --------
    >>> import qdlaws as qd
    >>> qd.EntropyKind("token_entropy").name
    'TOKEN'
    """

    TOKEN = "token_entropy"
    """Mean over tokens of the exact softmax entropy −Σ p log p (TRL, prime-rl, verl token-mean)."""

    SEQUENCE = "sequence_entropy"
    """Exact softmax entropies summed over the tokens of a sequence (verl, sequence reductions)."""

    TOKEN_NLL = "token_nll"
    """Mean of −log p of the sampled tokens: an estimate of the token entropy (tinker)."""

    SEQUENCE_NLL = "sequence_nll"
    """Mean over sequences of −log π(y): an estimate of the sequence entropy (REINVENT4 `Agent`)."""

    TOKEN_NLL_TWICE_AVERAGED = "token_nll_twice_averaged"
    """Sampled token NLL divided by the token count a second time (nano-aha-moment)."""

    UNKNOWN = "unknown"
    """The log does not say."""
