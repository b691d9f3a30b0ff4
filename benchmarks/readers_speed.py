"""How fast logs are read, beside what people would use instead, measured in the same run.

    python benchmarks/readers_speed.py [--quick]

JSON lines beside ``json.loads`` alone (the floor) and pandas; event files beside TensorBoard's own
EventAccumulator told to keep every point (skipped where it is not installed); CSV beside pandas.
Memory is the growth of the peak of a fresh process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESOURCE = """
import resource, sys, time
{imports}
path = sys.argv[1]
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = time.perf_counter()
n = {code}
seconds = time.perf_counter() - start
print(n, seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024)
"""
OURS = ("from qdlaws.readers import read; import numpy, pandas", "len(read(path))")
ACCUMULATOR = "tensorboard.backend.event_processing.event_accumulator"
PEERS = {
    "jsonl": {
        "json.loads alone": ("import json", "sum(len(json.loads(t)) > 0 for t in open(path))"),
        "pandas.read_json": ("import pandas", "len(pandas.read_json(path, lines=True))"),
    },
    "csv": {"pandas.read_csv": ("import pandas", "len(pandas.read_csv(path))")},
    "tensorboard": {
        "EventAccumulator": (
            f"from {ACCUMULATOR} import EventAccumulator",
            "(lambda a: (a.Reload(), len(a.Scalars('train/reward'))))"
            "(EventAccumulator(path, size_guidance={'scalars': 0, 'tensors': 0}))[1]",
        )
    },
}


def write_jsonl(path: Path, rows: int) -> None:
    """A trainer's log with 60 timings a row, about 2 kB a line."""
    tail = json.dumps({f"perf/timing_{i}": 0.123456789 for i in range(60)})[1:]
    with path.open("w") as out:
        for step in range(rows):
            head = {"step": step, "reward": step / rows, "entropy": round(2 - step / rows, 6)}
            out.write(f"{json.dumps(head)[:-1]}, {tail}\n")


def write_csv(path: Path, rows: int) -> None:
    """A table of 21 columns."""
    with path.open("w") as out:
        out.write("step,reward,entropy," + ",".join(f"c{i}" for i in range(18)) + "\n")
        for step in range(rows):
            out.write(f"{step},{step / rows:.6f},{2 - step / rows:.6f}" + ",0.123456" * 18 + "\n")


def write_events(path: Path, rows: int) -> bool:
    """Ten tags, through TensorBoard's own writer; False where it is not installed."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError:
        return False
    writer = EventFileWriter(str(path))
    for step in range(rows):
        for tag in ("reward", *(f"tag{i}" for i in range(9))):
            event = Event(step=step, wall_time=float(step))
            event.summary.value.add(tag=f"train/{tag}", simple_value=step / rows)
            writer.add_event(event)
    writer.close()
    return True


def measured(path: Path, imports: str, code: str) -> tuple[int, float, float]:
    """(rows, seconds, MiB of growth) of reading the path in a fresh process."""
    program = RESOURCE.format(imports=imports, code=code)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    rows, seconds, memory = done.stdout.split()
    return int(rows), float(seconds), float(memory)


def main() -> None:
    """Write the logs, read them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="files of 20 MB rather than 1 GB")
    quick = parser.parse_args().quick
    table = Table("format", "size", "reader", "rows", "seconds", "MB/s", "memory, MiB")
    with tempfile.TemporaryDirectory() as folder:
        for kind, rows in (("jsonl", 500_000), ("csv", 500_000), ("tensorboard", 20_000)):
            path = Path(folder) / kind
            count = rows // 50 if quick else rows
            writer = {"jsonl": write_jsonl, "csv": write_csv, "tensorboard": write_events}[kind]
            if writer(path, count) is False:
                table.add_row(kind, "", "tensorboard is not installed: left out")
                continue
            files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
            size = sum(p.stat().st_size for p in files) / 1e6
            for name, (imports, code) in {"qdlaws.read": OURS, **PEERS[kind]}.items():
                n, seconds, memory = measured(path, imports, code)
                speed = f"{size / seconds:.0f}"
                table.add_row(
                    kind, f"{size:.0f} MB", name, str(n), f"{seconds:.2f}", speed, f"{memory:.0f}"
                )
            table.add_section()
            for p in files:
                p.unlink()
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
