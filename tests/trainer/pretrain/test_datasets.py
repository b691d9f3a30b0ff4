"""Corpora become token rows; a task without a corpus is refused."""

import pytest

from qdlaws.errors import BadData
from trainer.policy.tokenizer import character_tokenizer
from trainer.pretrain import PretrainOptions
from trainer.pretrain.datasets import load_corpus, text_rows


def test_rows_count_from_the_completion_on():
    tokenizer = character_tokenizer(["ab=cd"])
    (row,) = text_rows([("ab=", "cd")], tokenizer)
    assert tokenizer.decode(row.ids, skip_special_tokens=True) == "ab=cd"
    assert (row.ids[0], row.ids[-1], row.first) == (1, 2, 4)
    assert text_rows([("ab=", "cd")], tokenizer, completion_only=False)[0].first == 1
    assert text_rows([("", "x")], tokenizer) == []  # an unknown symbol
    assert text_rows([("", "a")], tokenizer)[0].first == 1


def test_a_task_without_corpus_is_refused(tmp_path, monkeypatch):
    (tmp_path / "bare_task.py").write_text(
        "class Bare:\n"
        "    name, traits, prompts, measure = 'bare', None, (), None\n"
        "    def score(self, *a): ...\n"
        "    def keys(self, *a): ...\n"
        "    def close(self): pass\n\n"
        "def make(): return Bare()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BadData, match="bare_task:make has no corpus"):
        load_corpus(PretrainOptions(out=tmp_path, task="bare_task:make"))
