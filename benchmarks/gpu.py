"""Everything that needs a GPU, in order of worth, each part beside its peer in the same process.

    python benchmarks/gpu.py [--minutes 8] [--only trl,sampling] [--device cuda] [--tiny]
    python benchmarks/gpu.py --table

Each part runs in a process of its own with a time limit and writes its rows to ``--out`` (JSON
lines) as they come, so a run may be stopped at any moment and repeated in parts; ``--table`` prints
what there is. A part whose package is not installed is left out and says so. Models have random
weights: speed does not depend on them. ``--device cpu --tiny`` tries the program itself anywhere,
and is a test; its figures mean nothing.

Parts: ``trl`` GRPO steps beside TRL's GRPOTrainer; ``modes`` a step in float32, bfloat16, mixed,
padded, with CUDA graphs, compiled; ``resume`` a run cut short and resumed beside an unbroken one; ``sampling`` beside
HF generate and, where installed, vLLM; ``vllm`` steps with its rollouts; ``rates`` matrix products, memory bandwidth, and the share
of them that a step reaches; ``memory`` the peak of a step; ``lora``; ``ahead`` rollouts one step ahead;
``shard`` FSDP2 on one device and its checkpoint in parts; ``demo`` a law-guided run; ``tests`` those marked gpu.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import trainer_speed

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out" / "benchmarks" / "gpu.jsonl"

NEEDED = ("transformers", "msgspec", "tomli_w", "filelock", "typer", "rich", "pandas")
"""Packages without which the trainer does not start."""

Row = dict[str, Any]
"""what, value, unit, and where there is one: peer, peer_value, note."""


@dataclass(frozen=True)
class Setting:
    """Where the parts run, and whether only to try the program."""

    device: str
    tiny: bool

    @property
    def sizes(self) -> tuple[str, ...]:
        return ("tiny",) if self.tiny else ("860 k", "135 M", "1.5 B")

    @property
    def batch(self) -> tuple[int, int, int]:
        """Prompts, samples of each, longest completion."""
        return (2, 4, 8) if self.tiny else (16, 8, 128)

    @property
    def rounds(self) -> int:
        return 2 if self.tiny else 6


@dataclass(frozen=True)
class Part:
    """A part: its limit in seconds, and the packages without which it is left out."""

    run: Callable[[Setting], Iterator[Row]]
    seconds: int
    needs: tuple[str, ...] = ()


# ---------------------------------------------------------------------- models

SHAPES = {  # vocabulary, width, layers, MLP width, heads, heads of keys and values
    "tiny": (48, 16, 1, 32, 4, 4),
    "860 k": (48, 128, 4, 384, 4, 4),
    "135 M": (49152, 576, 30, 1536, 9, 3),
    "1.5 B": (151936, 1536, 28, 8960, 12, 2),
}


def saved_model(folder: Path, size: str, dtype: torch.dtype = torch.float32) -> Path:
    """A Llama of that shape with random weights and a tokenizer of one word a token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary, width, layers, mlp, heads, shared = SHAPES[size]
    words = ["<pad>", "<bos>", "<eos>", *(f"w{i}" for i in range(vocabulary - 3))]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<pad>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>"
    )
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=shared,
        max_position_embeddings=1024,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
        tie_word_embeddings=vocabulary > 1000,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).to(dtype)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def weights_type(size: str, setting: Setting) -> str:
    """Small models train in float32, large ones in bfloat16."""
    return "bfloat16" if size in ("135 M", "1.5 B") and not setting.tiny else "float32"


def settings_of(setting: Setting, *more: str) -> list[str]:
    prompts, samples, limit = setting.batch
    room = () if setting.device == "cpu" else ("train.micro_tokens=32768",)
    return [
        *room,
        f"policy.device={setting.device}",
        f"train.prompts={prompts}",
        f"train.samples={samples}",
        f"train.limit={limit}",
        *more,
    ]


def seconds_of(steps: list[trainer_speed.Timing]) -> float:
    """The median of the steps' wall clock."""
    return statistics.median(wall for wall, _ in steps)


def our_steps(folder: Path, beta: float, setting: Setting, *more: str) -> float:
    """Seconds of a GRPO step of the trainer."""
    ours = trainer_speed.Ours(folder, beta, *settings_of(setting, *more))
    ours.run(2)
    return seconds_of(ours.run(setting.rounds))


# ---------------------------------------------------------------------- parts


