"""Self-BLEU against NLTK, sacrebleu and by hand."""

import math
import random

import numpy as np
import pytest

from qdlaws.measure.text.self_bleu import self_bleu, self_bleu_scores

TEXTS = ["the cat sat on the mat", "the cat sat", "a dog ran", "the cat sat on the mat", "no", ""]


def make_texts(n=60, seed=0):
    rng = random.Random(seed)
    words = [f"w{i}" for i in range(30)]
    return [" ".join(rng.choices(words, k=rng.randint(1, 14))) for _ in range(n)]


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("smoothing", ["epsilon", "none"])
def test_self_bleu_equals_nltk(n, smoothing):
    bleu = pytest.importorskip("nltk.translate.bleu_score")
    smooth = bleu.SmoothingFunction()
    method = smooth.method1 if smoothing == "epsilon" else smooth.method0
    texts = [t.split() for t in make_texts(40)]
    expected = [
        bleu.sentence_bleu(texts[:i] + texts[i + 1 :], t, (1 / n,) * n, smoothing_function=method)
        for i, t in enumerate(texts)
    ]
    ours = self_bleu_scores(make_texts(40), n, smoothing=smoothing)
    assert ours == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.peers
def test_self_bleu_equals_sacrebleu():
    sacrebleu = pytest.importorskip("sacrebleu")
    texts = make_texts(40)
    judge = sacrebleu.BLEU(tokenize="none", effective_order=True)
    expected = [
        judge.sentence_score(t, texts[:i] + texts[i + 1 :]).score / 100 for i, t in enumerate(texts)
    ]
    ours = self_bleu_scores(texts, smoothing="exp")
    assert ours == pytest.approx(np.array(expected), abs=1e-12)


def test_self_bleu_of_copies_is_one_and_of_strangers_zero():
    assert self_bleu(["a b c d e"] * 3).value == pytest.approx(1)
    assert self_bleu(["a b c d", "e f g h"]).value == 0
    assert math.isnan(self_bleu(["a b"]).value)


def test_self_bleu_by_hand():
    """One reference each; unigram precision 2/3 and bigram 1/2, brevity 1 and exp(1 − 4/3)."""
    ours = self_bleu_scores(["a b c", "a b d e"], 2, smoothing="none")
    assert ours[0] == pytest.approx(math.exp(1 - 4 / 3) * math.sqrt(2 / 3 * 1 / 2))
    assert ours[1] == pytest.approx(math.sqrt(2 / 4 * 1 / 3))
