"""A model of a few thousand weights and a configuration that trains it in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from trainer.config import Config, with_settings


def save_model(folder: Path, dtype: torch.dtype = torch.float32, letters: str = "abcdefg:") -> Path:
    """A random Llama with a character tokenizer."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from trainer.policy.tokenizer import character_tokenizer

    torch.manual_seed(0)
    tokenizer = character_tokenizer([letters])
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).to(dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def config_of(model: Path, *settings: str) -> Config:
    """Six steps of RLOO on four prompts."""
    base = [
        f"policy.model={model}",
        "policy.device=cpu",
        "task=tests.helpers.letters:make",
        "task.in_process=true",
        "recipe=rloo",
        "train.steps=6",
        "train.prompts=4",
        "train.samples=4",
        "train.limit=8",
        "train.lr=0.01",
        "train.threads=1",
        "eval.every=2",
        "eval.samples=32",
        "control.advise=false",
    ]
    return with_settings(Config(), [*base, *settings])


def rows(folder: Path, name: str = "metrics.jsonl") -> list[dict]:
    """The log, wall clock left out."""
    lines = (folder / name).read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint."""
    from safetensors.torch import load_file

    return load_file(folder / "checkpoints" / f"step-{step:06d}" / "model.safetensors")


def largest_gap(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    """Largest relative difference of two sets of weights."""
    assert a.keys() == b.keys()
    gaps = [((a[k] - b[k]).abs().max() / a[k].abs().max()).item() for k in a]
    return max(gaps)
