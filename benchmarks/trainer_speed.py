"""GRPO steps of the trainer beside TRL's GRPOTrainer: same model, batch, lengths and reward.

    python benchmarks/trainer_speed.py [--quick] [--threads 1] [--rounds 4] [--steps 4] [--lengths]
    python benchmarks/trainer_speed.py --memory
    python benchmarks/trainer_speed.py --parts FOLDER     # the time of each part, of a model there

Both do whole optimizer steps in this process, in turns: sampling of 128 completions (16 groups of
8), the reward (one Python function), advantages, the gradient, AdamW. Once without a KL term, as
is TRL's default, and once with β = 0.04, where both ask a frozen reference. The model is the Llama
of ``sampling_speed.py``, whose completions end after 40 tokens or so without training; the learning
rate is so small that they stay there. TRL runs in float32 on the CPU without gradient
checkpointing: HF ``generate``, no padding beyond the longest completion. With
``--lengths`` the 16 prompts have 8 to 64 tokens each, which are not counted in "of matmul".

Every step is timed by the clock and by the CPU time of this process, which does not see what else
the machine is doing; tables give medians over steps. "Of matmul" is the floating-point operations
of the model's matrix products per second as a share of what this machine's matrix products do in
the same run: at 1024³, and at the shapes of the model itself. Memory is the peak of a process of
its own for each (``VmHWM``), and how much of it came after the imports: for the small models, and
for one of the shape of SmolLM2-135M with random weights (batch 32, 32 tokens), of which what comes
above weights, gradients and the optimizer's state is told as well.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Hashable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from sampling_speed import LETTERS, LIMIT, SIZES, chain_policy, compare

PROMPTS, SAMPLES = 16, 8
BATCH = PROMPTS * SAMPLES
RATE = 1e-6
BETAS = (0.0, 0.04)
LENGTHS = tuple(range(8, 65, 8)) * 2
"""Tokens of each of the 16 prompts where they differ."""
LARGE = "135 M"
FEW_PROMPTS, FEW_TOKENS = 4, 32
"""Of the large model's steps, 8 completions each."""

Timing = tuple[float, float]  # wall, CPU: seconds of a step


def reward(text: str) -> float:
    """Different words as a share of all, cheap to compute."""
    words = text.split()
    return len(set(words)) / max(len(words), 1)


class WordsTask:
    """The same prompt many times; the reward above."""

    name = "words"

    def __init__(self, lengths: bool = False) -> None:
        from trainer.types import Traits

        self.traits = Traits(self.name, True, False, 0.0, 1.0, True)
        self.lengths = lengths

    def prompts(self, split: str = "train") -> Sequence[Any]:
        """As many as a step may ask."""
        from trainer import Prompt

        return [Prompt(i, text) for i, text in enumerate(prompt_texts(self.lengths))]

    def score(self, prompts: Sequence[Any], texts: Sequence[str]) -> Any:
        """The reward of each text."""
        import numpy as np

        from trainer import Scores

        return Scores(np.array([reward(t) for t in texts]), np.ones(len(texts), bool))

    def keys(self, prompts: Sequence[Any], texts: Sequence[str]) -> list[Hashable | None]:
        """A text means itself."""
        return list(texts)

    def measure(self, prompts: Sequence[Any], texts: Sequence[str]) -> dict[str, Any]:
        """Nothing: no evaluation is made here."""
        return {}

    def corpus(self, n: int, seed: int) -> list[tuple[str, str]]:
        """Nothing to learn from."""
        return []

    def close(self) -> None:
        """Nothing to give back."""


class LengthsTask(WordsTask):
    """The same reward for prompts of different lengths."""

    def __init__(self) -> None:
        super().__init__(lengths=True)


def prompt_texts(lengths: bool) -> list[str]:
    """The prompts of a step without BOS: empty ones, or words of the chain that end in its first."""
    if not lengths:
        return [""] * PROMPTS
    return [
        " ".join([*(f"w{(7 * i + k) % LETTERS}" for k in range(length - 2)), "w0"])
        for i, length in enumerate(LENGTHS)
    ]


class Ours:
    """Steps of the trainer's own loop, without its files."""

    def __init__(self, folder: Path, beta: float, *changes: str) -> None:
        from trainer.config import Config, with_settings
        from trainer.distributed.world import World
        from trainer.training.setup import make_context, start
        from trainer.training.update import make_optimizer

        settings = [
            f"policy.model={folder}",
            "policy.device=cpu",
            "task=trainer_speed:WordsTask",
            "recipe=grpo",
            f"recipe.kl={beta}",
            f"train.prompts={PROMPTS}",
            f"train.samples={SAMPLES}",
            f"train.limit={LIMIT}",
            f"train.lr={RATE}",
            "train.packed=true",
            *changes,
        ]
        self.context = make_context(with_settings(Config(), settings), World())
        self.optimizer = make_optimizer(self.context)
        self.progress = start(self.context)
        self.step = 0
        self.length: list[float] = []
        self.mismatch = float("nan")

    def run(self, steps: int) -> list[Timing]:
        """Wall and CPU time of each."""
        from trainer.training.rollout import collect
        from trainer.training.update import update

        taken = []
        for _ in range(steps):
            began = now()
            batch, self.progress = collect(self.context, self.progress)
            figures = update(self.context, batch, self.progress.knobs, self.optimizer, self.step)
            self.mismatch = figures.get("mismatch", float("nan"))
            taken.append(since(began))
            self.step += 1
            self.length.append(batch.facts["length"])
        return taken


