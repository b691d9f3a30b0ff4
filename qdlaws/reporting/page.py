"""The page around the parts: head, verdict first, overview, provenance."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING

from qdlaws.core.goal import Goal
from qdlaws.laws.fit import LAWS
from qdlaws.readers.run_folder import run_files
from qdlaws.reporting.html import Raw, badge, bullets, section, table
from qdlaws.reporting.run_data import RunView, page_data
from qdlaws.reporting.sections.advice import advice_section, call, forecast_section
from qdlaws.reporting.sections.comparison import compared, comparison_section, same_law
from qdlaws.reporting.sections.control import frontier_section, steering_section
from qdlaws.reporting.sections.diagnostics import checks_section
from qdlaws.reporting.sections.laws import controls, explorer, laws_section
from qdlaws.reporting.sections.samples import drawn_section

if TYPE_CHECKING:
    from qdlaws.comparison.fleet import Comparison
    from qdlaws.laws.result import LawFit
    from qdlaws.laws.user_model import UserFit

__all__ = ["page"]


def page(
    views: Sequence[RunView],
    goal: Goal | None,
    left_out: Sequence[tuple[str, str]],
    most: int,
) -> str:
    """The whole HTML document; at most so many runs are drawn and told of one by one."""
    shown = views[:most]
    files = [run_files(view.log.source) for view in shown]
    together = compared(views) if len(views) > 1 else None
    title = views[0].name if len(views) == 1 else f"{len(views)} runs"
    parts = [
        _answer(views, together),
        _overview(views) if len(views) > 1 else "",
        controls(shown),
        laws_section(shown),
        explorer(shown),
        forecast_section(shown),
        advice_section(shown, goal),
        steering_section(shown, files),
        frontier_section(shown, files),
        drawn_section(shown, files),
        checks_section(shown),
        "" if together is None else comparison_section(together),
        _provenance(views, left_out, most),
    ]
    script = _resource("page.js")
    return (
        f"<!doctype html>\n<html lang='en'>\n<head>\n{_head(title, script)}</head>\n<body>\n"
        f"<a class='skip' href='#answer'>To the verdict</a>\n<header class='top'><div>"
        f"<h1>{escape(title)}</h1>{_subtitle(views)}</div>"
        "<button type='button' id='theme'>Dark colours</button></header>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + f"\n</main>\n<footer class='soft'>Made by qdlaws {_version()}.</footer>\n"
        f"<script type='application/json' id='data'>{page_data(shown)}</script>\n"
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _head(title: str, script: str) -> str:
    """Nothing may be loaded, and no script may run but ours: the browser enforces both."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        f"form-action 'none'; script-src 'sha256-{digest}'"
    )
    return (
        "<meta charset='utf-8'>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<link rel='icon' href='data:,'>\n"
        f"<title>{escape(title)} · quality, diversity, entropy</title>\n"
        f"<style>{_resource('page.css')}</style>\n"
    )


def _resource(name: str) -> str:
    return files("qdlaws.reporting").joinpath(name).read_text(encoding="utf-8")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("qdlaws")
    except PackageNotFoundError:
        return "(not installed)"


def _subtitle(views: Sequence[RunView]) -> str:
    if len(views) > 1:
        tools = ", ".join(sorted({v.log.tool for v in views if v.log.tool}))
        return f'<p class="soft">{escape(tools)}</p>'
    log = views[0].log
    first, last = views[0].logs[0].step[0], log.step[-1]
    n = sum(len(piece) for piece in views[0].logs)
    words = [log.tool, f"{n} checkpoints, steps {first:g} to {last:g}", ", ".join(log.columns)]
    return f'<p class="soft">{escape(" · ".join(w for w in words if w))}</p>'


def _answer(views: Sequence[RunView], together: Comparison | str | None) -> str:
    """The verdict in a sentence, the advice in another."""
    if len(views) > 1:
        held = sum(any(law.verdict != "unsupported" for law in _quality(view)) for view in views)
        say = f"{held} of {len(views)} runs trade quality for diversity or entropy"
        known = None if together is None or isinstance(together, str) else same_law(together)
        return _box(say, _tally(views) + bullets([known] if known else []))
    view = views[0]
    say, reasons = _verdict(view)
    advice = view.advice
    if advice is None:
        return _box(say, bullets([*reasons, *view.troubles.values()]))
    line = f"<p>{badge(advice.action)} {escape(call(advice))}</p>"
    return _box(say, line + bullets([*reasons[:1], *advice.reasons[:1]]), advice.action)


def _tally(views: Sequence[RunView]) -> str:
    """How many runs are advised to do what."""
    count = Counter(view.advice.action for view in views if view.advice is not None)
    parts = [f"{badge(action)} {n}" for action, n in count.most_common()]
    return f"<p>Advice: {', '.join(parts)}</p>" if parts else ""


def _box(say: str, body: str, kind: str = "") -> str:
    return (
        f'<div id="answer" class="card answer {escape(kind)}">'
        f'<p class="say">{escape(say)}</p>{body}</div>'
    )


SAY = {
    "concave": "{y} is bought with {x}, at a rising price",
    "convex": "{y} is bought with {x}, at a falling price",
    "linear": "{y} is bought with {x}, at about one price",
    "unsupported": "No trade-off of {y} for {x} can be seen",
}


def _verdict(view: RunView) -> tuple[str, tuple[str, ...]]:
    """The law of quality that says most: a supported one, of diversity before entropy."""
    laws = _quality(view) or list(view.fits.laws())
    found = next((law for law in laws if law.verdict != "unsupported"), laws[0])
    if found.kind == "hd" or found.verdict not in SAY:
        return f"{found.y_name} on {found.x_name}: {found.verdict}", found.reasons
    say = SAY[found.verdict].format(x=found.x_name, y=found.y_name)
    return say[0].upper() + say[1:], found.reasons


def _quality(view: RunView) -> list[LawFit | UserFit]:
    return [law for kind in ("rd", "rh") if (law := view.law(kind)) is not None]


def _overview(views: Sequence[RunView]) -> str:
    rows = []
    for view in views:
        log = view.log
        cells: list[str] = [view.name, log.tool, f"{len(log)}", f"{log.step[-1]:g}"]
        for kind in LAWS:
            law = view.law(kind)
            cells.append("–" if law is None else Raw(badge(law.verdict)))
        if (said := view.advice) is None:
            cells += ["–", "–"]
        else:
            kept = "–" if said.checkpoint is None else f"{said.checkpoint:g}"
            cells += [Raw(badge(said.action)), kept]
        rows.append(cells)
    head = ["run", "tool", "checkpoints", "last step", "R on D", "R on H", "H on D"]
    head += ["advice", "keep checkpoint"]
    return section("All runs", table(head, rows, "Verdicts and advice"), "all-runs")


def _provenance(views: Sequence[RunView], left_out: Sequence[tuple[str, str]], most: int) -> str:
    rows = []
    for view in views:
        log = view.log
        columns = ", ".join(_column(view, c) for c in log.columns)
        rows.append([view.name, log.source or "–", log.tool or "–", columns])
    body = table(("run", "read from", "tool", "columns"), rows, "Where the numbers came from")
    lines = [f"{where} was left out: {why}" for where, why in left_out]
    if len(views) > most:
        lines.append(f"The first {most} of {len(views)} runs are drawn.")
    if len(views) == 1:
        lines += list(views[0].log.notes)
    return section("Sources", body + bullets(lines), "sources")


def _column(view: RunView, column: str) -> str:
    name, kind = view.log.names.get(column, column), view.log.kinds.get(column)
    return f"{column} = {name}" + (f" ({kind})" if kind else "")
