"""Diversity of answers in words: n-grams, a user's embedding, a sentence encoder."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qdlaws.errors import QdlawsError
from trainer.tasks.scoring.text_diversity import embedding, text_distances, text_diversity

TEXTS = ["a red fox", "a red fox", "the blue sea", "a red hen", "one two", "three four"]
PROMPTS = [0, 0, 0, 0, 1, 1]


def lengths(texts):
    return np.array([[len(text), 1.0] for text in texts])


def test_open_answers_that_differ_in_a_word_are_not_as_far_apart_as_answers_about_other_things():
    distances = text_distances(TEXTS)
    assert distances[0, 1] == 0
    assert 0 < distances[0, 3] < distances[0, 2] == 1


def test_diversity_is_the_mean_distance_within_prompts():
    distances = text_distances(TEXTS)
    first = [distances[i, j] for i in range(4) for j in range(i)]
    estimate = text_diversity(TEXTS, PROMPTS)
    assert estimate.value == pytest.approx((np.mean(first) + distances[4, 5]) / 2)
    assert estimate.kind == "ngram_cosine_2_within_prompt"
    alone = text_diversity(TEXTS[:4], PROMPTS[:4])
    assert alone.value == pytest.approx(np.mean(first))
    assert alone.se > 0


def test_a_users_embedding_is_called_once_on_the_different_texts():
    calls = []

    def embed(texts):
        calls.append(list(texts))
        return lengths(texts)

    estimate = text_diversity(TEXTS, PROMPTS, embed)
    assert calls == [list(dict.fromkeys(TEXTS))]
    assert estimate.kind == "embedding_cosine_within_prompt"
    apart = text_distances(TEXTS, embed)
    u, v = np.array([9, 1.0]), np.array([12, 1.0])
    assert apart[0, 2] == pytest.approx(1 - u @ v / math.sqrt((u @ u) * (v @ v)))
    assert np.all(np.diag(apart) == 0)


@pytest.mark.parametrize(
    ("embed", "words"),
    [
        (lambda texts: np.zeros((len(texts), 2)), "zeros"),
        (lambda texts: np.ones(3), "shape"),
        (lambda texts: 1 / 0, "division by zero"),
    ],
)
def test_a_broken_embedding_is_refused_in_one_line(embed, words):
    with pytest.raises(QdlawsError, match=words):
        text_diversity(TEXTS, PROMPTS, embed)


def test_a_sentence_encoder_averages_its_states_over_a_text(tmp_path):
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", *sorted({word for text in TEXTS for word in text.split()})]
    inner = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]")
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(words),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
        )
    ).eval()
    model.save_pretrained(tmp_path)
    rows = embedding(str(tmp_path))(["a red fox", "one two"])
    ids = torch.tensor([[words.index(w) for w in ("one", "two")]])
    with torch.no_grad():
        expected = model(input_ids=ids).last_hidden_state[0].mean(0)
    assert rows.shape == (2, 16)
    assert np.allclose(rows[1], expected.numpy(), atol=1e-5)  # padding counts for nothing


def test_a_model_that_is_not_there_is_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(QdlawsError, match="embedding"):
        embedding(str(tmp_path / "empty"))