class Theirs:
    """Steps of TRL's GRPOTrainer, timed from the beginning of a step to its end."""

    def __init__(
        self,
        folder: Path,
        beta: float,
        steps: int,
        scratch: Path,
        dtype: torch.dtype = torch.float32,
        lengths: bool = False,
        **changes: Any,
    ) -> None:
        from datasets import Dataset
        from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
        from transformers.trainer_callback import PrinterCallback
        from trl import GRPOConfig, GRPOTrainer

        taken, self.length = [], []
        self.taken = taken

        class Clock(TrainerCallback):
            def on_step_begin(self, *args: Any, **kwargs: Any) -> None:
                self.began = now()

            def on_step_end(self, *args: Any, **kwargs: Any) -> None:
                taken.append(since(self.began))

        def rewards(completions: list[str], completion_ids: Any, **_: Any) -> list[float]:
            self.length.append(sum(map(len, completion_ids)) / len(completions))
            return [reward(text) for text in completions]

        options: dict[str, Any] = {
            "use_cpu": True,
            "bf16": False,
            "gradient_checkpointing": False,
            "per_device_train_batch_size": BATCH,
            "num_generations": SAMPLES,
            "max_completion_length": LIMIT,
            **changes,
        }
        config = GRPOConfig(
            output_dir=str(scratch),
            max_steps=steps,
            beta=beta,
            loss_type="grpo",
            temperature=1.0,
            top_k=0,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            max_grad_norm=1.0,
            logging_strategy="no",
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            **options,
        )
        batch = options["per_device_train_batch_size"]
        prompts = prompt_texts(True) if lengths else [""] * batch
        rows = [{"prompt": f"<bos> {text}".strip()} for text in prompts]
        self.trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(folder, dtype=dtype),
            reward_funcs=rewards,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(folder, padding_side="left"),
            callbacks=[Clock()],
        )
        self.trainer.remove_callback(PrinterCallback)

    def run(self) -> list[Timing]:
        """Wall and CPU time of the steps that the configuration names."""
        self.taken.clear()
        self.trainer.train()
        return list(self.taken)


def now() -> Timing:
    """Wall clock and CPU time, after what a GPU was given is done."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def since(began: Timing) -> Timing:
    """What has passed of both."""
    ended = now()
    return ended[0] - began[0], ended[1] - began[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the small model, two rounds")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a round, each")
    parser.add_argument(
        "--lengths", action="store_true", help="prompts of 8 to 64 tokens instead of none"
    )
    parser.add_argument("--memory", action="store_true", help="the table of memory alone")
    parser.add_argument("--parts", type=Path, help="a model's folder: time by part, no peer")
    parser.add_argument("--only", choices=("ours", "trl"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--beta", type=float, default=0.0, help=argparse.SUPPRESS)
    parser.add_argument("--large", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only:
        memory_of(options.only, options.folder, options.beta, options.large)
        return
    if options.parts:
        parts_table(options.parts, options.rounds or 2)
        return
    rounds = options.rounds or (2 if options.quick else 4)
    sizes = list(SIZES)[:1] if options.quick else list(SIZES)
    with tempfile.TemporaryDirectory() as scratch:
        models = {name: save_model(Path(scratch) / name.replace(" ", ""), name) for name in sizes}
        print(
            f"batch {BATCH}, {options.threads} threads, load {os.getloadavg()[0]:.1f} on ", end=""
        )
        print(f"{os.cpu_count()} cores, torch {torch.__version__}\n")
        if not options.memory:
            steps_table(models, rounds, options.steps, Path(scratch), options.lengths)
            sampling_table(models, 2 if options.quick else 5)
        else:
            memory_table(models, options.threads)
            if not options.quick:
                large_memory_table(Path(scratch), options.threads)


def save_model(folder: Path, size: str) -> Path:
    """The chain model of this size with its tokenizer, as both libraries load it."""
    policy = chain_policy(*SIZES[size])
    policy.model.save_pretrained(folder)
    policy.tokenizer.save_pretrained(folder)
    return folder


# ---------------------------------------------------------------------- steps


def steps_table(
    models: dict[str, Path], rounds: int, steps: int, scratch: Path, lengths: bool
) -> None:
    """Sequences per second of whole steps, and the share of the machine's matrix products."""
    print("Whole GRPO steps, sequences per second (by CPU time; by the clock)")
    print(
        f"{'model':>7} {'β':>5} {'tokens':>11} {'ours':>12} {'TRL':>12} {'ratio CPU':>10} "
        f"{'ratio wall':>10} {'GFLOP/s':>8} {'of 1024³':>9} {'of its own shapes':>18}"
    )
    task = ("task=trainer_speed:LengthsTask",) if lengths else ()
    for name, folder in models.items():
        for beta in BETAS:
            ours = Ours(folder, beta, *task)
            trl = Theirs(folder, beta, steps + 1, scratch / "trl", lengths=lengths)
            ours.run(1)
            mine: list[Timing] = []
            his: list[Timing] = []
            for _ in range(rounds):
                mine += ours.run(steps)
                his += trl.run()[1:]  # the first step of a training warms up
            print_steps(name, beta, (ours, mine), (trl, his))


