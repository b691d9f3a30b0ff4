"""Decisions are pure functions of the log: replayed, resumed and written as JSON."""

from __future__ import annotations

import json

from qdlaws import read
from tests.helpers.control_logs import START, guided, lines_of
from trainer.control import Decision, knobs_in, replay, run_log


def same(one: Decision, other: Decision) -> bool:
    return repr(one.to_dict()) == repr(other.to_dict())


def test_a_replayed_log_gives_the_same_decisions(noisy_run):
    replayed = replay(guided(), noisy_run.log, START)
    assert all(map(same, replayed, noisy_run.decisions))
    assert len({d.advice.action for d in replayed}) >= 3


def test_a_resumed_log_gives_the_same_decision(noisy_run):
    lines = lines_of(noisy_run.log)
    for cut in (1, 2, 5, 17, 31):
        log = run_log(map(json.loads, lines[:cut]))
        decision = guided()(log, knobs_in(log, -1, START))
        assert same(decision, noisy_run.decisions[cut - 1])


def test_a_metrics_file_read_by_the_library_gives_the_same_knobs(noisy_run, tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join(lines_of(noisy_run.log)))
    last = replay(guided(), read(path), START)[-1]
    assert last.knobs == noisy_run.decisions[-1].knobs


def test_a_controller_is_a_pure_function_of_log_and_knobs(noisy_run):
    controller, frame = guided(), noisy_run.log.to_frame()
    first = controller(noisy_run.log, noisy_run.knobs[-1])
    controller(noisy_run.log.take(slice(0, 9)), START)
    assert same(controller(noisy_run.log, noisy_run.knobs[-1]), first)
    assert noisy_run.log.to_frame().equals(frame)


def test_a_decision_is_a_line_of_strict_json(noisy_run):
    for decision in noisy_run.decisions:
        line = json.loads(json.dumps(decision.to_dict(), allow_nan=False))
        assert {"step", "action", "checkpoint", "kl_factor", "knobs", "figures"} <= set(line)
        assert set(line["knobs"]) == {"kl", "reward_scale", "entropy"}
    figures = noisy_run.decisions[-1].advice.figures
    assert {"u", "du", "gain", "level", "target", "settled", "lag"} <= set(figures)
