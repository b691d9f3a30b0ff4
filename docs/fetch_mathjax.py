"""MathJax as one file, ``out/mathjax/tex-svg.js``, taken from npm once.

    python docs/fetch_mathjax.py

The site asks no other machine for anything when it is viewed, so the file lies beside the pages.
Where there is no npm, formulas stay as they are written, and the build says so.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "mathjax@3.2.2"
INSIDE = "package/es5/tex-svg.js"
TARGET = Path(__file__).resolve().parents[1] / "out" / "mathjax" / "tex-svg.js"


def fetch() -> str:
    """Fetches the file where it is not there yet; gives one line of what was done."""
    if TARGET.exists():
        return f"{TARGET.name} is there"
    npm = shutil.which("npm")
    if npm is None:
        return "there is no npm: formulas stay as they are written"
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", PACKAGE, "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        archives = list(Path(folder).glob("*.tgz"))
        if done.returncode or not archives:
            return f"{PACKAGE} could not be fetched: formulas stay as they are written"
        with tarfile.open(archives[0]) as archive:
            file = archive.extractfile(INSIDE)
            assert file is not None
            TARGET.parent.mkdir(parents=True, exist_ok=True)
            TARGET.write_bytes(file.read())
    return f"{PACKAGE}: {TARGET.stat().st_size / 1e6:.1f} MB"


if __name__ == "__main__":
    print(fetch())
