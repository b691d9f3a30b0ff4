"""What one process does with a chunk of molecules; also the process itself.

Processes of our own, talking over pipes, and not a multiprocessing pool: a pool started from a
notebook or from a script without a main guard would run that script again in every child, and a
forked one inherits the locks of whatever threads (torch, BLAS) the parent runs. This file imports
nothing of the library when it is run: a worker starts in the time that rdkit takes to load.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

CHUNK = 2000
"""Molecules that are worth starting a process for (it takes about a quarter of a second)."""


def spread(task: str, items: Sequence[str], workers: int | None = None) -> list[Any]:
    """The task's result for every item, in order; over the cores where that pays."""
    cores = min(workers or _cores(), max(1, len(items) // CHUNK))
    if cores == 1:
        return list(TASKS[task](items))
    chunks = [list(items[i::cores]) for i in range(cores)]
    with ThreadPoolExecutor(cores) as threads:
        others = [threads.submit(_elsewhere, task, chunk) for chunk in chunks[1:]]
        own = TASKS[task](chunks[0])  # this process is one of the workers
        parts = [own, *(other.result() for other in others)]
    results: list[Any] = [None] * len(items)
    for i, part in enumerate(parts):
        results[i::cores] = part
    return results


def _cores() -> int:
    """The cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def _elsewhere(task: str, chunk: list[str]) -> list[Any]:
    from qdlaws.errors import QdlawsError

    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-P", __file__],  # -P: modules beside this file hide no others
        input=pickle.dumps((task, chunk)),
        capture_output=True,
        env=env,
        check=False,
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise QdlawsError(f"a worker for {task} stopped with status {done.returncode}: {last[0]}")
    results: list[Any] = pickle.loads(done.stdout)
    return results


def fingerprint(smiles: Sequence[str]) -> list[tuple[str, bytes] | None]:
    """(canonical SMILES, packed Morgan bits) of each string, None where it is no molecule."""
    from rdkit import Chem, DataStructs, rdBase
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    results: list[tuple[str, bytes] | None] = []
    with rdBase.BlockLogs():
        for text in smiles:
            mol = Chem.MolFromSmiles(text) if isinstance(text, str) else None
            if mol is None or mol.GetNumAtoms() == 0:
                results.append(None)
            else:
                bits = DataStructs.BitVectToBinaryText(generator.GetFingerprint(mol))
                results.append((Chem.MolToSmiles(mol), bits))
    return results


def scaffold(smiles: Sequence[str]) -> list[str]:
    """The Bemis–Murcko scaffold of each molecule; "" for molecules without a ring."""
    from rdkit import Chem, rdBase
    from rdkit.Chem.Scaffolds import MurckoScaffold

    with rdBase.BlockLogs():
        found = (Chem.MolFromSmiles(s) for s in smiles)
        core: Any = MurckoScaffold.GetScaffoldForMol
        return [Chem.MolToSmiles(core(mol)) for mol in found]


RADIUS, BITS = 2, 2048
"""Morgan fingerprints of radius 2 folded to 2048 bits, as TDC, MOSES and the law's papers use."""

TASKS: dict[str, Any] = {"fingerprint": fingerprint, "scaffold": scaffold}

if __name__ == "__main__":
    name, given = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps(TASKS[name](given)))
