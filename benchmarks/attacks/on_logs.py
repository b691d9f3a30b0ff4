"""Logs: mutated, cut, with holes, changed while they are read; hostile files of a run."""

from __future__ import annotations

import gzip
import json
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from attacks.tally import Attack, Skipped, Try, one_line_or_answer

import qdlaws as qd
from qdlaws.integrations.watch import watch

FIXTURES = Path(__file__).parents[2] / "tests" / "qdlaws" / "readers" / "fixtures"
TOKENS = [
    b"nan", b"-inf", b"1e999", b"9" * 400, b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b'"', b"{",
    b"[" * 200, b",", b";", b"\t", b"step", b"null", b"0x10", b"1_000", "\u2212".encode(),
    b"\\ud800", b"\x1b]52;c;eA==\x07",
]  # fmt: skip

Tree = dict[str, bytes]
"""Files by their names relative to the log's folder."""


def made_logs(rows: int = 40) -> dict[str, Tree]:
    """One run in the formats of plain tables and of some trainers."""
    t = np.arange(rows)
    reward, entropy = 0.9 - 0.6 * np.exp(-t / 15.0), 0.2 + 1.3 * np.exp(-t / 12.0)
    values = [
        (10 * int(i), round(float(r), 6), round(float(h), 6), 5.9e-05 * (i + 1))
        for i, r, h in zip(t, reward, entropy, strict=True)
    ]
    names = ("step", "reward", "entropy", "kl")
    objects = [dict(zip(names, row, strict=True)) for row in values]

    def table(by: str, decimal: str = ".") -> bytes:
        lines = [by.join(names)]
        lines += [by.join(str(v).replace(".", decimal) for v in row) for row in values]
        return ("\n".join(lines) + "\n").encode()

    lines = "".join(json.dumps(row) + "\n" for row in objects).encode()
    state = {"log_history": objects, "global_step": values[-1][0]}
    console = "".join(
        f"step:{s} - critic/score/mean:{r} - actor/entropy:{h} - actor/kl:{k}\n"
        for s, r, h, k in values
    ).encode()
    return {
        "csv": {"log.csv": table(",")},
        "tsv": {"log.tsv": table("\t")},
        "csv; decimal comma": {"log.csv": table(";", ",")},
        "csv.gz": {"log.csv.gz": gzip.compress(table(","), mtime=0)},
        "jsonl": {"log.jsonl": lines},
        "trl": {"trainer_state.json": json.dumps(state).encode()},
        "verl console": {"console.log": console},
        "qdtrain": {
            "metrics.jsonl": "".join(
                json.dumps({"step": s, "phase": "eval", "quality": r, "entropy": h}) + "\n"
                for s, r, h, _ in values
            ).encode(),
            "config.toml": b"[train]\nsteps = 400\n",
        },
    }


def real_logs() -> dict[str, Tree]:
    """Logs that other tools wrote, where the tests' fixtures are there."""
    folders = sorted(path for path in FIXTURES.glob("*") if path.is_dir())
    return {
        folder.name: {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.stat().st_size < 300_000
        }
        for folder in folders
    }


