"""Following a log that grows: when it is read, what is written, which process is signalled."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from qdlaws import BadData, QdlawsError, fit, read
from qdlaws.advice.advise import advise
from qdlaws.core.advice import Advice
from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.goal import Goal
from qdlaws.integrations.watch import watch, watch_runs

RUN = Path(__file__).parents[3] / "data" / "runs" / "additive" / "metrics.jsonl"
LINES = RUN.read_text(encoding="utf-8").splitlines(keepends=True)
FLOOR = Goal(min_diversity=0.5)


def grown(path: Path, lines: int) -> Path:
    """The log as it was after so many evaluations."""
    path.write_text("".join(LINES[:lines]), encoding="utf-8")
    return path


def test_an_update_is_the_advice_on_the_present_log(tmp_path):
    log = grown(tmp_path / "metrics.jsonl", 60)
    (update,) = watch(log, FLOOR, max_updates=1)
    advice = advise(fit(read(log)), FLOOR)
    assert (update.step, update.n) == (295, 60)
    assert update.advice.to_dict() == advice.to_dict()
    values = update.to_dict()
    assert values["action"] == advice.action
    assert values["last_step"] == 295
    assert values["source"] == str(log)
    json.dumps(values, allow_nan=False)
    assert str(update).startswith(f"step 295 (60 rows): {advice.action}")


def test_a_log_is_read_again_only_when_it_has_changed(tmp_path):
    log, reads = grown(tmp_path / "metrics.jsonl", 30), []

    def reader(path):
        reads.append(time.monotonic())
        return read(path)

    updates = watch(log, every=0.02, max_updates=2, reader=reader)
    assert next(updates).n == 30
    later = threading.Timer(0.6, grown, (log, 40))
    later.start()
    began = time.monotonic()
    assert next(updates).n == 40
    assert time.monotonic() - began > 0.3
    assert len(reads) == 2
    with pytest.raises(StopIteration):
        next(updates)


def test_a_log_that_is_not_there_yet_or_too_short_is_waited_for(tmp_path):
    log = tmp_path / "metrics.jsonl"
    updates = watch(log, every=0.01, max_updates=3)
    first = next(updates)
    assert first.advice is None
    assert "no such file" in first.reason
    assert first.to_dict()["last_step"] is None
    grown(log, 2)
    second = next(updates)
    assert second.advice is None or second.advice.action == "wait"
    grown(log, 40)
    assert next(updates).advice is not None


def test_a_folder_is_followed_and_a_half_written_line_does_no_harm(tmp_path):
    grown(tmp_path / "metrics.jsonl", 30)
    updates = watch(tmp_path, every=0.01, max_updates=2)
    assert next(updates).n == 30
    with (tmp_path / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write(LINES[30] + LINES[31][:40])
    assert next(updates).n == 31


def test_the_advice_file_is_whole_at_every_moment(tmp_path):
    log, out = grown(tmp_path / "metrics.jsonl", 20), tmp_path / "advice.json"
    done, steps = threading.Event(), []

    def reader():
        while not done.is_set():
            try:
                steps.append(json.loads(out.read_text(encoding="utf-8"))["last_step"])
            except FileNotFoundError:
                continue

    other = threading.Thread(target=reader)
    other.start()
    try:
        for k, update in enumerate(watch(log, FLOOR, every=0.01, write=out, max_updates=5)):
            assert json.loads(out.read_text(encoding="utf-8")) == update.to_dict()
            grown(log, 25 + 5 * k)
    finally:
        done.set()
        other.join()
    assert steps
    assert all(a <= b for a, b in pairwise(steps))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["advice.json", "metrics.jsonl"]


def test_writing_fails_in_one_line_and_leaves_the_old_file(tmp_path):
    write_atomically(tmp_path / "a", "old")
    with pytest.raises(QdlawsError, match="cannot write"):
        write_atomically(tmp_path / "none" / "a", "new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(QdlawsError, match="cannot write"):
        write_atomically(tmp_path / "folder", "new")
    assert (tmp_path / "a").read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "folder"]


@pytest.fixture
def trainer():
    """A process that ends with status 7 on SIGUSR1."""
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()


def test_advice_to_stop_touches_the_file_and_signals_the_process(tmp_path, trainer):
    log, stop = grown(tmp_path / "metrics.jsonl", 15), tmp_path / "STOP"
    updates = watch(log, FLOOR, every=0.01, stop_file=stop, signal_pid=trainer.pid, max_updates=3)
    assert next(updates).advice.action != "stop"
    assert not stop.exists()
    assert trainer.poll() is None
    grown(log, 90)
    assert next(updates).advice.action == "stop"
    assert "below the floor" in stop.read_text(encoding="utf-8")
    assert trainer.wait(60) == 7
    grown(log, 95)  # the process is gone: nothing is signalled, nothing fails
    assert next(updates).advice.action == "stop"


def test_a_process_that_cannot_be_the_trainer_is_refused(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid, why in ((gone.pid, "no process"), (1, "cannot be"), (os.getpid(), "cannot be")):
        with pytest.raises(BadData, match=why):
            watch(RUN, signal_pid=pid)
    with pytest.raises(BadData, match="seconds"):
        watch(RUN, every=0)


def test_a_price_that_is_met_stops_no_process(tmp_path, monkeypatch):
    """It rests on a posterior, not on a test that may be looked at after every step."""
    module = importlib.import_module("qdlaws.advice.rules")

    log, stop = grown(tmp_path / "metrics.jsonl", 60), tmp_path / "STOP"
    met = Advice(action="stop", step=60.0, reasons=("past the best diversity",), confidence=0.99)
    monkeypatch.setattr(module, "_price_met", lambda *given: met)
    (update,) = watch(log, Goal(), stop_file=stop, max_updates=1)
    assert update.advice.action == "stop"
    assert not update.advice.anytime
    assert not stop.exists()


def test_the_update_names_the_signal_and_its_process(tmp_path):
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\ntime.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        log = grown(tmp_path / "metrics.jsonl", len(LINES))
        (update,) = watch(log, FLOOR, signal_pid=process.pid, signal_name="TERM", max_updates=1)
        assert update.advice.anytime
        assert process.wait(60) == 5
        assert str(update).endswith(f"[SIGTERM sent to process {process.pid}]")
        assert update.to_dict()["told"] == f"SIGTERM sent to process {process.pid}"
    finally:
        process.kill()
        process.wait()
    with pytest.raises(BadData, match="USR1, TERM"):
        watch(log, FLOOR, signal_pid=os.getppid(), signal_name="KILL")


def test_the_last_decision_of_the_runs_controller_is_shown(tmp_path):
    evals = [
        {"step": k, "phase": "eval", "quality": 0.5 + k / 100, "diversity": 0.9 - k / 200}
        for k in range(12)
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in evals))
    (tmp_path / "config.toml").write_text("")
    knobs = {"kl": 0.05, "reward_scale": 1.2, "entropy": 0.0}
    lines = [
        {"step": k, "action": "loosen", "knobs": knobs, "reasons": [f"why {k}"]} for k in (10, 11)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "advice.jsonl").write_text(text + '{"step": 12, "acti')  # being written
    update = next(watch(tmp_path, every=0.01, max_updates=1))
    shown = str(update).splitlines()[1]
    assert shown == "  its controller at step 11: loosen (kl 0.05, reward_scale 1.2): why 11"
    assert update.to_dict()["decision"]["step"] == 11
    (tmp_path / "advice.jsonl").write_text('{"step": 3}\n')
    assert "at step 3: ?" in str(next(watch(tmp_path, every=0.01, max_updates=1)))


def test_a_process_that_has_ended_and_was_not_noted_gets_no_signal(tmp_path):
    """A zombie was "signalled"."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        log = grown(tmp_path / "metrics.jsonl", len(LINES))
        updates = watch(log, FLOOR, signal_pid=process.pid, max_updates=1)
        process.stdin.close()
        stat = Path(f"/proc/{process.pid}/stat")
        while stat.read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.01)
        assert "already ended, no signal was sent" in next(updates).signalled
        with pytest.raises(BadData, match="has already ended"):
            watch(log, signal_pid=process.pid)
    finally:
        process.kill()
        process.wait()


