"""Rollouts by vLLM: its engine in this process, given the policy's weights before every batch.

Written for vLLM 0.32 (``LLM``, ``SamplingParams``, ``LLM.generate``, ``LLM.collective_rpc``,
``LLM.reset_prefix_cache``), run with it on a CPU, and tested against a stand-in with its
signatures. Its log-probabilities differ from the trainer's by rounding: the trainer scores its
tokens anew, logs the mismatch and corrects it by truncated importance weights.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import torch

from qdlaws.errors import BadData, QdlawsError
from trainer.policy import Policy, exported_weights
from trainer.sampling.completions import Completions, completions
from trainer.sampling.engine import check_request
from trainer.sampling.keyed_noise import splitmix, streams

__all__ = ["VllmSampler"]


class VllmSampler:
    """A sampler over one vLLM engine, which is made at the first batch and keeps its memory."""

    def __init__(self, source: str, dtype: str = "auto", memory: float = 0.4) -> None:
        self.source, self.dtype, self.memory = source, dtype, memory
        self.engine: Any = None
        self.given: tuple[Any, ...] = ()

    def __call__(
        self,
        policy: Policy,
        prompts: Sequence[Sequence[int]],
        keys: Sequence[tuple[int, ...]],
        *,
        limit: int,
        temperature: float = 1.0,
        batch_size: int | None = None,
    ) -> Completions:
        """One completion per prompt; entropies are NaN, since vLLM does not give exact ones.

        vLLM has a batch size of its own. A row's noise is seeded by its key; batches change last
        bits, and so now and then a token.
        """
        check_request(policy, prompts, keys, limit, temperature)
        vllm = _imported()
        if self.engine is None:
            self.engine = self._made(vllm, policy)
        self._give_weights(policy)
        allowed = policy.allowed.nonzero().squeeze(1).tolist()
        starts = streams(keys)
        seeds = (splitmix(starts, starts) >> 33).tolist()
        wanted = [
            vllm.SamplingParams(
                temperature=temperature,
                max_tokens=limit,
                seed=seed,
                logprobs=0,  # the sampled token's alone
                allowed_token_ids=allowed,
                stop_token_ids=[policy.eos],
                detokenize=False,
            )
            for seed in seeds
        ]
        requests = [{"prompt_token_ids": list(prompt)} for prompt in prompts]
        answers = self.engine.generate(requests, wanted, use_tqdm=False) if requests else []
        tokens = torch.full((len(prompts), limit), policy.eos)
        logp = torch.zeros(len(prompts), limit, dtype=policy.dtype)
        for row, answer in enumerate(answers):
            output = answer.outputs[0]
            drawn = list(output.token_ids)[:limit]
            tokens[row, : len(drawn)] = torch.tensor(drawn)
            # A completion that ended without EOS, and short of the limit, broke off.
            if len(drawn) < limit and (not drawn or drawn[-1] != policy.eos):
                raise QdlawsError(f"vLLM ended row {row} after {len(drawn)} tokens without EOS")
            chances = [
                place[token].logprob for place, token in zip(output.logprobs, drawn, strict=False)
            ]
            logp[row, : len(drawn)] = torch.tensor(chances, dtype=policy.dtype)
        tokens, logp = tokens.to(policy.device), logp.to(policy.device)
        return completions(policy, tokens, logp, torch.full_like(logp, torch.nan))

    def _made(self, vllm: Any, policy: Policy) -> Any:
        # In this process, so that weights are copied on the device and never serialised.
        os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
        return vllm.LLM(
            model=self.source,
            dtype=self.dtype,
            gpu_memory_utilization=self.memory,
            max_model_len=policy.longest,
            logprobs_mode="processed_logprobs",  # after temperature and allowed tokens
            skip_tokenizer_init=True,
            generation_config="vllm",  # not the model's file, which may add tokens that end a text
        )

    def _give_weights(self, policy: Policy) -> None:
        """Copies the weights into the engine, where they have changed since the last batch."""
        # A parameter counts its changes in place; a policy in another model is another policy.
        counted = [(id(p), p._version) for p in policy.model.parameters()]
        state = (policy.frozen, *counted)
        if state == self.given:
            return
        weights = list(exported_weights(policy).items())
        # Not the model's own load_weights: layers may have packed what they loaded.
        self.engine.collective_rpc("reload_weights", kwargs={"weights_iterator": iter(weights)})
        self.engine.reset_prefix_cache()  # it holds keys and values of the weights before
        self.given = state


def _imported() -> Any:
    try:
        import vllm  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise BadData(
            "train.sampler = 'vllm' needs the package vllm, made for a GPU: pip install vllm"
        ) from error
    return vllm