def beside_trl(setting: Setting) -> Iterator[Row]:
    """GRPO steps: the same model, batch, lengths and reward; no KL, as is TRL's default."""
    prompts, samples, limit = setting.batch
    with tempfile.TemporaryDirectory() as scratch:
        for size in setting.sizes[:2]:
            kind = weights_type(size, setting)
            folder = saved_model(Path(scratch) / size.replace(" ", ""), size)
            ours = our_steps(
                folder, 0.0, setting, f"policy.dtype={kind}", *fastest_sampler(setting)
            )
            trl = trainer_speed.Theirs(
                folder,
                0.0,
                setting.rounds + 2,
                Path(scratch) / "trl",
                dtype=getattr(torch, kind),
                use_cpu=setting.device == "cpu",
                bf16=kind == "bfloat16",
                per_device_train_batch_size=prompts * samples,
                num_generations=samples,
                max_completion_length=limit,
            )
            his = seconds_of(trl.run()[2:])
            yield row(f"GRPO step, {size}, {kind}", ours, "s", "TRL", his)


def fastest_sampler(setting: Setting) -> tuple[str, ...]:
    return () if setting.device == "cpu" else ("train.graphs=true",)


def modes(setting: Setting) -> Iterator[Row]:
    """One step in each mode, beside the plain one in float32."""
    with tempfile.TemporaryDirectory() as scratch:
        for size in setting.sizes[:2]:
            folder = saved_model(Path(scratch) / size.replace(" ", ""), size)
            plain = our_steps(folder, 0.04, setting)
            yield row(f"step, {size}, float32", plain, "s")
            for name, changes in {
                "CUDA graphs": ("train.graphs=true",),
                "rows padded": ("train.packed=false",),
                "mixed precision": ("train.precision=bf16",),
                "bfloat16": ("policy.dtype=bfloat16",),
                "bfloat16, CUDA graphs": ("policy.dtype=bfloat16", "train.graphs=true"),
            }.items():
                taken = our_steps(folder, 0.04, setting, *changes)
                yield row(f"step, {size}, {name}", taken, "s", "float32", plain)
            yield row(
                f"step, {size}, compiled", compiled_step(folder, setting), "s", "float32", plain
            )


def compiled_step(folder: Path, setting: Setting) -> float:
    """Seconds of a step whose gradient pass is compiled; the first steps, which compile, aside."""
    ours = trainer_speed.Ours(folder, 0.04, *settings_of(setting))
    model = ours.context.policy.model
    backend = "eager" if setting.tiny else "inductor"
    model.forward = torch.compile(model.forward, dynamic=True, backend=backend)
    ours.run(3)
    return seconds_of(ours.run(setting.rounds))


def resumed(setting: Setting) -> Iterator[Row]:
    """A run cut back to its checkpoint of step 4 and resumed: the same numbers?"""
    from trainer import resume, train
    from trainer.config import Config, with_settings

    with tempfile.TemporaryDirectory() as scratch:
        model = saved_model(Path(scratch) / "model", setting.sizes[0])
        changes = settings_of(
            setting,
            f"policy.model={model}",
            "task=trainer_speed:WordsTask",
            "recipe=grpo",
            "train.steps=8",
            "eval.every=4",
            "eval.samples=16",
            "control.advise=false",
            *fastest_sampler(setting),
        )
        whole, cut = Path(scratch) / "whole", Path(scratch) / "cut"
        train(with_settings(Config(), changes), whole)
        shutil.copytree(whole, cut)
        shutil.rmtree(cut / "checkpoints" / "step-000008")
        (cut / "summary.json").unlink(missing_ok=True)
        resume(cut, trust=True)
        yield row("resumed run, largest difference of a logged number", largest_gap(whole, cut), "")


def largest_gap(one: Path, other: Path) -> float:
    """The largest relative difference of the numbers of two logs, wall clocks left out."""
    gap = 0.0
    lines = [(folder / "metrics.jsonl").read_text().splitlines() for folder in (one, other)]
    if len(lines[0]) != len(lines[1]):
        return math.inf
    for first, second in zip(*lines, strict=True):
        a, b = json.loads(first), json.loads(second)
        for name, value in a.items():
            if isinstance(value, float) and name != "seconds":
                gap = max(gap, abs(value - b[name]) / max(abs(value), 1e-12))
    return gap


