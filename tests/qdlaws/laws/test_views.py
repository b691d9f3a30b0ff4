"""The other views of a fit: certificate, rivals, classical, summary, picture."""

from __future__ import annotations

import numpy as np
import pytest

import qdlaws as qd
from tests.helpers.simulated import log


@pytest.fixture(scope="module")
def fits() -> qd.LawFits:
    return qd.fit(log(n=80, seed=3))


def test_a_certificate_is_near_the_nominal_level_on_a_run_that_is_as_modelled(fits) -> None:
    certificate = fits.rd.certificate(runs=60)
    assert certificate.runs == 60
    assert 0.88 <= certificate.reached <= 1.0
    assert certificate.nominal <= certificate.level <= 0.9995
    wider, plain = certificate.recalibrated().params.c, fits.rd.params.c
    assert wider.high - wider.low >= plain.high - plain.low


def test_a_certificate_sees_intervals_that_are_too_narrow(fits) -> None:
    """Draws squeezed to a quarter of their width are found out."""
    from dataclasses import replace

    from qdlaws.laws.certificate import Certificate

    certificate = fits.rd.certificate(runs=60)
    squeezed = Certificate(
        law=replace(fits.rd),
        nominal=0.95,
        questions=certificate.questions,
        needed=np.minimum(4 * certificate.needed, 1.0),
    )
    assert squeezed.reached < 0.6
    assert squeezed.level > 0.99


@pytest.mark.parametrize(("kappa", "worse"), [(3.0, "convex"), (-3.0, "concave")])
def test_rivals_know_the_form_that_made_the_data(kappa: float, worse: str) -> None:
    table = {r.form: r.delta_bic for r in qd.fit(log(n=150, kappa=kappa, seed=1)).rd.rivals}
    assert table[f"{worse} exponential"] > 10
    assert table["line"] > 10
    assert min(table.values()) > -10


def test_a_clearly_better_rival_is_named_in_the_summary() -> None:
    rng = np.random.default_rng(0)
    d = np.linspace(1.1, 0.02, 200)
    quality = d**-0.5 + 0.02 * rng.standard_normal(200)  # far from any exponential near 0
    law = qd.fit(qd.RunLog.from_arrays(np.arange(200), quality=quality, diversity=d)).rd
    best = law.rivals[0]
    assert best.form == "power law"
    assert best.delta_bic < -6
    assert "power law" in str(law)


def test_lmfit_is_the_real_thing_and_agrees_under_white_errors() -> None:
    law = qd.fit(log(n=200, rho=0.0, sigma=0.01, kappa=2.5)).rd
    result = law.to_lmfit()
    interval = result.conf_interval(sigmas=[2])
    assert set(interval) == {"a", "b", "c"}
    c = result.params["c"]
    assert law.params.c.mid == pytest.approx(c.value, abs=0.5 * c.stderr)


def test_diagnostics_tell_independent_errors_from_persistent_ones() -> None:
    white = qd.fit(log(n=150, rho=0.0)).rd.diagnostics()
    slow = qd.fit(log(n=150, rho=0.8)).rd.diagnostics()
    assert white["ljung_box_p"] > 0.01
    assert slow["ljung_box_p"] < 1e-6
    assert slow["durbin_watson"] < 1 < white["durbin_watson"]


def test_the_hac_line_stands_beside_ours(fits) -> None:
    hac, ours = fits.hd.hac(), fits.hd.params
    assert hac.slope.low < ours.slope.mid < hac.slope.high


def test_the_summary_speaks_in_text_and_html(fits) -> None:
    text = str(fits.summary(classical=True))
    for word in ("concave", "composition", "Ljung–Box", "lmfit c", "HAC slope", "ceiling"):
        assert word in text
    html = fits._repr_html_()
    assert html.count("<table>") >= 4
    assert "nan" not in text.lower()


def test_pictures_show_data_law_band_and_operating_point(fits) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    figure = fits.plot(price=1.0)
    labels = [t.get_text() for ax in figure.axes for t in (ax.get_legend() or _Empty()).get_texts()]
    assert "law" in labels
    assert any("operating point" in label for label in labels)
    assert any(len(ax.collections) >= 2 for ax in figure.axes)


class _Empty:
    def get_texts(self) -> list:
        return []
