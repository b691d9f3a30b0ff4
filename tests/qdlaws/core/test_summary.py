"""Summary and Result: text, HTML and repr of a result."""

from dataclasses import dataclass

from qdlaws.core.summary import Result, Summary, latex_table


@dataclass(frozen=True, repr=False)
class Weather(Result):
    words: str

    def summary(self) -> Summary:
        return Summary("weather", self.words, (("wind", "3 <m/s>"),), ("no cloud " * 30,))


def test_a_summary_prints_heading_verdict_rows_and_wrapped_remarks():
    lines = str(Weather("fine").summary()).splitlines()
    assert lines[:3] == ["weather", "  verdict          fine", "  wind             3 <m/s>"]
    assert lines[3].startswith("  · no cloud")
    assert max(map(len, lines)) <= 88


def test_a_notebook_shows_escaped_html():
    assert "3 &lt;m/s&gt;" in Weather("fine")._repr_html_()


def test_the_repr_of_a_result_is_one_short_line():
    assert repr(Weather("fine")) == "<Weather weather: fine>"
    assert len(repr(Weather("very " * 500 + "fine"))) < 200


def test_a_summary_shows_no_control_characters():
    summary = Summary(
        "name\x1b[2J", "verdict\x9b", (("a\x07", "b"),), ("c\x1b",), (Summary("d\r"),)
    )
    assert str(summary).replace("\n", "").isprintable()


TABLE = (("law", "change"), ("quality on\ndiversity", "-0.4\n[-0.5, -0.3]"), ("line", "2"))


def test_the_columns_of_a_table_are_aligned():
    lines = Summary("run", table=TABLE, conclusion="Done.").text(80).splitlines()
    assert lines == [
        "run",
        "",
        "  law                   change",
        "  quality on diversity  -0.4 [-0.5, -0.3]",
        "  line                  2",
        "",
        "Done.",
    ]


def test_cells_are_broken_only_where_the_terminal_is_too_narrow():
    summary = Summary("run", remarks=("no cloud " * 30,), table=TABLE, conclusion="so " * 60)
    assert "  quality on  -0.4\n  diversity   [-0.5, -0.3]\n" in summary.text(40)
    assert max(map(len, summary.text(40).splitlines())) <= 40


def test_a_summary_takes_the_width_of_the_terminal(monkeypatch):
    summary = Summary("run", table=TABLE)
    monkeypatch.setenv("COLUMNS", "30")
    assert str(summary) == summary.text(30) != summary.text(80)


def test_a_notebook_shows_the_table_and_the_conclusion():
    html = Summary("run", table=(*TABLE, ("<b>", "1")), conclusion="so")._repr_html_()
    assert html.count("<tr>") == 4
    assert "quality on diversity" in html
    assert "&lt;b&gt;" in html
    assert html.endswith("<p>so</p>")


def test_a_long_value_goes_on_below_itself():
    summary = Summary("run", "fine", (("certificate", "held in most runs " * 6),))
    lines = summary.text(80).splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= 80
    assert lines[2].index("held") == len(lines[3]) - len(lines[3].lstrip())


def test_a_table_for_latex_escapes_what_latex_reads_as_commands():
    text = latex_table((("R²", "50%"), ("a_b\\c", "–\n[{1}, -2] no-1")))
    assert text.splitlines() == [
        r"\begin{tabular}{ll}",
        r"\toprule",
        r"R$^2$ & 50\% \\",
        r"\midrule",
        r"a\_b\textbackslash{}c & -- [\{1\}, $-$2] no-1 \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]
