"""How a run was steered: knobs and decisions over its steps, and its distance to the frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt

from qdlaws.core.run_rows import extra_column
from qdlaws.readers.run_folder import RunFiles
from qdlaws.reporting.charts import Layer, chart
from qdlaws.reporting.html import Raw, badge, bullets, number, of_run, section, table
from qdlaws.reporting.run_data import RunView

__all__ = ["frontier_section", "steering_section"]

Array = npt.NDArray[np.float64]

ROWS = 40
"""Decisions in the table; of longer runs those that turned something come first."""


# ---------------------------------------------------------------------- decisions


def steering_section(views: Sequence[RunView], files: Sequence[RunFiles]) -> str:
    """Advice and knobs over the steps of every run that wrote its decisions down."""
    body = "".join(
        of_run(i, _steering(view, found, len(views) == 1))
        for i, (view, found) in enumerate(zip(views, files, strict=True))
        if found.decisions
    )
    return section("How it was steered", body, "steering")


def _steering(view: RunView, files: RunFiles, alone: bool) -> str:
    pictures = _knobs(files) + "".join(
        _held(view, files, name, floor) for name, floor in sorted(files.floors.items())
    )
    turned = sum(bool(_figure(row, "du")) for row in files.decisions)
    told = f"{len(files.decisions)} decisions; {turned} of them turned a knob."
    body = f"<p>{told}</p><div class='grid'>{pictures}</div>{_decisions(files)}"
    whose = f"<summary>{escape(view.name)}</summary>"
    return body if alone else f'<details class="run">{whose}{body}</details>'


def _knobs(files: RunFiles) -> str:
    """log(reward scale / KL) over the steps, as stairs."""
    steps, ratio = _of(files, "step"), _ratios(files)
    if not np.isfinite(ratio).any():
        return ""
    stairs = {"x": np.repeat(steps, 2)[1:], "mid": np.repeat(ratio, 2)[:-1]}
    stairs |= {"low": stairs["mid"], "high": stairs["mid"]}
    known = np.isfinite(stairs["mid"])
    curve = {name: values[known] for name, values in stairs.items()}
    picture = chart(
        [Layer(steps, ratio, alone=True, curve=curve)],
        "step",
        "log(reward scale / KL)",
        f"The ratio over the steps, from {ratio[0]:.3g} to {ratio[-1]:.3g}",
    )
    told = "Higher is looser: the policy may go farther from its reference."
    return _card("Knobs", picture, told)


def _held(view: RunView, files: RunFiles, name: str, floor: float) -> str:
    """Readings of what is held, its floor, and where each decision expected it to settle."""
    log = view.log
    if name not in log.columns:
        return ""
    steps, settled = _of(files, "step"), _figures(files, "settled")
    error = _figures(files, "settled_se")
    known = np.isfinite(settled)
    band = None
    if known.any():
        low, high = settled - error, settled + error
        band = dict(zip(("x", "low", "mid", "high"), (steps, low, settled, high), strict=True))
        band = {key: values[known] for key, values in band.items()}
    none = np.array([])
    ends = np.array([log.step[0], log.step[-1]])
    line = np.full(2, floor)
    rule = {"x": ends, "low": line, "mid": line, "high": line}
    layers = [
        Layer(none, none, 1, alone=False, curve=rule),
        Layer(none, none, 0, alone=False, curve=band, held=False),
        Layer(log.step, log.column(name), alone=True),
    ]
    below = float(np.mean(log.column(name) < floor))
    label = f"{name} over the steps and its floor of {floor:g}; {below:.0%} of readings below"
    told = (
        f"Points: readings of {name}. Level line: the floor of {floor:g}. Dotted, with its "
        "standard error: where the decision at that step expected it to settle."
    )
    return _card(f"{name.capitalize()} and its floor", chart(layers, "step", name, label), told)


def _decisions(files: RunFiles) -> str:
    rows = files.decisions
    shown: Sequence[Mapping[str, Any]] = rows
    if len(rows) > ROWS:
        turned = [row for row in rows if _figure(row, "du")]
        shown = sorted((turned or list(rows))[-ROWS:], key=lambda row: row["step"])
    cells = [
        [
            f"{row['step']:g}",
            Raw(badge(str(row.get("action", "?")))),
            _knob(row, "kl"),
            _knob(row, "reward_scale"),
            number(_figure(row, "level")),
            number(_figure(row, "settled")),
            "; ".join(str(reason) for reason in row.get("reasons") or ()),
        ]
        for row in shown
    ]
    head = ("step", "decision", "KL", "reward scale", "level", "settles at", "why")
    some = f"{len(shown)} of {len(rows)} decisions" if len(shown) < len(rows) else "Every decision"
    return f"<details><summary>{some}</summary>{table(head, cells, some)}</details>"


def _knob(row: Mapping[str, Any], name: str) -> str:
    knobs = row.get("knobs")
    value = knobs.get(name) if isinstance(knobs, Mapping) else None
    return number(_float(value))


def _figure(row: Mapping[str, Any], name: str) -> float:
    """A figure of a decision; 0 for a turn that is not known, so that nothing was turned."""
    figures = row.get("figures")
    value = _float(figures.get(name) if isinstance(figures, Mapping) else None)
    return 0.0 if name == "du" and not np.isfinite(value) else value


def _figures(files: RunFiles, name: str) -> Array:
    return np.array([_figure(row, name) for row in files.decisions])


def _of(files: RunFiles, name: str) -> Array:
    return np.array([_float(row.get(name)) for row in files.decisions])


def _ratios(files: RunFiles) -> Array:
    """log(reward scale / KL) of the knobs after each decision; NaN where either is not positive."""
    out = []
    for row in files.decisions:
        knobs = row.get("knobs")
        found = knobs if isinstance(knobs, Mapping) else {}
        scale, kl = _float(found.get("reward_scale")), _float(found.get("kl"))
        out.append(np.log(scale / kl) if scale > 0 and kl > 0 else np.nan)
    return np.array(out)


def _float(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


# ---------------------------------------------------------------------- the frontier


def frontier_section(views: Sequence[RunView], files: Sequence[RunFiles]) -> str:
    """Quality against KL beside the best that any policy of that KL can have."""
    body = "".join(
        of_run(i, _frontier(view, found.plan, len(views) == 1))
        for i, (view, found) in enumerate(zip(views, files, strict=True))
        if found.plan is not None
    )
    return section("Distance to the frontier", body, "frontier")


def _frontier(view: RunView, plan: Mapping[str, Any], alone: bool) -> str:
    kl = extra_column(view.log, "kl")
    tilt = _columns(plan.get("table"), ("kl", "quality", "quality_se"))
    if kl is None or len(tilt["kl"]) < 2 or "quality" not in view.log.columns:
        return ""
    quality = view.log.column("quality")
    best_of = _columns(plan.get("best_of"), ("kl", "quality"))
    error = np.nan_to_num(2 * tilt["quality_se"])
    mid = tilt["quality"]
    curve = {"x": tilt["kl"], "low": mid - error, "mid": mid, "high": mid + error}
    none = np.array([])
    layers = [
        Layer(none, none, 0, alone=False, curve=curve),
        Layer(best_of["kl"], best_of["quality"], 1, alone=False),
        Layer(kl, quality, alone=True),
    ]
    told = (
        "Line and band: the exponentially tilted reference, which no policy of the same KL can "
        "exceed, as far as the reference's samples reach. Squares: best of n samples of the "
        "reference. Points: this run, pale to strong."
    )
    x, y = "KL to the reference, nats", "quality"
    picture = _card("Quality against KL", chart(layers, x, y, "The run beside the frontier"), told)
    shares = table(*_shares(view, kl, quality, tilt), "Share of the possible gain", numbers=0)
    notes = bullets(str(note) for note in plan.get("notes") or ())
    whose = "" if alone else f"<h3>{escape(view.name)}</h3>"
    return f"{whose}<div class='grid'>{picture}<div>{shares}{notes}</div></div>"


def _shares(
    view: RunView, kl: Array, quality: Array, tilt: Mapping[str, Array]
) -> tuple[tuple[str, ...], list[list[str]]]:
    """Gain over the reference by the largest gain at the same KL, at some of the readings."""
    start, end = tilt["quality"][0], tilt["kl"][-1]
    rows = []
    for i in np.unique(np.linspace(0, len(kl) - 1, 8).astype(int)):
        possible = float(np.interp(kl[i], tilt["kl"], tilt["quality"]))
        gain = possible - start
        share = "–"
        if kl[i] > end:
            share = "beyond the samples"
        elif gain > 0.02 * (tilt["quality"][-1] - start):
            share = f"{(quality[i] - start) / gain:.0%}"
        known = number(possible) if kl[i] <= end else "–"
        far = number(round(float(kl[i]), 4) + 0.0)
        rows.append([f"{view.log.step[i]:g}", far, number(quality[i]), known, share])
    return ("step", "KL", "quality", "possible", "share"), rows


def _columns(rows: Any, names: Sequence[str]) -> dict[str, Array]:
    """Columns of a list of objects, rows in which one of the first two is unknown left out."""
    good = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    out = {name: np.array([_float(row.get(name)) for row in good]) for name in names}
    known = np.isfinite(out[names[0]]) & np.isfinite(out[names[1]])
    order = np.argsort(out[names[0]][known], kind="stable")
    return {name: values[known][order] for name, values in out.items()}


def _card(title: str, picture: str, told: str) -> str:
    return (
        f'<figure class="card"><h3>{escape(title)}</h3><div class="still">{picture}</div>'
        f"<figcaption>{escape(told)}</figcaption></figure>"
    )
