"""Summaries, JSON and pictures that the commands leave behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import qdlaws as qd
from qdlaws.cli.output import answers, print_answers, print_error, save_plots
from tests.helpers.simulated import log


class Result:
    def __init__(self, text: str) -> None:
        self.text = text

    def summary(self) -> str:
        return self.text

    def to_dict(self) -> dict:
        return {"text": self.text}


LOGS = [Path("one"), Path("two")]


def test_one_result_is_printed_as_it_is_and_several_below_the_names_of_their_logs(capsys):
    print_answers(LOGS[:1], [Result("fine")], as_json=False)
    assert capsys.readouterr().out == "fine\n"
    print_answers(LOGS, [Result("fine"), Result("bad")], as_json=False)
    assert capsys.readouterr().out == "one\nfine\n\ntwo\nbad\n"


def test_json_is_the_result_itself_or_a_list_of_runs(capsys):
    print_answers(LOGS[:1], [Result("größer")], as_json=True)
    assert capsys.readouterr().out == '{"text": "größer"}\n'
    print_answers(LOGS, [Result("a"), Result("b")], as_json=True)
    assert json.loads(capsys.readouterr().out) == {"runs": [{"text": "a"}, {"text": "b"}]}


def test_an_error_names_the_log_once():
    def fails(path: Path) -> None:
        raise qd.NotEnoughData("3 checkpoints, 5 are needed")

    with pytest.raises(qd.QdlawsError, match=r"^one: 3 checkpoints"):
        answers(LOGS, fails)

    def says_so(path: Path) -> None:
        raise qd.BadLog(f"{path}: no such file")

    with pytest.raises(qd.QdlawsError, match=r"^one: no such file"):
        answers(LOGS, says_so)


def test_pictures_of_several_runs_are_numbered(tmp_path):
    fits = qd.fit(log(n=30))
    save_plots([fits], tmp_path / "laws.png")
    save_plots([fits, fits.rd], tmp_path / "laws.svg", price=1.0)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["laws-1.svg", "laws-2.svg", "laws.png"]
    assert (tmp_path / "laws.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["laws.doc", "none/laws.png"])
def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path, name):
    with pytest.raises(qd.QdlawsError, match="cannot write"):
        save_plots([qd.fit(log(n=30))], tmp_path / name)
    assert not list(tmp_path.iterdir())


ESCAPES = "name\x1b]52;c;cm0gLXJmIC8=\x07\x1b[2J\x9b\u202e\udcff"


def test_control_characters_of_a_log_do_not_reach_the_terminal(capsys):
    """They clear the screen, fill the clipboard or hide what stands there."""
    for as_json in (False, True):
        print_answers([Path(ESCAPES), Path("b")], [Result(ESCAPES)] * 2, as_json)
    print_error(f"{ESCAPES}\n{ESCAPES}")
    out, err = capsys.readouterr()
    assert out.replace("\n", "").isprintable()
    assert err.endswith("\n")
    assert err[:-1].isprintable()
    assert json.loads(out.splitlines()[-1])["runs"][0] == {"text": ESCAPES}
