"""Summary and Result: text, HTML and repr of a result."""

from dataclasses import dataclass

from qdlaws.core.summary import Result, Summary


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
