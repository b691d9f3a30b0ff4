"""Diversity of texts against its definitions and outside packages."""

import math
import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from qdlaws.errors import BadData
from qdlaws.measure.text import diversity as module
from qdlaws.measure.text.diversity import (
    distinct_n,
    ead,
    edit_diversity,
    embedding_diversity,
    embedding_vendi,
    ngram_distances,
    ngram_diversity,
)
from qdlaws.measure.text.self_bleu import self_bleu
from qdlaws.measure.text.tokens import tokenise
from qdlaws.measure.vendi_score import vendi

TEXTS = ["the cat sat on the mat", "the cat sat", "a dog ran", "the cat sat on the mat", "no", ""]


def make_texts(n=60, seed=0):
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(30)]
    return [" ".join(rng.choices(words, k=rng.randint(1, 14))) for _ in range(n)]


def grams(texts, n):
    return [tuple(t.split()[i : i + n]) for t in texts for i in range(len(t.split()) - n + 1)]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("texts", [TEXTS, make_texts()])
def test_distinct_n_equals_its_definition(texts, n):
    every = grams(texts, n)
    assert distinct_n(texts, n).value == pytest.approx(len(set(every)) / len(every), rel=1e-14)
    assert distinct_n(tokenise(texts), n).value == distinct_n(texts, n).value


def test_ead_equals_its_definition_and_is_one_for_random_text():
    every = grams(TEXTS, 1)
    v, c = 50, len(every)
    expected = len(set(every)) / (v * (1 - ((v - 1) / v) ** c))
    assert ead(TEXTS, vocabulary=v).value == pytest.approx(expected, rel=1e-12)
    rng = np.random.default_rng(0)
    values = [
        ead([" ".join(map(str, rng.integers(0, 40, 30)))], vocabulary=40).value for _ in range(400)
    ]
    # N has standard deviation below 2 of about 21: the mean of 400 within .02
    assert np.mean(values) == pytest.approx(1, abs=0.02)


@pytest.mark.peers
@pytest.mark.parametrize("n", [1, 2, 4])
def test_ead_equals_a_package(n):
    package = pytest.importorskip("afterburn.behaviour.diversity")
    texts = make_texts()
    expected = package._compute_ead(texts, n, 500)
    assert ead(texts, n, vocabulary=500).value == pytest.approx(expected, rel=1e-12)


def test_no_n_gram_is_unknown_and_says_why():
    ours = distinct_n(["a b", "c"], 3)
    assert math.isnan(ours.value)
    assert "3 tokens" in ours.reason


@pytest.mark.parametrize("measure", [distinct_n, ead, self_bleu])
def test_measures_at_a_smaller_size_have_an_error_and_a_size(measure):
    texts = make_texts(60)
    full, half = measure(texts), measure(texts, m=30)
    assert (full.m, half.m) == (60, 30)
    assert math.isnan(full.se)
    assert half.se > 0
    assert half.value != full.value


def test_subsets_are_the_measure_of_those_texts():
    texts = make_texts(20)
    for measure in (distinct_n, self_bleu):
        n = 2
        one = measure(texts, n, m=19, repeats=200).value
        left_out = [measure(texts[:i] + texts[i + 1 :], n).value for i in range(20)]
        # 200 of the 20 possible subsets: each about 10 times
        assert one == pytest.approx(np.mean(left_out), abs=4 * np.std(left_out) / math.sqrt(200))


def reference_levenshtein(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            new.append(min(row[j] + 1, new[-1] + 1, row[j - 1] + (x != y)))
        row = new
    return row[-1]


@pytest.mark.parametrize("tokenizer", [None, str.split])
def test_edit_diversity_equals_the_textbook_table(tokenizer):
    texts = [*make_texts(12), *TEXTS]
    parts = [tokenizer(t) if tokenizer else t for t in texts]
    pairs = [
        reference_levenshtein(a, b) / max(len(a), len(b), 1)
        for i, a in enumerate(parts)
        for b in parts[i + 1 :]
    ]
    ours = edit_diversity(texts, tokenizer=tokenizer)
    assert ours.value == pytest.approx(np.mean(pairs), rel=1e-12)
    assert ours.se > 0
    distances = [module._myers(a, parts)[j] for a in parts for j in range(len(parts))]
    assert distances == [reference_levenshtein(a, b) for a in parts for b in parts]


@pytest.mark.peers
def test_edit_distances_equal_rapidfuzz():
    levenshtein = pytest.importorskip("rapidfuzz.distance").Levenshtein
    texts = make_texts(25)
    for a in texts:
        expected = [levenshtein.distance(a, b) for b in texts]
        assert module._myers(a, texts).tolist() == expected


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_embedding_diversity_equals_scipy(metric):
    from scipy.spatial.distance import pdist

    x = np.random.default_rng(0).normal(size=(50, 8))
    ours = embedding_diversity(["t"] * 50, x, metric=metric)
    pairs = pdist(x, metric)
    assert ours.value == pytest.approx(pairs.mean(), rel=1e-12)
    assert ours.se > 0


def test_embedding_function_sees_every_text_once():
    calls = []

    def embed(texts):
        calls.append(list(texts))
        return np.array([[len(t), 1.0] for t in texts])

    ours = embedding_diversity(["a", "bbb", "a", "cc"], embed)
    assert calls == [["a", "bbb", "cc"]]
    assert ours.n == 4
    x = np.array([[1, 1], [3, 1], [1, 1], [2, 1.0]])
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    expected = vendi(unit @ unit.T).value
    assert embedding_vendi(["a", "bbb", "a", "cc"], embed).value == pytest.approx(expected)
    with pytest.raises(BadData, match="for 2 texts"):
        embedding_diversity(["a", "b"], np.zeros((3, 2)))


def test_ngram_distances_equal_a_count_of_words_and_pairs():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcdefgh"), size=rng.integers(0, 8))) for _ in range(40)]

    def counts(text):
        words = text.split()
        return Counter(words) + Counter(pairwise(words))

    def distance(one, other):
        a, b = counts(one), counts(other)
        if not a or not b:
            return float(bool(a) != bool(b))
        dot = sum(a[gram] * b[gram] for gram in a)
        size = math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))
        return 1 - dot / size

    expected = np.array([[distance(a, b) for b in texts] for a in texts])
    assert np.allclose(ngram_distances(texts), expected, atol=1e-12)
    estimate = ngram_diversity(texts)
    above = np.triu_indices(len(texts), 1)
    assert estimate.value == pytest.approx(expected[above].mean())
    assert estimate.kind == "ngram_cosine_2"
