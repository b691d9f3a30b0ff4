"""How fast the sampling engine is beside HF generate, and how near its log-probabilities are.

    python benchmarks/sampling_speed.py [--quick] [--threads 2] [--model FOLDER]

Both sample from the same model, prompts and limit at temperature 1, in turn, each the best of
several rounds by the clock and by the CPU time of this process, which does not see what else the
machine is doing. generate returns tokens only; the engine returns log-probabilities and exact
entropies with them, which would take generate a second pass ("+ score"). The model is a Llama
made to end its completions after 35 to 45 tokens, give or take 15 (printed), in sizes like those
of the bundled priors; ``--model`` takes one of your own instead. The last columns are the largest
gap of the engine's log-probabilities to those of a full forward pass, and the mean over tokens.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from typing import Any

import torch

SIZES = {"215 k": (64, 4, 192), "860 k": (128, 4, 384)}  # width, layers, MLP width
LETTERS, LIMIT = 45, 80


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one model, batch 32, two rounds")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--model", help="a folder of a model and its tokenizer")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rounds = options.rounds or (2 if options.quick else 7)
    batches = (32,) if options.quick else (8, 32, 64, 128)
    print(f"{options.threads} threads, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(
        f"{'model':>7} {'batch':>5} {'tokens':>10} {'ours ms':>8} {'HF ms':>8} {'faster':>7} "
        f"{'by CPU':>7} {'+ score':>8} {'seq/s':>6} {'max |Δ|':>8} {'mean |Δ|':>8}"
    )
    for name, policy in policies(options.model, options.quick):
        for batch in batches:
            row(name, policy, batch, rounds)


def policies(folder: str | None, quick: bool) -> list[tuple[str, Any]]:
    from trainer.policy import load_policy

    if folder:
        return [("given", load_policy(folder, device="cpu"))]
    names = list(SIZES)[:1] if quick else list(SIZES)
    return [(name, chain_policy(*SIZES[name])) for name in names]


def row(name: str, policy: Any, batch: int, rounds: int) -> None:
    from trainer.policy import encode_prompts, token_log_probs
    from trainer.sampling import mismatch, sample

    prompts = encode_prompts(policy, [""] * batch)
    ids = torch.tensor(prompts)
    seen = torch.ones_like(ids)
    closed = (~policy.allowed).nonzero().squeeze(-1).tolist()

    def ours(i: int) -> Any:
        return sample(policy, prompts, [(i, j) for j in range(batch)], limit=LIMIT)

    def theirs(i: int) -> Any:
        torch.manual_seed(i)
        return policy.model.generate(
            input_ids=ids,
            attention_mask=seen,
            do_sample=True,
            max_new_tokens=LIMIT,
            top_k=0,
            top_p=1.0,
            temperature=1.0,
            eos_token_id=policy.eos,
            pad_token_id=policy.pad,
            suppress_tokens=closed,
        )

    def scored(_: int) -> Any:
        with torch.no_grad():
            return token_log_probs(policy, prompts, got.tokens, got.mask, entropy=True)

    got = ours(0)
    theirs(0)
    best = compare([ours, theirs, scored], rounds)
    length, said = got.length.double(), scored(0)
    gap = mismatch(got.logp, said.logp, got.mask)
    wall = [1e3 * w for w, _ in best]
    print(
        f"{name:>7} {batch:5d} {length.mean():5.1f}±{length.std():4.1f} {wall[0]:8.1f} {wall[1]:8.1f} "
        f"{wall[1] / wall[0]:6.2f}× {best[1][1] / best[0][1]:6.2f}× "
        f"{(wall[1] + wall[2]) / wall[0]:7.2f}× {1e3 * batch / wall[0]:6.0f} "
        f"{gap.largest:8.1e} {gap.mean:8.1e}",
        flush=True,
    )


def compare(functions: list[Callable[[int], Any]], rounds: int) -> list[tuple[float, float]]:
    """Best wall and CPU time of each, run in turn."""
    best = [(math.inf, math.inf)] * len(functions)
    for i in range(1, rounds + 1):
        for j, function in enumerate(functions):
            wall, cpu = time.perf_counter(), time.process_time()
            function(i)
            taken = time.perf_counter() - wall, time.process_time() - cpu
            best[j] = min(best[j][0], taken[0]), min(best[j][1], taken[1])
    return best


def chain_policy(width: int, layers: int, mlp: int) -> Any:
    """A Llama that says an alphabet in order, a letter or two skipped, and ends near its last.

    The output layer reads the last token off the embedding, which the residual stream carries
    through all layers; what they add is small noise. So lengths are known without training, and
    every product is as large as in a trained model.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    from trainer.policy.model import make_policy

    config = LlamaConfig(
        vocab_size=LETTERS + 3,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=256,
        initializer_range=0.02,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        basis = torch.linalg.qr(torch.randn(width, width)).Q[: LETTERS + 3]
        model.model.embed_tokens.weight.copy_(basis)
        model.lm_head.weight.copy_(transitions().log().T @ basis / math.sqrt(width))
    return make_policy(model, tokenizer())


def transitions() -> torch.Tensor:
    """Probability of the next token (column) after each (row)."""
    chain = torch.full((LETTERS + 3, LETTERS + 3), 1e-4)
    chain[1, 3:8] = 1.0
    for letter in range(LETTERS):
        here = letter + 3
        chain[here, here] = 0.15
        chain[here, min(here + 1, LETTERS + 2)] += 0.75
        chain[here, min(here + 2, LETTERS + 2)] += 0.1
        chain[here, 2] = 2e-4 * 1.18**letter
    return chain / chain.sum(1, keepdim=True)


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<bos>", "<eos>", *(f"w{i}" for i in range(LETTERS))]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>"
    )


if __name__ == "__main__":
    main()
