"""The laws of a table of your own.

    python examples/fit_a_csv.py                    # the table that comes with the package
    python examples/fit_a_csv.py my_run.csv --step iteration --quality score --diversity distinct

A row is a checkpoint of one run. Two of quality, diversity and entropy are enough for a law.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import qdlaws as qd


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="The laws of one run, from a table.")
    parser.add_argument("table", nargs="?", type=Path, help="CSV, TSV, JSON lines or parquet")
    for column in ("step", "quality", "diversity", "entropy"):
        parser.add_argument(f"--{column}", help=f"the column of {column}, if not named so")
    given = parser.parse_args(words)

    with tempfile.TemporaryDirectory() as folder:
        if given.table is None:
            given.table = Path(folder) / "my_run.csv"
            qd.example_log().to_frame().to_csv(given.table, index=False)
        log = qd.read(
            given.table,
            step=given.step,
            quality=given.quality,
            diversity=given.diversity,
            entropy=given.entropy,
        )

    for note in log.notes:  # what was decided where the table was not clear
        print("note:", note)
    fits = qd.fit(log)
    print(fits.summary())

    law = fits.rd or fits.rh
    if law is not None:
        print(
            f"{law.verdict}, with probability {law.probability:.3f}; its bend c is {law.params.c}"
        )
    print("In half as many steps again:", qd.forecast(fits).final)


if __name__ == "__main__":
    main()
