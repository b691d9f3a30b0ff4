"""The novelty of answers by random network distillation (Burda et al. 2018, arXiv 1810.12894).

One network learns log π(y) that another of random weights gives to the answers y that it sees. Of
answers like earlier ones it knows it well; the squared difference is large where an answer is new.
As in REINVENT4 both have the architecture of the reference, the learning one begins with its
weights, and of an answer's square s the novelty is (s − min s)/(max s − min s + 1e-6) over the
answers of a batch that count in the diversity filter. One step of Adam on the mean of the squares
follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from qdlaws.errors import BadLog
from trainer.policy import Policy, token_log_probs

__all__ = ["FILE", "NoveltyNetworks", "random_network", "rescaled"]

FILE = "novelty.safetensors"
"""The learning network and its optimizer in a checkpoint."""


def rescaled(squares: Tensor) -> Tensor:
    """(s − min s)/(max s − min s + 1e-6): from 0 for the least to nearly 1 for the largest."""
    return (squares - squares.min()) / (squares.max() - squares.min() + 1e-6)


def random_network(reference: Policy, seed: int) -> Policy:
    """The reference with matrices of new weights (Glorot and Bengio 2010, uniform), frozen."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in reference.model.parameters():
            weight.requires_grad_(False)
            if weight.dim() > 1:
                fresh = torch.empty(weight.shape)
                weight.copy_(nn.init.xavier_uniform_(fresh, generator=rng))
    return replace(reference, frozen=True)


@dataclass(eq=False)
class NoveltyNetworks:
    """The frozen random network, the one that learns its log-probabilities, and its optimizer."""

    target: Policy
    learner: Policy
    lr: float

    def __post_init__(self) -> None:
        self.weights = dict(self.learner.model.named_parameters())
        self.optimizer = torch.optim.Adam(self.weights.values(), lr=self.lr)

    def novelty(
        self,
        prompts: Sequence[Sequence[int]],
        tokens: Tensor,
        mask: Tensor,
        micro_batches: Iterable[Tensor],
    ) -> Tensor:
        """The novelty of each answer, (B,) float64; the learner takes a step on them after that.

        ``micro_batches`` are the numbers of the rows that go through the networks together.
        """
        squares = torch.zeros(len(prompts), dtype=torch.float64)
        if not len(prompts):
            return squares
        self.optimizer.zero_grad()
        lengths = mask.sum(1).cpu()
        for rows in micro_batches:
            width = int(lengths[rows].max())
            batch = [prompts[i] for i in rows.tolist()], tokens[rows, :width], mask[rows, :width]
            gap = token_log_probs(self.learner, *batch).logp.sum(1)
            gap = gap - token_log_probs(self.target, *batch).logp.sum(1)
            (gap.pow(2).sum() / len(prompts)).backward()  # type: ignore[no-untyped-call]
            squares[rows] = gap.detach().pow(2).double().cpu()
        self.optimizer.step()
        return rescaled(squares)

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds: the learner's weights and the moments of its optimizer."""
        state = self.optimizer.state_dict()["state"]
        saved = {f"weight.{name}": value.detach() for name, value in self.weights.items()}
        for number, values in state.items():
            saved |= {f"moment.{number}.{name}": value for name, value in values.items()}
        return {name: value.contiguous().cpu().clone() for name, value in saved.items()}

    def load(self, checkpoint: Path) -> None:
        """Takes over what a checkpoint holds."""
        try:
            saved = load_file(checkpoint / FILE)
            state: dict[int, dict[str, Tensor]] = {}
            with torch.no_grad():
                for name, value in self.weights.items():
                    value.copy_(saved.pop(f"weight.{name}"))
            for key, moment in saved.items():
                _, number, name = key.split(".")
                state.setdefault(int(number), {})[name] = moment
            self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
        except (OSError, SafetensorError, RuntimeError, KeyError, ValueError) as error:
            raise BadLog(f"{checkpoint / FILE} does not fit the policy: {error}") from None
