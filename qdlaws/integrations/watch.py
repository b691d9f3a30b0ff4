"""watch(path): follow a log that grows, and give advice anew whenever it has.

Looking often does not raise the error rate: :func:`qdlaws.advice.advise.advise` rests a stop on
tests that stay valid however often one looks (:mod:`qdlaws.inference.e_process`).
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.serialize import chance, plain, printable
from qdlaws.errors import BadData, MissingColumn, NotEnoughData, QdlawsError
from qdlaws.integrations.trainer_process import TrainerProcess
from qdlaws.readers.run_folder import last_decision

if TYPE_CHECKING:
    from qdlaws.advice.advise import Advice
    from qdlaws.core.goal import Goal
    from qdlaws.core.runlog import RunLog
    from qdlaws.laws.result import LawFits

__all__ = ["Update", "watch", "watch_runs"]

SHARE = 0.25
"""The most of one core that reading and fitting may take: long logs are looked at less often."""

LONGEST = 7 * 86_400.0
"""The most seconds between looks."""

MOST_FILES = 20_000
"""Files of a folder that are looked at for changes."""


@dataclass(frozen=True, eq=False)
class Update:
    """The advice at one look at a log; None, with the reason, while there can be none.

    >>> import qdlaws as qd
    >>> update = Update("run", step=40.0, n=5, advice=None, reason="5 rows are too few")
    >>> print(update)
    step 40 (5 rows): 5 rows are too few
    """

    source: str
    step: float | None
    n: int
    advice: Advice | None
    reason: str = ""
    signalled: str = ""
    """The signal that was sent at this look, and to which process; in the JSON as ``told``."""
    decision: Mapping[str, Any] | None = None
    """The last decision of the run's controller, the newest line of ``advice.jsonl``."""
    log: RunLog | None = field(default=None, repr=False)
    fits: LawFits | None = field(default=None, repr=False)
    """The log and its laws, where it could be read and they could be fitted."""

    def to_dict(self) -> dict[str, Any]:
        """The advice as ``qdlaws advise --json`` gives it, with the log's name and last step."""
        advice: dict[str, Any] = {} if self.advice is None else self.advice.to_dict()
        rest: dict[str, Any] = {"source": self.source, "last_step": self.step, "n": self.n}
        if self.reason:
            rest["reason"] = self.reason
        if self.signalled:
            rest["told"] = self.signalled
        if self.decision is not None:
            rest["decision"] = dict(self.decision)
        values: dict[str, Any] = plain(advice | rest)
        return values

    def __str__(self) -> str:
        where = "no steps yet" if self.step is None else f"step {self.step:g} ({self.n} rows)"
        return printable(f"{where}: {self._words()}{self._controller_line()}")

    def _words(self) -> str:
        if self.advice is None:
            return self.reason
        advice = self.advice
        sure = "" if advice.confidence is None else f" ({chance(advice.confidence)} sure)"
        why = f": {advice.reasons[0]}" if advice.reasons else ""
        signal = f" [{self.signalled}]" if self.signalled else ""
        return f"{advice.action}{sure}{why}{signal}"

    def _controller_line(self) -> str:
        """A line on the decision of the run's controller: step, action, knobs, first reason."""
        decision = self.decision
        if decision is None:
            return ""
        knobs, reasons = decision.get("knobs"), decision.get("reasons")
        items = knobs.items() if isinstance(knobs, Mapping) else ()
        words = ", ".join(f"{k} {v:.3g}" for k, v in items if isinstance(v, (int, float)) and v)
        now = f" ({words})" if words else ""
        why = f": {reasons[0]}" if isinstance(reasons, list) and reasons else ""
        action = decision.get("action", "?")
        return f"\n  its controller at step {decision['step']:g}: {action}{now}{why}"


def watch(
    path: str | PathLike[str],
    goal: Goal | None = None,
    *,
    every: float = 10.0,
    write: str | PathLike[str] | None = None,
    stop_file: str | PathLike[str] | None = None,
    signal_pid: int | None = None,
    signal_name: Literal["USR1", "TERM"] = "USR1",
    max_updates: int | None = None,
    reader: Callable[[Path], RunLog] | None = None,
) -> Iterator[Update]:
    """An update whenever the log at ``path`` has changed; the first one at once.

    Parameters
    ----------
    path : a log that may still grow, or not be there yet
    goal : what is wanted of the run
    every : seconds between looks; more where a look itself takes long
    write : file that always holds the newest advice, replaced in one move
    stop_file : file to create when the advice is to stop, for a trainer that looks for it
    signal_pid : process to send a signal, once, when the advice is to stop by a test that may be
        looked at after every step; the update says so in ``signalled``
    signal_name : ``"USR1"`` (REINVENT4 saves a checkpoint and ends) or ``"TERM"``
    max_updates : end after so many updates
    reader : how to read the path; :func:`qdlaws.read` by default

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import qdlaws as qd
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "run.csv"
    ...     qd.example_log()[:40].to_frame().to_csv(path, index=False)
    ...     update = next(watch(path, qd.Goal(min_diversity=0.4), max_updates=1))
    >>> update.n, update.advice is None
    (8, False)
    """
    rounds = watch_runs(
        [path],
        goal,
        every=every,
        write=write,
        stop_file=stop_file,
        signal_pid=signal_pid,
        signal_name=signal_name,
        reader=reader,
    )
    return islice((update for updates in rounds for update in updates), max_updates)


