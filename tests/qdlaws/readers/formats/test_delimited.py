"""CSV and its kin: damage is repaired and noted, or refused with its line."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import BadLog
from qdlaws.readers import read

ROWS = "1,0.10,2.0\n2,0.20,1.9\n3,0.30,1.8\n4,0.40,1.7\n"


CSV = "step,reward,entropy\n" + ROWS


def test_thousands_separators_are_taken_out(write):
    text = 'step;score\n1000;"1,234.5"\n2000;"12,345,678"\n3000;7\n'.replace(";", ",")
    log = read(write(text))
    np.testing.assert_allclose(log.quality, [1234.5, 12345678, 7])


def test_decimal_commas_are_recognised_by_the_file(write):
    log = read(write("step;score\n1;1.234,5\n2;2,25\n3;3\n"))
    np.testing.assert_allclose(log.quality, [1234.5, 2.25, 3])
    threes = read(write("step;score\n1;1,234\n2;2,250\n3;3\n"))
    np.testing.assert_allclose(threes.quality, [1234, 2250, 3])


def test_words_for_missing_values_are_nan(write):
    words = ["", "nan", "N/A", "inf", "null", "-", "0.5", "TRUE"]
    rows = "".join(f"{s},{word},1\n" for s, word in enumerate(words))
    log = read(write("step,reward,entropy\n" + rows))
    np.testing.assert_array_equal(log.quality, [*[np.nan] * 6, 0.5, 1.0])


def test_a_word_in_a_number_column_is_refused_with_its_line(write):
    path = write("step,reward,entropy\n1,0.1,2\n2,oops,1.9\n3,0.3,1.8\n")
    with pytest.raises(BadLog, match=r"log, line 3: 'oops' in column 'reward'"):
        read(path)
    assert len(read(write("step,reward,note\n1,.1,hi\n2,.2,there\n3,.3,5\n"))) == 3


def test_half_written_last_line_is_left_out(write):
    log = read(write(CSV + "5,0.5"))
    np.testing.assert_array_equal(log.step, [1, 2, 3, 4])
    assert any("half-written last line 6" in n for n in log.notes)
    log = read(write("reward,step\n.1,100\n.2,101\n.3,102\n.4,10"))  # 10 was to become 103
    np.testing.assert_array_equal(log.step, [100, 101, 102])


def test_broken_lines_are_named_and_many_are_refused(write):
    log = read(write(CSV + "5,0.5\n6,0.6,1.5\n"))
    np.testing.assert_array_equal(log.step, [1, 2, 3, 4, 6])
    assert any("line 6" in n for n in log.notes)
    with pytest.raises(BadLog, match=r"line 29: 2 fields .* the first is line 26"):
        read(write(CSV + ROWS * 5 + "5,0.5\n" * 9))


def test_no_header_and_no_rows_are_refused(write):
    for text in (ROWS, "step,reward\n", "", "   \n\n", "hello\nworld\n", "{", "[1, 2", "nothing"):
        with pytest.raises(BadLog):
            read(write(text))