def print_steps(name: str, beta: float, ours: tuple[Ours, Any], trl: tuple[Theirs, Any]) -> None:
    """One line of the table."""
    mine, his = middle(ours[1]), middle(trl[1])
    length = statistics.mean(ours[0].length)
    work = flops(ours[0].context.policy.model, length, beta)
    rate = work * BATCH / mine[1] / 1e9
    large, own = matmul_rates(ours[0].context.policy.model, length)
    print(
        f"{name:>7} {beta:5.2f} {length:5.1f}/{statistics.mean(trl[0].length):5.1f} "
        f"{BATCH / mine[1]:5.0f}; {BATCH / mine[0]:5.0f} {BATCH / his[1]:5.0f}; "
        f"{BATCH / his[0]:5.0f} {his[1] / mine[1]:9.2f}× {his[0] / mine[0]:9.2f}× "
        f"{rate:8.2f} {rate / large:9.1%} {rate / own:18.1%}",
        flush=True,
    )


def middle(taken: Sequence[Timing]) -> Timing:
    """Medians of wall and CPU time."""
    walls, cpus = zip(*taken, strict=True)
    return statistics.median(walls), statistics.median(cpus)


def products(model: Any) -> list[tuple[int, int]]:
    """(in, out) of every matrix product that a token goes through."""
    return [(m.in_features, m.out_features) for m in model.modules() if hasattr(m, "in_features")]


def flops(model: Any, length: float, beta: float) -> float:
    """Operations of the matrix products of one sequence in one step; attention is left out.

    Sampling reads every token once, a reference once more, the gradient three times.
    """
    passes = 1 + (beta > 0) + 3
    return passes * length * sum(2 * a * b for a, b in products(model))


def matmul_rates(model: Any, length: float) -> tuple[float, float]:
    """GFLOP/s by CPU time: at 1024³, and over the model's own products at the update's rows."""
    rows = int(BATCH * length)

    def large(_: int) -> Any:
        return torch.mm(big, big)

    def own(_: int) -> Any:
        return [torch.mm(x, w) for x, w in pairs]

    big = torch.randn(1024, 1024)
    pairs = [(torch.randn(rows, a), torch.randn(a, b)) for a, b in products(model)]
    (_, first), (_, second) = compare([large, own], 5)
    work = sum(2 * rows * a * b for a, b in products(model))
    return 2 * 1024**3 / first / 1e9, work / second / 1e9


# ---------------------------------------------------------------------- time by part


def parts_table(folder: Path, rounds: int) -> None:
    """CPU seconds of each part of a step: 32 completions of at most 32 tokens, four prompts."""
    from dataclasses import replace

    from trainer.policy import encode_prompts, frozen_reference, load_policy
    from trainer.policy.model import narrowed_reference

    texts = ["Write a story about a cat.", "Why is the sky blue?", "Name a colour.", "Add 2 and 3."]
    names = ("sampling", "reference", "gradient", "optimizer")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, torch {torch.__version__}")
    print(f"{'precision':>10} {'rows':>7} " + " ".join(f"{name:>10}" for name in names))
    for products in (None, torch.bfloat16):
        for packed in (False, True):
            policy = replace(load_policy(folder, device="cpu"), products=products, packed=packed)
            reference = narrowed_reference(frozen_reference(policy))
            prompts = encode_prompts(policy, [text for text in texts for _ in range(8)])
            optimizer = torch.optim.AdamW(policy.model.parameters(), lr=RATE)
            best = [float("inf")] * 4
            for i in range(rounds):
                taken = parts_of_step(policy, reference, prompts, optimizer, i)
                best = [min(pair) for pair in zip(best, taken, strict=True)]
            cells = " ".join(f"{seconds:10.2f}" for seconds in best)
            kind = "float32" if products is None else "bf16"
            print(f"{kind:>10} {'packed' if packed else 'padded':>7} {cells}", flush=True)


