"""Make the notebooks: NAME.py in percent format -> NAME.ipynb, executed.

The .py files are the sources and what to edit. Usage: python notebooks/build.py [NAME ...]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def sources() -> list[Path]:
    """The notebooks' sources, in their order."""
    return sorted(HERE.glob("[0-9]-*.py"))


def notebook(source: Path) -> Any:
    """The notebook of a source, not yet executed: cells start at ``# %%`` lines."""
    from nbformat import v4

    cells = []
    parts = source.read_text(encoding="utf-8").split("\n# %%")
    for i, part in enumerate(parts[1:]):
        head, _, body = part.partition("\n")
        text = body.strip("\n")
        if head.strip() == "[markdown]":
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.split("\n"))
            cells.append(v4.new_markdown_cell(text, id=f"cell-{i}"))
        else:
            cells.append(v4.new_code_cell(text, id=f"cell-{i}"))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def execute(book: Any) -> Any:
    """The notebook with its outputs, run in this folder with this interpreter's packages."""
    from nbclient import NotebookClient

    here = {"metadata": {"path": str(HERE)}}
    path = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    NotebookClient(book, timeout=900, resources=here, record_timing=False).execute(
        env={**os.environ, "PYTHONPATH": path}
    )
    for cell in book.cells:  # warnings of libraries name places of the machine at hand
        if cell.cell_type == "code":
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
    return book


def main(names: list[str]) -> None:
    """Build the named notebooks, or all."""
    import nbformat

    for source in sources():
        if not names or source.stem in names:
            nbformat.write(execute(notebook(source)), source.with_suffix(".ipynb"))
            print(source.with_suffix(".ipynb").name)


if __name__ == "__main__":
    main(sys.argv[1:])
