"""The options that commands share reach the command as one value."""

from __future__ import annotations

import inspect

import typer
from typer.testing import CliRunner

from qdlaws import Goal
from qdlaws.cli.app import app
from qdlaws.cli.options import FLAGS, HELP, reader, with_options


def interval(level: float = 0.5, once: bool = False) -> str:
    return f"{level:.0%}{' once' if once else ''}"


def command_line() -> typer.Typer:
    """One command with an argument, an option, and options that make one value."""
    line = typer.Typer(rich_markup_mode=None)

    @line.command()
    @with_options(interval=interval)
    def command(logs: str, *, interval: str, horizon: int = 1) -> None:
        """Prints what it gets."""
        print(logs, interval, horizon)

    return line


def test_the_command_gets_the_value_that_the_maker_returns():
    words = ["north", "--level", "0.9", "--once", "--horizon", "2"]
    assert CliRunner().invoke(command_line(), words).output == "north 90% once 2\n"


def test_a_log_without_a_step_is_named_before_the_answer(tmp_path, capsys):
    path = tmp_path / "log.csv"
    path.write_text("reward,entropy\n" + "".join(f"{i / 20},{2 - i / 20}\n" for i in range(12)))
    assert reader()(path).is_numbered
    printed = capsys.readouterr()
    assert printed.err.startswith(f"{path}: no step column: the rows are numbered")
    assert printed.out == ""  # JSON on stdout stays JSON


def test_one_of_several_runs_is_chosen(tmp_path):
    path = tmp_path / "log.csv"
    rows = (f"{run},{i},{i / 20 + run}\n" for run in (1, 2) for i in range(6))
    path.write_text("seed,step,reward\n" + "".join(rows))
    assert reader(run="2")(path).quality[0] == 2


def test_options_keep_their_defaults_help_and_order():
    assert CliRunner().invoke(command_line(), ["north"]).output == "north 50% 1\n"
    text = CliRunner().invoke(command_line(), ["--help"]).output
    assert "Prints what it gets." in text
    assert HELP["level"] in text
    assert text.index("--level") < text.index("--once") < text.index("--horizon")
    assert "--interval" not in text
    assert "--no-once" not in text


def test_every_line_of_help_belongs_to_an_option_of_a_command():
    used = {
        name
        for command in app.registered_commands
        for name in inspect.signature(command.callback).parameters
    }
    assert used == set(HELP)
    assert set(FLAGS) <= used


def test_every_part_of_a_goal_is_an_option():
    assert set(inspect.signature(Goal).parameters) <= set(HELP)


def test_only_the_columns_that_are_named_are_searched_for(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,score,other\n" + "".join(f"{k},{k / 9},{1 - k / 9}\n" for k in range(9)))
    log = reader(quality="score", diversity="other")(path)
    assert log.names["quality"] == "score"
    assert log.names["diversity"] == "other"
    assert log.columns == ("quality", "diversity")
