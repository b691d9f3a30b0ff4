"""The learned partition of DARLING: a classifier of pairs of texts that say the same.

A small transformer encoder reads each text once; a head looks at both vectors, their difference
and their product and gives the probability that the texts are equivalent. Encoding texts and not
pairs makes all pairs of n texts cost n passes and not n².

It measures samples and logs after the fact, and in training: ``task.equivalence =
"learned:FOLDER"``. Where a key says what an answer means (a canonical SMILES, the value of an
expression), the key costs nothing and is exact; a classifier is for answers without one.
torch and transformers are imported when a classifier is trained, loaded or called.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.core.regular_file import read_regular
from qdlaws.core.types import Array, Rows
from qdlaws.errors import BadData, BadLog, NotEnoughData
from qdlaws.measure.equivalence.pairs import (
    PartitionReport,
    Vocabulary,
    best_threshold,
    platt,
    report_on,
    split_groups,
)
from qdlaws.measure.equivalence.relations import Equivalence

__all__ = ["LearnedPartition", "PartitionConfig", "train_partition"]

Pairs = Sequence[tuple[str, str]]


DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    RuntimeError,
    OverflowError,
    MemoryError,
)
"""What reading the files of a damaged classifier raises; RecursionError is a RuntimeError."""


@dataclass(frozen=True)
class PartitionConfig:
    """The size of the encoder and how it is trained; the defaults train in minutes on a CPU.

    >>> PartitionConfig(epochs=2).width
    64
    """

    width: int = 64
    layers: int = 2
    heads: int = 4
    longest: int = 64  # tokens of a text that are read
    dropout: float = 0.0
    epochs: int = 8
    batch: int = 128
    rate: float = 2e-3
    characters: bool = False  # tokens are characters, not words
    held_out: float = 0.2
    seed: int = 0


@dataclass(frozen=True, eq=False)
class LearnedPartition:
    """A trained classifier, with its threshold and its report on held-out pairs.

    >>> from qdlaws.measure import train_partition
    >>> pairs, same = [("a", "a b"), ("a", "c"), ("c", "c d"), ("d", "a")] * 10, [1, 0, 1, 0] * 10
    >>> learned = train_partition(pairs, same, epochs=1, width=8, layers=1, heads=1)
    >>> learned.report.tested_on > 0
    True
    """

    config: PartitionConfig
    vocabulary: Vocabulary
    threshold: float
    scale: tuple[float, float]  # logit → slope · logit + offset, fitted on held-out pairs
    report: PartitionReport
    network: Any

    def probabilities(self, pairs: Pairs) -> Array:
        """The probability of each pair to say the same; the order of the two does not matter."""
        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        place = {text: i for i, text in enumerate(texts)}
        vectors = _vectors(self.network, self.vocabulary, texts, self.config)
        left = np.array([place[a] for a, _ in pairs], np.intp)
        right = np.array([place[b] for _, b in pairs], np.intp)
        return self._probability(_logits(self.network, vectors, left, right))

    def matrix(self, texts: Sequence[str]) -> Array:
        """(n, n) probabilities of all pairs, symmetric, 1 on the diagonal."""
        vectors = _vectors(self.network, self.vocabulary, texts, self.config)
        left, right = np.triu_indices(len(texts), 1)
        table = np.eye(len(texts))
        table[left, right] = self._probability(_logits(self.network, vectors, left, right))
        table[right, left] = table[left, right]
        return table

    def __call__(self, a: str, b: str) -> bool:
        return bool(self.probabilities([(a, b)])[0] >= self.threshold)

    def equivalence(self, threshold: float | None = None) -> Equivalence:
        """An :class:`Equivalence` at the threshold chosen on held-out pairs, or at another."""
        cut = self.threshold if threshold is None else threshold
        return Equivalence(f"learned>={cut:.3g}", lambda texts: self.matrix(texts) >= cut)

    def _probability(self, logits: Array) -> Array:
        from scipy.special import expit

        slope, offset = self.scale
        return np.asarray(expit(slope * logits + offset))

    def save(self, folder: str | Path) -> None:
        """Write ``model.safetensors`` and ``partition.json`` into the folder."""
        from safetensors.torch import save_file

        path = Path(folder)
        path.mkdir(parents=True, exist_ok=True)
        weights = {k: v.detach().cpu().contiguous() for k, v in self.network.state_dict().items()}
        save_file(weights, path / "model.safetensors")
        about = {
            "config": asdict(self.config),
            "vocabulary": list(self.vocabulary.tokens),
            "threshold": self.threshold,
            "scale": list(self.scale),
            "report": asdict(self.report),
        }
        (path / "partition.json").write_text(json.dumps(about, ensure_ascii=False, indent=1))

    @classmethod
    def load(cls, folder: str | Path) -> LearnedPartition:
        """The classifier that :meth:`save` wrote."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        path = Path(folder)
        if not (path / "partition.json").exists() or not (path / "model.safetensors").exists():
            raise BadLog(f"{path}: partition.json and model.safetensors were needed")
        try:
            about = json.loads(read_regular(path / "partition.json"))
            config = PartitionConfig(**about["config"])
            vocabulary = Vocabulary(tuple(about["vocabulary"]), config.characters)
            network = _network(config, vocabulary)
            network.load_state_dict(load_file(path / "model.safetensors"))
            slope, offset = (float(number) for number in about["scale"])
            report, threshold = PartitionReport(**about["report"]), float(about["threshold"])
        except (*DAMAGE, SafetensorError) as error:
            raise BadLog(f"{path} holds a damaged classifier: {error!r}") from None
        return cls(config, vocabulary, threshold, (slope, offset), report, network.eval())


