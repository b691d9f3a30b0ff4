"""The keys of a configuration are read from the code with type, default and meaning."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from trainer.config.keys import option_keys, parameter_docs, section_keys


@dataclass(frozen=True)
class Section:
    """A section."""

    size: Annotated[int, Meta(ge=2)] = 3
    """The size; None is
    refused."""
    mode: Literal["a", "b"] | None = None
    options: Mapping[str, int] | None = None


def make(first: int, second: str = "x", *, third: float | None = None, fourth: float = 1.0) -> None:
    """A maker.

    Parameters
    ----------
    first : the first,
        on two lines
    second, third : two with the same words

    Returns
    -------
    None
    """


def test_a_section_gives_its_fields_with_limits_defaults_and_docstrings():
    size, mode = section_keys(Section)
    assert size.name == "size"
    assert size.type == "whole number, at least 2"
    assert size.default_text == "3"
    assert size.meaning == "The size; none is refused."
    assert mode.choices == ("a", "b")
    assert mode.type == "one of a, b or none"
    assert mode.default_text == "none"
    assert mode.meaning == ""


def test_a_function_gives_its_parameters_as_options():
    first, second, third, fourth = option_keys(make)
    assert first.default is inspect.Parameter.empty
    assert first.default_text == "required"
    assert second.default_text == '"x"'
    assert third.type == "number or none"
    assert fourth.meaning == ""
    assert [key.name for key in option_keys(make, leave_out=("first", "third"))] == [
        "second",
        "fourth",
    ]


def test_names_that_share_an_entry_share_its_words():
    assert parameter_docs(make) == {
        "first": "the first, on two lines",
        "second": "two with the same words",
        "third": "two with the same words",
    }
    assert parameter_docs(lambda x: x) == {}
