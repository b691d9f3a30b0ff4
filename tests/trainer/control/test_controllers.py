"""Controllers: pure, replayable, held where they must hold, refused where they cannot work."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from qdlaws import BadData, Goal, MissingColumn, RunLog, read
from trainer.algorithms.recipes import RECIPES, entropy_bonus, grpo, reinvent, rloo
from trainer.analysis.simulated_run import CLIFF, QED, qed
from trainer.analysis.simulated_run import simulate as run
from trainer.control import (
    Decision,
    knob_columns,
    knobs_in,
    make_controller,
    make_dial,
    never_stop,
    replay,
    run_log,
    start_knobs,
    steered,
    stop_when_advised,
)
from trainer.knobs import Knobs

START = Knobs(kl=0.1, reward_scale=1.0)
FLOOR = Goal(min_diversity=0.65)
LINES = {"quality": 0.5, "quality_se": 0.004, "diversity_se": 0.004, "entropy": 0.5, "kl": 0.1}


def law(goal=FLOOR, recipe=None, start=START, **options):
    return make_controller("law_guided", recipe or rloo(), start, goal, **options)


def log_with(diversity, knobs=START, **columns):
    """A log with these readings of diversity and the same knobs all along."""
    rows = [
        LINES | knob_columns(knobs) | {"step": 10 * k, "diversity": d}
        for k, d in enumerate(diversity)
    ]
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return run_log(rows)


def lines_of(log):
    """The log as the text of a metrics.jsonl."""
    rows = log.to_frame().to_dict("records")
    plain = [{k: None if np.isnan(v) else v for k, v in row.items()} for row in rows]
    return [json.dumps({"phase": "eval", "n_samples": 400, **row}) for row in plain]


def test_no_torch_is_loaded():
    code = "import sys, trainer.control; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ── refused before the run ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_what_has_no_steady_answer_is_refused(name):
    recipe = RECIPES[name]()
    if recipe.plant in ("tilt", "monotone"):
        make_controller("law_guided", recipe, recipe.knobs, FLOOR)
        return
    with pytest.raises(BadData, match=r"add a KL|such as rloo|batch_normalised"):
        make_controller("law_guided", recipe, recipe.knobs, FLOOR)
    with pytest.raises(BadData):
        make_controller("kl_target", recipe, recipe.knobs, target=1.0)
    log = log_with([0.8])
    assert make_controller("fixed", recipe, recipe.knobs)(log, START).knobs is START


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: law(turn="reward_scale", recipe=grpo()), "dead knob of grpo"),
        (lambda: law(start=Knobs(kl=0.0)), "kl = 0.*small kl such as 0.001"),
        (lambda: law(turn="temperature"), "kl, reward_scale, entropy"),
        (lambda: law(Goal()), "min_diversity, min_entropy or price"),
        (lambda: law(gain=-1.0), "above 0"),
        (lambda: law(gian=1.0), "no option 'gian'; it takes gain"),
        (lambda: make_controller("pid", rloo(), START), "there are fixed, kl_target"),
        (lambda: make_controller("kl_target", rloo(), START), "needs target"),
        (lambda: make_controller("kl_target", rloo(), START, target=0.0), "above 0"),
        (lambda: make_controller("kl_target", rloo(), START, target=1.0, rule="x"), "doubling"),
        (lambda: make_controller("entropy_target", rloo(), START), "the entropy to hold"),
        (lambda: make_controller("fixed", rloo(), START, target=1.0), "it takes none"),
    ],
)
def test_each_refusal_is_one_clear_line(ask, words):
    with pytest.raises(BadData, match=words) as caught:
        ask()
    assert "\n" not in str(caught.value)


def test_which_knob_carries_the_ratio():
    assert make_dial(rloo(), START).turn == "reward_scale"
    assert make_dial(grpo(), START).turn == "kl"
    assert make_dial(reinvent(), Knobs(1.0, 128.0)).against == "kl"
    bonus = make_dial(entropy_bonus(), Knobs(0.0, 1.0, 0.01))
    assert (bonus.turn, bonus.against) == ("reward_scale", "entropy")
    assert make_dial(rloo(), START, "kl").turned(START, 0.5).kl == pytest.approx(0.1 * np.exp(-0.5))
    for turn in ("kl", "reward_scale"):
        dial = make_dial(rloo(), START, turn)
        assert dial.ratio(dial.turned(START, 0.5)) == pytest.approx(np.log(10) + 0.5)
        assert dial.ratio(dial.turned(START, 99.0)) == pytest.approx(np.log(10) + 5)
        assert dial.ratio(dial.turned(START, -99.0)) == pytest.approx(np.log(10) - 4)
        assert dial.turned(START, 0.0) is START
        assert dial.turned(START, float("nan")) is START


# ── pure, and the same from a saved log ───────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def noisy():
    """A run with missing readings under the law."""
    return run(replace(QED, missing=0.2), law(), START, steps=300, seed=3)


def same(one: Decision, other: Decision) -> bool:
    return repr(one.as_dict()) == repr(other.as_dict())


def test_replay_gives_the_same_decisions(noisy):
    again = replay(law(), noisy.log, START)
    assert all(map(same, again, noisy.decisions))
    assert len({d.action for d in again}) >= 3


def test_a_log_cut_and_resumed_from_its_lines_decides_the_same(noisy):
    lines = lines_of(noisy.log)
    for cut in (1, 2, 5, 17, 31):
        log = run_log(map(json.loads, lines[:cut]))
        decided = law()(log, knobs_in(log, -1, START))
        assert same(decided, noisy.decisions[cut - 1])


def test_the_file_as_any_reader_sees_it_replays_too(noisy, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join(lines_of(noisy.log)))
    last = replay(law(), read(path), START)[-1]
    assert last.knobs == noisy.decisions[-1].knobs


def test_a_controller_keeps_nothing_and_changes_nothing(noisy):
    controller, frame = law(), noisy.log.to_frame()
    first = controller(noisy.log, noisy.knobs[-1])
    controller(noisy.log.take(slice(0, 9)), START)
    assert same(controller(noisy.log, noisy.knobs[-1]), first)
    assert noisy.log.to_frame().equals(frame)
    assert steered(controller)(noisy.log, noisy.knobs[-1]) == first.knobs


def test_a_decision_is_plain_json(noisy):
    for decision in noisy.decisions:
        text = json.dumps(decision.as_dict(), allow_nan=False)
        assert {"action", "knobs", "reasons", "figures"} == set(json.loads(text))
    figures = noisy.decisions[-1].figures
    assert {"u", "du", "gain", "level", "target", "settled", "lag"} <= set(figures)


# ── hold ──────────────────────────────────────────────────────────────────────────────────────


def test_fewer_than_three_readings_wait_but_the_guard_tightens():
    for n in (1, 2):
        decision = law()(log_with([0.9] * n), START)
        assert (decision.action, decision.knobs) == ("wait", START)
        assert "not loosened" in " ".join(decision.reasons)
        low = law()(log_with([0.5] * n), START)
        assert low.action == "tighten"
        assert low.knobs.reward_scale < 1


def test_a_missing_reading_never_loosens():
    seen = [0.80, 0.805, 0.797, 0.803, 0.80]
    assert law()(log_with(seen), START).action == "loosen"
    decision = law()(log_with([*seen, np.nan]), START)
    assert decision.knobs == START
    assert "missing" in " ".join(decision.reasons)
    low = law()(log_with([0.6, 0.59, 0.61, 0.60, np.nan]), START)
    assert low.action == "tighten"
    assert law()(log_with([np.nan] * 3), START).action == "wait"


def test_a_price_without_a_law_is_not_loosened_by_and_a_floor_beside_it_still_guards():
    flat = [0.80, 0.805, 0.797, 0.803, 0.80]
    alone = law(Goal(price=1.0))(log_with(flat), START)
    assert (alone.action, alone.knobs) == ("wait", START)
    both = Goal(price=1.0, min_diversity=0.65)
    assert law(both)(log_with(flat), START).knobs == START
    assert law(both)(log_with([d - 0.2 for d in flat]), START).action == "tighten"


def test_a_price_is_steered_by_its_operating_point():
    d = np.linspace(0.9, 0.55, 40)
    quality = 1 - (d - 0.3) ** 2 * 2  # dR/dD = −4(D − .3): a price of 2 is met at D = .8
    wobble = 0.002 * np.sin(2.3 * np.arange(40))
    log = log_with(d + wobble, quality=quality + 0.5 * wobble)
    decision = law(Goal(price=2.0))(log, START)
    assert decision.action == "tighten"  # it is at .55, far below .8
    assert decision.figures["target"] == pytest.approx(0.8, abs=0.03)


def test_an_entropy_floor_needs_entropy_alone():
    rows = [
        {"step": 10 * k, "entropy": 0.5 + 0.003 * (-1) ** k, "entropy_se": 0.004}
        | knob_columns(START)
        for k in range(8)
    ]
    log = run_log(rows)
    assert log.columns == ("entropy",)
    assert law(Goal(min_entropy=0.3))(log, START).action == "loosen"
    assert law(Goal(min_entropy=0.6))(log, START).action == "tighten"
    with pytest.raises(MissingColumn, match="min_diversity needs a diversity column"):
        law()(log, START)


# ── in closed loop ────────────────────────────────────────────────────────────────────────────

NEAR = Knobs(kl=0.1, reward_scale=0.1 * np.exp(4.0))
SCALE, KL = {"turn": "reward_scale"}, {"turn": "kl"}


@pytest.mark.parametrize(
    ("plant", "options", "share"),
    [
        pytest.param(QED, SCALE, 0.97, id="reward scale"),
        pytest.param(replace(QED, slows=True), KL, 0.97, id="kl"),
        pytest.param(QED, SCALE | {"gain": 0.065 / 3}, 0.95, id="gain thought a third"),
        pytest.param(QED, SCALE | {"gain": 0.065 * 3}, 0.95, id="gain thought thrice"),
        pytest.param(replace(QED, noise=0.03), SCALE, 0.85, id="noise x 3"),
        pytest.param(replace(QED, missing=0.4), SCALE, 0.95, id="40 % missing"),
        pytest.param(replace(QED, dead=20), SCALE, 0.95, id="dead time"),
        pytest.param(replace(QED, lag=80.0), SCALE, 0.94, id="slow"),
    ],
)
def test_the_floor_is_held_and_little_is_left_lying(plant, options, share):
    runs = [run(plant, law(**options), NEAR, seed=seed) for seed in range(3)]
    assert all(trace.below(0.635) == 0 for trace in runs)
    assert np.mean([trace.share(plant.curves, 0.65) for trace in runs]) > share


def test_a_curve_that_drops_midway_is_caught_and_the_floor_regained():
    plant = replace(QED, later=((300, qed(-1.0)),))
    trace = run(plant, law(), NEAR, seed=0)
    assert trace.diversity.min() < 0.64  # nobody can foresee it
    assert (trace.diversity[-12:] > 0.645).all()


def test_a_cliff_is_stopped_at():
    trace = run(CLIFF, law(Goal(min_diversity=0.75)), START, seed=0)
    assert trace.below(0.75 - 0.02) == 0
    settled = [CLIFF.curves.diversity(u) for u in (3.0, 4.5)]
    assert settled[0] > 0.83 > 0.5 > settled[1]  # within a unit and a half of u


def test_the_gain_is_identified_in_the_loop():
    """The truth is .085; from a wrong prior it is most of the way there in 60 small turns."""
    found = [
        run(replace(QED, noise=0.004), law(gain=0.085 * wrong), NEAR, seed=1).decisions[-1].figures
        for wrong in (1 / 4, 1.0, 3.0)
    ]
    gains = [figures["gain"] for figures in found]
    assert gains[0] > 2 * 0.085 / 4
    assert gains[1] == pytest.approx(0.085, rel=0.4)
    assert gains[2] < 0.75 * 3 * 0.085


def test_u_stays_within_its_range():
    low = Goal(min_diversity=0.1)
    start = make_dial(rloo(), NEAR).ratio(NEAR)
    trace = run(QED, law(low, start=NEAR), NEAR, steps=600, every=5, seed=0)
    last = trace.decisions[-1]
    assert last.figures["u"] == pytest.approx(start + 5)
    assert "end of its range" in " ".join(last.reasons)


# ── the classic ones ──────────────────────────────────────────────────────────────────────────


def test_kl_target_moves_the_kl_towards_the_target():
    ask = {"target": 0.1, "turn": "kl"}
    proportional = make_controller("kl_target", rloo(), START, **ask)
    doubling = make_controller("kl_target", rloo(), START, rule="doubling", **ask)
    for kl, factor, doubled in ((0.1, 1.0, 1.0), (0.105, np.exp(0.05), 1), (0.2, np.exp(0.2), 2)):
        log = log_with([0.8, 0.8], kl=[kl, kl])  # 10 steps apart: rate .1 a step
        assert proportional(log, START).knobs.kl == pytest.approx(0.1 * factor)
        assert doubling(log, START).knobs.kl == pytest.approx(0.1 * doubled)
    assert doubling(log_with([0.8], kl=[0.01]), START).knobs.kl == pytest.approx(0.05)
    held = proportional(log_with([0.8, 0.8], kl=[0.3, np.nan]), START)
    assert (held.action, held.knobs) == ("wait", START)


def test_kl_target_without_a_kl_names_what_is_there():
    log = RunLog.from_records([{"step": 0, "quality": 1.0, "reward_scale": 1.0}])
    with pytest.raises(MissingColumn, match="reward_scale"):
        make_controller("kl_target", rloo(), START, target=1.0)(log, START)


@pytest.mark.parametrize("name", ["entropy_target", "stepped_entropy"])
@pytest.mark.parametrize("turn", ["kl", "reward_scale"])
def test_entropy_controllers_come_to_their_target_in_the_end(name, turn):
    target = QED.curves.entropy(4.0)
    plant = replace(QED, noise=0.002)
    controller = make_controller(name, rloo(), START, target=target, turn=turn)
    trace = run(plant, controller, START, steps=1500, seed=0)
    assert np.mean(trace.truth[-40:, 2]) == pytest.approx(target, abs=0.06)


def test_on_the_entropy_bonus_the_step_is_that_of_trl():
    start = Knobs(0.0, 1.0, 0.01)
    controller = make_controller(
        "stepped_entropy", entropy_bonus(), start, Goal(min_entropy=0.2), step=0.005
    )
    seen = [0.1, 0.15, 0.3, 0.1]  # TRL: .015, .020, .015 (not applied above the target), .020
    applied = [0.015, 0.020, 0.0, 0.020]
    knobs = start
    for n, (expected, action) in enumerate(
        zip(applied, ("tighten", "tighten", "loosen", "tighten"), strict=True), 1
    ):
        decision = controller(log_with([0.8] * n, entropy=seen[:n]), knobs)
        assert decision.knobs.entropy == pytest.approx(expected)
        assert decision.action == action
        knobs = decision.knobs
    many = log_with([0.8] * 300, entropy=[0.1] * 300)
    assert controller(many, knobs).knobs.entropy == 1.0


def test_the_start_of_a_run_by_its_ratio():
    assert start_knobs(rloo(), START, 40.0) == Knobs(0.1, pytest.approx(4.0))
    assert start_knobs(grpo(), START, 40.0) == Knobs(pytest.approx(1 / 40), 1.0)
    assert start_knobs(rloo(), START, 40.0, "kl").kl == pytest.approx(1 / 40)
    with pytest.raises(BadData, match="above 0"):
        start_knobs(rloo(), START, float("nan"))


# ── stopping ──────────────────────────────────────────────────────────────────────────────────


def test_it_stops_where_nothing_more_is_gained_and_names_the_checkpoint():
    rng = np.random.default_rng(0)
    k = np.arange(80)
    quality = 0.5 + 0.4 * (1 - np.exp(-k / 8)) + 0.004 * rng.standard_normal(80)
    log = log_with(0.9 - 0.002 * k, quality=quality)
    stopper = stop_when_advised(Goal(min_gain_per_step=2e-4))
    found = [stopper(log.take(slice(0, n)), None) for n in (10, 20, 80)]
    assert [f.stop for f in found] == [False, False, True]
    kept = stopper(log, [0.0, 300.0, 400.0])
    assert kept.checkpoint in (300.0, 400.0)
    assert kept.confidence > 0.95
    assert kept.saved(1580) == pytest.approx(0.5)
    assert found[0].saved(1580) == 0
    json.dumps(kept.as_dict(), allow_nan=False)


def test_a_controlled_run_that_holds_its_floor_is_not_stopped(noisy):
    stopper = stop_when_advised(FLOOR)
    assert not any(stopper(noisy.log.take(slice(0, n)), None).stop for n in range(5, 31, 5))
    assert not never_stop()(noisy.log, None).stop
