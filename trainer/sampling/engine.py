"""Completions whose random numbers depend on their keys alone, however they are batched.

One uniform number u per token and the inverse of the cumulative distribution, in float64: the
token is the first v with Σ_{w ≤ v} π_w > u. Large vocabularies are summed in blocks: probabilities
in float32, sums of blocks in float64. Rows that are done leave the batch from time to time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qdlaws.errors import BadData
from trainer.policy import Policy
from trainer.policy.likelihood import check_length, check_temperature
from trainer.sampling.completions import Completions, completions
from trainer.sampling.decoder import Decoder
from trainer.sampling.keyed_noise import streams, uniforms

__all__ = ["check_request", "sample"]

LEAVE = 0.25  # share of rows that must be done before the batch is made smaller
AHEAD = 256  # positions whose noise is made at a time
LEAVE_GRAPHS = 0.5  # the same where every size of batch is recorded anew
LOOK_CUDA = 8  # steps between two checks for finished rows, each of which waits for the GPU
LARGE = 8192  # tokens of a vocabulary from which on it is summed in blocks
BLOCK = 64


def sample(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    keys: Sequence[tuple[int, ...]],
    *,
    limit: int,
    temperature: float = 1.0,
    batch_size: int | None = None,
    graphs: bool = False,
) -> Completions:
    """One completion per prompt, EOS included, with log-probabilities and exact entropies.

    Row i is a function of the policy, ``prompts[i]`` and ``keys[i]`` alone: batches change the last
    bits of the logits and nothing else.

    Parameters
    ----------
    policy : the model that is sampled
    prompts : tokens of each prompt, as :func:`trainer.policy.encode_prompts` gives them
    keys : (seed, phase, step, prompt, sample) of each row, which names its random numbers
    limit : most tokens of a completion
    temperature : of the softmax
    batch_size : rows that are sampled at a time (None: all)
    graphs : replay recorded decoding steps on a GPU, which pays for small models

    Returns
    -------
    Completions

    Raises
    ------
    BadData
        In one line, for prompts and keys that do not fit together, a prompt too long for the
        model, or logits that are not finite.
    """
    check_request(policy, prompts, keys, limit, temperature)
    rows = len(prompts)
    drawn = torch.full((rows, limit), policy.eos, device=policy.device)
    logp = torch.zeros(rows, limit, dtype=policy.dtype, device=policy.device)
    entropy = torch.zeros_like(logp)
    # Rows of one length together: no padding, and the shared prompts are read once.
    order = sorted(range(rows), key=lambda i: len(prompts[i]))
    size = batch_size or max(rows, 1)
    with policy.speaking() as model, torch.no_grad():
        for start in range(0, rows, size):
            part = order[start : start + size]
            batch = Batch(policy, model, [prompts[i] for i in part], [keys[i] for i in part])
            batch.run(limit, temperature, graphs)
            where = torch.tensor(part, device=policy.device)
            batch.write(where, drawn, logp, entropy)
    if not bool(torch.isfinite(logp).all()):
        raise BadData("the policy's logits are not finite: its weights have overflowed")
    return completions(policy, drawn, logp, entropy)


class Batch:
    """A batch of completions in progress: its unfinished rows and the tokens drawn so far."""

    def __init__(
        self,
        policy: Policy,
        model: Any,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[tuple[int, ...]],
    ) -> None:
        self.policy, self.model = policy, model
        self.prompts, self.streams = prompts, streams(keys)
        self.alive = torch.arange(len(prompts), device=policy.device)
        self.done = torch.zeros(len(prompts), dtype=torch.bool, device=policy.device)
        self.noise = torch.empty(0)
        self.segments: list[tuple[Tensor, int, Tensor, Tensor, Tensor]] = []

    def run(self, limit: int, temperature: float, graphs: bool) -> None:
        """Draws until every row has its EOS, or ``limit`` tokens."""
        leave = LEAVE_GRAPHS if graphs else LEAVE
        look = LOOK_CUDA if self.policy.device.type == "cuda" else 1
        closed = torch.zeros(self.policy.allowed.shape, dtype=torch.float64)
        closed = closed.to(self.policy.device).masked_fill_(~self.policy.allowed, -torch.inf)
        decoder = Decoder(self.policy, self.model, limit, graphs=graphs)
        logits = decoder.start(self.prompts)
        drawn: list[tuple[Tensor, Tensor, Tensor]] = []
        first = 0
        for position in range(limit):
            u = self._noise(position, limit)
            token, chosen, entropy = draw(logits, closed, temperature, u)
            drawn.append((token, chosen, entropy))
            self.done |= token == self.policy.eos
            if position + 1 == limit:
                break
            if (position + 1) % look == 0:
                finished = int(self.done.sum())
                if finished == len(self.done):
                    break
                if finished >= leave * len(self.done):
                    self._close(first, drawn)
                    stay = (~self.done).nonzero().squeeze(-1)
                    decoder.keep(stay)
                    self.alive, self.done = self.alive[stay], self.done[stay]
                    self.noise, token = self.noise[stay], token[stay]
                    drawn, first = [], position + 1
            logits = decoder.step(token)
        self._close(first, drawn)

    def _noise(self, position: int, limit: int) -> Tensor:
        """The uniform numbers of the unfinished rows for this position, (n, 1)."""
        column = position % AHEAD
        if column == 0:
            block = uniforms(
                self.streams[self.alive.cpu().numpy()], position, min(position + AHEAD, limit)
            )
            self.noise = torch.from_numpy(block).to(self.policy.device)
        return self.noise[:, column, None]

    def _close(self, first: int, drawn: list[tuple[Tensor, Tensor, Tensor]]) -> None:
        """Stores the tokens of these rows from position ``first`` on, before some of them leave."""
        token, chosen, entropy = (torch.stack(column, 1) for column in zip(*drawn, strict=True))
        self.segments.append((self.alive, first, token, chosen.log(), entropy))

    def write(self, where: Tensor, drawn: Tensor, logp: Tensor, entropy: Tensor) -> None:
        """Puts the tokens of this batch into the rows ``where`` of the results."""
        for alive, first, *parts in self.segments:
            for whole, part in zip((drawn, logp, entropy), parts, strict=True):
                whole[where[alive], first : first + part.shape[1]] = part.to(whole.dtype)


def draw(
    logits: Tensor, closed: Tensor, temperature: float, u: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """A token, its probability and the exact entropy for each row, (n,) each.

    ``closed`` is −∞ for tokens that are not allowed; they are passed over, since the cumulative
    distribution does not grow there.
    """
    if logits.shape[-1] >= LARGE and logits.dtype != torch.float64:
        return draw_blockwise(logits, closed, temperature, u)
    z = logits.double()
    if temperature != 1.0:
        z = z / temperature
    p = torch.softmax(z + closed, -1)
    upto = p.cumsum(-1)
    token = torch.searchsorted(upto, u * upto[:, -1:], right=True)
    token = token.clamp_max_(p.shape[-1] - 1)  # only for NaN, refused in the end
    entropy = torch.special.entr(p).sum(-1)
    return token.squeeze(-1), p.gather(-1, token).squeeze(-1), entropy


def draw_blockwise(
    logits: Tensor, closed: Tensor, temperature: float, u: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same for a large vocabulary, in a fifth of the time: the block, then the token in it.

    Weights e = exp(z − max z) are float32; their sums, to which u is compared, are float64, so
    that no token's chance depends on its place.
    """
    z = logits.float() / temperature + closed.float()
    z = (z - z.amax(-1, keepdim=True)).clamp_min_(-104.0)  # exp gives 0 there
    e = z.exp()
    padded = torch.nn.functional.pad(e, (0, -e.shape[-1] % BLOCK))
    blocks = padded.view(len(e), -1, BLOCK)
    upto = blocks.sum(-1).double().cumsum(-1)
    total = upto[:, -1:]
    target = u * total
    block = torch.searchsorted(upto, target, right=True).clamp_max_(upto.shape[-1] - 1)
    before = torch.where(block > 0, upto.gather(-1, (block - 1).clamp_min(0)), 0.0)
    inside = blocks.gather(1, block[..., None].expand(-1, -1, BLOCK)).squeeze(1)
    within = inside.double().cumsum(-1)
    place = torch.searchsorted(within, target - before, right=True)
    # A sum of a block that was rounded up has no token at its very end: its last one takes that.
    last = BLOCK - 1 - (inside > 0).flip(-1).int().argmax(-1, keepdim=True)
    token = block * BLOCK + torch.minimum(place, last)
    token = token.clamp_max_(e.shape[-1] - 1)  # only for NaN, refused in the end
    p = e.gather(-1, token).double() / total
    entropy = total.log() - torch.linalg.vecdot(e, z).double()[:, None] / total
    return token.squeeze(-1), p.squeeze(-1), entropy.squeeze(-1)


def check_request(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    keys: Sequence[tuple[int, ...]],
    limit: int,
    temperature: float,
) -> None:
    """Refuses, in one line, a request that cannot be sampled."""
    if len(prompts) != len(keys):
        raise BadData(f"{len(prompts)} prompts but {len(keys)} keys; one key per prompt is needed")
    if len({len(key) for key in keys}) > 1:
        raise BadData("keys must all have the same number of parts, such as (seed, step, sample)")
    if limit < 1:
        raise BadData(f"limit is {limit}; needed: at least 1 token")
    check_temperature(temperature)
    if len(prompts):
        check_length(policy, prompts, limit)