def test_numbers_beyond_what_the_system_takes_are_refused():
    with pytest.raises(BadData, match="there is no process"):
        watch(RUN, signal_pid=2**31)
    for seconds in (1e308, float("nan"), float("inf"), -1):
        with pytest.raises(BadData, match="number of seconds above 0 and up to 604800"):
            watch(RUN, every=seconds)


def test_decisions_that_a_stranger_wrote_end_no_watch(tmp_path):
    grown(tmp_path / "metrics.jsonl", 20)
    odd = ['{"step": 1e999}', '{"step": 1%s, "reasons": 5, "action": ""}' % ("0" * 300)]
    odd += [
        '{"step": 4, "action": "\x1b[2J\\u001b]52;c;cm0=\\u0007", "reasons": ["\\ud800\\u202e"]}'
    ]
    for line in odd:
        (tmp_path / "advice.jsonl").write_text(line + "\n")
        update = next(watch(tmp_path, max_updates=1))
        assert str(update).replace("\n", "").isprintable()
        json.dumps(update.to_dict(), allow_nan=False).encode()


def test_a_link_under_the_name_of_the_advice_is_refused(tmp_path):
    log = grown(tmp_path / "metrics.jsonl", 20)
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "advice.json").symlink_to(tmp_path / "victim")
    with pytest.raises(QdlawsError, match="a symbolic link stands there"):
        next(watch(log, write=tmp_path / "advice.json", max_updates=1))
    assert (tmp_path / "victim").read_text() == "untouched"


@pytest.mark.parametrize("name", ["write", "stop_file"])
def test_a_file_that_cannot_be_written_is_refused_before_the_first_look(tmp_path, name):
    with pytest.raises(BadData, match="there is no folder"):
        watch_runs([tmp_path], **{name: tmp_path / "nowhere" / "file"})