def put(tree: Tree, folder: Path) -> Path:
    """Writes the files anew; the path to read: the one file, or the folder of several."""
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if not path.is_dir() else path.rmdir()
    for name, content in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / next(iter(tree)) if len(tree) == 1 else folder


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The bytes after one to four random changes."""
    out = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if not out:
            return b""
        place, length = int(rng.integers(len(out))), int(rng.integers(1, 40))
        how = rng.integers(7)
        if how == 0:
            out[place] ^= 1 << int(rng.integers(8))
        elif how == 1:
            del out[place:]
        elif how == 2:
            del out[place : place + length]
        elif how == 3:
            out[place : place + length] = bytes(length)
        elif how == 4:
            out[place:place] = TOKENS[int(rng.integers(len(TOKENS)))]
        elif how == 5:
            out[place:place] = out[place : place + 10 * length]
        else:
            out[place : place + length] = rng.bytes(length)
    return bytes(out)


def changed(tree: Tree, rng: np.random.Generator) -> Tree:
    """The log with one of its files mutated."""
    name = list(tree)[int(rng.integers(len(tree)))]
    return {**tree, name: mutated(tree[name], rng)}


def _quietly(action: Callable[[], object]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return one_line_or_answer(action)


# ---------------------------------------------------------------------- reading


def mutations(work: Path) -> Try:
    """A log or one line for whatever is in the files."""
    logs = made_logs() | real_logs()

    def attempt(rng: np.random.Generator) -> str:
        name = list(logs)[int(rng.integers(len(logs)))]
        path = put(changed(logs[name], rng), work)
        fault = _quietly(lambda: qd.read(path))
        return fault and f"{name}: {fault}"

    return attempt


def _readings(path: Path) -> dict[float, tuple[float, ...]] | None:
    """quality and entropy by step; None where the log is refused."""
    try:
        log = qd.read(path, quality="reward") if path.suffix in (".csv", ".tsv") else qd.read(path)
    except qd.QdlawsError:
        return None
    columns = [log.column(name) for name in ("quality", "entropy") if name in log.columns]
    return {float(s): tuple(float(c[i]) for c in columns) for i, s in enumerate(log.step)}


def _compared(whole: dict[float, tuple[float, ...]], part: dict[float, tuple[float, ...]]) -> str:
    for step, values in part.items():
        known = whole.get(step)
        if known is None or len(values) > len(known):
            return f"a step or a column that is not in the whole, at {step:g}"
        for value, right in zip(values, known, strict=False):
            if np.isfinite(value) and value != right:
                return f"{value!r} at step {step:g}, and {right!r} in the whole"
    return ""


def _parts(work: Path, damage: Callable[[bytes, np.random.Generator], bytes]) -> Try:
    """What is read of a damaged log is in the whole log too."""
    logs = {name: tree for name, tree in made_logs().items() if not name.endswith("gz")}
    whole = {name: _readings(put(tree, work)) for name, tree in logs.items()}

    def attempt(rng: np.random.Generator) -> str:
        name = list(logs)[int(rng.integers(len(logs)))]
        first = next(iter(logs[name]))
        tree = {**logs[name], first: damage(logs[name][first], rng)}
        path = put(tree, work)
        fault = ""

        def read() -> None:
            nonlocal fault
            part = _readings(path)
            fault = "" if part is None else _compared(whole[name] or {}, part)

        crash = _quietly(read)
        return (crash or fault) and f"{name}: {crash or fault}"

    return attempt


def cuts(work: Path) -> Try:
    """The log ends anywhere, as where a writer was killed."""
    return _parts(work, lambda content, rng: content[: int(rng.integers(len(content)))])


def holes(work: Path) -> Try:
    """NULs in the place of bytes, as after a loss of power."""

    def hole(content: bytes, rng: np.random.Generator) -> bytes:
        place, length = int(rng.integers(len(content))), int(rng.integers(1, 60))
        return (
            content[:place]
            + bytes(len(content[place : place + length]))
            + content[place + length :]
        )

    return _parts(work, hole)


def changes_while_read(work: Path) -> Try:
    """Another thread cuts, empties, removes or appends to the file while it is read."""
    logs = {n: made_logs(2_000)[n] for n in ("csv", "jsonl", "qdtrain")}

    def attempt(rng: np.random.Generator) -> str:
        name = list(logs)[int(rng.integers(len(logs)))]
        path = put(logs[name], work)
        file = work / next(iter(logs[name]))
        content = file.read_bytes()
        how, delay = rng.integers(4), float(rng.uniform(0, 0.02))

        def change() -> None:
            if how == 0:
                file.write_bytes(content[: len(content) // 3])
            elif how == 1:
                file.write_bytes(b"")
            elif how == 2:
                file.unlink()
            else:
                with file.open("ab") as end:
                    end.write(content[-200:])

        timer = threading.Timer(delay, change)
        timer.start()
        fault = _quietly(lambda: qd.read(path))
        timer.join()
        return fault and f"{name}: {fault}"

    return attempt


def run_files(work: Path) -> Try:
    """A run's own files, mutated, under a report and under watch."""
    tree = made_logs()["qdtrain"]
    decision = {
        "step": 390, "action": "continue", "reasons": ["enough"], "knobs": {"kl": 0.1}, "du": 0.1,
    }  # fmt: skip
    tree = {
        **tree,
        "advice.jsonl": (json.dumps(decision) + "\n").encode() * 3,
        "plan.json": json.dumps({"table": [{"kl": 1.0, "quality": 0.4}], "notes": []}).encode(),
        "samples/step-000390.csv": b"prompt,completion,score\n,CCO,0.4\n,CCN,0.3\n",
    }
    qd.report(put(tree, work), work.parent / "page.html")  # what is compiled is compiled now

    def attempt(rng: np.random.Generator) -> str:
        folder = put(changed(tree, rng), work)

        def look() -> None:
            qd.read(folder)
            if rng.integers(2):
                list(watch(folder, max_updates=1, every=0.01))
            else:
                qd.report(folder, work.parent / "page.html")

        return one_line_or_answer(look, 60)

    return attempt


