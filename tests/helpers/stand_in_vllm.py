"""A stand-in for vLLM: the classes that :mod:`trainer.sampling.vllm` calls, with its signatures.

Names, order and defaults are those of vLLM 0.32, read from its released files; whoever passes an
argument that vLLM does not have is refused here as there.
"""

from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import torch


@dataclass
class SamplingParams:
    temperature: float = 1.0
    max_tokens: int | None = 16
    seed: int | None = None
    logprobs: int | None = None
    allowed_token_ids: list[int] | None = None
    stop_token_ids: list[int] | None = None
    detokenize: bool = True


class Model(torch.nn.Module):
    """vLLM's model in the worker: weights are given to it by name."""

    def __init__(self, source):
        from transformers import AutoModelForCausalLM

        super().__init__()
        self.inner = AutoModelForCausalLM.from_pretrained(source)
        self.loads = 0

    def load_weights(self, weights):
        self.inner.load_state_dict(dict(weights))
        self.loads += 1


class LLM:
    """Samples by a full pass per token; log-probabilities are off by ``error``."""

    error = 0.0
    made: ClassVar[list["LLM"]] = []

    def __init__(
        self,
        model: str,
        *,
        skip_tokenizer_init: bool = False,
        dtype: str = "auto",
        seed: int = 0,
        gpu_memory_utilization: float = 0.92,
        max_model_len: int | None = None,
        logprobs_mode: str = "raw_logprobs",
        generation_config: str = "auto",
    ):
        assert logprobs_mode == "processed_logprobs"
        assert generation_config == "vllm"  # else the model's file adds tokens that end a text
        self.model, self.resets = Model(model), 0
        LLM.made.append(self)

    def collective_rpc(self, method, timeout=None, args=(), kwargs=None):
        """Of the one worker, which has this method among others."""
        assert method == "reload_weights"
        return [self._reload_weights(*args, **(kwargs or {}))]

    def _reload_weights(
        self, weights_iterator=None, weights_path=None, is_checkpoint_format=True
    ) -> None:
        self.model.load_weights(weights_iterator)

    def reset_prefix_cache(
        self, reset_running_requests: bool = False, reset_connector: bool = False
    ) -> bool:
        self.resets += 1
        return True

    def generate(self, prompts, sampling_params=None, *, use_tqdm=True):
        return [
            SimpleNamespace(outputs=[self._one(prompt["prompt_token_ids"], params)])
            for prompt, params in zip(prompts, sampling_params, strict=True)
        ]

    @torch.no_grad()
    def _one(self, prompt, params):
        rng = torch.Generator().manual_seed(params.seed)
        ids, chances = list(prompt), []
        while len(chances) < params.max_tokens:
            logits = self.model.inner(torch.tensor([ids])).logits[0, -1] / params.temperature
            closed = torch.full_like(logits, -torch.inf)
            closed[params.allowed_token_ids] = 0
            logp = torch.log_softmax(logits + closed, -1)
            token = int(torch.multinomial(logp.exp(), 1, generator=rng))
            ids.append(token)
            chances.append({token: SimpleNamespace(logprob=float(logp[token]) - self.error)})
            if token in params.stop_token_ids:
                break
        return SimpleNamespace(token_ids=ids[len(prompt) :], logprobs=chances)


def stand_in() -> ModuleType:
    """The module ``vllm``, without engines of earlier tests."""
    LLM.made, LLM.error = [], 0.0
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SamplingParams
    return module
