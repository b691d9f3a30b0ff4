"""The policy: a causal language model of transformers, its tokenizer, and its log-probabilities.

::

    policy = load_policy("runs/grpo/checkpoints/step-000120")
    reference = frozen_reference(policy)
    prompts = encode_prompts(policy, ["", "write 24 as a sum"])
    scored = token_log_probs(policy, prompts, tokens, mask, entropy=True)   # with gradient
"""

from trainer.policy.likelihood import LogProbs, allowed_logits, token_log_probs
from trainer.policy.load import LoraOptions, load_policy
from trainer.policy.model import Policy, encode_messages, encode_prompts, frozen_reference
from trainer.policy.save import exported_weights, save_names, save_policy

__all__ = [
    "LogProbs",
    "LoraOptions",
    "Policy",
    "allowed_logits",
    "encode_messages",
    "encode_prompts",
    "exported_weights",
    "frozen_reference",
    "load_policy",
    "save_names",
    "save_policy",
    "token_log_probs",
]
