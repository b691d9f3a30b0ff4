"""A check of the built site: links lead somewhere, nothing is from outside, all is rendered.

    python docs/check_site.py out/site

Prints what is wrong, one line each, and ends with status 1 if anything is. Links to other
machines that a reader may click are not followed.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
"""What a browser fetches by itself: tag → attribute."""
OPTIONAL = "_static/tex-svg.js"
"""MathJax: without npm formulas stay as they are written, see ``docs/fetch_mathjax.py``."""


class Page(HTMLParser):
    """The anchors of a page, what it links to, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag in LOADED and LOADED[tag] in given:
            canonical = tag == "link" and given.get("rel") in ("canonical", "search")
            if not canonical:
                self.loaded.append(given[LOADED[tag]])


def problems(site: Path) -> list[str]:
    """What is wrong with the site, one line each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    wrong = []
    for path, page in sorted(pages.items()):
        where = path.relative_to(site)
        for address in page.loaded:
            if urlsplit(address).netloc:
                wrong.append(f"{where}: loads {address} from another machine")
            elif not (_is_there(path, address, pages) or address.endswith(OPTIONAL)):
                wrong.append(f"{where}: {address} is not there")
        for address in page.links:
            if not _is_there(path, address, pages):
                wrong.append(f"{where}: the link {address} leads nowhere")
    for path in pages:
        if re.search(r"\.\. (?:auto\w+|currentmodule)::", path.read_text(encoding="utf-8")):
            wrong.append(f"{path.relative_to(site)}: a directive is shown as text")
    for path in site.rglob("*.css"):
        for address in re.findall(r"url\([\"']?(https?:[^)\"']+)", path.read_text("utf-8")):
            wrong.append(f"{path.relative_to(site)}: loads {address} from another machine")
    return wrong


def _is_there(page: Path, address: str, pages: dict[Path, Page]) -> bool:
    """Whether an address within the site leads to a file and, in a page, to an anchor."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return True
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.is_file():
        return False
    anchor = unquote(parts.fragment)
    return not anchor or target not in pages or anchor in pages[target].anchors


if __name__ == "__main__":
    wrong = problems(Path(sys.argv[1]).resolve())
    print("\n".join(wrong) or "every link of the site leads somewhere, nothing is from outside")
    sys.exit(bool(wrong))