def train_partition(
    pairs: Pairs,
    same: npt.ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    config: PartitionConfig | None = None,
    **changes: Any,
) -> LearnedPartition:
    """A classifier of equivalence, trained on labelled pairs of texts.

    Parameters
    ----------
    pairs : sequence of (str, str)
    same : array-like
        Whether each pair says the same (0 or 1).
    groups : sequence, optional
        The group of each pair (its prompt, say); whole groups are held out. By default pairs that
        share a text, however indirectly, are a group where that leaves enough of them.
    config, **changes : PartitionConfig, or single fields of it

    Returns
    -------
    LearnedPartition
        Every pair is shown in both orders. Half of the held-out pairs sets the scale of the
        probabilities (Platt) and the threshold (best accuracy); the other half, which no choice
        used, gives the report: accuracy, expected calibration error and Brier score.

    Examples
    --------
    >>> pairs, same = [("a", "a b"), ("a", "c"), ("c", "c d"), ("d", "a")] * 10, [1, 0, 1, 0] * 10
    >>> isinstance(train_partition(pairs, same, epochs=1, width=8, heads=1), LearnedPartition)
    True
    """
    plan = replace(config or PartitionConfig(), **changes)
    labels = np.asarray(same, float)
    if len(labels) != len(pairs) or not np.isin(labels, (0.0, 1.0)).all():
        raise BadData(f"{len(pairs)} pairs but {len(labels)} labels, each 0 or 1, were needed")
    train, tune, test, how = split_groups(pairs, labels, groups, plan.held_out, plan.seed)
    for name, rows in (("training", train), ("calibration", tune), ("test", test)):
        if len(set(labels[rows])) < 2:
            raise NotEnoughData(f"the {name} pairs hold one label only: more pairs were needed")
    shown = [pairs[i] for i in train.tolist()]
    vocabulary = Vocabulary.of((t for pair in shown for t in pair), plan.characters)
    network = _network(plan, vocabulary)
    _fit(network, vocabulary, shown, labels[train], plan)
    raw = LearnedPartition(plan, vocabulary, 0.5, (1.0, 0.0), PartitionReport.empty(), network)
    logits = _pair_logits(raw, [pairs[i] for i in tune.tolist()])
    scaled = replace(raw, scale=platt(logits, labels[tune]))
    cut = best_threshold(scaled._probability(logits), labels[tune])
    chosen = scaled.probabilities([pairs[i] for i in test.tolist()])
    report = report_on(chosen, labels[test], cut, len(train), len(tune), how)
    return replace(scaled, threshold=cut, report=report)