def sql(work: Path) -> Try:
    """Queries that would write, read files, or never end."""
    try:
        from trainer.tasks.sql.sandbox import ReadOnlyDatabase
    except ImportError as error:
        raise Skipped(str(error)) from None
    import time

    database = ReadOnlyDatabase(
        "create table t (a integer, b text)", {"t": [(i, f"row {i}") for i in range(12)]}
    )
    queries = [
        "select * from t", "insert into t values (1, 2)", "attach '/etc/passwd' as x",
        "pragma writable_schema = 1", "select load_extension('x')", "select readfile('/etc/passwd')",
        "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c",
        "select * from t, t, t, t, t, t, t", "select printf('%.*c', 1000000000, 'x')",
        "select replace(b, 'r', b || b || b) from t", "select date('now')", "select random()",
        "select * from t where b like '%_%_%_%_%_%_%_%_%_%_%_%_%_%_%'", "vacuum into '/tmp/x'",
        "select zeroblob(1000000000)", "create virtual table v using fts5(x)", "select sqlite_version()",
    ]  # fmt: skip
    refused = ("insert", "attach", "pragma", "load_ext", "readfile", "vacuum", "create", "random")

    def attempt(rng: np.random.Generator) -> str:
        query = queries[int(rng.integers(len(queries)))]
        mixed = bool(rng.integers(2))
        if mixed:
            query = mutated(query.encode(), rng).decode(errors="replace")
        began = time.monotonic()
        outcome = None

        def ask() -> None:
            nonlocal outcome
            outcome = database.ask(query)

        fault = one_line_or_answer(ask, 20)
        seconds = time.monotonic() - began
        if fault:
            return f"{query!r}: {fault}"
        if seconds > 10:
            return f"{query!r}: {seconds:.1f} s"
        answered = outcome is not None and outcome.status == "rows"
        if answered and not mixed and any(word in query for word in refused):
            return f"{query!r} was answered"
        return ""

    return attempt


ATTACKS = [
    Attack("logs: mutated", mutations, 2.0, 40),
    Attack("logs: cut, compared with the whole", cuts, 1.0, 30),
    Attack("logs: holes of NULs, compared with the whole", holes, 1.0, 30),
    Attack("logs: changed while they are read", changes_while_read, 1.0, 10),
    Attack("files of a run: mutated, under watch and report", run_files, 1.5, 4),
    Attack("SQL: escapes and endless queries", sql, 0.5, 30),
]
