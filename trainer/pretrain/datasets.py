"""The corpus of a pre-training, and its token rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from qdlaws.errors import BadData, NotEnoughData
from trainer.policy.tokenizer import character_tokenizer, smiles_tokenizer
from trainer.pretrain.maximum_likelihood import Row
from trainer.pretrain.options import Pair, PretrainOptions
from trainer.pretrain.recombine import randomised, recombined
from trainer.pretrain.smiles_corpus import (
    bundled_smiles,
    clean_all,
    held_out,
    read_smiles,
    without_rare,
)
from trainer.tasks.molecules.smiles import encoder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["Corpus", "load_corpus", "molecule_pairs", "text_rows"]


@dataclass(frozen=True)
class Corpus:
    """The (prompt, completion) pairs of a training; molecules have the empty prompt.

    ``augmented`` are the examples that recombination and respelling added; ``sizes`` has the number
    of examples after every step of the preparation.
    """

    real: list[Pair]
    augmented: list[Pair]
    held_out: list[Pair]
    sizes: dict[str, int] = field(default_factory=dict)

    def tokenizer(self, molecules: bool) -> PreTrainedTokenizerFast:
        """A tokenizer with every symbol of the corpus."""
        pairs = (*self.real, *self.augmented, *self.held_out)
        texts = [text for pair in pairs for text in pair]
        return (smiles_tokenizer if molecules else character_tokenizer)(texts)


def load_corpus(options: PretrainOptions) -> Corpus:
    """The corpus that the options describe."""
    corpus = _molecules(options) if options.molecules else _texts(options)
    if not corpus.real:
        raise NotEnoughData(f"nothing is left to train on of {corpus.sizes}")
    return corpus


def _molecules(options: PretrainOptions) -> Corpus:
    raw = bundled_smiles() if options.smiles is None else read_smiles(options.smiles)
    cleaned = clean_all(raw, longest=options.limit)
    # a small corpus of the user's keeps the symbols that a large one would call rare
    fewest = min(options.fewest, 1 + len(cleaned) // 500)
    common = without_rare(cleaned, fewest)
    real, out = held_out(common, options.held_out)
    made = recombined(
        real, round(options.recombine * len(real)), options.seed, longest=options.limit
    )
    met = set(made)  # a recombination can hit upon a molecule that was held out
    out = [text for text in out if text not in met]
    others = randomised(real, options.randomise, options.seed)
    pairs, more, kept = (molecule_pairs(texts, options) for texts in (real, made + others, out))
    sizes = {
        "read": len(raw), "clean": len(cleaned), "real": len(real), "recombined": len(made),
        "randomised": len(others), "held_out": len(out),
    }  # fmt: skip
    return Corpus(pairs, more, kept, sizes)


def molecule_pairs(smiles: Sequence[str], options: PretrainOptions) -> list[Pair]:
    """The molecules in the wanted representation, with the empty prompt."""
    return [("", text) for text in map(encoder(options.representation), smiles) if text]


def _texts(options: PretrainOptions) -> Corpus:
    pairs = list(options.texts) if options.texts is not None else _task_pairs(options)
    fit = [pair for pair in pairs if len("".join(pair)) + 2 <= options.limit]
    sides = held_out(["\0".join(pair) for pair in fit], options.held_out)
    real, out = ([_pair(text) for text in side] for side in sides)
    sizes = {"read": len(pairs), "real": len(real), "held_out": len(out)}
    return Corpus(real, [], out, sizes)


def _pair(text: str) -> Pair:
    prompt, _, completion = text.partition("\0")
    return prompt, completion


def _task_pairs(options: PretrainOptions) -> list[Pair]:
    from trainer.tasks.capabilities import HasCorpus, close
    from trainer.tasks.task_process import open_task

    task = open_task(str(options.task))
    try:
        if not isinstance(task, HasCorpus):
            raise BadData(f"task {options.task} has no corpus; one with corpus(n, seed) is needed")
        pairs = task.corpus(options.examples, options.seed)
    finally:
        close(task)
    return [(str(prompt), str(completion)) for prompt, completion in pairs]


def text_rows(
    pairs: Sequence[Pair], tokenizer: PreTrainedTokenizerFast, *, completion_only: bool = True
) -> list[Row]:
    """Token rows ``<bos> prompt completion <eos>``; pairs with an unknown symbol are left out."""
    if not pairs:
        return []
    prompts = tokenizer([prompt for prompt, _ in pairs])["input_ids"]
    answers = tokenizer([answer for _, answer in pairs], add_special_tokens=False)["input_ids"]
    eos, unknown = tokenizer.eos_token_id, tokenizer.unk_token_id
    rows = [
        Row((*prompt, *answer, eos), first=len(prompt) if completion_only else 1)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
    return [row for row in rows if unknown not in row.ids]
