"""A policy with adapters, and its reference without."""

import pytest

from tests.helpers.tiny_policy import saved
from trainer.policy import LoraOptions, frozen_reference, load_policy


@pytest.fixture
def adapted(tmp_path):
    pytest.importorskip("peft")
    policy = load_policy(saved(tmp_path / "base"), lora=LoraOptions(rank=2))
    return policy, frozen_reference(policy)
