"""``import qdlaws`` is light: nothing heavy, no network client, about as fast as pandas alone."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN = (
    "torch",
    "rdkit",
    "matplotlib",
    "lmfit",
    "statsmodels",
    "transformers",
    "pyarrow",
    "requests",
    "urllib3",
    "httpx",
    "aiohttp",
    "urllib.request",
    "http.client",
    "trainer",
)

BLOCK = """
import sys
import numpy, pandas, scipy.optimize  # what these load by themselves is not ours to judge
before = set(sys.modules)
forbidden = {forbidden!r}

class Block:
    def find_spec(self, name, path=None, target=None):
        if any(name == f or name.startswith(f + ".") for f in forbidden):
            raise ImportError("forbidden at import of qdlaws: " + name)

sys.meta_path.insert(0, Block())
{body}
new = set(sys.modules) - before
bad = [m for m in new if any(m == f or m.startswith(f + ".") for f in forbidden)]
assert not bad, bad
"""


def python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_heavy():
    python(BLOCK.format(forbidden=FORBIDDEN, body="import qdlaws"))


def test_fitting_a_law_needs_nothing_heavy_either():
    body = """
import qdlaws as qd
x = numpy.linspace(1, 0, 30)
log = qd.RunLog.from_arrays(numpy.arange(30), quality=1 - x + .01 * numpy.sin(9 * x), diversity=x)
assert qd.fit(log).rd.supported
"""
    python(BLOCK.format(forbidden=FORBIDDEN, body=body))


def test_the_block_blocks():
    with pytest.raises(AssertionError, match="forbidden at import"):
        python(BLOCK.format(forbidden=FORBIDDEN, body="import lmfit"))


def test_import_takes_at_most_a_second_more_than_pandas_and_scipy():
    timer = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
    base, ours = [], []
    for _ in range(3):  # in turn, so that a busy machine slows both
        base.append(float(python(timer.format("import pandas, scipy.optimize"))))
        ours.append(float(python(timer.format("import pandas, scipy.optimize, qdlaws"))))
    assert statistics.median(ours) - statistics.median(base) <= 1.0


def test_public_names_are_there():
    import qdlaws

    for name in qdlaws.__all__:
        assert getattr(qdlaws, name) is not None
