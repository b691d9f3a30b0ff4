"""Entropies against scipy and torch, and the conversions that are refused."""

import math

import numpy as np
import pytest

from qdlaws.core.kinds import EntropyKind
from qdlaws.errors import BadData
from qdlaws.measure.entropy import (
    convert_entropy,
    sequence_entropy,
    sequence_nll,
    token_entropies,
    token_entropy,
    token_nll,
)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_token_entropy_is_that_of_the_softmax(temperature):
    from scipy.special import softmax
    from scipy.stats import entropy

    logits = np.random.default_rng(0).normal(0, 3, (4, 7, 50))
    expected = entropy(softmax(logits / temperature, axis=-1), axis=-1)
    assert token_entropies(logits, temperature) == pytest.approx(expected, rel=1e-12)
    ours = token_entropy(logits, temperature)
    assert ours.value == pytest.approx(expected.mean(), rel=1e-12)
    assert ours.se == pytest.approx(expected.mean(1).std(ddof=1) / 2, rel=1e-12)
    assert (ours.temperature, ours.kind, ours.n) == (temperature, "token_entropy", 4)


def test_masked_and_impossible_tokens():
    logits = np.zeros((2, 2, 4))
    logits[0, 1] = [0, 0, -np.inf, -np.inf]
    logits[1, 1] = [1000, 0, 0, 0]
    per_token = token_entropies(logits)
    assert per_token == pytest.approx(
        np.array([[math.log(4), math.log(2)], [math.log(4), 0.0]]), abs=1e-12
    )
    ours = token_entropy(logits, mask=[[1, 1], [1, 0]])
    assert ours.value == pytest.approx((2 * math.log(4) + math.log(2)) / 3)


def test_torch_tensors_of_half_precision_are_taken():
    torch = pytest.importorskip("torch")
    logits = torch.randn(3, 5, 11, generator=torch.Generator().manual_seed(0))
    exact = torch.distributions.Categorical(logits=logits.double()).entropy().numpy()
    assert token_entropies(logits) == pytest.approx(exact, rel=1e-10)
    half = logits.bfloat16().requires_grad_()
    assert token_entropies(half) == pytest.approx(exact, abs=0.05)  # 8 bits of mantissa


def test_likelihoods_per_token_and_per_sequence():
    ragged = [[-1.0, -2.0], [-3.0], [-0.5, -0.5, -1.0]]
    padded = np.full((3, 3), np.nan)
    for row, values in enumerate(ragged):
        padded[row, : len(values)] = values
    for given in (ragged, padded):
        assert token_nll(given).value == pytest.approx(8 / 6)
        assert sequence_nll(given).value == pytest.approx(8 / 3)
        assert sequence_nll(given).se == pytest.approx(np.std([3, 3, 2], ddof=1) / math.sqrt(3))
    assert sequence_nll([-3.0, -3.0, -2.0]).value == pytest.approx(8 / 3)
    assert sequence_entropy([[0.5, 1.0], [0.25]]).value == pytest.approx(1.75 / 2)


def test_a_sequence_with_a_failed_likelihood_is_dropped_and_counted():
    ours = token_nll([[-1.0, -2.0], [-3.0, -math.inf], [-0.5]])
    assert ours.value == pytest.approx(3.5 / 3)
    assert ours.dropped == 1
    masked = token_nll(np.array([[-1.0, np.nan], [-2.0, -4.0]]), mask=[[1, 1], [1, 1]])
    assert masked.value == pytest.approx(3.0)
    assert masked.dropped == 1


def test_conversion_by_length_equals_the_measured_one_and_has_no_error():
    ragged = [[-1.0, -2.0], [-3.0], [-0.5, -0.5, -1.0]]
    per_token = convert_entropy(sequence_nll(ragged), EntropyKind.TOKEN_NLL, mean_length=2)
    assert per_token.value == pytest.approx(token_nll(ragged).value)
    assert per_token.kind == "token_nll"
    assert math.isnan(per_token.se)
    assert "covariance" in per_token.reason


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("sequence_nll", "token_entropy"),
        ("token_nll", "token_entropy"),
        ("token_entropy", "sequence_nll"),
        ("unknown", "token_entropy"),
        ("unknown", "unknown"),
        ("token_nll_twice_averaged", "token_nll"),
    ],
)
def test_conversions_that_are_not_possible_are_refused(source, target):
    estimate = sequence_nll([[-1.0], [-2.0]]).renamed(source)
    with pytest.raises(BadData, match="cannot be turned into"):
        convert_entropy(estimate, target, mean_length=2.0)


def test_conversion_without_a_length_is_refused():
    with pytest.raises(BadData, match="mean_length"):
        convert_entropy(sequence_nll([[-1.0], [-2.0]]), "token_nll")
    with pytest.raises(BadData, match="no kind of entropy"):
        convert_entropy(sequence_nll([[-1.0], [-2.0]]), "perplexity")
