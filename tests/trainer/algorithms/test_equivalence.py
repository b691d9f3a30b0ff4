import torch

from trainer.algorithms.equivalence import (
    by_key,
    by_pairs,
    by_similarity,
    exact,
    short_texts_overlap,
)

GROUP = torch.tensor([0, 0, 0, 1])


def pairs(relation):
    return [tuple(p) for p in relation.triu(1).nonzero().tolist()]


def test_exact_and_keys():
    assert pairs(exact(["CCO", " CCO", "OCC", "CCO"], GROUP)) == [(0, 1)]
    assert pairs(by_key(["ethanol", "methane", "ethanol", "ethanol"], GROUP)) == [(0, 2)]
    unknown = by_key([None, None, 3, 3], GROUP)  # no canonical form: equal to nobody
    assert pairs(unknown) == []
    assert unknown.diagonal().all()


def test_similarity_holds_within_a_prompt():
    near = torch.tensor([[1, 0.9, 0.2, 0.9], [0.9, 1, 0.5, 0.9], [0.2, 0.5, 1, 0.9], [0.9] * 4])
    assert pairs(by_similarity(near, GROUP, 0.5)) == [(0, 1), (1, 2)]


def test_pairs_are_asked_once_and_only_within_a_prompt():
    asked = []

    def same(a, b):
        asked.append((a, b))
        return a[0] == b[0]

    texts = ["a1", "a2", "a1", "a1"]
    assert pairs(by_pairs(texts, GROUP, same)) == [(0, 1), (0, 2), (1, 2)]
    assert sorted(asked) == [("a1", "a2"), ("a2", "a1")]


def test_the_shortcut_for_short_texts():
    assert short_texts_overlap("a red fox", "red fox") is True
    assert short_texts_overlap("a red fox", "one blue bird") is False
    assert short_texts_overlap("a b c d e f", "a b c d e f") is None
    texts = ["red fox", "a red fox", "blue bird"]
    got = by_pairs(texts, GROUP[:3], lambda a, b: True, shortcut=short_texts_overlap)
    assert pairs(got) == [(0, 1)]
