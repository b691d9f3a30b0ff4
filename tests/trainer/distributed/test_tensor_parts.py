"""Tensors in parts: what was written comes back, and damage is told in one line.

Several processes write and read them in test_processes.py.
"""

import pytest
import torch

from qdlaws.errors import BadLog
from trainer.distributed.tensor_parts import has_parts, load_parts, part_shapes, save_parts


@pytest.fixture
def tensors():
    return {
        "model.a": torch.arange(12.0, dtype=torch.float64).view(4, 3),
        "model.b": torch.ones(5, dtype=torch.bfloat16),
        "optimizer.0.step": torch.tensor(7.0),
    }


def test_tensors_come_back_with_their_types_and_shapes(tensors, tmp_path):
    assert not has_parts(tmp_path)
    save_parts(tmp_path, tensors)
    assert has_parts(tmp_path)
    assert part_shapes(tmp_path) == {name: value.shape for name, value in tensors.items()}
    empty = {name: torch.zeros_like(value) for name, value in tensors.items()}
    load_parts(tmp_path, empty)
    for name, value in tensors.items():
        assert torch.equal(empty[name], value), name


@pytest.mark.parametrize("damage", ["shape", "name", "file"])
def test_parts_that_do_not_fit_are_refused_in_one_line(damage, tensors, tmp_path):
    save_parts(tmp_path, tensors)
    wanted = {"model.a": torch.zeros(4, 3, dtype=torch.float64)}
    if damage == "shape":
        wanted = {"model.a": torch.zeros(5, 3, dtype=torch.float64)}
    elif damage == "name":
        wanted = {"model.c": torch.zeros(1)}
    else:
        next(tmp_path.glob("*.safetensors")).write_bytes(b"no tensors")
    with pytest.raises(BadLog, match="do not fit") as error:
        load_parts(tmp_path, wanted)
    assert "\n" not in str(error.value)
