"""Metrics of a set of answers: diversity within a prompt, pass@k, solved, kept, newly solved.

``prompts`` holds one label a sample; errors are taken over prompts, and over the samples where
there is one prompt only. A score of NaN has failed: it is dropped and counted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from qdlaws.errors import BadData
from qdlaws.measure import Estimate, edit_diversity, pairwise_mean, pass_at_k
from qdlaws.measure.molecule.diversity import unique_labels
from qdlaws.measure.standard_errors import clustered_mean, codes

__all__ = [
    "answer_metrics",
    "key_diversity",
    "pass_metrics",
    "retention",
    "unique_keys",
    "valid_share",
    "wording_diversity",
]

Keys = Sequence[Hashable | None]
Labels = Sequence[Hashable]
Array = npt.NDArray[np.float64]


def key_diversity(keys: Keys, prompts: Labels) -> Estimate:
    """The chance that two samples of a prompt differ in key, averaged over prompts.

    Of a prompt with classes of s₁, s₂, … among n samples it is 1 − Σ s(s−1) / n(n−1): a
    U-statistic, duplicates kept, whose expectation does not depend on n. A sample without a key
    (invalid) is left out and counted in ``dropped``; a prompt with fewer than two says nothing.
    """
    groups, dropped = _by_prompt(keys, prompts)
    groups = [group for group in groups if len(group) > 1]
    apart = [_number_with_another_key(group) for group in groups]
    if len(groups) == 1:
        total = float(apart[0].sum())
        return pairwise_mean(apart[0], total, kind="distinct_pairs", share=True, dropped=dropped)
    values = [float(a.mean()) / (len(a) - 1) for a in apart]
    return clustered_mean(values, kind="distinct_pairs_within_prompt", share=True, dropped=dropped)


def unique_keys(keys: Keys, prompts: Labels, m: int | None = None) -> Estimate:
    """Different keys expected among m samples of a prompt, over m, averaged over prompts.

    For None m is half of the samples of the smallest prompt, invalid ones included, so that it
    stays the same over a run; prompts with fewer keys than m are left out.
    """
    if m is None:
        m = max(min(Counter(prompts).values(), default=0) // 2, 2)
    groups, dropped = _by_prompt(keys, prompts)
    groups = [group for group in groups if len(group) >= m]
    each = [unique_labels(codes(group), m, "unique_share", 0) for group in groups]
    if len(each) == 1:
        return unique_labels(codes(groups[0]), m, "unique_share", dropped)
    return clustered_mean(
        [e.value for e in each], kind="unique_share_within_prompt", m=m, share=True, dropped=dropped
    )


def wording_diversity(
    texts: Sequence[str], prompts: Labels, *, unique: bool = False, at_most: int = 200
) -> Estimate:
    """The mean edit distance of words between two samples of a prompt, averaged over prompts.

    Duplicates are kept; ``unique`` takes each text once, which hides a collapse and is another
    kind. At most ``at_most`` texts of a prompt are compared, the first ones: pairs grow as n².
    """
    groups: dict[Hashable, list[str]] = {}
    for text, prompt in zip(texts, prompts, strict=True):
        groups.setdefault(prompt, []).append(text)
    kept = [(list(dict.fromkeys(g)) if unique else g)[:at_most] for g in groups.values()]
    each = [edit_diversity(group, tokenizer=str.split) for group in kept if len(group) > 1]
    suffix = "_unique" if unique else ""
    if len(each) == 1:
        return each[0].renamed(each[0].kind + suffix)
    kind = f"edit_distance_tokens_within_prompt{suffix}"
    return clustered_mean([e.value for e in each], kind=kind, share=True)


def pass_metrics(scores: npt.ArrayLike, prompts: Labels) -> dict[str, Estimate]:
    """pass@1, 2, 4, … and the share of prompts solved, of scores that are 0 or 1.

    k goes up to the samples of most prompts; a prompt with fewer than k scored samples (failed
    ones shrink it) is left out of that k and counted in its ``dropped``. ``solved`` is the share
    of prompts with at least one right answer: it grows with the samples a prompt (``m``).
    """
    correct, total = _counts(scores, prompts)
    if not len(total):
        return {}
    usual = int(np.bincount(total).argmax())
    metrics = {}
    k = 1
    while k <= usual:
        use = total >= k
        passed = pass_at_k(correct[use], total[use], k)
        metrics[f"pass@{k}"] = replace(passed, dropped=int((~use).sum()))
        k *= 2
    metrics["solved"] = clustered_mean(correct > 0, kind="solved", m=usual, share=True)
    return metrics


def answer_metrics(
    keys: Keys, prompts: Labels, scores: npt.ArrayLike, valid: npt.ArrayLike
) -> dict[str, Estimate]:
    """The metrics of a task with right and wrong answers: diversity, pass@k, solved, valid.

    ``diversity`` is over all valid answers, ``diversity_correct`` over the right ones, and
    ``distinct_correct`` the number of different right answers among half of a prompt's samples.
    """
    score = np.asarray(scores, float)
    right = [key if s == 1 else None for key, s in zip(keys, score, strict=True)]
    return {
        "diversity": key_diversity(keys, prompts),
        "diversity_correct": key_diversity(right, prompts),
        "unique_share": unique_keys(keys, prompts),
        "distinct_correct": _distinct_correct(right, prompts),
        "valid_share": valid_share(valid, prompts),
        **pass_metrics(score, prompts),
    }


def valid_share(valid: npt.ArrayLike, prompts: Labels) -> Estimate:
    """The share of samples that are well formed."""
    flags = np.asarray(valid, float)
    return clustered_mean(flags, clusters=list(prompts), kind="valid_share", share=True)


def retention(
    base_scores: npt.ArrayLike,
    base_prompts: Labels,
    scores: npt.ArrayLike,
    prompts: Labels,
    *,
    threshold: float = 0.75,
) -> dict[str, Estimate]:
    """The abilities that a policy kept from its base and those it gained, over common prompts.

    ``retained_pass@1``: success now on the prompts where the base had at least ``threshold`` of its
    samples right. ``kept``: the share of the prompts the base solved at all that are solved now;
    ``newly_solved``: the share of those it never solved. The base's figures on prompts chosen
    this way are too good (they were chosen for it): measure the base on fresh samples, passed as
    ``scores``.
    """
    before = _counts_by_prompt(base_scores, base_prompts)
    now = _counts_by_prompt(scores, prompts)
    both = [prompt for prompt in before if prompt in now]
    if not both:
        raise BadData("retention: no prompt was scored both times")
    strong = [p for p in both if before[p][0] >= threshold * before[p][1]]
    solved = [p for p in both if before[p][0] > 0]
    unsolved = [p for p in both if before[p][0] == 0]
    m = min(now[p][1] for p in both)
    return {
        "retained_pass@1": clustered_mean(
            [now[p][0] / now[p][1] for p in strong], kind="retained_pass@1", share=True
        ),
        "kept": clustered_mean([now[p][0] > 0 for p in solved], kind="kept", m=m, share=True),
        "newly_solved": clustered_mean(
            [now[p][0] > 0 for p in unsolved], kind="newly_solved", m=m, share=True
        ),
    }


# ---------------------------------------------------------------------- helpers


def _by_prompt(keys: Keys, prompts: Labels) -> tuple[list[list[Hashable]], int]:
    """The keys of each prompt, and the number of samples without one."""
    groups: dict[Hashable, list[Hashable]] = {}
    for key, prompt in zip(keys, prompts, strict=True):
        if key is not None:
            groups.setdefault(prompt, []).append(key)
    return list(groups.values()), sum(key is None for key in keys)


def _number_with_another_key(group: Sequence[Hashable]) -> Array:
    """The number of other samples with another key, for each sample."""
    label = codes(group)
    return (len(label) - np.bincount(label)[label]).astype(float)


def _distinct_correct(right: Keys, prompts: Labels) -> Estimate:
    """Σ over classes of right answers [1 − C(n−s, m)/C(n, m)], n counting wrong ones too."""
    sizes = Counter(prompts)
    m = max(min(sizes.values(), default=0) // 2, 1)
    classes = Counter((p, key) for key, p in zip(right, prompts, strict=True) if key is not None)
    expected = dict.fromkeys(sizes, 0.0)
    for (prompt, _), s in classes.items():
        n = sizes[prompt]
        expected[prompt] += 1 - math.comb(n - s, m) / math.comb(n, m)
    return clustered_mean(list(expected.values()), kind="distinct_correct", m=m)


def _counts(scores: npt.ArrayLike, prompts: Labels) -> tuple[npt.NDArray[np.intp], ...]:
    table = list(_counts_by_prompt(scores, prompts).values())
    correct, total = zip(*table, strict=True) if table else ((), ())
    return np.array(correct, np.intp), np.array(total, np.intp)


def _counts_by_prompt(scores: npt.ArrayLike, prompts: Labels) -> dict[Hashable, tuple[int, int]]:
    """Right answers and scored answers of each prompt that has any."""
    values = np.asarray(scores, float)
    finite = np.isfinite(values)
    if not np.isin(values[finite], (0.0, 1.0)).all():
        raise BadData("pass@k needs scores of 0 and 1")
    table: dict[Hashable, tuple[int, int]] = {}
    for value, prompt in zip(values[finite], _chosen(prompts, finite), strict=True):
        right, n = table.get(prompt, (0, 0))
        table[prompt] = (right + int(value), n + 1)
    return table


def _chosen(prompts: Labels, mask: npt.NDArray[np.bool_]) -> list[Hashable]:
    return [p for p, use in zip(prompts, mask, strict=True) if use]