# ---------------------------------------------------------------------- the network


def _network(config: PartitionConfig, vocabulary: Vocabulary) -> Any:
    """Encoder (BERT of transformers, no pre-trained weights) and the head on pairs."""
    import torch
    from torch import nn
    from transformers import BertConfig, BertModel

    shape = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        intermediate_size=4 * config.width,
        max_position_embeddings=config.longest,
        hidden_dropout_prob=config.dropout,
        attention_probs_dropout_prob=config.dropout,
        pad_token_id=0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        encoder = BertModel(shape, add_pooling_layer=False)
        wide = 4 * config.width
        head = nn.Sequential(nn.Linear(wide, wide), nn.GELU(), nn.Linear(wide, 1))
    return nn.ModuleDict({"encoder": encoder, "head": head})


def _encode(network: Any, ids: Any) -> Any:
    """The mean over tokens of the encoder's last layer: (texts, width)."""
    mask = (ids != 0).long()
    hidden = network["encoder"](input_ids=ids, attention_mask=mask).last_hidden_state
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


def _head(network: Any, u: Any, v: Any) -> Any:
    import torch

    return network["head"](torch.cat([u, v, (u - v).abs(), u * v], -1)).squeeze(-1)


def _fit(
    network: Any, vocabulary: Vocabulary, pairs: Pairs, labels: Array, plan: PartitionConfig
) -> None:
    """AdamW with warm-up and cosine decay on the cross-entropy of both orders of every pair."""
    import torch

    ids = torch.from_numpy(vocabulary.encode([t for p in pairs for t in p], plan.longest))
    ids = ids.view(len(pairs), 2, -1)
    target = torch.from_numpy(labels).float()
    steps = plan.epochs * -(-len(pairs) // plan.batch)
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, plan.rate, total_steps=steps + 1, pct_start=0.1
    )
    loss_of = torch.nn.functional.binary_cross_entropy_with_logits
    with torch.random.fork_rng():
        torch.manual_seed(plan.seed)
        network.train()
        for _ in range(plan.epochs):
            order: Any = torch.randperm(len(pairs))
            for rows in order.split(plan.batch):
                both = ids[rows].flatten(0, 1)
                both = both[:, : max(1, int((both != 0).sum(1).max()))]
                u, v = _encode(network, both).view(len(rows), 2, -1).unbind(1)
                logit = torch.cat([_head(network, u, v), _head(network, v, u)])
                loss: Any = loss_of(logit, target[rows].repeat(2))
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
    network.eval()


def _vectors(
    network: Any, vocabulary: Vocabulary, texts: Sequence[str], config: PartitionConfig
) -> Any:
    import torch

    ids: Any = torch.from_numpy(vocabulary.encode(texts, config.longest))
    with torch.no_grad():
        return torch.cat([_encode(network, part) for part in ids.split(256)])


def _logits(network: Any, vectors: Any, left: Rows, right: Rows) -> Array:
    """The mean logit of both orders of every pair of vectors."""
    import torch

    step = 1 << 16
    parts = [np.empty(0)]
    with torch.no_grad():
        for low in range(0, len(left), step):
            u = vectors[torch.from_numpy(left[low : low + step])]
            v = vectors[torch.from_numpy(right[low : low + step])]
            parts.append(((_head(network, u, v) + _head(network, v, u)) / 2).double().numpy())
    return np.concatenate(parts)


def _pair_logits(model: LearnedPartition, pairs: Pairs) -> Array:
    vectors = _vectors(model.network, model.vocabulary, [t for p in pairs for t in p], model.config)
    left = np.arange(0, 2 * len(pairs), 2)
    return _logits(model.network, vectors, left, left + 1)
