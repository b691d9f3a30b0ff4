"""The rollout engine: completions with their exact log-probabilities and entropies.

::

    completions = sample(policy, prompts, keys, limit=64)        # keys[i] alone decides the noise
    reference = sample_generate(policy, prompts, keys, limit=64)  # the same by HF generate
    mismatch(completions.logp, token_log_probs(policy, prompts, ...).logp, completions.mask)

Another engine is plugged in by a function of the type :class:`Sampler`.
"""

from trainer.sampling.completions import Completions, Mismatch, Sampler, mismatch
from trainer.sampling.engine import sample
from trainer.sampling.generate import sample_generate

__all__ = ["Completions", "Mismatch", "Sampler", "mismatch", "sample", "sample_generate"]
