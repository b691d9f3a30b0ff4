"""One run in every format that is read: the quality at each step is known, so that a number that
damage made up stands out."""

from __future__ import annotations

import gzip
import json
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.helpers.tracker_files import event_file, history_record, scalar_event, wandb_file

STEPS = range(1, 151)


def quality(step: Any) -> Any:
    """The quality at a step, or at several: three decimals that tell the steps apart."""
    return 7 * step % 1000 / 1000


def rows() -> list[tuple[int, float, float]]:
    """(step, quality, entropy)."""
    return [(step, quality(step), 2 - step / 200) for step in STEPS]


def whole_logs() -> dict[str, bytes]:
    """The content of a file of each format."""
    csv = "".join(f"{s},{e:.3f},{q:.3f}\n" for s, q, e in rows())
    plain = f"step,entropy,reward\n{csv}"
    jsonl = lines({"step": s, "reward": q, "entropy": e} for s, q, e in rows())
    ours = ({"step": s, "phase": "eval", "quality": q, "entropy": e} for s, q, e in rows())
    verl = ({"step": s, "data": {"critic/score/mean": q}} for s, q, _ in rows())
    state = {"log_history": [{"reward": q, "entropy": e, "step": s} for s, q, e in rows()]}
    molecules = [(s, q, f"C{'C' * k}O") for s, q, _ in rows() for k in range(2)]
    reinvent = "Agent,Prior,Target,Score,SMILES,SMILES_state,step\n"
    texts = {
        "csv": plain,
        "csv, step last": "reward,step\n" + "".join(f"{q:.3f},{s}\n" for s, q, _ in rows()),
        "tsv": plain.replace(",", "\t"),
        "decimal commas": plain.replace(",", ";").replace(".", ","),
        "quoted": re.sub(r"[^,\n]+", r'"\g<0>"', plain),
        "jsonl": jsonl,
        "qdtrain": lines(ours),
        "verl file": lines(verl),
        "trainer state": json.dumps(state, indent=1),
        "verl console": "".join(
            f"step:{s} - critic/score/mean:{q} - actor/entropy:{e}\n" for s, q, e in rows()
        ),
        "openrlhf": "".join(
            f"Global step {s}: {{'reward': {q}, 'kl': 0.1}}\n" for s, q, _ in rows()
        ),
        "reinvent log": "".join(
            f"<INFO> Score: {q:.3f} Agent NLL: 14.01 Valid:  89% Step: {s}\n" for s, q, _ in rows()
        ),
        "reinvent": reinvent + "".join(f"2.5,3.5,9.1,{q},{m},1,{s}\n" for s, q, m in molecules),
        "saturn": "oracle_calls,smiles,reward\n"
        + "".join(f"{s},{m},{q}\n" for s, q, m in molecules),
    }
    events = (scalar_event(s, {"reward": q, "entropy": e}) for s, q, e in rows())
    history = (history_record({"_step": s, "reward": q, "entropy": e}) for s, q, e in rows())
    logs = {name: text.encode() for name, text in texts.items()}
    logs |= {"tensorboard": event_file(events), "wandb": wandb_file(history)}
    logs |= {"trackio": trackio(), "mlflow": mlflow()}
    logs |= {f"{name}, gzip": gzip.compress(logs[name], mtime=0) for name in ("csv", "jsonl")}
    return logs


def lines(objects: Iterator[dict[str, object]]) -> str:
    """JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in objects)


def trackio() -> bytes:
    """A database of Trackio."""
    values = [(s, json.dumps({"reward": q, "entropy": e}), "a") for s, q, e in rows()]
    return database("metrics (step INTEGER, metrics TEXT, run_name TEXT)", values)


def mlflow() -> bytes:
    """A database of MLflow."""
    columns = "step INTEGER, key TEXT, value REAL, run_uuid TEXT, is_nan INTEGER, timestamp INTEGER"
    values = [(s, "reward", q, "a", 0, s) for s, q, _ in rows()]
    return database(f"metrics ({columns})", values)


def database(table: str, values: list[tuple[object, ...]]) -> bytes:
    """A SQLite file of one table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        with closing(sqlite3.connect(path)) as base:
            base.execute(f"CREATE TABLE {table}")
            places = ", ".join("?" * len(values[0]))
            base.executemany(f"INSERT INTO metrics VALUES ({places})", values)
            base.commit()
        return path.read_bytes()
