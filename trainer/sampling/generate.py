"""Sampling by the ``generate`` of transformers: slower, and the reference for the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.policy import Policy, allowed_logits
from trainer.sampling.completions import Completions, completions
from trainer.sampling.engine import check_request
from trainer.sampling.keyed_noise import splitmix, streams

__all__ = ["sample_generate"]


def sample_generate(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    keys: Sequence[tuple[int, ...]],
    *,
    limit: int,
    temperature: float = 1.0,
    batch_size: int | None = None,
) -> Completions:
    """One completion per prompt, with log-probabilities and entropies from the scores.

    Repeatable for given keys and batches, but a row's noise depends on its batch: generate draws
    from torch's global generator, which is put back afterwards.
    """
    check_request(policy, prompts, keys, limit, temperature)
    size = batch_size or max(len(prompts), 1)
    devices = [policy.device] if policy.device.type == "cuda" else []
    parts = []
    with policy.speaking() as model, torch.no_grad(), torch.random.fork_rng(devices):
        for start in range(0, len(prompts), size):
            chosen = slice(start, start + size)
            starts = streams(keys[chosen])
            seed = splitmix(starts, starts).sum(dtype="uint64")  # any of the keys changes it
            torch.manual_seed(int(seed) % 2**63)
            parts.append(_generate(policy, model, prompts[chosen], limit, temperature))
    if not parts:
        nothing = torch.zeros(0, 0, dtype=policy.dtype, device=policy.device)
        return completions(policy, nothing.long(), nothing, nothing)
    return Completions.cat(parts)


def _generate(
    policy: Policy, model: Any, prompts: Sequence[Sequence[int]], limit: int, temperature: float
) -> Completions:
    from transformers import GenerationConfig, LogitsProcessorList

    width = max(map(len, prompts))
    ids = torch.tensor([[policy.pad] * (width - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    out = model.generate(
        input_ids=ids.to(policy.device),
        attention_mask=mask.to(policy.device),
        logits_processor=LogitsProcessorList([_Allowed(policy, temperature)]),
        synced_gpus=False,  # a process may have fewer calls than others: see trainer.distributed
        generation_config=GenerationConfig(
            do_sample=True,
            max_new_tokens=limit,
            eos_token_id=policy.eos,
            pad_token_id=policy.pad,
            return_dict_in_generate=True,
            output_scores=True,
            **PLAIN,
        ),
    )
    drawn = out.sequences[:, width:]
    logp = torch.stack([torch.log_softmax(s, -1) for s in out.scores], 1)
    entropy = torch.special.entr(logp.exp()).sum(-1)
    chosen = logp.gather(-1, drawn[..., None]).squeeze(-1)
    return completions(policy, drawn, chosen, entropy)


PLAIN = {  # what a model's own generation config may turn on
    "temperature": 1.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": None,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "num_beams": 1,
}


class _Allowed:
    """A logits processor: temperature, and tokens that are not allowed at −∞."""

    def __init__(self, policy: Policy, temperature: float) -> None:
        self.policy, self.temperature = policy, temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        return allowed_logits(self.policy, scores, self.temperature)
