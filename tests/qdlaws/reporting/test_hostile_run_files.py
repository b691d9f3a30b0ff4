"""Whatever stands in a run's own files, watch and the report go on and show nothing dangerous."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qdlaws import fit
from qdlaws.core.serialize import printable
from qdlaws.integrations.watch import Update
from qdlaws.readers.run_folder import last_decision, run_files
from qdlaws.reporting.run_data import RunView
from qdlaws.reporting.sections.control import frontier_section, steering_section
from qdlaws.reporting.sections.samples import samples_section
from tests.helpers.report_page import Page, short_run

QUIET = settings(
    deadline=None, max_examples=120, suppress_health_check=list(HealthCheck), derandomize=True
)
NUMBERS = st.one_of(
    st.floats(), st.integers(), st.sampled_from([10**400, -(10**400), 1e308, 5e-324, True, None])
)
TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["", " ", "\x1b]52;c;cm0=\x07", "<script>alert(1)</script>", "\ud800", "\u202e"]
    ),
)
VALUES = st.recursive(
    st.one_of(NUMBERS, TEXTS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMED = st.dictionaries(
    st.sampled_from(["kl", "kl_coef", "reward_scale", "du", "settled", "settled_se", "level"]),
    NUMBERS | VALUES,
    max_size=4,
)
PARTS = {
    "step": NUMBERS | VALUES,
    "action": st.sampled_from(["stop", "loosen"]) | VALUES,
    "reasons": st.lists(TEXTS | VALUES, max_size=3) | VALUES,
    "knobs": NAMED | VALUES,
    "figures": NAMED | VALUES,
    "stopping": st.fixed_dictionaries({"checkpoint": NUMBERS}) | VALUES,
    "stopped": NUMBERS,
    "turn": st.fixed_dictionaries({}, optional={"knobs": NAMED, "action": TEXTS}) | VALUES,
    "checkpoint": VALUES,
}
DECISIONS = st.lists(st.fixed_dictionaries({}, optional=PARTS), min_size=1, max_size=4)
POINTS = st.lists(
    st.dictionaries(st.sampled_from(["kl", "quality", "quality_se"]), NUMBERS, max_size=3) | VALUES,
    max_size=4,
)
PLANS = st.fixed_dictionaries(
    {}, optional={"table": POINTS | VALUES, "best_of": POINTS | VALUES, "notes": VALUES}
)
DAMAGE = st.tuples(st.floats(0, 1), st.binary(max_size=5), st.integers(0, 20))
FIXED_STEP = {"step": 4, "knobs": {"kl": 0.1, "reward_scale": 2.0}, "figures": {"du": 0.1}}


def damaged(text: str, places: list[tuple[float, bytes, int]]) -> bytes:
    """The text with some places overwritten or left out."""
    content = bytearray(text.encode("utf-8", "surrogatepass"))
    for share, piece, length in places:
        start = int(share * len(content))
        content[start : start + length] = piece
    return bytes(content)


@pytest.fixture(scope="module")
def view(tmp_path_factory) -> RunView:
    """A run whose folder has the files of our trainer."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "samples").mkdir()
    (folder / "metrics.jsonl").write_text('{"step": 1, "phase": "eval", "quality": 0.5}\n')
    (folder / "advice.jsonl").write_text(json.dumps(FIXED_STEP) + "\n")
    return RunView("run", fit(short_run(source=str(folder))))


def shown_safely(view: RunView) -> None:
    """What watch prints and what the page shows of the files beside a run."""
    folder = view.log.source
    update = Update(folder, 1.0, 3, None, "too short", decision=last_decision(folder))
    assert printable(str(update)) == str(update)
    json.dumps(update.to_dict(), allow_nan=False).encode()
    files = [run_files(folder)]
    sections = (steering_section, frontier_section, samples_section)
    html = "".join(section([view], files) for section in sections)
    html.encode()
    assert "<script" not in html
    Page(html)


@QUIET
@given(DECISIONS, st.lists(DAMAGE, max_size=2))
def test_any_decisions(view, decisions, places):
    text = "".join(json.dumps(decision) + "\n" for decision in [*decisions, FIXED_STEP])
    (Path(view.log.source) / "advice.jsonl").write_bytes(damaged(text, places))
    shown_safely(view)


@QUIET
@given(PLANS, st.lists(DAMAGE, max_size=2))
def test_any_plan(view, plan, places):
    (Path(view.log.source) / "plan.json").write_bytes(damaged(json.dumps(plan), places))
    shown_safely(view)


@QUIET
@given(
    st.sampled_from(["min_diversity", "min_entropy", "min_\x00"]),
    st.sampled_from(
        ["0.5", "1" * 400, "9" * 5000, "nan", "-inf", "true", "'x'", "[1]", "1e308", "=", ""]
    ),
    st.lists(DAMAGE, max_size=2),
)
def test_any_configuration(view, name, value, places):
    text = f"[control]\n{name} = {value}\n"
    (Path(view.log.source) / "config.toml").write_bytes(damaged(text, places))
    shown_safely(view)


CELLS = TEXTS | st.sampled_from(
    ["C1CC1", "CCO" * 20, "0.5", "1e999", "nan", "step", '"', "1" * 400]
)


@QUIET
@given(
    st.sampled_from(["prompt,completion,score", "step,SMILES,Score", "completion", ""]),
    st.lists(st.lists(CELLS, max_size=4).map(",".join), max_size=5),
    st.lists(DAMAGE, max_size=2),
)
def test_any_samples(view, head, rows, places):
    folder = Path(view.log.source) / "samples"
    name = "reinvent_1.csv" if "SMILES" in head else "step-000004.csv"
    (folder / name).write_bytes(damaged("\n".join([head, *rows]) + "\n", places))
    shown_safely(view)
    (folder / name).unlink()
