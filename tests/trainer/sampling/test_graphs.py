"""Recorded decoding steps give the samples of plain ones."""

import pytest
import torch

from qdlaws.errors import BadData
from tests.helpers.tiny_policy import KEYS, PROMPTS, same, saved, tiny_policy
from trainer.policy import load_policy, token_log_probs
from trainer.sampling import sample


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("padded", [False, True])
def test_the_step_over_a_static_cache_gives_the_same_samples(kind, padded):
    """The CPU twin of recording: the same step over the static cache, rows leaving, unrecorded."""
    policy = tiny_policy(kind, double=True, spread=3.0)
    prompts = PROMPTS if padded else [[1]] * 8
    plain = sample(policy, prompts, KEYS, limit=20)
    same(policy, sample(policy, prompts, KEYS, limit=20, graphs=True), plain, 1e-10)


def test_a_cache_that_cannot_be_recorded_is_refused_in_one_line():
    with pytest.raises(BadData, match="without graphs"):
        sample(tiny_policy("gemma2"), PROMPTS, KEYS, limit=5, graphs=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("graphs", [False, True])
def test_a_gpu_samples_the_tokens_of_the_cpu(tmp_path, graphs):
    """The same tokens as on a CPU, up to the rare one that rounding tips over."""
    saved(tmp_path)
    cpu, gpu = (load_policy(tmp_path, device=device) for device in ("cpu", "cuda"))
    plain = sample(cpu, PROMPTS, KEYS, limit=20)
    drawn = sample(gpu, PROMPTS, KEYS, limit=20, graphs=graphs)
    assert sum(a != b for a, b in zip(plain.texts(cpu), drawn.texts(gpu), strict=True)) <= 1
    scored = token_log_probs(gpu, PROMPTS, drawn.tokens, drawn.mask, entropy=True)
    torch.testing.assert_close(drawn.logp, scored.logp, atol=1e-4, rtol=0)
    torch.testing.assert_close(drawn.entropy, scored.entropy, atol=1e-4, rtol=0)
