"""Score transforms against numbers that REINVENT4's own functions gave (in single precision)."""

import math

import pytest

from qdlaws.errors import BadData
from trainer.tasks.molecules.transforms import BINARY, TRANSFORMS, transform

X = [-3, 0, 0.5, 1, 1.2, 2.5, 3.9, 4, 4.3, 7]
REINVENT = [
    (
        {"type": "double_sigmoid", "low": 1, "high": 4},
        [1e-6, 0.03065343, 0.15097956, 0.5, 0.66613948, 0.99440801, 0.58549857, 0.5, 0.26189083,
         3.165006e-05],
    ),
    (
        {"type": "double_sigmoid", "low": 1, "high": 4, "coef_div": 500, "coef_si": 20,
         "coef_se": 40},
        [0.40892440, 0.47699040, 0.48848912, 0.5, 0.50460506, 0.56864142, 0.50460506, 0.5,
         0.48618799, 0.36525667],
    ),
    (
        {"type": "sigmoid", "low": 1, "high": 4, "k": 0.5},
        [6.8129e-10, 6.81246e-05, 0.000463944, 0.00315231, 0.00676682, 0.5, 0.99537987, 0.99684769,
         0.99900103, 0.99999994],
    ),
    (
        {"type": "sigmoid", "low": -5, "high": 5, "k": 0.25},
        [0.15097956, 0.5, 0.57146311, 0.64006501, 0.66613942, 0.80831766, 0.90422016, 0.90909094,
         0.92239052, 0.98252791],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("options", "expected"), REINVENT)
def test_transforms_are_those_of_reinvent(options, expected):
    shape = transform(options)
    assert [shape(x) for x in X] == pytest.approx(expected, abs=2e-6)


def test_reverse_is_the_complement():
    up = transform({"type": "sigmoid", "low": 0, "high": 10, "k": 0.3})
    down = transform({"type": "reverse_sigmoid", "low": 0, "high": 10, "k": 0.3})
    assert all(up(x) + down(x) == pytest.approx(1, abs=1e-15) for x in X)


@pytest.mark.parametrize(
    ("options", "at", "value"),
    [
        ({"type": "step", "low": 1, "high": 4}, 1, 1),
        ({"type": "step", "low": 1, "high": 4}, 4, 1),
        ({"type": "step", "low": 1, "high": 4}, 4.01, 0),
        ({"type": "right_step", "high": 2}, 2, 1),
        ({"type": "right_step", "high": 2}, 1.99, 0),
        ({"type": "left_step", "low": 2}, 2, 1),
        ({"type": "left_step", "low": 2}, 2.01, 0),
        ({"type": "exponential_decay", "k": 2}, 0.5, math.exp(-1)),
        ({"type": "exponential_decay"}, -7, 1),
        ({"type": "gaussian", "mu": 2, "sigma": 0.5}, 3, math.exp(-2)),
        ({"type": "min_gaussian", "mu": 2, "sigma": 0.5}, 1, 1),
        ({"type": "min_gaussian", "mu": 2, "sigma": 0.5}, 3, math.exp(-2)),
        ({"type": "max_gaussian", "mu": 2, "sigma": 0.5}, 3, 1),
        ({"type": "max_gaussian", "mu": 2, "sigma": 0.5}, 1, math.exp(-2)),
        ({"type": "clipped", "upper": 0.8}, 0.4, 0.5),
        ({"type": "clipped", "upper": 1, "lower": 10}, 4, 2 / 3),
        ({"type": "linear", "slope": -2, "offset": 1}, 3, -5),
        ({"type": "sigmoid", "low": 3, "high": 3}, 3.001, 1),
        ({"type": "sigmoid", "low": 3, "high": 3}, 2.999, 0),
    ],
)
def test_transforms_by_hand(options, at, value):
    assert transform(options)(at) == pytest.approx(value, abs=1e-15)


EXAMPLE = {"low": 1.0, "high": 4.0, "mu": 1.0, "sigma": 1.0, "upper": 2.0, "k": 1.0}


def every():
    import inspect

    for name, function in TRANSFORMS.items():
        names = list(inspect.signature(function).parameters)[1:]
        yield transform({"type": name, **{n: EXAMPLE[n] for n in names if n in EXAMPLE}}), name


def test_nan_stays_nan_and_far_values_stay_finite():
    for shape, name in every():
        assert math.isnan(shape(math.nan)), name
        if name != "linear":
            for x in (-1e200, -1e4, 1e4, 1e200):
                assert 0 <= shape(x) <= 1, (name, x)


def test_step_transforms_are_0_or_1():
    for shape, name in every():
        assert (name in BINARY) == all(shape(x / 7) in (0, 1) for x in range(-70, 70)), name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"type": "duoble_sigmoid"}, "did you mean 'double_sigmoid'"),
        ({"type": "sigmoid", "low": 1}, "needs high"),
        ({"type": "sigmoid", "low": 1, "high": 2, "hihg": 3}, "has no 'hihg' (did you mean 'high'"),
        ({"type": "sigmoid", "low": 5, "high": 2}, "low 5 is above high 2"),
        ({"type": "sigmoid", "low": "a", "high": 2}, "low='a' is not a number"),
        ({"type": "gaussian", "mu": 1, "sigma": 0}, "sigma 0 is not positive"),
        ({"type": "clipped", "upper": 0}, "upper and lower are equal"),
        ({"low": 1}, "found type ''"),
    ],
)
def test_bad_options_are_refused_in_one_line(options, words):
    with pytest.raises(BadData) as caught:
        transform(options, "logp")
    assert words in str(caught.value)
    assert "logp" in str(caught.value)
    assert "\n" not in str(caught.value)
