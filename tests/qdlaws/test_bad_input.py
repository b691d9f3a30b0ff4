"""Any input gives a right answer or a QdlawsError of one clear line."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import qdlaws as qd
from tests.helpers.simulated import D_HIGH, D_LOW, ar1, collapse, law, refused, run


def test_too_little_data_is_refused_with_the_number_that_is_needed() -> None:
    refused(lambda: qd.RunLog.from_frame(pd.DataFrame({"step": [], "quality": []})), "no rows")
    refused(lambda: qd.RunLog.from_records([]), "no records")
    refused(lambda: qd.fit(qd.RunLog.from_frame(run(4))), "4 checkpoints", "5 are needed")
    refused(lambda: qd.fit(qd.RunLog.from_frame(run()[["step", "quality"]])), "only quality")
    refused(
        lambda: qd.RunLog.from_arrays([1, 2, 3], quality=[1, 2]), "unequal length", "'quality': 2"
    )


def test_a_constant_column_is_unsupported_with_its_value() -> None:
    fits = qd.fit(qd.RunLog.from_frame(run(diversity=0.8)))
    assert fits.rd.verdict == "unsupported"
    assert fits.rd.reasons == ("diversity is constant at 0.8",)
    assert np.isnan(fits.rd.ceiling().mid)
    assert fits.rh.supported
    refused(lambda: qd.fit(qd.RunLog.from_frame(run(quality=0.5, diversity=0.8, entropy=1.0))))


@pytest.mark.parametrize("scale", [1e-9, 1e9])
@pytest.mark.parametrize("column", ["quality", "diversity", "step"])
def test_tiny_and_huge_values_change_nothing_but_units(scale: float, column: str) -> None:
    plain, scaled = run(), run()
    scaled[column] *= scale
    a, b = (qd.fit(qd.RunLog.from_frame(frame)).rd for frame in (plain, scaled))
    assert a.verdict == b.verdict
    assert b.curvature.mid == pytest.approx(a.curvature.mid, rel=1e-6)
    factor = scale if column == "quality" else 1.0
    assert b.change.low == pytest.approx(factor * a.change.low, rel=1e-6)


value = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, width=64),
    st.floats(-1, 1),
    st.sampled_from([0.0, 1.0, 0.5]),
    st.none(),
)


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.lists(st.tuples(value, value, value), min_size=0, max_size=14), st.integers(0, 3))
def test_any_numbers_give_an_answer_or_a_clear_refusal(
    rows: list[tuple[float, float, float]], seed: int
) -> None:
    steps = np.random.default_rng(seed).permutation(len(rows))
    frame = pd.DataFrame(rows, columns=["quality", "diversity", "entropy"], dtype=object)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        try:
            fits = qd.fit(qd.RunLog.from_frame(frame.assign(step=steps)))
        except qd.QdlawsError:
            return
        for law in fits.laws():
            for interval in (*law.params.values(), law.ceiling(), law.change, law.curvature):
                finite = np.isfinite([interval.low, interval.mid, interval.high])
                assert finite.all() or not finite.any()
                assert not finite.any() or interval.low <= interval.mid <= interval.high
        str(fits)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("x_noise", ["auto", "none"])
@pytest.mark.parametrize("ranges", [2.0, 300.0, 1e6])
def test_a_first_row_far_from_the_others_is_fitted_without_warnings(
    ranges: float, x_noise: str
) -> None:
    """A collapse in the first step leaves one row out; exp(c·x) must not overflow there."""
    rng, d = np.random.default_rng(0), collapse(60)
    d[0] += ranges * np.ptp(d)
    log = qd.RunLog(
        step=np.arange(60.0),
        quality=law(-2.0).value(d) + 0.05 * ar1(rng, 60, 0.5),
        diversity=d,
        entropy=0.1 + 0.8 * d + 0.02 * rng.standard_normal(60),
    )
    fits = qd.fit(log, x_noise=x_noise)
    assert str(fits.summary())
    if x_noise == "none":
        assert fits.rd is not None
        assert fits.rd.verdict == ("convex" if ranges < 10 else "unsupported")
    for one in fits.laws():
        assert np.all(np.isfinite(one.predict([D_LOW, D_HIGH])))
        assert np.all(np.isfinite(one.certificate(runs=20).needed))
