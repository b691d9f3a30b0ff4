"""The policy: a causal language model of transformers with its tokenizer, and what it says of text.

::

    policy = load_policy("runs/grpo/checkpoints/step-000120")
    reference = frozen_reference(policy)
    prompts = encode_prompts(policy, ["", "write 24 as a sum"])
    scored = score(policy, prompts, tokens, mask, entropy=True)   # log-probabilities, with gradient
"""

from trainer.policy.load import LoraOptions, load_policy
from trainer.policy.model import Policy, encode_messages, encode_prompts, frozen_reference
from trainer.policy.save import exported_weights, save_policy
from trainer.policy.score import Scored, allowed_logits, score

__all__ = [
    "LoraOptions",
    "Policy",
    "Scored",
    "allowed_logits",
    "encode_messages",
    "encode_prompts",
    "exported_weights",
    "frozen_reference",
    "load_policy",
    "save_policy",
    "score",
]
