"""One log in many formats and spellings."""

from __future__ import annotations

import gzip
import json
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import qdlaws as qd
from qdlaws import BadLog, EntropyKind
from qdlaws.readers import example_log, read, tools
from qdlaws.readers.reading import EXAMPLE
from tests.helpers.make_fixtures import FIXTURES

ROOT = Path(__file__).parents[3]

ROWS = "1,0.10,2.0\n2,0.20,1.9\n3,0.30,1.8\n4,0.40,1.7\n"


CSV = "step,reward,entropy\n" + ROWS


RECORDS = [{"step": s, "reward": s / 10, "entropy": 2.1 - s / 10} for s in (1, 2, 3, 4)]


SPELLINGS: dict[str, str | bytes] = {
    "plain": CSV,
    "CRLF": CSV.replace("\n", "\r\n"),
    "CR": CSV.replace("\n", "\r"),
    "tabs": CSV.replace(",", "\t"),
    "semicolons": CSV.replace(",", ";"),
    "bars": CSV.replace(",", " | "),
    "decimal commas": CSV.replace(",", ";").replace(".", ","),
    "comments on top": "# made by hand\n\n" + CSV,
    "quotes": CSV.replace("step", '"step"'),
    "header repeated": CSV + "step,reward,entropy\n",
    "byte order mark": "\ufeff" + CSV,
    "gzip": gzip.compress(CSV.encode()),
    "UTF-16": CSV.encode("utf-16"),
    "JSON rows, backwards": json.dumps(RECORDS[::-1]),
    "JSON columns": json.dumps({name: [row[name] for row in RECORDS] for name in RECORDS[0]}),
    "JSON lines, nested": "\n".join(json.dumps({"step": r["step"], "m": r}) for r in RECORDS),
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_one_log_in_many_spellings(write, text):
    log = read(write(text))
    np.testing.assert_array_equal(log.step, [1, 2, 3, 4])
    np.testing.assert_allclose(log.quality, [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(log.entropy, [2.0, 1.9, 1.8, 1.7])
    assert log.kinds["entropy"] == EntropyKind.UNKNOWN


def test_kinds_that_the_caller_states_win():
    log = read(FIXTURES / "trackio", kinds={"entropy": "token_entropy"})
    assert log.kinds["entropy"] == EntropyKind.TOKEN


def test_every_supported_tool_is_listed():
    words = " ".join(tools().values())
    for name in ("TRL", "verl", "REINVENT4", "Saturn", "TensorBoard", "W&B", "MLflow", "Trackio"):
        assert name in words


def test_an_empty_path_is_not_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "log.csv").write_text(CSV)
    monkeypatch.chdir(tmp_path)
    for path in ("", [""]):
        with pytest.raises(BadLog, match="the path is empty"):
            read(path)


def test_the_example_log_is_the_run_that_it_was_made_from():
    example, run = example_log(), read(ROOT / "data" / "runs" / "additive")
    pd.testing.assert_frame_equal(example.to_frame(), run.to_frame(), check_dtype=False)
    assert example.kinds == run.kinds
    assert EXAMPLE.read_text(encoding="utf-8").splitlines()[0].endswith("Apache-2.0")


def test_the_example_log_is_listed_among_the_files_of_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["setuptools"]["package-data"]["qdlaws"]
    package = ROOT / "qdlaws"
    assert EXAMPLE in [path for pattern in listed for path in package.glob(pattern)]


@pytest.mark.parametrize("question", [qd.fit, qd.forecast, qd.advise])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_question_about_a_run_takes_its_path(question, kind):
    path = kind(ROOT / "data" / "runs" / "additive")
    assert str(question(path)) == str(question(read(path)))


@pytest.mark.parametrize("question", [qd.fit, qd.forecast, qd.advise])
def test_a_question_about_a_path_that_is_not_there_names_the_path(question):
    with pytest.raises(BadLog, match=r"typo\.csv: no such file or folder"):
        question("typo.csv")


@pytest.mark.parametrize("question", [qd.fit, qd.forecast, qd.advise])
def test_a_question_about_neither_log_nor_path_says_what_is_needed(question):
    with pytest.raises(qd.BadData, match=r"RunLog.*got int"):
        question(7)
