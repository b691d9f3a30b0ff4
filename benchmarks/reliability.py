"""Nothing is lost, nothing is wrong unseen, nothing hangs: the attack, to be repeated by anybody.

    python benchmarks/reliability.py [--minutes 10] [--seed 0] [--only WORD] [--quick]

Every row is one kind of attack on logs, numbers, runs and scores (``benchmarks/attacks``), tried
again and again for its share of the time. A try is a *fault* where it ends in anything but an answer
or one line (a traceback, a warning, a hang), where a number is wrong without a word, where a run that
was broken off does not come to the same files as the unbroken one, or where a file outside is
touched. A try is a function of the seed, the row and its number, so ``--seed`` and ``--only`` repeat
it. One process at a time works beside this one (two where two are the attack), each within limits of
time, memory and, where that is the attack, of file sizes. POSIX only.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from attacks import on_fits, on_growth, on_logs, on_runs, on_scores
from attacks.tally import Attack, Skipped, Tally, last_line

ATTACKS: tuple[Attack, ...] = (
    *on_logs.ATTACKS, *on_fits.ATTACKS, *on_runs.ATTACKS, *on_scores.ATTACKS, *on_growth.ATTACKS,
)  # fmt: skip


def attacked(
    attack: Attack, number: int, seed: int, seconds: float | None, tries: int | None = None
) -> Tally:
    """One row: tries until the time is over, or so many (those of the short version)."""
    tries = attack.tries if tries is None else tries
    tally = Tally(attack.name)
    with tempfile.TemporaryDirectory(prefix="attack-", ignore_cleanup_errors=True) as work:
        try:
            attempt = attack.prepare(Path(work))
        except Skipped as reason:
            tally.note = f"not tried: {reason}"
            return tally
        began = time.monotonic()
        while tally.tries < tries if seconds is None else time.monotonic() - began < seconds:
            rng = np.random.default_rng([seed, number, tally.tries])
            try:
                fault = attempt(rng)
            except Exception as error:  # of the attack itself: to be mended too
                fault = f"the attack failed: {last_line(error)}"
            if fault:
                tally.faults.append(f"try {tally.tries}: {fault}")
            tally.tries += 1
    return tally


def table(tallies: Sequence[Tally]) -> str:
    """The day and the machine, the rows in Markdown, and the first faults of each below them."""
    lines = [f"{time.strftime('%Y-%m-%d')}, {machine()}", ""]
    lines += ["| attack | tries | faults |", "|---|---|---|"]
    lines += [f"| {t.name} | {t.note or f'{t.tries:,}'} | {len(t.faults)} |" for t in tallies]
    for tally in tallies:
        if tally.faults:
            lines += ["", f"{tally.name}:", *(f"- {fault}" for fault in tally.faults[:8])]
    return "\n".join(lines)


def machine() -> str:
    """The kind of machine, and how much of it others use."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    others = "idle otherwise" if load < 1.2 else f"shared: {load:.1f} programs for each core"
    return (
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {others}"
    )


def main() -> int:
    """Prints the table; 1 where there were faults."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="rows with this word in their name")
    parser.add_argument("--quick", action="store_true", help="a few tries of each row")
    options = parser.parse_args()
    if not hasattr(os, "fork"):
        sys.exit("the attack forks and sends signals: it needs POSIX")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chosen = [(i, attack) for i, attack in enumerate(ATTACKS) if options.only in attack.name]
    whole = sum(attack.share for _, attack in chosen)
    tallies = []
    for number, attack in chosen:
        seconds = None if options.quick else 60 * options.minutes * attack.share / whole
        tallies.append(attacked(attack, number, options.seed, seconds))
        last = tallies[-1]
        print(f"{last.name}: {last.note or last.tries}, {len(last.faults)} faults", file=sys.stderr)
    print(table(tallies))
    return int(any(tally.faults for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
