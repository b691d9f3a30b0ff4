"""Choosing a checkpoint: the winner's curse, floors with a probability, what to measure next."""

import json

import numpy as np
import pandas as pd
import pytest

from qdlaws import BadData, MissingColumn, NotEnoughData, RunLog
from qdlaws.advice.checkpoints import choose
from qdlaws.core.goal import Goal


def run(seed: int, n: int = 30, noise: float = 0.25, **extra) -> tuple[RunLog, np.ndarray]:
    g = np.random.default_rng(seed)
    u = np.linspace(0, 1, n)
    true = 1 - ((u - 0.6) / 0.6) ** 2
    y = true + noise * g.normal(size=n)
    d = 0.9 - 0.3 * u + 0.01 * g.normal(size=n)
    log = RunLog.from_arrays(
        10.0 * np.arange(n),
        quality=y,
        quality_se=np.full(n, noise),
        diversity=d,
        diversity_se=np.full(n, 0.01),
    )
    return log, true


def test_less_regret_and_no_winners_curse():
    ours, top, bias, bias_top, held = [], [], [], [], []
    for seed in range(60):
        log, true = run(seed)
        log = RunLog.from_arrays(log.step, quality=log.quality, quality_se=log.quality_se)
        choice = choose(log)
        i, j = int(np.searchsorted(log.step, choice.step)), int(np.argmax(log.quality))
        ours.append(1 - true[i])
        top.append(1 - true[j])
        bias.append(choice.quality.mid - true[i])
        bias_top.append(log.quality[j] - true[j])
        held.append(choice.quality.low <= true[i] <= choice.quality.high)
    assert np.mean(ours) < 0.85 * np.mean(top)
    assert abs(np.mean(bias)) < 0.25 * np.mean(bias_top)
    assert 0.8 <= np.mean(held) <= 0.98  # .9 ± 2.5 binomial errors


def test_a_floor_is_met_with_a_probability_not_by_a_reading():
    log, _ = run(3)
    choice = choose(log, Goal(min_diversity=0.8))
    assert choice.meets
    assert choice.p_goal >= 0.9
    true = 0.9 - 0.3 * np.linspace(0, 1, 30)
    assert true[np.searchsorted(log.step, choice.step)] > 0.795
    assert choice.diversity.low > 0.78
    near = choice.table[(choice.table["p_goal"] > 0.1) & (choice.table["p_goal"] < 0.9)]
    assert len(near) >= 1  # readings near the floor are not yes or no


def test_an_unreachable_floor_is_said():
    choice = choose(run(3)[0], Goal(min_diversity=0.99))
    assert not choice.meets
    assert choice.step == 0  # the most diverse
    assert "no checkpoint meets" in " ".join(choice.reasons)
    assert choice.measure is None


def test_a_price_keeps_an_earlier_checkpoint_and_a_target_the_most_diverse():
    log, _ = run(4, noise=0.02)
    free, dear = choose(log), choose(log, Goal(price=20.0))
    assert dear.step < free.step
    enough = choose(log, Goal(target_quality=0.5))
    assert enough.step < free.step  # of those good enough the most diverse
    assert enough.quality.mid > 0.5


def test_only_existing_checkpoints_are_named():
    log, _ = run(5)
    choice = choose(log, at=[0, 100, 200])
    assert choice.step in (0, 100, 200)
    assert list(choice.table["step"]) == [0, 100, 200]
    with pytest.raises(BadData, match="none of the given"):
        choose(log, at=[5])


def test_measuring_again_lowers_the_share_of_wrong_choices_as_promised():
    """The expected P(wrong) after the proposed readings is what becomes of it."""
    margin_hits = {"before": [], "after": [], "promised": []}
    for seed in range(80):
        g = np.random.default_rng(seed)
        true = np.cumsum(g.normal(size=12)) * 0.15
        noise = 0.25
        y = true + noise * g.normal(size=12)
        step = 10.0 * np.arange(12)
        frame = {"step": step, "quality": y, "quality_se": np.full(12, noise), "n_samples": 20}

        log = RunLog.from_frame(pd.DataFrame(frame))
        choice = choose(log)
        if choice.measure is None:
            continue
        m = choice.measure
        assert m.samples == 20 * m.times
        assert f"{m.samples} more evaluation samples" in str(m)
        rows = np.searchsorted(step, m.steps)
        again = y.copy()
        se = np.full(12, noise)
        news = true[rows] + noise / np.sqrt(m.times) * g.normal(size=len(rows))
        again[rows] = (y[rows] + m.times * news) / (1 + m.times)
        se[rows] = noise / np.sqrt(1 + m.times)
        new = choose(RunLog.from_arrays(step, quality=again, quality_se=se))
        margin = 0.05 * np.ptp(choice.table["mean"])
        for key, c in (("before", choice), ("after", new)):
            lost = true.max() - true[np.searchsorted(step, c.step)]
            margin_hits[key].append(lost > margin)
        margin_hits["promised"].append(m.p_wrong)
    wrong = {k: np.mean(v) for k, v in margin_hits.items()}
    assert len(margin_hits["after"]) > 40
    assert wrong["after"] < wrong["before"]
    assert abs(wrong["after"] - wrong["promised"]) < 0.17  # 3 binomial errors


def test_without_quality_or_with_gaps():
    g = np.random.default_rng(0)
    log = RunLog.from_arrays(np.arange(20.0), diversity=g.normal(0.7, 0.02, 20))
    assert choose(log).quality is None
    with pytest.raises(MissingColumn, match="target_quality needs a quality column"):
        choose(log, Goal(target_quality=1.0))
    y = g.normal(size=20)
    y[::3] = np.nan
    gaps = choose(RunLog.from_arrays(np.arange(20.0), quality=y))
    assert gaps.step % 3 != 0
    with pytest.raises(NotEnoughData):
        choose(RunLog.from_arrays([0.0, 1.0], quality=[np.nan, np.nan]))


def test_a_choice_is_json_words_and_a_picture():
    import matplotlib

    matplotlib.use("Agg")
    choice = choose(run(1)[0], Goal(min_diversity=0.8))
    out = json.loads(json.dumps(choice.to_dict(), allow_nan=False))
    assert set(out["quality"]) == {"low", "mid", "high", "level"}
    assert str(choice.summary()).startswith(f"Keep the row of step {choice.step:g}")
    assert choice.plot().get_xlabel() == "step"


def test_checkpoints_that_cannot_be_told_apart_are_said_to_be_so():
    g = np.random.default_rng(0)
    flat = RunLog.from_arrays(range(40), quality=0.5 + 0.05 * g.normal(size=40))
    choice = choose(flat)
    assert choice.p_wrong >= 0.5
    assert choice.step in choice.alike
    assert "cannot be told apart" in str(choice.summary())
    assert "another is better" not in str(choice.summary())