def sampling(setting: Setting) -> Iterator[Row]:
    """Completions a second, beside generate; vLLM where it is installed."""
    from trainer.policy import encode_prompts, load_policy
    from trainer.sampling import sample, sample_generate

    limit = setting.batch[2]
    with tempfile.TemporaryDirectory() as scratch:
        for size in setting.sizes:
            kind: Any = weights_type(size, setting)
            folder = saved_model(Path(scratch) / size.replace(" ", ""), size, getattr(torch, kind))
            policy = load_policy(folder, device=setting.device, dtype=kind)
            for batch in (8,) if setting.tiny else (64, 512):
                prompts = encode_prompts(policy, [""] * batch)
                keys = [(0, i) for i in range(batch)]
                generate = partial(sample_generate, policy, prompts, keys, limit=limit)
                engine = partial(sample, policy, prompts, keys, limit=limit)
                peer = timed(generate, setting)
                for graphs in (False, True):
                    taken = timed(partial(engine, graphs=graphs), setting)
                    name = f"{batch} completions, {size}, {kind}" + ", graphs" * graphs
                    yield row(name, taken, "s", "HF generate", peer)
                if find_spec("vllm") and setting.device != "cpu":
                    yield row(
                        f"{batch} completions, {size}, {kind}, graphs",
                        taken,
                        "s",
                        "vLLM",
                        vllm_seconds(folder, batch, limit, kind),
                    )
    if not find_spec("vllm"):
        yield note("vLLM is not installed: not run")


def vllm_seconds(folder: Path, batch: int, limit: int, kind: str) -> float:
    """Seconds of vLLM for as many completions of the same model, warmed up."""
    from vllm import LLM, SamplingParams  # type: ignore[import-not-found, unused-ignore]

    model = LLM(str(folder), dtype=kind, gpu_memory_utilization=0.4)
    wanted = SamplingParams(max_tokens=limit, temperature=1.0, ignore_eos=False)
    model.generate(["<bos>"] * batch, wanted, use_tqdm=False)
    began = time.perf_counter()
    model.generate(["<bos>"] * batch, wanted, use_tqdm=False)
    return time.perf_counter() - began


def timed(run: Callable[[], Any], setting: Setting) -> float:
    """Median seconds of a call, the first left out."""
    run()
    taken = []
    for _ in range(2 if setting.tiny else 3):
        began = trainer_speed.now()
        run()
        taken.append(trainer_speed.since(began))
    return seconds_of(taken)


def rates(setting: Setting) -> Iterator[Row]:
    """Matrix products and copies of this device, and the share of both that the trainer reaches."""
    side, rows = (64, 64) if setting.tiny else (8192, 1 << 15)
    kind = torch.bfloat16 if setting.device != "cpu" else torch.float32
    a, b = (torch.randn(side, side, device=setting.device, dtype=kind) for _ in range(2))
    product = timed(partial(torch.mm, a, b), setting)
    peak = 2 * side**3 / product
    yield row(f"matrix product {side}³, {kind}", peak / 1e12, "TFLOP/s")
    block = torch.randn(rows, 1 << 14 if not setting.tiny else 64, device=setting.device)
    other = torch.empty_like(block)
    copied = timed(partial(other.copy_, block), setting)
    bandwidth = 2 * block.numel() * block.element_size() / copied
    yield row("copy on the device, read and written", bandwidth / 1e9, "GB/s")
    size = setting.sizes[1] if len(setting.sizes) > 1 else setting.sizes[0]
    dtype = weights_type(size, setting)
    with tempfile.TemporaryDirectory() as scratch:
        folder = saved_model(Path(scratch) / "model", size)
        changes = settings_of(setting, f"policy.dtype={dtype}", *fastest_sampler(setting))
        ours = trainer_speed.Ours(folder, 0.0, *changes)
        yield from time_by_part(ours, setting, peak, bandwidth, size)


def time_by_part(
    ours: trainer_speed.Ours, setting: Setting, peak: float, bandwidth: float, size: str
) -> Iterator[Row]:
    """Rollouts and update of a step apart, each with its share of the device's limit."""
    from trainer.training.rollout import collect
    from trainer.training.update import update

    ours.run(2)
    sampled, trained, length = [], [], []
    for step in range(setting.rounds):
        began = trainer_speed.now()
        batch, ours.progress = collect(ours.context, ours.progress)
        sampled.append(trainer_speed.since(began))
        began = trainer_speed.now()
        update(ours.context, batch, ours.progress.knobs, ours.optimizer, step)
        trained.append(trainer_speed.since(began))
        length.append(batch.facts["length"])
    model = ours.context.policy.model
    tokens = statistics.mean(length)
    size_in_bytes = sum(p.numel() * p.element_size() for p in model.parameters())
    prompts, samples, _ = setting.batch
    work = 3 * tokens * prompts * samples * 2 * sum(x * y for x, y in trainer_speed.products(model))
    reading = size_in_bytes * tokens / seconds_of(sampled)
    yield row(
        f"rollouts of a step, {size}",
        seconds_of(sampled),
        "s",
        note=f"weights read at {reading / bandwidth:.0%} of the copying rate",
    )
    yield row(
        f"update of a step, {size}",
        seconds_of(trained),
        "s",
        note=f"{work / seconds_of(trained) / peak:.1%} of the matrix product's rate",
    )


