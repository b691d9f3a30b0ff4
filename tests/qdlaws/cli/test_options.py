"""The options that commands share reach the command as one value."""

from __future__ import annotations

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from qdlaws import BadData, Goal
from qdlaws.cli.options import goal, reader, with_options


def shade(dark: Annotated[bool, typer.Option(help="Darker.")] = False, tone: int = 3) -> str:
    return f"{'dark' if dark else 'light'} {tone}"


def paint(colour: str) -> typer.Typer:
    """A command line with one command, which has options of its own and shared ones."""
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @with_options(shade=shade)
    def command(wall: str, *, shade: str, coats: int = 1) -> None:
        """Paints a wall."""
        print(colour, wall, shade, coats)

    return app


def test_the_command_gets_the_value_that_the_maker_returns():
    done = CliRunner().invoke(paint("red"), ["north", "--dark", "--tone", "5", "--coats", "2"])
    assert done.output == "red north dark 5 2\n"


def test_options_keep_their_defaults_help_and_order():
    done = CliRunner().invoke(paint("red"), ["north"])
    assert done.output == "red north light 3 1\n"
    text = CliRunner().invoke(paint("red"), ["--help"]).output
    assert "Paints a wall." in text
    assert "Darker." in text
    assert text.index("--dark") < text.index("--tone") < text.index("--coats")
    assert "--shade" not in text


def test_only_the_columns_that_are_named_are_searched_for(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,score,other\n" + "".join(f"{k},{k / 9},{1 - k / 9}\n" for k in range(9)))
    log = reader(quality="score", diversity="other")(path)
    assert log.names["quality"] == "score"
    assert log.names["diversity"] == "other"
    assert log.columns == ("quality", "diversity")


def test_the_goal_takes_every_option_by_its_name():
    options = {"min_diversity": 0.5, "min_entropy": 1.0, "budget_steps": 9.0}
    assert goal(**options, price=2.0) == Goal(**options, price=2.0)
    more = {"target_quality": 0.9, "min_gain_per_step": 0.01}
    assert goal(**more) == Goal(**more)
    with pytest.raises(BadData, match="positive"):
        goal(price=-1)
