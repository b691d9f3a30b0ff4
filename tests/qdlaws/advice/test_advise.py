"""Advice: what it says on runs whose truth is known, and that it never says more than it may."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from qdlaws import BadData, MissingColumn, RunLog
from qdlaws.advice.advise import Advice, Goal, advise, advise_run
from qdlaws.laws.fit import fit

N = 60


def run(end: float = 0.6, n: int = N, noise: float = 0.005, seed: int = 0, a: float = 0.02):
    """A concave law: D falls from .9 to ``end``, R = 1 − a·exp(4·D), H = 2·D − 1."""
    g = np.random.default_rng(seed)
    d = np.linspace(0.9, end, n)
    return pd.DataFrame(
        {
            "step": 10.0 * np.arange(n),
            "quality": 1 - a * np.exp(4 * d) + noise * g.normal(size=n),
            "diversity": d + noise * g.normal(size=n),
            "entropy": 2 * d - 1 + noise * g.normal(size=n),
        }
    )


def log_of(frame: pd.DataFrame) -> RunLog:
    return RunLog.from_frame(frame)


KEYS = {
    *("action", "checkpoint", "step", "entropy_target", "diversity_target"),
    *("kl_factor", "reward_scale_factor", "confidence", "strength", "reasons", "alarms"),
}


def test_the_json_is_the_documented_one():
    advice = advise(fit(log_of(run())), Goal(min_diversity=0.7))
    out = json.loads(json.dumps(advice.to_dict(), allow_nan=False))
    assert set(out) == KEYS
    assert out["step"] == 590
    assert set(out["diversity_target"]) == {"low", "mid", "high", "level"}
    none = advise(log_of(run()), Goal(budget_steps=100)).to_dict()
    assert none["action"] == "stop"
    assert none["kl_factor"] is None
    assert none["diversity_target"] is None


def settled_above_the_floor() -> pd.DataFrame:
    frame = run(0.8)
    frame.loc[30:, "diversity"] = 0.85 + 0.003 * np.random.default_rng(1).normal(size=30)
    return frame


def test_a_run_of_reinvent_is_told_its_sigma():
    """REINVENT's loss has no KL strength; its users were told to multiply one."""
    goal = Goal(min_diversity=0.7)
    advice = advise(log_of(settled_above_the_floor().assign(sigma=128.0)), goal)
    words, factor = " ".join(str(advice).split()), advice.reward_scale_factor
    assert f"turn σ × {factor:.3g} (128 → {128 * factor:.4g})" in words
    assert f"multiply σ by {factor:.3g} (up: 128 → {128 * factor:.4g})" in words
    assert "σ can be raised" in words
    assert "KL" not in words
    assert "reward scale" not in words
    unknown = RunLog.from_frame(settled_above_the_floor(), tool="reinvent4")
    words = " ".join(str(advise(unknown, goal)).split())
    assert f"multiply σ by {factor:.3g} (up);" in words
    assert "KL" not in words


def test_a_broken_floor_stops_and_keeps_a_checkpoint_that_holds_it():
    advice = advise(log_of(run(0.55)), Goal(min_diversity=0.7))
    assert advice.action == "stop"
    assert advice.confidence > 0.95
    true = 0.9 - 0.35 * advice.checkpoint / 590
    assert 0.695 < true < 0.75  # the lowest that is sure to hold, where quality is highest
    assert advice.kl_factor is None


STOPS = [
    (0.55, Goal(min_diversity=0.7)),
    (0.55, Goal(price=1.2)),
    (0.55, Goal(min_diversity=0.7, budget_steps=100)),
    (0.55, Goal(min_diversity=0.5, target_quality=0.5)),
    (0.7, Goal(min_entropy=0.3, min_gain_per_step=0.01)),
]