def memory(setting: Setting) -> Iterator[Row]:
    """Peak memory of a step on the device, above weights, gradients and optimizer state."""
    if setting.device == "cpu":
        yield note("peak memory is read on CUDA only; trainer_speed.py --memory has the CPU's")
        return
    with tempfile.TemporaryDirectory() as scratch:
        for size in setting.sizes[:2]:
            kind = weights_type(size, setting)
            folder = saved_model(Path(scratch) / size.replace(" ", ""), size)
            peaks = []
            for which in ("ours", "trl") if find_spec("trl") else ("ours",):
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats()
                if which == "ours":
                    our_steps(folder, 0.0, setting, f"policy.dtype={kind}")
                else:
                    prompts, samples, limit = setting.batch
                    trainer_speed.Theirs(
                        folder,
                        0.0,
                        3,
                        Path(scratch) / "trl",
                        dtype=getattr(torch, kind),
                        use_cpu=False,
                        bf16=kind == "bfloat16",
                        per_device_train_batch_size=prompts * samples,
                        num_generations=samples,
                        max_completion_length=limit,
                    ).run()
                peaks.append(torch.cuda.max_memory_allocated() / 2**20)
            peer = ("TRL", peaks[1]) if len(peaks) > 1 else (None, None)
            yield row(f"peak memory of a step, {size}, {kind}", peaks[0], "MiB", *peer)


