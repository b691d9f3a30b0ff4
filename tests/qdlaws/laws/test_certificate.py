"""Coverage of the intervals on simulated runs, and the number of these runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import qdlaws as qd
from qdlaws.laws.certificate import Certificate, simulated_runs
from tests.helpers.simulated import log


@pytest.fixture(scope="module")
def fits() -> qd.LawFits:
    return qd.fit(log(n=80, seed=3))


def test_a_certificate_is_near_the_nominal_level_on_a_run_that_is_as_modelled(fits) -> None:
    certificate = fits.rd.certificate(runs=60)
    assert certificate.runs == 60
    assert 0.85 <= certificate.by_errors()["errors as fitted"] <= 1.0
    assert certificate.reached == min(certificate.by_errors().values())
    assert certificate.nominal <= certificate.level <= 0.9995
    wider, plain = certificate.recalibrated().params.c, fits.rd.params.c
    assert wider.high - wider.low >= plain.high - plain.low


def test_a_certificate_sees_intervals_that_are_too_narrow(fits) -> None:
    """As if draws were squeezed to a quarter of their width."""
    certificate = fits.rd.certificate(runs=60)
    squeezed = Certificate(
        law=replace(fits.rd),
        nominal=0.95,
        questions=certificate.questions,
        needed=np.minimum(4 * certificate.needed, 1.0),
        errors=certificate.errors,
    )
    assert squeezed.reached < 0.6
    assert squeezed.level == 0.9995
    assert "even 99.95% intervals may not reach 95%" in str(squeezed.summary())
    assert "100.0%" not in str(squeezed.summary())


def test_equal_seeds_give_equal_certificates(fits) -> None:
    one, two = (fits.rd.certificate(runs=30) for _ in range(2))
    assert np.array_equal(one.needed, two.needed)
    assert not np.array_equal(one.needed, fits.rd.certificate(runs=30, seed=1).needed)


def test_long_logs_are_simulated_less_often() -> None:
    assert [simulated_runs(n) for n in (5, 100, 200, 10_000)] == [192, 192, 96, 36]


def test_a_line_has_no_question_about_its_curvature(fits) -> None:
    assert "curvature" in fits.rd.certificate(runs=20).questions
    assert fits.hd.certificate(runs=20).questions == ("low diversity", "middle", "high diversity")


def test_a_law_that_could_not_be_fitted_has_no_certificate() -> None:
    constant = qd.RunLog.from_arrays(
        np.arange(20), quality=np.linspace(0, 1, 20), diversity=np.ones(20), entropy=np.arange(20)
    )
    with pytest.raises(qd.NotEnoughData, match="diversity is constant"):
        qd.fit(constant).rd.certificate()
