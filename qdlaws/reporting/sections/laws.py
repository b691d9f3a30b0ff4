"""The three laws as figures with their tables, and the runs over their steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from qdlaws.core.runlog import COLUMNS
from qdlaws.laws.fit import LAWS
from qdlaws.laws.summary import EQUATIONS
from qdlaws.reporting.charts import MARKERS, Layer, chart
from qdlaws.reporting.html import badge, bullets, facts, section, table
from qdlaws.reporting.run_data import RunView, curve_of, table_of

__all__ = ["controls", "explorer", "laws_section"]

Array = npt.NDArray[np.float64]

HINT = '<p class="tell" aria-live="polite"></p>'


def laws_section(views: Sequence[RunView]) -> str:
    """A figure for each law that any of the runs has."""
    kinds = [kind for kind in LAWS if any(view.law(kind) is not None for view in views)]
    body = "".join(_law(kind, views) for kind in kinds)
    mixed = bullets(line for column in COLUMNS if (line := _mixed(views, column)))
    return section("The laws", f"{_key(views)}{mixed}<div class='grid'>{body}</div>", "laws")


def _mixed(views: Sequence[RunView], column: str) -> str:
    """A caution where the runs do not measure the same thing under one name."""
    kinds = Counter(v.log.kinds.get(column, "unknown") for v in views if column in v.log.columns)
    if len(kinds) < 2:
        return ""
    which = ", ".join(f"{kind} in {n} run{'s' * (n > 1)}" for kind, n in kinds.most_common())
    return f"{column} is not one measure here, so values cannot be compared across: {which}"


def _key(views: Sequence[RunView]) -> str:
    """How to read the figures."""
    ramp = 'from <span class="ramp" role="img" aria-label="pale to strong"></span> early to late'
    return (
        '<p class="soft">A law is an association over its run, not a cause. '
        f"Points: checkpoints{f', {ramp}' if len(views) == 1 else ''}. "
        f"Line and band: the law and its {views[0].law_level:.0%} interval, dotted where the data "
        "do not support it.</p>"
    )


def _law(kind: str, views: Sequence[RunView]) -> str:
    x, y = next((law.x_name, law.y_name) for v in views if (law := v.law(kind)) is not None)
    title = f"{y.capitalize()} on {x}"
    layers, words = [], []
    for i, view in enumerate(views):
        law = view.law(kind)
        if law is None:
            continue
        held = law.verdict != "unsupported"
        layers.append(Layer(law.x, law.y, i, len(views) == 1, curve_of(law), held))
        words.append(f"{view.name}: {law.verdict}")
    label = f"{title}, points and fitted law. {'; '.join(words[:6])}."
    return (
        f'<figure class="card" data-x="{escape(x)}" data-y="{escape(y)}"><h3>{escape(title)}</h3>'
        f'<p class="soft">{escape(EQUATIONS[kind])}</p>'
        f'<div class="holder">{chart(layers, x, y, label)}</div>{HINT}'
        f"{''.join(_run_law(kind, i, v, len(views) == 1) for i, v in enumerate(views))}</figure>"
    )


def _run_law(kind: str, run: int, view: RunView, alone: bool) -> str:
    """What the law of one run says, with the curve as a table."""
    law = view.law(kind)
    if law is None:
        return ""
    values = ""
    if (curve := curve_of(law, points=9)) is not None:
        rows = [[f"{v:.4g}" for v in row] for row in zip(*curve.values(), strict=True)]
        head = (law.x_name, "low", "mid", "high")
        shown = table(head, rows, f"{law.y_name} by the law of {view.name}", numbers=0)
        values = f"<details><summary>The curve as a table</summary>{shown}</details>"
    body = facts(law.summary()) + values
    if alone:
        return f"<p>{badge(law.verdict)}</p>{body}"
    return (
        f'<details class="run" data-of="{run}"><summary>{escape(view.name)} '
        f"{badge(law.verdict)}</summary>{body}</details>"
    )


def explorer(views: Sequence[RunView]) -> str:
    """Any column against step or any other; with the script, by choice."""
    names = [c for c in COLUMNS if any(c in view.log.columns for view in views)]
    first = names[0]
    layers = []
    for i, view in enumerate(views):
        data = table_of(view)
        if first in data:
            layers.append(Layer(data["step"], data[first], i, len(views) == 1))
    picture = chart(layers, "step", first, f"{first} against step of {len(views)} run(s)")
    choices = (
        '<div class="controls">'
        f"<label>Show <select id='axis-y'>{_options(names)}</select></label>"
        f"<label>against <select id='axis-x'>{_options(['step', *names])}</select></label></div>"
    )
    tables = "".join(_readings(i, view) for i, view in enumerate(views))
    return section(
        "The runs, step by step",
        f'<figure class="card" data-x="step" data-y="{escape(first)}" data-free>{choices}'
        f'<div class="holder">{picture}</div>{HINT}'
        "<figcaption>Readings as logged. Over the steps, a dashed line with its band is the "
        "forecast and a dashed upright the start of a new regime.</figcaption>"
        f"{tables}</figure>",
        "steps",
    )


def _options(names: Sequence[str]) -> str:
    return "".join(f"<option>{escape(name)}</option>" for name in names)


def _readings(run: int, view: RunView) -> str:
    """Some twenty of the readings of a run as a table."""
    data = table_of(view, most=20)
    cells = {
        name: [f"{v:.9g}" if name == "step" else _reading(v) for v in values]
        for name, values in data.items()
    }
    n = sum(len(log) for log in view.logs)
    some = f"{len(cells['step'])} of {n} checkpoints" if n > 20 else f"{n} checkpoints"
    head = [name.replace("_se", " ±") for name in cells]
    shown = table(head, zip(*cells.values(), strict=True), f"{view.name}: {some}", numbers=0)
    notes = bullets(view.log.notes)
    return (
        f'<details data-of="{run}"><summary>{escape(view.name)} as a table</summary>'
        f"{shown}{notes}</details>"
    )


def _reading(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "–"


def controls(views: Sequence[RunView]) -> str:
    """Check boxes to choose runs, which are the legend as well; none for a single run."""
    if len(views) < 2:
        return ""
    boxes = "".join(
        f'<label><input type="checkbox" data-run="{i}" checked>{_swatch(i)}'
        f"{escape(view.name)}</label>"
        for i, view in enumerate(views)
    )
    return (
        f'<fieldset class="runs controls"><legend>Runs</legend>{boxes}'
        '<button type="button" id="all">all / none</button></fieldset>'
    )


def _swatch(run: int) -> str:
    marker = run % len(MARKERS)
    return (
        f'<svg viewBox="0 0 14 14" aria-hidden="true">'
        f'<path class="dots m{marker} r{run % 8}" d="M7 7{MARKERS[marker]}"/></svg>'
    )
