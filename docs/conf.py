"""The site of the documentation: ``make docs`` builds it into ``out/site``.

Sphinx with numpydoc, because the docstrings are numpydoc's, and myst-nb, because the pages are
Markdown and the notebooks are shown with the outputs that they have (the tests run them). Nothing
is fetched when a page is viewed: no web font, no CDN, the search is the site's own.
"""

from __future__ import annotations

import sys
from importlib.metadata import version as package_version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(HERE)]

import site_pages  # noqa: E402  the pages that are made at build time, docs/site_pages.py

project = "qdlaws"
author = "The qdlaws developers"
release = version = package_version("qdlaws")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
]
# .rst first: autosummary writes its pages with the first ending
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
templates_path = ["_templates"]
exclude_patterns = ["README.md"]
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
mathjax_path = "tex-svg.js"  # one file, in out/mathjax: docs/fetch_mathjax.py takes it from npm
html_static_path = ["_static", *(str(p) for p in [ROOT / "out" / "mathjax"] if p.is_dir())]
html_css_files = ["site.css"]

autosummary_generate = True
autodoc_typehints = "none"  # the Parameters section says it in words
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

html_theme = "furo"
html_title = "qdlaws"
html_copy_source = False
html_show_sphinx = False

site_pages.write(HERE / "generated")  # before Sphinx looks for pages


def lead_to_pages(app, name: str, source: list[str]) -> None:  # type: ignore[no-untyped-def]
    """Links to files of the repository lead to the pages that show these."""
    path = HERE / f"{name}.md"
    if path.exists() and not name.startswith("generated/"):
        source[0] = site_pages.relinked(source[0], path.parent, f"{name}.md")


def setup(app) -> None:  # type: ignore[no-untyped-def]
    app.connect("source-read", lead_to_pages)
