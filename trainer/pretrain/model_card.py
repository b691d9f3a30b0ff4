"""The folder of a prior: fp16 safetensors, tokenizer, prior.json, README.md, seen.npy."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from trainer.pretrain.evaluation import CorpusHashes
from trainer.pretrain.options import PretrainOptions

__all__ = ["read_corpus_hashes", "write_prior"]

BUNDLED = "the molecules of rdkit's wheel (NCI, WEHI)"
PACKAGES = ("qdlaws", "torch", "transformers", "tokenizers", "rdkit", "numpy")


def write_prior(
    out: Path,
    model: Any,
    tokenizer: Any,
    corpus: CorpusHashes,
    options: PretrainOptions,
    sizes: dict[str, int],
    phases: list[dict[str, Any]],
    measures: dict[str, Any],
) -> None:
    """Writes the folder under another name and renames it, so that it is whole or not there.

    The tensors are fp16; the configuration says float32, which is what they are loaded as.
    """
    work = out.with_name(f"{out.name}.writing-{os.getpid()}")
    work.mkdir(parents=True)
    try:
        _save_model(work, model)
        tokenizer.save_pretrained(work)
        np.save(work / "seen.npy", corpus.hashes)
        record = _record(out.name, model, options, sizes, phases, measures)
        (work / "prior.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        (work / "README.md").write_text(_readme(record))
        work.rename(out)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise


def _save_model(folder: Path, model: Any) -> None:
    from safetensors.torch import save_file

    half = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    half.pop("lm_head.weight", None)  # tied to the embeddings
    save_file(half, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.architectures = [type(model).__name__]
    model.config.dtype = "float32"
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors makes files that only their owner can read


def read_corpus_hashes(folder: Path) -> CorpusHashes:
    """The hashes of the corpus that the prior of this folder was trained on."""
    return CorpusHashes(np.load(folder / "seen.npy"))


def _record(
    name: str,
    model: Any,
    options: PretrainOptions,
    sizes: dict[str, int],
    phases: list[dict[str, Any]],
    measures: dict[str, Any],
) -> dict[str, Any]:
    """The making and the quality of a prior, as JSON values."""
    chosen = {k: v for k, v in asdict(options).items() if k not in ("out", "texts")}
    return {
        "name": name,
        "command": options.command(),
        "corpus_of": _source(options),
        "representation": options.representation if options.molecules else "characters",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seed": options.seed,
        "threads": options.threads,
        "corpus": sizes,
        "measured": _plain(measures),
        "phases": [_plain(phase) for phase in phases],
        "options": {k: str(v) if isinstance(v, Path) else v for k, v in chosen.items()},
        "versions": {package: _version(package) for package in PACKAGES},
    }


def _source(options: PretrainOptions) -> str:
    if options.smiles is not None:
        return options.smiles.name
    if options.texts is not None:
        return "texts given from Python"
    return f"task {options.task}" if options.task else BUNDLED


def _plain(measures: dict[str, Any]) -> dict[str, Any]:
    """Estimates as value, standard error and n; an unknown number is None."""
    plain: dict[str, Any] = {}
    for name, value in measures.items():
        if hasattr(value, "to_dict"):
            estimate = value.to_dict()
            plain[name] = {key: estimate[key] for key in ("value", "se", "n", "kind")}
        else:
            plain[name] = value if value == value else None
    return plain


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _readme(record: dict[str, Any]) -> str:
    lines = [
        f"# {record['name']}",
        "",
        f"A Llama of {record['parameters']:,} parameters, trained on {record['corpus_of']}; "
        f"spelled in {record['representation']}.",
    ]
    if record["corpus_of"] == BUNDLED:
        lines += [
            "",
            "It is for demonstrations and teaching: its molecules are small, old-fashioned",
            "screening compounds and their recombinations, not drug-like chemistry.",
        ]
    lines += ["", "Made by", "", f"    {record['command']}", ""]
    lines += ["Measured at temperature 1 on fresh samples, weights as stored (fp16):", ""]
    lines += ["| | value | standard error | n |", "|---|---|---|---|"]
    for name, measured in record["measured"].items():
        error = "unknown" if measured["se"] is None else f"{measured['se']:.4f}"
        lines.append(f"| {name} | {measured['value']:.4f} | {error} | {measured['n']} |")
    sizes = ", ".join(f"{name} {count:,}" for name, count in record["corpus"].items())
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    lines += [
        "",
        f"Examples: {sizes}. `prior.json` has every option and what each phase measured;",
        "`seen.npy` holds 32-bit hashes of what it was trained on.",
        "",
        f"Seed {record['seed']}, {record['threads']} threads; {versions}.",
        "",
    ]
    return "\n".join(lines)
