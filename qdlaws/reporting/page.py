"""The page around the parts: head, verdict first, overview, provenance."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from qdlaws.comparison.compare import Comparison
from qdlaws.core.goal import Goal
from qdlaws.core.interval import show
from qdlaws.core.summary import Summary
from qdlaws.laws.fitted import LAWS
from qdlaws.laws.result import LawFit
from qdlaws.laws.user_model import UserFit
from qdlaws.laws.verdict import NO_LAW
from qdlaws.readers.run_folder import run_files
from qdlaws.reporting.html import Raw, badge, bullets, facts, fold, folded, note, section, table
from qdlaws.reporting.run_data import RunView, page_data
from qdlaws.reporting.sections.advice import (
    advice_section,
    alarm_lines,
    call,
    forecast_section,
    reasons,
)
from qdlaws.reporting.sections.comparison import compared, comparison_section
from qdlaws.reporting.sections.control import frontier_section, steering_section
from qdlaws.reporting.sections.diagnostics import checks_section
from qdlaws.reporting.sections.laws import controls, explorer, laws_section
from qdlaws.reporting.sections.samples import samples_section

__all__ = ["page"]


def page(
    views: Sequence[RunView],
    goal: Goal | None,
    left_out: Sequence[tuple[str, str]],
    most: int,
) -> str:
    """The whole HTML document; at most so many runs are drawn and treated one by one."""
    shown = views[:most]
    files = [run_files(view.log.source) for view in shown]
    comparison = compared(views) if len(views) > 1 else None
    title = views[0].name if len(views) == 1 else f"{len(views)} runs"
    steering = steering_section(shown, files)
    steered = steering.startswith("<section")
    details = [
        "" if comparison is None else comparison_section(comparison),
        forecast_section(shown),
        "" if steered else steering,
        checks_section(shown),
        _sources(views),
    ]
    parts = [
        _left_out(left_out, len(views), most),
        _answer(views, comparison, goal),
        _overview(views) if len(views) > 1 else "",
        controls(shown),
        laws_section(shown),
        explorer(shown),
        samples_section(shown, files),
        advice_section(shown, goal),
        steering if steered else "",
        frontier_section(shown, files),
        section("Details", "".join(details), "details"),
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
        return note(", ".join(sorted({v.log.tool for v in views if v.log.tool})))
    log = views[0].log
    first, last = views[0].logs[0].step[0], log.step[-1]
    n = sum(len(piece) for piece in views[0].logs)
    words = [
        log.tool,
        f"{n} checkpoints, {log.clock}s {first:g} to {last:g}",
        ", ".join(log.columns),
    ]
    return note(" · ".join(w for w in words if w))


def _left_out(left_out: Sequence[tuple[str, str]], n: int, most: int) -> str:
    """The runs that are missing from the page, or from its pictures."""
    lines = [Raw(f"<b>{escape(source)}</b>: {escape(reason)}") for source, reason in left_out]
    count = f"{len(lines)} of {len(lines) + n} runs {'is' if len(lines) == 1 else 'are'} left out"
    parts = "" if not lines else fold(count, bullets(lines))
    if 0 < len(lines) <= 3:
        parts = f"<p>{count}:</p>{bullets(lines)}"
    if n > most:
        parts += f"<p>The first {most} of {n} runs are drawn, all are in the tables.</p>"
    return f'<div class="card warning">{parts}</div>' if parts else ""


def _answer(
    views: Sequence[RunView], comparison: Comparison | str | None, goal: Goal | None
) -> str:
    """The verdict in a sentence, the advice in another, and why."""
    if len(views) > 1:
        n = sum(any(law.verdict not in NO_LAW for law in _quality(view)) for view in views)
        verdict = f"{n} of {len(views)} runs gain quality by giving up diversity or entropy"
        lines = [comparison.conclusion] if isinstance(comparison, Comparison) else []
        return _box(verdict, _tally(views) + bullets(lines))
    view = views[0]
    advice = view.advice
    if advice is None:
        return _box(_verdict(view), bullets(view.problems.values()))
    action = f"<p><strong>{escape(call(advice))}</strong></p>"
    body = action + alarm_lines(advice) + reasons(advice, goal)
    return _box(_verdict(view), body, advice.action)


def _tally(views: Sequence[RunView]) -> str:
    """How many runs are advised to do what."""
    count = Counter(view.advice.action for view in views if view.advice is not None)
    parts = [f"{badge(action)} {n}" for action, n in count.most_common()]
    return f"<p>Advice: {', '.join(parts)}</p>" if parts else ""


def _box(verdict: str, body: str, kind: str = "") -> str:
    return (
        f'<div id="answer" class="card answer {escape(kind)}">'
        f'<p class="verdict">{escape(verdict)}</p>{body}</div>'
    )


VERDICTS = {
    "concave": "{y} is gained by giving up {x}, and every further gain costs more of it",
    "convex": "{y} is gained by giving up {x}, and every further gain costs less of it",
    "linear": "{y} is gained by giving up {x}, at a constant price",
    "falling": "{y} is gained by giving up {x}; how its price changes is not known",
    "peaked": "{y} is best at a middle {x}, {best}, and falls to both sides",
    "unsupported": "No trade-off between {y} and {x} can be seen",
}


def _verdict(view: RunView) -> str:
    """The law of quality that says most: supported, else peaked; diversity before entropy."""
    laws = _quality(view) or list(view.fits.laws())
    if not laws:
        return f"Only {' and '.join(view.log.columns)} was measured, so there is no law"
    law = min(laws, key=lambda law: (law.verdict in NO_LAW) + (law.verdict == "unsupported"))
    if law.kind == "hd" or not isinstance(law, LawFit):
        return f"{law.y_name} on {law.x_name}: {law.headline}".capitalize()
    words = VERDICTS[law.verdict].format(x=law.x_name, y=law.y_name, best=show(law.best))
    sure = f" ({law.strength})" if law.strength else ""
    return words[0].upper() + words[1:] + sure


def _quality(view: RunView) -> list[LawFit | UserFit]:
    return [law for kind in ("rd", "rh") if (law := view.law(kind)) is not None]


def _overview(views: Sequence[RunView]) -> str:
    rows = []
    for view in views:
        advice, log = view.advice, view.log
        cells = ["–", "–"]
        if advice is not None:
            kept = "–" if advice.checkpoint is None else f"{advice.checkpoint:g}"
            cells = [Raw(badge(advice.action)), kept]
        laws = [view.law(kind) for kind in LAWS]
        cells += ["–" if law is None else Raw(badge(law.verdict)) for law in laws]
        rows.append([view.name, *cells, f"{log.step[-1]:g}", f"{len(log)}", log.tool])
    head = ["run", "advice", "keep checkpoint", *(f"{y} on {x}" for x, y in LAWS.values())]
    return section("All runs", table([*head, "last step", "checkpoints", "tool"], rows), "all-runs")


def _sources(views: Sequence[RunView]) -> str:
    """Where the numbers came from, and for a single run what its reader noted."""
    head = ("read from", "tool", "columns")
    cells = [
        (v.log.source or "–", v.log.tool or "–", ", ".join(_column(v, c) for c in v.log.columns))
        for v in views
    ]
    if len(views) == 1:
        labelled = Summary("", rows=tuple(zip(head, cells[0], strict=True)))
        body = facts(labelled) + bullets(views[0].log.notes)
    else:
        rows = [(view.name, *row) for view, row in zip(views, cells, strict=True)]
        body = table(("run", *head), rows)
    return folded("Sources", body, "sources")


def _column(view: RunView, column: str) -> str:
    name, kind = view.log.names.get(column, column), view.log.kinds.get(column)
    return f"{column} = {name}" + (f" ({kind})" if kind else "")
