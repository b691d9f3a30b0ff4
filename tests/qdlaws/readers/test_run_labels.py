"""The names of runs become numbers of a table, and are given back."""

from __future__ import annotations

import numpy as np

from qdlaws.readers.run_labels import RunLabels


def test_equal_labels_have_one_number_through_all_blocks():
    runs = RunLabels()
    np.testing.assert_array_equal(runs.codes("model", ["a", "b", " a"]), [0, 1, 0])
    np.testing.assert_array_equal(
        runs.codes("model", ["c", "a", "", "nan"]), [2, 0, np.nan, np.nan]
    )
    assert runs.labels() == {"model": ("a", "b", "c")}


def test_a_row_gives_the_columns_that_name_runs_only():
    numbers = RunLabels().of_row({"seed": 3, "run_name": "x", "reward": 1.0, "model": ["y"]})
    assert {name[1:]: value for name, value in numbers.items() if value == 0} == {
        "seed": 0.0,
        "run_name": 0.0,
    }
    assert not any("reward" in name for name in numbers)
