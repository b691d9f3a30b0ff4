"""The site of the documentation: ``make docs`` builds it into ``out/site``.

Sphinx with numpydoc, because the docstrings are numpydoc's, and myst-nb, because the pages are
Markdown and the notebooks are shown with the outputs that they have (the tests run them). Nothing
is fetched when a page is viewed: no web font, no CDN, the search is the site's own.
"""

from __future__ import annotations

import shutil
import sys
from importlib import import_module
from importlib.metadata import version as package_version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(HERE)]

import reference  # noqa: E402  the list of public modules, docs/reference.py

project = "qdlaws"
author = "The qdlaws developers"
release = version = package_version("qdlaws")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_nb",
]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb", ".rst": "restructuredtext"}
exclude_patterns = ["README.md"]
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header", "myst.xref_missing", "misc.highlighting_failure"]

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


def write_sources() -> None:
    """The pages that are made at build time: the reference by name, notebooks, studies."""
    pages = HERE / "generated"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir()
    (pages / "api.md").write_text(api_page(), encoding="utf-8")
    notebooks = pages / "notebooks"
    notebooks.mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shutil.copy(path, notebooks / path.name)
    studies = ROOT / "studies"
    for folder in [studies, *sorted(p.parent for p in studies.glob("*/README.md"))]:
        target = pages / folder.relative_to(ROOT)
        target.mkdir(parents=True, exist_ok=True)
        for path in [*folder.glob("README.md"), *folder.glob("*.png")]:
            shutil.copy(path, target / path.name)


def is_there(module: str, name: str) -> bool:
    """Whether a name can be imported: some belong to a package that is an extra."""
    try:
        getattr(import_module(module), name)
    except ImportError:
        return False
    return True


def api_page() -> str:
    """Every public name with a page of its own, under the module that a user imports."""
    lines = ["# Reference of public names", ""]
    for module, words in reference.PUBLIC.items():
        lines += [f"## `{module}`", "", words, "", "```{eval-rst}"]
        lines += [f".. currentmodule:: {module}", "", ".. autosummary::", "   :toctree: api", ""]
        names = reference.names_of(module)
        lines += [f"   {name}" for name in names if is_there(module, name)]
        lines += ["```", ""]
        absent = [name for name in names if not is_there(module, name)]
        if absent:
            lines += [f"{', '.join(absent)}: of a package that was not installed here.", ""]
    return "\n".join(lines)


write_sources()  # before Sphinx looks for pages
