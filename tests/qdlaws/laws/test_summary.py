"""The summary of all laws of a run, as text and as HTML."""

from __future__ import annotations

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.core.interval import show
from tests.helpers.simulated import frame, log


@pytest.fixture(scope="module")
def fits() -> qd.LawFits:
    return qd.fit(log(n=80, seed=3))


def test_a_summary_names_verdict_composition_and_classical_estimates(fits) -> None:
    text = str(fits.summary(classical=True))
    for word in ("concave", "composition", "Ljung–Box", "lmfit c", "HAC slope", "ceiling"):
        assert word in text
    html = fits.summary(details=True)._repr_html_()
    assert html.count("<table>") >= 4
    assert "nan" not in text.lower()


def test_a_ceiling_far_beyond_the_data_is_left_out() -> None:
    near = qd.fit(log(n=80)).rd
    assert near.extrapolation(0.0) < 1
    assert "ceiling" in str(near)
    data = frame(n=80)
    data["diversity"] += 3.0
    far = qd.fit(qd.RunLog.from_frame(data)).rd
    assert far.supported
    assert far.extrapolation(0.0) > 2
    assert "left out: at diversity = 0" in str(far)
    assert far.to_dict()["ceiling"]["mid"] is None


@pytest.mark.parametrize("width", [80, 120])
def test_the_summary_of_fits_is_one_table_that_fits_the_terminal(width) -> None:
    summary = qd.fit(qd.example_log()).summary()
    lines = summary.text(width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum("verdict" in line for line in lines) == 1
    assert [row[0].split("\n") for row in summary.table[1:]] == [
        ["quality on", "diversity"],
        ["quality on", "entropy"],
        ["entropy on", "diversity"],
    ]
    assert summary.sections == ()


def test_the_row_of_a_law_holds_its_numbers() -> None:
    law = qd.fit(qd.example_log()).rd
    row = [" ".join(cell.split("\n")) for cell in qd.fit(qd.example_log()).summary().table[1]]
    assert row[1:] == [
        f"{law.strength} {law.verdict}",
        f"{law.probability:.3f}",
        show(law.change),
        show(law.exchange_rate(law.range[0])),
        f"{law.r2:.3f}",
        str(law.n),
    ]


def test_the_last_line_states_the_trade_off_or_that_there_is_none(fits) -> None:
    assert fits.summary().conclusion.startswith("The more diversity, the less quality (clear): ")
    data = frame(n=80)
    data["quality"] = np.sin(9.0 * np.arange(80))
    none = qd.fit(qd.RunLog.from_frame(data)).summary()
    assert none.conclusion == "This run supports no trade-off of quality with diversity or entropy."
    assert any(remark.startswith("quality on diversity: ") for remark in none.remarks)


def test_details_add_each_law_with_its_parameters(fits) -> None:
    headings = [section.heading for section in fits.summary(details=True).sections]
    assert len(headings) >= 3
    assert "R = b − a·exp(c·D)" in headings[0]


def test_a_model_of_the_user_has_its_row_and_its_parameters() -> None:
    from lmfit.models import LinearModel

    summary = qd.fit(log(n=80, seed=3), model=LinearModel()).summary()
    assert summary.table[1][-1] == "80"
    assert "slope" in str(summary)


def test_the_laws_for_a_paper_are_the_rows_of_the_summary(fits) -> None:
    lines = fits.to_latex().splitlines()
    rows = [line for line in lines if line.startswith(("quality on", "entropy on"))]
    assert len(rows) == 3
    assert f" {fits.rd.r2:.3f} & 80 " in rows[0]
    assert all(line.count("&") == 6 for line in rows)
