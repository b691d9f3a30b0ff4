"""The three laws as figures with their numbers, and the runs over their steps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape

from qdlaws.core.runlog import COLUMNS
from qdlaws.laws.fitted import EQUATIONS, LAWS
from qdlaws.laws.result import LawFit
from qdlaws.laws.user_model import UserFit
from qdlaws.laws.verdict import NO_LAW
from qdlaws.reporting.charts import COLOURS, MARKERS, Layer, chart
from qdlaws.reporting.html import (
    Raw,
    badge,
    bullets,
    facts,
    fold,
    note,
    number,
    of_run,
    section,
    table,
)
from qdlaws.reporting.run_data import RunView, beyond_of, clock_of, curve_of, readings_of

__all__ = ["controls", "explorer", "laws_section"]

READING = '<p class="reading" aria-live="polite"></p>'
"""Where the script writes the values of a point."""


# ---------------------------------------------------------------------- the laws


def laws_section(views: Sequence[RunView]) -> str:
    """A figure for each law that any of the runs has."""
    kinds = [kind for kind in LAWS if any(view.law(kind) is not None for view in views)]
    if not kinds:
        return ""
    figures = "".join(_figure(kind, views) for kind in kinds)
    cautions = bullets(line for column in COLUMNS if (line := _mixed_kinds(views, column)))
    body = f"{_legend(views)}{cautions}<div class='grid'>{figures}</div>"
    return section("The laws", body, "laws")


def _mixed_kinds(views: Sequence[RunView], column: str) -> str:
    """A caution where the runs do not measure the same thing under one name."""
    kinds = Counter(v.log.kinds.get(column, "unknown") for v in views if column in v.log.columns)
    if len(kinds) < 2:
        return ""
    which = ", ".join(f"{kind} in {n} run{'s' * (n > 1)}" for kind, n in kinds.most_common())
    return f"{column} is not one measure here, so values cannot be compared across: {which}"


def _legend(views: Sequence[RunView]) -> str:
    """The marks of all figures, once, and how far a law may be read."""
    laws = [law for view in views for kind in LAWS if (law := view.law(kind)) is not None]
    marks = []
    if len(views) == 1:
        ramp = '<span class="ramp" role="img" aria-label="pale to strong"></span>'
        marks.append((ramp, "checkpoints, from early to late"))
    if any(law.verdict not in NO_LAW for law in laws):
        band = f"the law in its {views[0].law_level:.0%} band"
        marks.append((_sample("band", "M0 1H26V13H0Z") + _sample("law", "M0 7H26"), band))
    if any(beyond_of(law) for law in laws):
        marks.append((_sample("law beyond", "M0 7H26"), "the law beyond its range"))
    if any(isinstance(law, LawFit) and law.left_out is not None for law in laws):
        marks.append((_sample("dots m0 out", "M13 7h0"), "left out: the run stands still there"))
    if any(law.verdict in NO_LAW and curve_of(law) is not None for law in laws):
        marks.append((_sample("law loose", "M0 7H26"), "a curve that is no law"))
    items = "".join(f"<li>{mark} {words}</li>" for mark, words in marks)
    return f'<ul class="marks">{items}</ul>' + note(
        "A law says how quality (R), diversity (D) and entropy (H) went together in this run, not "
        "what causes what."
    )


def _sample(kind: str, path: str) -> str:
    """A mark of the legend."""
    return (
        '<svg class="mark-of" viewBox="0 0 26 14" aria-hidden="true">'
        f'<path class="{kind}{"" if kind.startswith("dots") else " alone"}" d="{path}"/></svg>'
    )


def _figure(kind: str, views: Sequence[RunView]) -> str:
    """One law of every run that has it."""
    x, y = next((law.x_name, law.y_name) for v in views if (law := v.law(kind)) is not None)
    title = f"{y.capitalize()} on {x}"
    single = len(views) == 1
    layers, verdicts = [], []
    for i, view in enumerate(views):
        if (law := view.law(kind)) is not None:
            run, supported = None if single else i, law.verdict not in NO_LAW
            out = law.left_out if isinstance(law, LawFit) else None
            rest = None if out is None else (out.x, out.y)
            layers.append(Layer(law.x, law.y, run, curve_of(law), supported, beyond_of(law), rest))
            verdicts.append(f"{view.name}: {_words(law)}")
    label = f"{title}, points and fitted law. {'; '.join(verdicts[:6])}."
    return (
        f'<figure class="card" data-x="{escape(x)}" data-y="{escape(y)}"><h3>{escape(title)}</h3>'
        f"{_badge_of(kind, views[0]) if single else ''}"
        f'<div class="holder">{chart(layers, x, y, label)}</div>{READING}'
        f"{''.join(_law(kind, i, view, single) for i, view in enumerate(views))}</figure>"
    )


def _badge_of(kind: str, view: RunView) -> str:
    """The verdict on a law of a run."""
    law = view.law(kind)
    return "" if law is None else f"<p>{badge(_words(law), law.verdict)}</p>"


def _law(kind: str, run: int, view: RunView, single: bool) -> str:
    """Why a law of one run has its verdict, its numbers, and the curve as a table; folded."""
    law = view.law(kind)
    if law is None:
        return ""
    summary = law.summary()
    why = note(EQUATIONS[kind]) + bullets(summary.remarks)
    numbers = facts(summary)
    if (curve := curve_of(law, points=9)) is not None:
        rows = [[f"{value:.4g}" for value in row] for row in zip(*curve, strict=True)]
        head = (law.x_name, "low", "mid", "high")
        caption = f"{law.y_name} by the law of {view.name}"
        curve_table = table(head, rows, caption, numbers=0)
        numbers += fold("The curve as a table", curve_table, printed=False)
    if single:
        return fold("Why, and the numbers", why + numbers)
    title = Raw(f"{escape(view.name)} {badge(_words(law), law.verdict)}")
    return of_run(run, fold(title, why + numbers))


def _words(law: LawFit | UserFit) -> str:
    """The verdict in words."""
    if not isinstance(law, LawFit):
        return law.headline
    return f"{law.verdict_words}, or {law.rival}" if law.rival else law.verdict_words


# ---------------------------------------------------------------------- the runs step by step


def explorer(views: Sequence[RunView]) -> str:
    """Any column against step or any other; with the script, by choice."""
    names = [c for c in COLUMNS if any(c in view.log.columns for view in views)]
    first = names[0]
    layers = [
        Layer(readings["step"], readings[first], None if len(views) == 1 else i)
        for i, view in enumerate(views)
        if first in (readings := readings_of(view))
    ]
    n = "one run" if len(views) == 1 else f"{len(views)} runs"
    clock = clock_of(views)
    svg = chart(layers, clock, first, f"{first} against {clock} of {n}")
    choices = (
        '<div class="controls">'
        f"<label>Show <select id='axis-y'>{_choices(names)}</select></label>"
        f"<label>against <select id='axis-x'>{_choices(['step', *names])}</select></label></div>"
    )
    tables = "".join(_readings(i, view, len(views) == 1) for i, view in enumerate(views))
    return section(
        "Step by step",
        f'<figure class="card" data-x="step" data-y="{escape(first)}" data-free>{choices}'
        f'<div class="holder">{svg}</div>{READING}'
        "<figcaption>The dashed line in its band is the forecast."
        f"{_stages(views)}</figcaption>"
        f"{tables}</figure>",
        "steps",
    )


def _stages(views: Sequence[RunView]) -> str:
    """The uprights in words, where there are any."""
    marked = any(len(view.logs) > 1 for view in views)
    return " A dashed upright is the start of a new stage of the run." * marked


def _choices(names: Sequence[str]) -> str:
    return "".join(f"<option>{escape(name)}</option>" for name in names)


def _readings(run: int, view: RunView, single: bool) -> str:
    """Some twenty of the readings of a run as a table; of several runs the reader's notes too."""
    readings = readings_of(view, most=20)
    cells = {
        name: [number(v, 9 if name == "step" else 4) for v in values]
        for name, values in readings.items()
    }
    n = sum(len(log) for log in view.logs)
    some = f"{len(cells['step'])} of {n} checkpoints" if n > 20 else f"{n} checkpoints"
    head = [name.replace("_se", " ±") for name in cells]
    rows = table(head, zip(*cells.values(), strict=True), f"{view.name}: {some}", numbers=0)
    body = rows if single else rows + bullets(view.log.notes)
    return of_run(run, fold(f"{view.name} as a table", body, printed=False))


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
        f'<path class="dots m{marker} r{run % COLOURS}" d="M7 7{MARKERS[marker]}"/></svg>'
    )
