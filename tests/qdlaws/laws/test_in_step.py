"""Fits in step receive the posteriors that each would receive alone."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws.inference.law_posterior import law_posteriors
from qdlaws.inference.law_problem import LawProblem
from qdlaws.laws.in_step import answered, in_step
from tests.helpers.simulated import ar1, collapse, law


def problems():
    """Problems of each kind: plain, uncertain path, straight, coarse, weighted, uneven spacing."""
    rng = np.random.default_rng(3)
    examples = []
    for i, kappa in enumerate((2.0, -2.0, 0.0, 4.0, 1.0, 0.5)):
        x = collapse(40)
        y = law(kappa).value(x) + (0.02 + 0.1 * (i == 2)) * ar1(rng, 40, 0.5)
        examples.append(LawProblem(np.arange(40.0), x, y))
    step, x, y = examples[0].step, examples[0].x, examples[0].y
    doubt = np.ptp(x) * 0.03 * np.linspace(-1, 1, 40)[:, None] ** np.arange(3)
    examples += [
        LawProblem(step, x, y, cov_factor=doubt),
        LawProblem(step, x, examples[1].y, cov_factor=doubt[:, :2]),
        LawProblem(step, x, y, straight=True),
        LawProblem(step, x, y, effort=0.6),
        LawProblem(step, x, y, weight=rng.uniform(0.5, 1.5, 40)),
        LawProblem(np.cumsum(rng.uniform(0.5, 2, 40)), x, y),
    ]
    return examples


def test_posteriors_of_a_batch_are_those_of_each_problem_alone():
    """To the accuracy of the polynomials, 1e-9, whose number the problems of a batch share."""
    batch = problems()
    for problem, one in zip(batch, law_posteriors(batch), strict=True):
        (alone,) = law_posteriors([problem])
        for feature in ("p_falls", "p_concave", "p_straight", "p_curved", "p_steplike"):
            together, by_itself = getattr(one, feature), getattr(alone, feature)
            assert together == pytest.approx(by_itself, abs=1e-6, nan_ok=True)
        ends = np.array([x.law.value([0.5, 1.0]) for x in (one, alone)])
        np.testing.assert_allclose(ends[0], ends[1], atol=1e-4 * ends[1].std())


def test_each_fit_receives_the_posteriors_of_its_problems():
    batch = problems()[:3]

    def once(i):
        (post,) = yield [batch[i]]
        return post.p_concave

    def twice(i):
        posts = yield [batch[i], batch[0]]
        (again,) = yield [batch[i]]
        assert again.p_concave == pytest.approx(posts[0].p_concave, abs=1e-9)
        return posts[1].p_concave

    def never(i):
        return i
        yield

    alone = [post.p_concave for post in law_posteriors(batch)]
    results = answered(in_step([once(0), twice(1), never(7), once(2)]))
    assert results[2] == 7
    assert [results[0], results[1], results[3]] == pytest.approx(
        [alone[0], alone[0], alone[2]], abs=1e-6
    )
    assert answered(in_step([])) == []
