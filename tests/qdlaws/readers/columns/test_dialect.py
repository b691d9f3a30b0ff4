"""A tool is recognised by two marks; a KL by the policy on its other side."""

from __future__ import annotations

import pytest

from qdlaws.readers.columns.dialect import PRIOR, kl_kind, to_reference
from qdlaws.readers.columns.tool_names import DIALECTS, PLAIN, dialect_of


@pytest.mark.parametrize(
    "name",
    ["actor/pg_loss", "reward_std", "train/entropy_loss", "optim/lr", "system/step", "val-core/x"],
)
def test_one_mark_does_not_make_a_dialect(name):
    assert dialect_of("jsonl", [name, "reward", "entropy"]) is PLAIN


def test_two_columns_of_one_mark_are_one_mark():
    assert dialect_of("csv", ["rewards/a/mean", "rewards/b/mean", "reward"]) is PLAIN


def test_a_file_of_the_transformers_trainer_is_a_mark_itself():
    assert dialect_of("trainer", ["reward", "reward_std"]).tool == "trl"
    assert dialect_of("trainer", ["actor/pg_loss"]) is PLAIN


def test_every_dialect_but_the_plain_has_two_marks_or_more():
    for dialect in DIALECTS:
        assert dialect is PLAIN or len(dialect.marks) >= 2


def test_a_kl_says_against_which_policy():
    assert to_reference(kl_kind("k3", "per token"))
    assert to_reference(kl_kind("k1", "per sequence", PRIOR))
    assert not to_reference(kl_kind("k3", "per token", "the sampling policy"))