def watch_runs(
    paths: Sequence[str | PathLike[str]],
    goal: Goal | None = None,
    *,
    every: float = 10.0,
    write: str | PathLike[str] | None = None,
    stop_file: str | PathLike[str] | None = None,
    signal_pid: int | None = None,
    signal_name: str = "USR1",
    reader: Callable[[Path], RunLog] | None = None,
) -> Iterator[list[Update]]:
    """The updates of all runs whose logs have changed, whenever any has; of all at first.

    The parameters are those of :func:`watch`; a file and a signal are about one run.

    >>> updates = next(watch_runs(["nowhere"]))
    >>> updates[0].advice is None
    True
    """
    if not paths:
        raise BadData("no runs were given to watch")
    if not 0 < every <= LONGEST:
        raise BadData(
            f"every is {every!r}, a number of seconds above 0 and up to {LONGEST:g} was needed"
        )
    single = {"write": write, "stop_file": stop_file, "signal": signal_pid}
    given = [name for name, value in single.items() if value is not None]
    if given and len(paths) > 1:
        raise BadData(f"{given[0]} is about one run, but {len(paths)} are watched")
    for target in (write, stop_file):
        if target is not None and not Path(target).parent.is_dir():
            raise BadData(f"cannot write {target}: there is no folder {Path(target).parent}")
    process = None if signal_pid is None else TrainerProcess.find(signal_pid, signal_name)
    followers = [_Follower(Path(p), goal, reader, write, stop_file, process) for p in paths]
    return _rounds(followers, every)


def _rounds(followers: Sequence[_Follower], every: float) -> Iterator[list[Update]]:
    """The updates of each round in which a log has changed."""
    while True:
        began = time.monotonic()
        updates = [update for one in followers if (update := one.look()) is not None]
        if updates:
            yield updates
        spent = time.monotonic() - began
        time.sleep(max(every - spent, spent * (1 / SHARE - 1), 0.01))


@dataclass
class _Follower:
    """One log, as it was at the last look, and what is done when its advice is to stop."""

    path: Path
    goal: Goal | None
    reader: Callable[[Path], RunLog] | None = None
    write: str | PathLike[str] | None = None
    stop_file: str | PathLike[str] | None = None
    process: TrainerProcess | None = None
    _before: Any = None
    _stopped: bool = False

    def look(self) -> Update | None:
        """An update where the log has changed since the last look."""
        now = _file_stats(self.path)
        if now == self._before:
            return None
        self._before = now
        update = _update(self.path, self.goal, self.reader)
        if update.advice is None:
            return update
        if self.write is not None:
            text = json.dumps(update.to_dict(), ensure_ascii=False) + "\n"
            write_atomically(self.write, text)
        if not self._stopped and update.advice.anytime:
            self._stopped = True
            if self.stop_file is not None:
                write_atomically(self.stop_file, f"{update}\n")
            if self.process is not None:
                update = replace(update, signalled=self.process.signal())
        return update


def _update(path: Path, goal: Goal | None, reader: Callable[[Path], RunLog] | None) -> Update:
    """Reads, fits and advises; an error becomes the reason of an update without advice."""
    from qdlaws.advice.advise import advise
    from qdlaws.readers import read

    update = Update(str(path), None, 0, None, decision=last_decision(path))
    try:
        log = (reader or read)(path)
        _refuse_impossible_goal(goal, log)
        fits = _fits(log)
        update = replace(update, step=float(log.step[-1]), n=len(log), log=log, fits=fits)
        return replace(update, advice=advise(fits or log, goal))
    except ImpossibleGoal:
        raise
    except QdlawsError as error:
        return replace(update, reason=" ".join(str(error).split()))


class ImpossibleGoal(BadData):
    """A goal that the column can never meet, whatever the run does: watching it is no use."""


def _refuse_impossible_goal(goal: Goal | None, log: RunLog) -> None:
    """ImpossibleGoal for a floor of 80 on a diversity of .80; a missing column may come yet."""
    if goal is None:
        return
    try:
        goal.check(log)
    except BadData as error:
        raise ImpossibleGoal(str(error)) from None
    except QdlawsError:
        return


def _fits(log: RunLog) -> LawFits | None:
    """The laws of the log; None where it has too few points or columns for any."""
    from qdlaws.laws.fit import fit

    try:
        return fit(log)
    except (NotEnoughData, MissingColumn):
        return None


def _file_stats(path: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of every file of a log; empty while there is none."""
    stats = []
    try:
        if path.is_dir():
            names = (os.path.join(top, f) for top, _, files in os.walk(path) for f in files)
            paths = [Path(name) for name, _ in zip(names, range(MOST_FILES), strict=False)]
        else:
            paths = [path]
        for name in paths:
            stat = name.stat()
            stats.append((str(name), stat.st_size, stat.st_mtime_ns))
    except OSError:  # a file that goes away between listing and looking counts as a change
        stats.append(("", len(stats), 0))
    return tuple(sorted(stats))
