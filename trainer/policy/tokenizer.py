"""Tokenizers of the small priors: real ``PreTrainedTokenizerFast`` that any tool can load.

One token per SMILES symbol (or SELFIES symbol, which is a bracket), or one per character. Ids 0 to
3 are ``<pad> <bos> <eos> <unk>``; encoding puts ``<bos>`` first; decoding joins without blanks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from qdlaws.errors import BadData

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

__all__ = ["SPECIAL", "character_tokenizer", "smiles_tokenizer", "symbols"]

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
SYMBOL = r"\[[^\]]*\]|%\(\d+\)|%\d\d|Br|Cl|[\s\S]"
"""One symbol: a bracket atom, a ring number of two or more digits, Br, Cl, or a character."""
COMMON = ("Cl", "Br", *"CcNnOoSsFIPpBb()=#-./\\:*123456789")
"""The symbols of every SMILES vocabulary; brackets and large ring numbers come from the corpus."""


def symbols(smiles: str) -> list[str]:
    """The SMILES cut into symbols; joined they are the string again."""
    return re.findall(SYMBOL, smiles)


def smiles_tokenizer(smiles: Iterable[str] | None = None) -> PreTrainedTokenizerFast:
    """A tokenizer with one token per symbol: those of ``smiles``, or the common ones for None."""
    if smiles is None:
        return _word_level(COMMON, SYMBOL)
    vocabulary = {symbol for line in smiles for symbol in symbols(line)}
    return _word_level(vocabulary, SYMBOL)


def character_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A tokenizer with one token per character of ``texts``."""
    return _word_level({character for text in texts for character in text}, r"[\s\S]")


def _word_level(vocabulary: Iterable[str], pattern: str) -> PreTrainedTokenizerFast:
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = sorted(set(vocabulary))
    if not words:
        raise BadData("a tokenizer needs at least one text to take its symbols from; found none")
    if clash := set(words) & set(SPECIAL):
        raise BadData(f"the texts hold {sorted(clash)}, which are special tokens here")
    ids = {word: number for number, word in enumerate((*SPECIAL, *words))}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", ids["<bos>"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
        unk_token="<unk>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
