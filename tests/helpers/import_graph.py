"""Who imports whom: the parser of docs/architecture.py, which draws its pictures from it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]

spec = importlib.util.spec_from_file_location("architecture", ROOT / "docs" / "architecture.py")
assert spec is not None
assert spec.loader is not None
architecture = importlib.util.module_from_spec(spec)
spec.loader.exec_module(architecture)

circles = architecture.circles
drawn = architecture.drawn
imported_names = architecture.imported_names
imports = architecture.imports
layers = architecture.layers
modules = architecture.modules
pages = architecture.pages
sentence = architecture.sentence
sub_package = architecture.sub_package
sub_package_imports = architecture.sub_package_imports
without_what_follows = architecture.without_what_follows
