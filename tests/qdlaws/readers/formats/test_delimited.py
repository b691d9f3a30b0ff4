"""CSV and its kin: damage is repaired and noted, or refused with its line."""

from __future__ import annotations

import numpy as np
import pytest

from qdlaws import BadLog
from qdlaws.readers import read, table
from qdlaws.readers.formats import delimited

ROWS = "1,0.10,2.0\n2,0.20,1.9\n3,0.30,1.8\n4,0.40,1.7\n"


CSV = "step,reward,entropy\n" + ROWS


def test_thousands_separators_are_taken_out(write):
    text = 'step;score\n1000;"1,234.5"\n2000;"12,345,678"\n3000;7\n'.replace(";", ",")
    log = read(write(text))
    np.testing.assert_allclose(log.quality, [1234.5, 12345678, 7])


def test_decimal_commas_are_recognised_by_the_file(write):
    log = read(write("step;score\n1;1.234,5\n2;2,25\n3;3\n"))
    np.testing.assert_allclose(log.quality, [1234.5, 2.25, 3])


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


def test_a_last_number_without_a_line_end_is_left_out_with_a_note(write):
    """5.9e-05 was cut to 5.9, which turned a verdict."""
    rows = "".join(f"{s},{v}\n" for s, v in enumerate((1.0, 0.5, 0.0, 5.9e-05)))
    for length in range(1, len("5.9e-05")):
        log = read(write("step,reward\n" + rows + "4,5.9e-05"[: 2 + length]))
        np.testing.assert_array_equal(log.quality, [1.0, 0.5, 0.0, 5.9e-05])
        assert any("last line 6 left out (no line end)" in note for note in log.notes)


def test_a_last_number_in_closed_quotes_is_whole(write):
    text = '"step","reward"\n"1","0.5"\n"2","0.25"'
    np.testing.assert_array_equal(read(write(text)).quality, [0.5, 0.25])
    np.testing.assert_array_equal(read(write(text[:-1])).quality, [0.5])


def test_a_last_line_that_ends_with_half_of_its_line_end_is_whole(write):
    log = read(write("step,reward\r\n1,0.5\r\n2,0.25\r"))
    np.testing.assert_array_equal(log.quality, [0.5, 0.25])


@pytest.mark.parametrize(
    "text",
    [
        "step\treward\n0\t0,460\n1\t1,470\n",
        "step;reward\n0;0,460\n1;1,470\n",
        'step,reward\n0,"0,460"\n1,"1,470"\n',
    ],
    ids=["tabs", "semicolons", "quotes"],
)
def test_decimal_commas_with_three_decimals_are_not_thousands(write, text):
    np.testing.assert_allclose(read(write(text)).quality, [0.46, 1.47])


def test_points_in_threes_are_thousands_where_commas_are_decimal(write):
    log = read(write("step;reward\n1.000;0,5\n1.000.000;0,25\n"))
    np.testing.assert_array_equal(log.step, [1000, 1000000])


@pytest.mark.parametrize(
    "text",
    [
        "step;reward\n1;1,234\n2;2,250\n",
        "step\treward\n1\t1,234\n2\t2,250\n",
        'step,reward\n1,"1,234"\n2,"2,250"\n',
        "step;reward;x\n1;1,234;0.5\n2;2,250;0,25\n",
    ],
)
def test_a_table_whose_numbers_mean_two_things_is_refused(write, text):
    with pytest.raises(BadLog, match=r"line 2: column 'reward': 1,234 may be 1234 or 1\.234"):
        read(write(text))


def test_a_step_of_two_meanings_is_not_replaced_by_the_number_of_the_row(write):
    with pytest.raises(BadLog, match="column 'step': 1,000 may be"):
        read(write("step;reward\n1,000;3\n2,000;4\n"))
    with pytest.raises(BadLog, match="'late' in column 'step'"):
        read(write("step;reward\nlate;3\nlater;4\n"))


def test_lines_with_zero_bytes_are_damage_not_numbers(write):
    """A hole that a power loss left made 1.06 of 1.606, and one row of two."""
    lines = [f"{s},{1 + s / 1000:.3f},2.0\n" for s in range(1000)]
    text = "step,reward,entropy\n" + "".join(lines)
    for start, length in ((9000, 1), (9000, 5), (9003, 40)):
        holed = text[:start] + "\0" * length + text[start + length :]
        log = read(write(holed))
        np.testing.assert_allclose(log.quality, 1 + log.step / 1000)
        assert 1000 - 5 < len(log) < 1000
        assert any("damaged (zero bytes), left out: line" in note for note in log.notes)


def test_a_long_table_is_averaged_once_it_is_too_large(write, monkeypatch):
    monkeypatch.setattr(table, "MAX_CELLS", 1000)
    monkeypatch.setattr(delimited, "BLOCK", 400)
    text = "step,reward,unused\n" + "".join(f"{s},{s / 1000},7\n" for s in range(3000))
    log = read(write(text))
    assert 150 < len(log) <= 500
    np.testing.assert_allclose(log.quality, log.step / 1000)
    assert any("columns that no law uses were left out" in note for note in log.notes)
    assert any("each row is the mean of 8 logged rows" in note for note in log.notes)


def test_a_wide_table_is_held_as_text_a_few_rows_at_a_time(write, monkeypatch):
    """5,002 columns of 6,000 rows, 0.7 MB as gzip, were 30 million texts at once."""
    sizes = []

    def counted(self, rows):
        sizes.append(sum(map(len, rows.values())))
        extend(self, rows)

    extend = table.Columns.extend
    monkeypatch.setattr(table.Columns, "extend", counted)
    monkeypatch.setattr(delimited, "BLOCK", 1000)
    monkeypatch.setattr(delimited, "FEWEST", 1)
    names = ",".join(["step", "reward", *(f"c{i}" for i in range(498))])
    read(write(names + "\n" + "".join(f"{s}{',1' * 499}\n" for s in range(20))))
    assert sizes == [1000] * 10
