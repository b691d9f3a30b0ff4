"""Tensors that are spread over processes, each process's part in a file of its own.

By torch.distributed.checkpoint in its safetensors form: nothing is gathered, and nothing that is
read back is a pickle. Any number of processes, one included, reads what any number has written; the
same number reads back the same bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qdlaws.errors import BadLog, QdlawsError

__all__ = ["has_parts", "load_parts", "part_shapes", "save_parts"]

PATTERN = "shard-*.safetensors"


def has_parts(folder: Path) -> bool:
    """Whether the folder holds tensors in parts."""
    return any(folder.glob(PATTERN))


def save_parts(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes this process's part of each tensor; every process must call it together."""
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    try:
        with _no_word_of_one_process():
            save(dict(tensors), storage_writer=writer)
    except (CheckpointException, OSError) as error:
        raise QdlawsError(f"cannot save the parts of tensors in {folder}: {_why(error)}") from None


def load_parts(folder: Path, tensors: Mapping[str, Tensor]) -> None:
    """Fills the tensors, spread or whole, in place; every process must call it together."""
    from torch.distributed.checkpoint.api import CheckpointException
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader
    from torch.distributed.checkpoint.state_dict_loader import load

    try:
        with _no_word_of_one_process():
            load(dict(tensors), storage_reader=HuggingFaceStorageReader(str(folder)))
    except (CheckpointException, OSError, RuntimeError, KeyError) as error:
        raise BadLog(f"the parts in {folder} do not fit: {_why(error)}") from None


def part_shapes(folder: Path) -> dict[str, torch.Size]:
    """The shape, as a whole, of each tensor whose parts are in the folder."""
    from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader

    entries: Mapping[str, Any] = (
        HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata
    )
    return {name: entry.size for name, entry in entries.items()}


@contextmanager
def _no_word_of_one_process() -> Iterator[None]:
    """Without the warning that there is one process only, which we know."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*in a single process.*")
        yield


def _why(error: BaseException) -> str:
    """The first line of an error; of one that several processes report, that of the first."""
    failures = getattr(error, "failures", None)
    if failures:
        error = next(iter(failures.values()))[0]
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else repr(error)
