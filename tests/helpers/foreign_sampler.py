"""Samplers of a user's for the tests: the engine's samples with other log-probabilities."""

from dataclasses import replace

import torch

from trainer.sampling import sample


def rough(policy, prompts, keys, **options):
    """Log-probabilities as another engine would round them, and no entropies."""
    drawn = sample(policy, prompts, keys, **options)
    off = torch.where(drawn.mask, drawn.logp - 0.125, 0.0)
    return replace(drawn, logp=off, entropy=torch.full_like(drawn.entropy, torch.nan))


def silent(policy, prompts, keys, **options):
    """Tokens and nothing else."""
    drawn = rough(policy, prompts, keys, **options)
    return replace(drawn, logp=torch.full_like(drawn.logp, torch.nan))


def short(policy, prompts, keys, **options):
    """One completion too few."""
    return sample(policy, prompts[1:], keys[1:], **options)
