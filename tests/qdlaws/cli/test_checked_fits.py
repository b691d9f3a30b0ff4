"""The fits of a run with their certificates and best points."""

from __future__ import annotations

import pytest

import qdlaws as qd
from qdlaws.cli.checked_fits import checked
from tests.helpers.simulated import log


@pytest.fixture(scope="module")
def fits() -> qd.LawFits:
    return qd.fit(log(n=60, kappa=3.0, seed=1))


def test_certificates_stand_in_the_summary_and_with_their_laws(fits):
    result = checked(fits, certificate=True)
    assert "simulated" in str(result.summary())
    laws = result.to_dict()["laws"]
    supported = {kind for kind, law in laws.items() if law and law["verdict"] != "unsupported"}
    assert supported
    assert supported == {kind for kind, law in laws.items() if law and law["certificate"]}


def test_without_certificates_the_laws_say_null(fits):
    result = checked(fits, certificate=False)
    assert "simulated" not in str(result.summary())
    assert all(law["certificate"] is None for law in result.to_dict()["laws"].values() if law)


def test_the_best_point_is_the_operating_point_of_the_law(fits):
    point = fits.rd.operating_point(0.8)
    text = str(checked(fits, certificate=False, price=0.8).summary())
    assert "best point at a price of 0.8" in text
    assert f"diversity {point.mid:.2f}"[:14] in text
