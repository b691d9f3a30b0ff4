"""How a run was steered: knobs and decisions over its steps, and its distance to the frontier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from qdlaws.core.run_rows import extra_column
from qdlaws.core.types import Array
from qdlaws.readers.run_folder import RunFiles
from qdlaws.reporting.charts import Curve, Layer, chart
from qdlaws.reporting.html import (
    Raw,
    badge,
    bullets,
    fold,
    folded,
    number,
    of_run,
    picture,
    section,
    table,
)
from qdlaws.reporting.run_data import RunView

__all__ = ["frontier_section", "steering_section"]

MOST_DECISIONS = 40
"""Decisions in the table; of longer runs those that turned something come first."""

NONE = np.array([])


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


# ---------------------------------------------------------------------- decisions


def steering_section(views: Sequence[RunView], files: Sequence[RunFiles]) -> str:
    """Advice and knobs over the steps of every run that wrote its decisions down."""
    body = "".join(
        of_run(i, _steering(view, run, len(views) == 1))
        for i, (view, run) in enumerate(zip(views, files, strict=True))
        if run.decisions
    )
    turned = any(_turned(row) for run in files for row in run.decisions)
    show = section if turned else folded
    return show("How it was steered", body, "steering")


def _steering(view: RunView, files: RunFiles, single: bool) -> str:
    turns, n = sum(map(_turned, files.decisions)), len(files.decisions)
    pictures = _ratio_picture(files) if turns else ""
    floors = sorted(files.floors.items())
    pictures += "".join(_floor_picture(view, files, name, floor) for name, floor in floors)
    words = f"{turns} of {n} decisions turned a knob." if turns else _unturned(files)
    body = f"<p>{escape(words)}</p><div class='grid'>{pictures}</div>{_decisions(files)}"
    return body if single else fold(view.name, body)


def _unturned(files: RunFiles) -> str:
    kl, scale = (number(_knob(files.decisions[-1], name)) for name in ("kl", "reward_scale"))
    words = f"No knob was turned in {len(files.decisions)} decisions"
    return f"{words}: KL strength {kl}, reward scale {scale} throughout."


def _ratio_picture(files: RunFiles) -> str:
    """log(reward scale / KL) over the steps, as stairs."""
    steps = np.array([_number(row.get("step")) for row in files.decisions])
    ratio = np.array([_log_ratio(row) for row in files.decisions])
    if not np.isfinite(ratio).any():
        return ""
    x, y = np.repeat(steps, 2)[1:], np.repeat(ratio, 2)[:-1]
    drawn = np.isfinite(y)
    stairs = Curve(x[drawn], y[drawn], y[drawn], y[drawn])
    label = f"The ratio over the steps, from {ratio[0]:.3g} to {ratio[-1]:.3g}"
    svg = chart([Layer(steps, ratio, curve=stairs)], "step", "log(reward scale / KL)", label)
    return picture("Knobs", svg, "Higher lets the policy go farther from its reference.")


def _log_ratio(row: Mapping[str, Any]) -> float:
    """log(reward scale / KL) after a decision; NaN where either is not positive."""
    scale, kl = _knob(row, "reward_scale"), _knob(row, "kl")
    return float(np.log(scale) - np.log(kl)) if scale > 0 and kl > 0 else float("nan")


def _floor_picture(view: RunView, files: RunFiles, name: str, floor: float) -> str:
    """Readings of a column, its floor, and the level that each decision expected."""
    log = view.log
    if name not in log.columns:
        return ""
    steps = np.array([_number(row.get("step")) for row in files.decisions])
    level = np.array([_figure(row, "settled") for row in files.decisions])
    error = np.array([_figure(row, "settled_se") for row in files.decisions])
    drawn = np.isfinite(level)
    expected = Curve(steps[drawn], *(line[drawn] for line in (level - error, level, level + error)))
    line = np.full(2, floor)
    layers = [
        Layer(NONE, NONE, 1, Curve(np.array([log.step[0], log.step[-1]]), line, line, line)),
        Layer(NONE, NONE, 0, expected if drawn.any() else None, supported=False),
        Layer(log.step, log.column(name)),
    ]
    below = float(np.mean(log.column(name) < floor))
    label = f"{name} over the steps and its floor of {floor:g}; {below:.0%} of readings below"
    caption = (
        f"Points: readings of {name}. Level line: the floor of {floor:g}. Dotted, with its "
        "standard error: the level that the decision at that step expected in the end."
    )
    svg = chart(layers, "step", name, label)
    return picture(f"{name.capitalize()} and its floor", svg, caption)


def _decisions(files: RunFiles) -> str:
    rows: Sequence[Mapping[str, Any]] = files.decisions
    if len(rows) > MOST_DECISIONS:
        turns = [row for row in rows if _turned(row)]
        rows = sorted((turns or list(rows))[-MOST_DECISIONS:], key=lambda row: row["step"])
    cells = [
        [
            f"{row['step']:g}",
            Raw(badge(str(row.get("action", "?")))),
            *(number(_knob(row, name)) for name in ("kl", "reward_scale")),
            *(number(_figure(row, name)) for name in ("level", "settled")),
            "; ".join(str(reason) for reason in row.get("reasons") or ()),
        ]
        for row in rows
    ]
    head = ("step", "decision", "KL", "reward scale", "level", "expected level", "why")
    n = len(files.decisions)
    title = f"{len(rows)} of {n} decisions" if len(rows) < n else "Every decision"
    return fold(title, table(head, cells), printed=False)


def _knob(row: Mapping[str, Any], name: str) -> float:
    """A knob after a decision; NaN where it is not given."""
    knobs = row.get("knobs")
    return _number(knobs.get(name) if isinstance(knobs, Mapping) else None)


def _figure(row: Mapping[str, Any], name: str) -> float:
    """A figure of a decision; NaN where it is not given."""
    figures = row.get("figures")
    return _number(figures.get(name) if isinstance(figures, Mapping) else None)


def _turned(row: Mapping[str, Any]) -> bool:
    """Whether a decision turned a knob."""
    turn = _figure(row, "du")
    return bool(np.isfinite(turn)) and turn != 0


# ---------------------------------------------------------------------- the frontier


def frontier_section(views: Sequence[RunView], files: Sequence[RunFiles]) -> str:
    """Quality against KL beside the best that any policy of that KL can have."""
    body = "".join(
        of_run(i, _frontier(view, run.plan, len(views) == 1))
        for i, (view, run) in enumerate(zip(views, files, strict=True))
        if run.plan is not None
    )
    return section("Distance to the frontier", body, "frontier")


def _frontier(view: RunView, plan: Mapping[str, Any], single: bool) -> str:
    kl = extra_column(view.log, "kl")
    tilt = _columns(plan.get("table"), ("kl", "quality", "quality_se"))
    if kl is None or len(tilt["kl"]) < 2 or "quality" not in view.log.columns:
        return ""
    quality, mid = view.log.column("quality"), tilt["quality"]
    best_of = _columns(plan.get("best_of"), ("kl", "quality"))
    error = np.nan_to_num(2 * tilt["quality_se"])
    layers = [
        Layer(NONE, NONE, 0, Curve(tilt["kl"], mid - error, mid, mid + error)),
        Layer(best_of["kl"], best_of["quality"], 1),
        Layer(kl, quality),
    ]
    squares = " Squares: the best of n samples of the reference." if len(best_of["kl"]) else ""
    caption = (
        "Line and band: the best quality that a policy of this KL can have, as far as samples of "
        f"the reference can say.{squares} Points: this run, pale to strong."
    )
    svg = chart(layers, "KL to the reference, nats", "quality", "The run beside the frontier")
    shares = table(*_shares(view, kl, quality, tilt), "Share of the possible gain", numbers=0)
    notes = bullets(str(line) for line in plan.get("notes") or ())
    name = "" if single else f"<h3>{escape(view.name)}</h3>"
    figure = picture("Quality against KL", svg, caption)
    return f"{name}<div class='grid'>{figure}<div>{shares}{notes}</div></div>"


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
        best = number(possible) if kl[i] <= end else "–"
        distance = number(round(float(kl[i]), 4) + 0.0)
        rows.append([f"{view.log.step[i]:g}", distance, number(quality[i]), best, share])
    return ("step", "KL", "quality", "possible", "share"), rows


def _columns(rows: Any, names: Sequence[str]) -> dict[str, Array]:
    """Columns of a list of objects, rows in which one of the first two is unknown left out."""
    objects = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
    out = {name: np.array([_number(row.get(name)) for row in objects]) for name in names}
    finite = np.isfinite(out[names[0]]) & np.isfinite(out[names[1]])
    order = np.argsort(out[names[0]][finite], kind="stable")
    return {name: values[finite][order] for name, values in out.items()}
