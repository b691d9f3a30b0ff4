"""The site builds without a warning, and a browser shows it without a network."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.docs.test_check_site import check_site
from tests.helpers.browser import browser, missing

ROOT = Path(__file__).parents[2]
PHONE, DESK = 390, 1280
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site, as ``make docs`` builds it."""
    pytest.importorskip("sphinx")
    pytest.importorskip("myst_nb")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "docs", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_outside(site):
    assert check_site.problems(site) == []


@pytest.mark.skipif(bool(missing()), reason=missing() or "a browser")
def test_pages_fit_phone_and_desk_and_the_search_works_from_the_folder(site):
    with browser() as page:
        for width in (PHONE, DESK):
            page.size(width)
            for name in ("index", "concepts/laws", "configuration", "generated/api"):
                page.call("POST", "/url", url=f"{site.as_uri()}/{name}.html")
                assert page.script("document.documentElement.scrollWidth") <= width
                loaded = page.script("performance.getEntriesByType('resource').map(r => r.name)")
                assert [a for a in loaded if a.split(":")[0] not in ("file", "data")] == []
        page.call("POST", "/url", url=f"{site.as_uri()}/search.html?q=checkpoint")
        results = "document.querySelectorAll('#search-results li').length"
        until = time.monotonic() + 20
        while not page.script(results) and time.monotonic() < until:
            time.sleep(0.2)
        assert page.script(results) > 3