def parts_of_step(
    policy: Any, reference: Any, prompts: list[list[int]], optimizer: Any, number: int
) -> list[float]:
    """CPU seconds of sampling, the reference's pass, the gradient and the optimizer."""
    from trainer.policy import token_log_probs
    from trainer.sampling import sample

    keys = [(number, row) for row in range(len(prompts))]
    marks = [time.process_time()]
    drawn = sample(policy, prompts, keys, limit=32)
    marks.append(time.process_time())
    token_log_probs(reference, prompts, drawn.tokens, drawn.mask)
    marks.append(time.process_time())
    scored = token_log_probs(policy, prompts, drawn.tokens, drawn.mask)
    (scored.logp * RATE).sum().backward()
    marks.append(time.process_time())
    optimizer.step()
    optimizer.zero_grad()
    marks.append(time.process_time())
    return [after - before for before, after in pairwise(marks)]


# ---------------------------------------------------------------------- sampling, memory


def sampling_table(models: dict[str, Path], rounds: int) -> None:
    """The engine beside HF generate at batch 64, as in sampling_speed.py."""
    from sampling_speed import row

    from trainer.policy import load_policy

    print("\nSampling alone, batch 64 (columns as in sampling_speed.py)")
    for name, folder in models.items():
        row(name, load_policy(folder, device="cpu"), 64, rounds)


def memory_table(models: dict[str, Path], threads: int) -> None:
    """Peak memory of five steps in a process of their own."""
    print("\nPeak memory, MiB (and what came after the imports)")
    print(f"{'model':>7} {'β':>5} {'ours':>14} {'TRL':>14}")
    for name, folder in models.items():
        for beta in BETAS:
            cells = []
            for which in ("ours", "trl"):
                command = [sys.executable, __file__, "--only", which, "--folder", str(folder)]
                command += ["--beta", str(beta), "--threads", str(threads)]
                peak, before = measured_memory(command)
                cells.append(f"{peak:6.0f} ({peak - before:5.0f})")
            print(f"{name:>7} {beta:5.2f} {cells[0]:>14} {cells[1]:>14}", flush=True)


def large_memory_table(scratch: Path, threads: int) -> None:
    """The same of two steps of a model of 135 million weights."""
    from gpu import saved_model

    folder = saved_model(scratch / "large", LARGE)
    weights = (folder / "model.safetensors").stat().st_size / 2**20
    print(f"\n{LARGE}, float32; above the imports and 16 bytes a weight in brackets", flush=True)
    for beta in BETAS:
        cells = []
        floor = (4 if not beta else 5) * weights  # weights, gradients, AdamW; the reference
        for which in ("ours", "trl"):
            command = [sys.executable, __file__, "--only", which, "--folder", str(folder)]
            command += ["--beta", str(beta), "--threads", str(threads), "--large"]
            peak, before = measured_memory(command)
            cells.append(f"{peak:6.0f} ({peak - before - floor:5.0f})")
        print(f"{LARGE:>7} {beta:5.2f} {cells[0]:>14} {cells[1]:>14}", flush=True)


def measured_memory(command: list[str]) -> tuple[float, float]:
    """The peak of a process that measures itself, and its level after the imports, MiB."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    peak, before = json.loads(done.stdout.splitlines()[-1])
    return peak, before


def memory_of(which: str, folder: Path, beta: float, large: bool) -> None:
    """Prints the peak and the level after the imports, MiB, of five steps; two of a large model."""
    if which == "ours":
        import trainer.training.setup
        import trainer.training.update

        _ = trainer.training.setup, trainer.training.update
        from transformers import LlamaForCausalLM  # the class that from_pretrained imports
    else:
        from transformers import LlamaForCausalLM
        from trl import GRPOTrainer

        _ = GRPOTrainer
    _ = LlamaForCausalLM
    before = peak_memory()
    with tempfile.TemporaryDirectory() as scratch:
        if which == "ours":
            few = (f"train.prompts={FEW_PROMPTS}", f"train.limit={FEW_TOKENS}") if large else ()
            Ours(folder, beta, *few).run(2 if large else 5)
        else:
            fewer: dict[str, Any] = {}
            if large:
                fewer["per_device_train_batch_size"] = FEW_PROMPTS * SAMPLES
                fewer["max_completion_length"] = FEW_TOKENS
            Theirs(folder, beta, 2 if large else 5, Path(scratch), **fewer).run()
    print(json.dumps([peak_memory(), before]))


def peak_memory() -> float:
    """MiB that this process has held at most.

    From Linux's own count of it, where there is one: ``ru_maxrss`` of a child begins at what its
    parent held when it was started.
    """
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else []:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