@pytest.mark.parametrize("knobs", [False, True], ids=["no knobs in the log", "knobs in the log"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("end", "goal"), STOPS)
def test_a_stop_turns_no_knob(end, goal, seed, knobs):
    frame = run(end, seed=seed)
    if knobs:
        frame["kl_coef"] = 0.1 * np.exp(-np.linspace(0, 2, N))
        frame["reward_scale"] = 1.0
    advice = advise(log_of(frame), goal)
    assert advice.action == "stop"
    assert advice.kl_factor is None
    assert advice.reward_scale_factor is None
    assert not [r for r in advice.reasons if "multiply" in r or "KL strength" in r]


def test_near_the_floor_it_tightens_and_far_from_it_goes_on():
    near = advise(log_of(run(0.705)), Goal(min_diversity=0.7))
    assert near.action == "tighten"
    assert near.kl_factor > 1
    assert near.kl_factor * near.reward_scale_factor == pytest.approx(1)
    far = advise(log_of(run(0.8)), Goal(min_diversity=0.7))
    assert far.action == "continue"
    assert far.kl_factor == 1


def test_settled_above_the_floor_it_loosens_by_a_small_step():
    frame = settled_above_the_floor()
    advice = advise(log_of(frame), Goal(min_diversity=0.7))
    assert advice.action == "loosen"
    assert 0.9 <= advice.kl_factor < 1
    assert any("not both" in r for r in advice.reasons)
    assert any("prior from other runs" in r for r in advice.reasons)
    known = advise(log_of(frame), Goal(min_diversity=0.7), plant_gain=3.0)
    assert any("as given" in r for r in known.reasons)
    assert known.kl_factor > advice.kl_factor  # a strong plant needs a smaller step


def test_the_entropy_target_follows_from_the_line():
    advice = advise(log_of(run(0.71)), Goal(min_diversity=0.7))
    target = advice.entropy_target
    assert target.low <= 2 * advice.diversity_target.mid - 1 <= target.high
    direct = advise(log_of(run(0.71)), Goal(min_entropy=0.4))
    assert direct.entropy_target.low == 0.4
    assert direct.action == "tighten"


@pytest.mark.parametrize("floor", [0.7, 0.79, 0.82])
def test_an_entropy_far_from_all_readings_is_no_target(floor):
    """Of a diversity that hardly moved, the line H–D gave targets of −239, −22 and +50."""
    frame = run(0.6)
    entropy = frame["entropy"].to_numpy()
    noise = np.random.default_rng(1).normal(size=N)
    frame["diversity"] = 0.8 + 0.0004 * (entropy - 0.5) + 5e-6 * noise
    advice = advise(log_of(frame), Goal(min_diversity=floor))
    assert advice.entropy_target is None
    assert any("line does not reach to a diversity of" in reason for reason in advice.reasons)
    near = advise(log_of(frame), Goal(min_diversity=0.7998))
    assert entropy.min() - np.ptp(entropy) < near.entropy_target.mid < entropy.max()


def test_a_price_has_its_operating_point():
    """d(1 − .02·exp(4D))/dD = −λ at D* = ln(λ/.08)/4; λ = 1.2 gives .677."""
    best = np.log(1.2 / 0.08) / 4
    past = advise(log_of(run(0.55)), Goal(price=1.2))
    assert past.action == "stop"
    assert past.diversity_target.low <= best <= past.diversity_target.high
    assert abs(0.9 - 0.35 * past.checkpoint / 590 - best) < 0.06
    before = advise(log_of(run(0.76)), Goal(price=1.2))
    assert before.action == "continue"


def test_without_a_law_a_price_waits_and_a_floor_rests_on_readings():
    frame = run()
    frame["quality"] = 0.5 + 0.05 * np.random.default_rng(3).normal(size=N)
    advice = advise(log_of(frame), Goal(price=1.0))
    assert advice.action == "wait"
    assert advice.kl_factor is None
    assert advice.confidence is None
    assert "no trade-off between quality and diversity is supported" in advice.reasons[0]
    assert "your price of 1 with probability" in advice.reasons[1]
    rests = advise(log_of(frame), Goal(min_diversity=0.5))
    assert any("rests on measured diversity alone" in r for r in rests.reasons)


def test_gain_target_and_no_goal_at_all():
    flat = run(0.6)
    flat["quality"] = np.minimum(flat["step"], 200) * 0.004
    flat["quality"] += 0.01 * np.random.default_rng(0).normal(size=N)
    assert advise(log_of(flat), Goal(min_gain_per_step=0.001)).action == "stop"
    rising = log_of(run(0.6))
    assert advise(rising, Goal(min_gain_per_step=1e-5)).action == "continue"
    reached = advise(rising, Goal(target_quality=0.5))
    assert reached.action == "stop"
    assert "target of 0.5" in reached.reasons[0]
    assert advise(rising).action == "continue"
    falling = run(0.6)
    falling["quality"] = falling["quality"].to_numpy()[::-1]
    down = advise(log_of(falling))
    assert down.action == "stop"
    assert down.checkpoint < 200


def test_contradictions_are_refused_with_the_reason():
    log = log_of(run(0.55))
    with pytest.raises(BadData, match=r"contradictory goals: at diversity 0.8 the law"):
        advise(log, Goal(min_diversity=0.8, target_quality=0.75))
    both = advise(log, Goal(min_diversity=0.8, target_quality=0.4))
    assert isinstance(both, Advice)
    with pytest.raises(MissingColumn, match="needs a diversity column"):
        advise(RunLog.from_arrays(range(9), quality=np.arange(9.0)), Goal(min_diversity=0.5))
    with pytest.raises(BadData, match="LawFits, a RunLog or a path"):
        advise(run())


def test_two_readings_are_too_few_to_advise_by():
    advice = advise(log_of(run().iloc[:2]), Goal(min_diversity=0.5))
    assert advice.action == "wait"
    assert advice.kl_factor is None
    assert advise(log_of(run().iloc[:2])).action == "wait"


def test_columns_without_a_reading_are_a_reason_to_wait():
    unread = RunLog.from_arrays(range(5), quality=np.full(5, np.nan), entropy=np.arange(5.0))
    advice = advise(unread)
    assert advice.action == "wait"
    assert advice.checkpoint is None
    assert advice.reasons == ("quality: no reading yet in 5 rows; nothing can be said",)
    apart = RunLog.from_arrays(
        range(4), quality=[1.0, np.nan, 2.0, np.nan], diversity=[np.nan, 0.5, np.nan, 0.4]
    )
    assert "no row has a reading of each" in advise(apart, Goal(min_diversity=0.3)).reasons[0]


def test_a_goal_without_its_column_is_a_reason_to_wait_in_a_run():
    log = RunLog.from_arrays(range(9), quality=np.arange(9.0))
    advice = advise_run(log, Goal(min_entropy=0.5))
    assert advice.action == "wait"
    assert "needs an entropy column" in advice.reasons[0]


def test_a_low_unique_share_is_a_warning():
    frame = run()
    frame["unique_share"] = np.linspace(1, 0.06, N)
    advice = advise(log_of(frame), Goal(min_diversity=0.5))
    assert any("only 6% of the samples are unique" in r for r in advice.reasons)
    frame["unique_share"] = 0.9
    assert not any("unique" in r for r in advise(log_of(frame)).reasons)


def test_importing_advise_loads_nothing_heavy():
    heavy = "('torch', 'rdkit', 'matplotlib', 'lmfit', 'statsmodels', 'scipy.stats', 'joblib')"
    code = (
        f"import sys, qdlaws.advice.advise, qdlaws.comparison.fleet, qdlaws.kl_frontier.frontier; "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


MEASURE = """
import json, resource, sys, time
import qdlaws as qd
path, clock = sys.argv[1], time.process_time
qd.advise(qd.fit(qd.example_log()))  # what is compiled is loaded now
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began = clock()
with open(path) as file:
    parsed = sum(len(json.loads(line)) for line in file)
floor = clock() - began
began = clock()
advice = qd.advise(qd.fit(qd.read(path)))
print(clock() - began, floor, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_advice_on_a_hundred_thousand_rows_takes_three_seconds_and_500_mebibytes(tmp_path):
    path = tmp_path / "log.jsonl"
    g = np.random.default_rng(0)
    time = np.linspace(0, 1, 100_000)
    columns = {
        "reward": 1 - np.exp(-4 * time) + 0.05 * g.normal(size=len(time)),
        "entropy": 2 * np.exp(-4 * time) + 0.02 * g.normal(size=len(time)),
        "diversity": 0.9 * np.exp(-time) + 0.02 * g.normal(size=len(time)),
    }
    pd.DataFrame({"step": np.arange(len(time)), **columns}).to_json(
        path, orient="records", lines=True
    )
    # a first process compiles what is not compiled yet: the compiler takes memory of its own
    warm = "import qdlaws as qd; qd.advise(qd.fit(qd.example_log()))"
    subprocess.run([sys.executable, "-c", warm], check=True)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True
    )
    seconds, parsing, mebibytes = map(float, done.stdout.split())
    assert seconds < max(3.0, 12 * parsing)  # of processor time; a busy machine parses slower too
    assert mebibytes < 500
