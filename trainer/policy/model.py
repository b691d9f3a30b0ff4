"""Policy: a model with its tokenizer and allowed tokens; its reference; prompts as tokens."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from qdlaws.errors import BadData

__all__ = [
    "Policy",
    "encode_messages",
    "encode_prompts",
    "frozen_reference",
    "has_adapters",
    "make_policy",
    "narrowed_reference",
]


@dataclass(frozen=True)
class Policy:
    """A causal language model that may say ``allowed`` tokens and nothing else.

    All special tokens but EOS, and rows of the output layer that the tokenizer has no token for,
    have probability 0 in sampling and in scoring alike: a policy that was free to choose them
    drifted there.
    """

    model: Any  # transformers.PreTrainedModel, or peft.PeftModel around one
    tokenizer: Any  # transformers.PreTrainedTokenizerBase
    allowed: Tensor  # (V,) bool on the model's device
    eos: int
    pad: int
    """Filling of what the masks leave out; EOS where the tokenizer has no pad token."""
    bos: int | None
    frozen: bool = False
    """A reference: no gradient is kept, and adapters are off."""
    products: torch.dtype | None = None
    """The type in which matrix products are computed (torch.autocast), the weights keeping theirs;
    None: that of the weights."""
    packed: bool = False
    """Whether rows are scored without padding and each prompt once (:mod:`trainer.policy.packed`);
    otherwise transformers reads every row, filled up to the longest."""

    @property
    def device(self) -> torch.device:
        """Where the model and all that it returns live."""
        return self.allowed.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the log-probabilities: float32, or float64 for a float64 model."""
        return torch.promote_types(next(self.model.parameters()).dtype, torch.float32)

    @property
    def longest(self) -> int | None:
        """Most tokens the model can read, prompt included; None where it has no limit."""
        config = self.model.config.get_text_config(decoder=True)
        longest = getattr(config, "max_position_embeddings", None)
        return longest if longest is not None and longest > 0 else None  # XLNet says -1

    def _autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, self.products) if self.products else nullcontext()

    @contextmanager
    def speaking(self, *, training: bool = False) -> Iterator[Any]:
        """The bare model, ready to be called: adapters off and no gradient where frozen.

        In mixed precision the weights are converted once for each such context.

        ``training`` puts the model in train mode, which gradient checkpointing asks for and
        sampling cannot have; it changes nothing else, since policies are made without dropout.
        """
        model = self.model
        off = self.frozen and has_adapters(model)
        was = model.training
        if was != training:
            model.train(training)
        try:
            with (
                model.disable_adapter() if off else nullcontext(),
                torch.no_grad() if self.frozen else nullcontext(),
                self._autocast(),
            ):
                yield model.get_base_model() if has_adapters(model) else model
        finally:
            if was != training:
                model.train(was)


def make_policy(model: Any, tokenizer: Any, *, source: object = "the model") -> Policy:
    """A policy of a model and tokenizer in memory, ``source`` being their name in messages."""
    width = model.get_output_embeddings().weight.shape[0]
    vocabulary = set(tokenizer.get_vocab().values())
    if max(vocabulary, default=-1) >= width:
        raise BadData(
            f"{source}: its tokenizer has token number {max(vocabulary)}, but the model only "
            f"{width} tokens; needed: a tokenizer and model that were saved together"
        )
    eos = _end_token(model, tokenizer, source)
    added = tokenizer.added_tokens_decoder.items()
    special = {*tokenizer.all_special_ids, *(i for i, token in added if token.special)}
    usable = sorted((vocabulary - special) | {eos})
    if len(usable) < 2:
        raise BadData(
            f"{source}: no token besides EOS is left to say; its tokenizer has {vocabulary}"
        )
    allowed = torch.zeros(width, dtype=torch.bool)
    allowed[usable] = True
    pad = eos if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    device = next(model.parameters()).device
    _take_dropout_out(model)
    return Policy(model.eval(), tokenizer, allowed.to(device), eos, pad, tokenizer.bos_token_id)


def frozen_reference(policy: Policy) -> Policy:
    """The policy as it is now, kept without gradient; under LoRA the weights below the adapters.

    Under LoRA nothing is copied, since the weights below never change: the reference is then the
    model that the adapters were put on, not the adapters' present state.
    """
    if has_adapters(policy.model):
        return replace(policy, frozen=True)
    model = copy.deepcopy(policy.model).requires_grad_(False).eval()
    return replace(policy, model=model, frozen=True)


def narrowed_reference(reference: Policy) -> Policy:
    """The reference with the weights of its products stored in the type that they are computed in.

    The same numbers in half the memory, and no weight is converted at every call. Embeddings and
    norms keep their type, also where the output layer shares the weights of the embedding.
    """
    if reference.products is None or has_adapters(reference.model):
        return reference
    for part in reference.model.modules():
        if type(part) is torch.nn.Linear:
            narrow = part.weight.detach().to(reference.products)
            part.weight = torch.nn.Parameter(narrow, requires_grad=False)
    return reference


def encode_prompts(policy: Policy, texts: Sequence[str]) -> list[list[int]]:
    """Each prompt as tokens: through the chat template where there is one, else BOS + text.

    The empty prompt is BOS alone (EOS, as in GPT-2, for tokenizers without BOS).
    """
    tokenizer = policy.tokenizer
    first = [policy.eos if policy.bos is None else policy.bos]
    if tokenizer.chat_template is None:
        start = [] if policy.bos is None else first

        def encode(text: str) -> Any:
            return start + tokenizer(text, add_special_tokens=False)["input_ids"]
    else:

        def encode(text: str) -> Any:
            turns = [{"role": "user", "content": text}]
            return tokenizer.apply_chat_template(
                turns, add_generation_prompt=True, tokenize=True, return_dict=False
            )

    tokens: dict[str, list[int]] = {"": first}  # a prompt has many samples
    for text in texts:
        if text not in tokens:
            tokens[text] = encode(text) or first
    return [list(tokens[text]) for text in texts]


def encode_messages(policy: Policy, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """A conversation of several turns as tokens, ready for the assistant's next.

    Without a chat template the turns are joined by line breaks: a base model sees plain text.
    """
    tokenizer = policy.tokenizer
    if tokenizer.chat_template is None:
        return encode_prompts(policy, ["\n".join(turn["content"] for turn in messages)])[0]
    ids: list[int] = tokenizer.apply_chat_template(
        [dict(turn) for turn in messages],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=False,
    )
    return ids


def has_adapters(model: Any) -> bool:
    """Whether the model is wrapped by peft."""
    return hasattr(model, "get_base_model") and hasattr(model, "disable_adapter")


def _end_token(model: Any, tokenizer: Any, source: object) -> int:
    named = tokenizer.eos_token_id
    if named is None:
        named = model.config.eos_token_id
    if isinstance(named, list | tuple):
        named = named[0] if named else None
    if named is None:
        raise BadData(f"{source}: neither tokenizer nor config names an EOS token; one is needed")
    return int(named)


def _take_dropout_out(model: Any) -> None:
    """The policy that samples and the one that is trained must be the same function."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        for name, value in list(vars(module).items()):
            if "drop" in name and isinstance(value, float):
                setattr(module, name, 0.0)
