"""The live page: the report's page, made anew as the runs grow, with a script that follows it."""

from __future__ import annotations

import base64
import hashlib
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from html import escape
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.goal import Goal
from qdlaws.errors import QdlawsError
from qdlaws.integrations.watch import Update
from qdlaws.reporting.build import RunLeftOut, report

__all__ = ["LivePage"]


@dataclass
class LivePage:
    """The newest updates of the runs and the page that shows them, with a number that counts on."""

    goal: Goal | None = None
    kept_at: Path | None = None
    """A file that holds the report beside, without the script that follows the runs."""
    version: int = 0
    html: str = ""
    """What a browser gets."""
    updates: dict[str, Update] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.html = _followed(_waiting(()), self.version, 1)

    def show(self, updates: Iterable[Update]) -> None:
        """Takes up the newest updates and makes the page anew."""
        self.updates |= {update.source: update for update in updates}
        self.version += 1
        page = self._report()
        if self.kept_at is not None:
            write_atomically(self.kept_at, page)
        self.html = _followed(page, self.version, len(self.updates))

    def _report(self) -> str:
        """The report on the runs that can be fitted; what is waited for where none can."""
        runs = [update.fits or Path(source) for source, update in self.updates.items()]
        with TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", RunLeftOut)  # the page says which and why
            path = Path(folder) / "report.html"
            try:
                return report(runs, path, self.goal, certificates=False).read_text("utf-8")
            except QdlawsError as problem:
                updates = self.updates.values()
                return _waiting(replace(u, reason=u.reason or str(problem)) for u in updates)


def _waiting(updates: Iterable[Update]) -> str:
    """A page that says what each run lacks."""
    lines = [f"<li><b>{escape(u.source)}</b>: {escape(u.reason or str(u))}</li>" for u in updates]
    words = "" if lines else "<p>The logs are being read.</p>"
    style = files("qdlaws.reporting").joinpath("page.css").read_text("utf-8")
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src"
    head = (
        "<meta charset='utf-8'>",
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        "<link rel='icon' href='data:,'>",
        f"<title>waiting for a log</title><style>{style}</style>",
    )
    body = f"<h1>Nothing to draw yet</h1>{words}<ul>{''.join(lines)}</ul>"
    return (
        f"<!doctype html>\n<html lang='en' data-ready='yes'>\n<head>{''.join(head)}</head>\n"
        f"<body>{body}</body>\n</html>\n"
    )


def _followed(page: str, version: int, runs: int) -> str:
    """The page with the script that follows the runs, which its policy lets run and look."""
    script = files("qdlaws.integrations").joinpath("live.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed, count = re.subn(
        r"(<meta http-equiv=\"Content-Security-Policy\" content=\"[^\"]*?)script-src([^;\"]*)",
        rf"\1connect-src 'self'; script-src\2 'sha256-{digest}'",
        page,
        count=1,
    )
    head, body, end = allowed.rpartition("</body>")
    if not count or not body:
        raise ValueError("the report's page has no policy or no end to add a script to")
    words = "Live: this page follows the run" + ("s" if runs > 1 else "")
    bar = f"<p id='live' data-version='{version}'>{words} while qdlaws watch is running.</p>"
    style = files("qdlaws.integrations").joinpath("live.css").read_text("utf-8")
    return f"{head}<style>{style}</style>\n{bar}\n<script>{script}</script>\n{body}{end}"