def vllm_steps(setting: Setting) -> Iterator[Row]:
    """GRPO steps with rollouts by vLLM, weights given in place, beside the engine's."""
    size = setting.sizes[min(1, len(setting.sizes) - 1)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = saved_model(Path(scratch) / "model", size)
        kind = f"policy.dtype={weights_type(size, setting)}"
        engine = our_steps(folder, 0.0, setting, kind)
        ours = trainer_speed.Ours(folder, 0.0, *settings_of(setting, kind, "train.sampler=vllm"))
        ours.run(2)
        taken = seconds_of(ours.run(setting.rounds))
        yield row(f"step with vLLM's rollouts, {size}", taken, "s", "the engine", engine)
        yield row("log-probabilities beside the trainer's", ours.mismatch, "mean difference")


def lora(setting: Setting) -> Iterator[Row]:
    """A step that trains adapters, beside one that trains all weights."""
    size = setting.sizes[min(1, len(setting.sizes) - 1)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = saved_model(Path(scratch) / "model", size)
        kind = f"policy.dtype={weights_type(size, setting)}"
        full = our_steps(folder, 0.0, setting, kind)
        adapters = our_steps(folder, 0.0, setting, kind, "policy.lora_rank=8")
        yield row(f"step with LoRA of rank 8, {size}", adapters, "s", "all weights", full)


def ahead(setting: Setting) -> Iterator[Row]:
    """Steps whose rollouts are drawn while the policy learns, beside one after the other."""
    from trainer import train
    from trainer.config import Config, with_settings

    size = setting.sizes[min(1, len(setting.sizes) - 1)]
    steps = 4 if setting.tiny else 8
    seconds: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        model = saved_model(Path(scratch) / "model", size)
        for value in (0, 1):
            changes = settings_of(
                setting,
                f"policy.model={model}",
                f"policy.dtype={weights_type(size, setting)}",
                "task=trainer_speed:WordsTask",
                "recipe=grpo",
                f"train.steps={steps}",
                f"eval.every={steps}",
                "eval.samples=16",
                "control.advise=false",
                f"train.ahead={value}",
            )
            run = Path(scratch) / f"run-{value}"
            train(with_settings(Config(), changes), run)
            lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
            taken = [line["seconds"] for line in lines if line["phase"] == "train"]
            seconds[value] = statistics.median(taken[1:])
    yield row(
        f"step with rollouts ahead, {size}", seconds[1], "s", "one after the other", seconds[0]
    )


def sharded(setting: Setting) -> Iterator[Row]:
    """FSDP2 over a group of one: the loss and gradient of the plain model, and its checkpoint."""
    import torch.distributed as dist
    from transformers import AutoModelForCausalLM

    from trainer.distributed.sharding import is_sharded, plain, shard
    from trainer.distributed.tensor_parts import load_parts, save_parts
    from trainer.distributed.world import World

    with tempfile.TemporaryDirectory() as scratch:
        folder = saved_model(Path(scratch) / "model", setting.sizes[0])
        backend = "gloo" if setting.device == "cpu" else "nccl"
        store = f"file://{scratch}/group"
        dist.init_process_group(backend, init_method=store, rank=0, world_size=1)
        try:
            ids = torch.randint(3, 40, (4, 12), device=setting.device)
            results = []
            for spread in (False, True):
                model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
                model = model.to(setting.device)
                if spread:
                    shard(model, World(), setting.device)
                    assert is_sharded(model)
                loss = model(input_ids=ids, labels=ids).loss
                loss.backward()
                gradient = [plain(p.grad) for p in model.parameters() if p.grad is not None]
                results.append((loss.item(), torch.cat([g.flatten() for g in gradient])))
            (one, grad), (two, spread_grad) = results
            gap = (grad - spread_grad).abs().max() / grad.abs().max()
            yield row("FSDP2, loss beside the plain model", abs(one - two), "difference")
            yield row("FSDP2, gradient beside the plain model", gap.item(), "relative difference")
            state = model.state_dict()
            kept = [plain(weight).clone() for weight in state.values()]
            save_parts(Path(scratch) / "parts", state)
            with torch.no_grad():
                for weight in model.parameters():
                    weight.zero_()
            load_parts(Path(scratch) / "parts", state)
            gaps = [
                (plain(new) - old).abs().max().item()
                for new, old in zip(model.state_dict().values(), kept, strict=True)
            ]
            yield row("FSDP2, a checkpoint in parts read back", max(gaps), "difference")
        finally:
            dist.destroy_process_group()


def demo(setting: Setting) -> Iterator[Row]:
    """A law-guided run on the bundled arithmetic prior, and on molecules where rdkit is there."""
    from trainer import load_config, train

    steps = 2 if setting.tiny else 120
    runs = {"arithmetic": "diversity of answers held"}
    if find_spec("rdkit") and not setting.tiny:
        runs["guided"] = "diversity of molecules held"
    for name, words in runs.items():
        with tempfile.TemporaryDirectory() as scratch:
            changes = [f"train.steps={steps}", f"policy.device={setting.device}"]
            if name == "arithmetic":
                changes += ["recipe.name=rloo", "control.name=law_guided", "recipe.kl=0.05"]
                changes += ["control.min_diversity=0.8"]
            if setting.tiny:
                changes += ["eval.samples=16", "eval.prompts=4", "eval.every=1"]
                changes += ["train.prompts=2", "train.samples=2"]
            began = time.perf_counter()
            outcome = train(load_config(name, changes), Path(scratch) / "run")
            taken = time.perf_counter() - began
            last = json.loads((outcome.folder / "metrics.jsonl").read_text().splitlines()[-1])
            yield row(
                f"{name}, {words}, {steps} steps",
                taken,
                "s",
                note=f"R {last.get('quality', math.nan):.3f}, D {last.get('diversity') or 0:.3f}",
            )
    if not find_spec("rdkit"):
        yield note("rdkit is not installed: the molecules were left out")


def marked_tests(setting: Setting) -> Iterator[Row]:
    """The tests marked gpu."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/trainer"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    last = (done.stdout.strip().splitlines() or ["no output"])[-1]
    yield row(
        "tests marked gpu", float(done.returncode), "exit status", note=" ".join(last.split())
    )


PARTS: dict[str, Part] = {
    "trl": Part(beside_trl, 120, ("trl", "datasets")),
    "modes": Part(modes, 120),
    "resume": Part(resumed, 60),
    "sampling": Part(sampling, 150),
    "vllm": Part(vllm_steps, 150, ("vllm",)),
    "rates": Part(rates, 60),
    "memory": Part(memory, 60),
    "lora": Part(lora, 60, ("peft",)),
    "ahead": Part(ahead, 60),
    "shard": Part(sharded, 40),
    "demo": Part(demo, 150, ("numba", "pandas")),
    "tests": Part(marked_tests, 90, ("pytest",)),
}


# ---------------------------------------------------------------------- rows and tables


def row(
    what: str,
    value: float,
    unit: str,
    peer: str | None = None,
    peer_value: float | None = None,
    note: str = "",
) -> Row:
    return {
        "what": what,
        "value": value,
        "unit": unit,
        "peer": peer,
        "peer_value": peer_value,
        "note": note,
    }


def note(words: str) -> Row:
    """A row without a number."""
    return {"what": words, "value": None, "unit": "", "peer": None, "peer_value": None, "note": ""}


def machine(device: str) -> str:
    """Device and versions."""
    import transformers

    name = platform.processor() or platform.machine()
    if device.startswith("cuda"):
        name = torch.cuda.get_device_name()
    return (
        f"{name}, {time.strftime('%d %B %Y')}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, Python {platform.python_version()}"
    )


def append(out: Path, part: str, rows: Row) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"part": part, **rows}) + "\n")
    print(f"{part:>9}  {in_words(rows)}", flush=True)


def in_words(rows: Row) -> str:
    if rows["value"] is None:
        return str(rows["what"])
    words = f"{rows['what']}: {rows['value']:.4g} {rows['unit']}"
    if rows["peer_value"]:
        words += f"; {rows['peer']} {rows['peer_value']:.4g}, {ratio(rows)} ×"
    return words + (f"; {rows['note']}" if rows["note"] else "")


def ratio(rows: Row) -> str:
    """How many times less than the peer."""
    value, peer = rows["value"], rows["peer_value"]
    return f"{peer / value:.2f}" if value and peer else ""


def table(out: Path) -> str:
    """All rows as Markdown; of a part that was run again the newest ones."""
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    newest: dict[str, list[Row]] = {}
    for each in lines:
        if each.get("begins"):
            newest[each["part"]] = []
        else:
            newest.setdefault(each["part"], []).append(each)
    text = ["| part | what | ours | unit | peer | of the peer | peer ÷ ours | |"]
    text.append("|---|---|---|---|---|---|---|---|")
    for part, rows in newest.items():
        for each in rows:
            value = "" if each["value"] is None else f"{each['value']:.4g}"
            peer = "" if each["peer_value"] is None else f"{each['peer_value']:.4g}"
            cells = [part, each["what"], value, each["unit"], each["peer"] or "", peer]
            text.append(f"| {' | '.join([*cells, ratio(each), each['note']])} |")
    return "\n".join(text)


# ---------------------------------------------------------------------- the program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--only", help=f"parts, with commas: {','.join(PARTS)}")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tiny", action="store_true", help="try the program; figures mean nothing")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--table", action="store_true", help="print what there is, and end")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    setting = Setting(options.device, options.tiny)
    if options.part:
        for each in PARTS[options.part].run(setting):
            append(options.out, options.part, each)
        return
    if options.table:
        print(table(options.out))
        return
    absent = [package for package in NEEDED if find_spec(package) is None]
    if absent:
        parser.error(f"{', '.join(absent)} not installed: make gpu WHEELS=folder brings them")
    if options.device == "cpu" and not options.tiny:
        parser.error("no CUDA device was found; --device cpu --tiny tries the program")
    names = options.only.split(",") if options.only else list(PARTS)
    unknown = [name for name in names if name not in PARTS]
    if unknown:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    print(machine(options.device))
    run_parts(names, options, time.monotonic() + 60 * options.minutes)
    print()
    print(machine(options.device) + "\n")
    print(table(options.out))


def run_parts(names: list[str], options: argparse.Namespace, end: float) -> None:
    """Each part in a process of its own, as long as there is time."""
    for name in names:
        part = PARTS[name]
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"part": name, "begins": True}) + "\n")
        missing = [package for package in part.needs if find_spec(package) is None]
        if missing:
            append(options.out, name, note(f"left out: {', '.join(missing)} is not installed"))
            continue
        left = end - time.monotonic()
        if left < 10:
            append(options.out, name, note("left out: no time was left"))
            continue
        command = [sys.executable, __file__, "--part", name, "--device", options.device]
        command += ["--out", str(options.out), *(["--tiny"] if options.tiny else [])]
        try:
            done = subprocess.run(
                command, timeout=min(part.seconds, left), stderr=subprocess.PIPE, text=True
            )
        except subprocess.TimeoutExpired as stopped:
            append(options.out, name, note(f"stopped after {stopped.timeout:.0f} s"))
            continue
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            append(options.out, name, note(f"failed: {last[:300]}"))
            print(done.stderr[-2000:], file=sys.stderr)


if __name__ == "__main__":
    main()
