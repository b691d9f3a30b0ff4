"""The architecture, read from the imports: ``docs/architecture.md`` and its two pictures.

    python docs/architecture.py

Lazy imports, imports for types only and ``__init__`` files count like any other, so the pictures
show what the code does. An arrow that follows from others is left out: where reporting imports
advice and advice imports core, the arrow from reporting to core is not drawn. The table has all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
ENTRANCES = {"__init__", "__main__"}
"""They import what they show to the user, whatever that is: not drawn."""

Graph = dict[str, dict[str, int]]
"""name → {name that it imports: line of the first import}."""


# ---------------------------------------------------------------------- the imports


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name; a sub-package is its ``__init__``."""
    paths = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return paths


def imports(package: str) -> Graph:
    """Every module of a package with the modules of the same package that it imports."""
    paths = modules(package)
    return {name: _imports_of(name, path, paths) for name, path in paths.items()}


def imported_names(path: Path) -> list[str]:
    """The dotted names that a file imports from outside of its own package, in any function too."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
    return names


def sub_package(module: str) -> str:
    """The sub-package (or root module) that a module belongs to: ``qdlaws.laws.fit`` → ``laws``."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def sub_package_imports(package: str) -> Graph:
    """Every sub-package and root module with those that it imports."""
    graph: Graph = {}
    for module, targets in imports(package).items():
        inside = graph.setdefault(sub_package(module), {})
        for target, line in targets.items():
            if sub_package(target) != sub_package(module):
                inside.setdefault(sub_package(target), line)
    return graph


def _imports_of(name: str, path: Path, paths: dict[str, Path]) -> dict[str, int]:
    """The modules imported by one file; ``from a import b`` is ``a.b`` where that is a module."""
    lines: dict[str, int] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for target in _targets(node, name, path):
            while target and target not in paths:
                target = target.rpartition(".")[0]
            if target and target != name:
                lines.setdefault(target, node.lineno)  # type: ignore[attr-defined]
    return lines


def _targets(node: ast.AST, name: str, path: Path) -> Iterator[str]:
    """The dotted names that one statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
            parts = parts[: len(parts) - node.level + 1]
            base = ".".join([*parts, base] if base else parts)
        yield from (f"{base}.{alias.name}" for alias in node.names)


def circles(graph: Graph) -> list[list[str]]:
    """The groups of modules that import each other in a circle (Tarjan's components)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    components: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in graph.get(name, {}):
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            members = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(members) > 1:
                components.append(sorted(members))

    for name in graph:
        if name not in order:
            visit(name)
    return components


# ---------------------------------------------------------------------- the layers


def layers(graph: Graph) -> dict[str, int]:
    """The layer of each name: one above the highest that it imports, 0 without imports."""
    height: dict[str, int] = {}

    def climb(name: str) -> int:
        if name not in height:
            height[name] = 1 + max((climb(other) for other in graph.get(name, {})), default=-1)
        return height[name]

    for name in graph:
        climb(name)
    return height


def without_what_follows(graph: Graph) -> dict[str, list[str]]:
    """The arrows that follow from no others: the transitive reduction of the graph."""
    reach: dict[str, set[str]] = {}
    for name in sorted(graph, key=layers(graph).__getitem__):
        reach[name] = set(graph[name]).union(*(reach[other] for other in graph[name]))
    return {
        name: sorted(
            other
            for other in targets
            if not any(other in reach[between] for between in targets if between != other)
        )
        for name, targets in graph.items()
    }


# ---------------------------------------------------------------------- the picture

BOX, GAP, ROW = (118, 34), 22, 82
"""Width and height of a box, the least gap between boxes, the distance of layers; in pixels."""

STYLE = (
    "text{font:14px system-ui,sans-serif;fill:#1b2a41;text-anchor:middle}"
    "rect{fill:#eaf1fb;stroke:#4a6fa5;stroke-width:1.2}"
    "path{fill:none;stroke:#7d8da6;stroke-width:1.2}"
)


def picture(graph: Graph, title: str) -> str:
    """An SVG of the layers; every arrow points down, from the one that imports."""
    rows, chains = _ordered_rows(graph)
    centres = _centres(rows)
    wide = max(x for row in rows for x in (centres[name] for name in row)) + BOX[0] / 2 + GAP
    tall = ROW * len(rows) + 10

    def top(name: str) -> float:
        level = next(i for i, row in enumerate(rows) if name in row)
        return tall - ROW * (level + 1) + (ROW - BOX[1]) / 2

    lines = [_arrow([(centres[name], top(name)) for name in chain]) for chain in chains]
    boxes = [
        f'<rect x="{centres[name] - BOX[0] / 2:g}" y="{top(name):g}" width="{BOX[0]}"'
        f' height="{BOX[1]}" rx="7"/>'
        f'<text x="{centres[name]:g}" y="{top(name) + BOX[1] / 2 + 5:g}">{name}</text>'
        for name in sorted(graph)
    ]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:g} {tall:g}"'
        f' width="{wide:g}" height="{tall:g}" role="img">'
    )
    marker = (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto">'
        '<path d="M0,0L8,4L0,8z" style="fill:#7d8da6"/></marker></defs>'
    )
    ground = f'<rect width="{wide:g}" height="{tall:g}" style="fill:#fff;stroke:none"/>'
    parts = [head, f"<title>{title}</title><style>{STYLE}</style>", marker, ground]
    return "\n".join([*parts, *lines, *boxes, "</svg>"]) + "\n"


def _arrow(points: list[tuple[float, float]]) -> str:
    """A smooth line through the places that a chain has in its layers, from the top box down."""
    (x, y), *between, (x_end, y_end) = points
    stations = [(x, y + BOX[1]), *((a, b + BOX[1] / 2) for a, b in between), (x_end, y_end - 1)]
    path = f"M{stations[0][0]:g},{stations[0][1]:g}"
    for (a, b), (c, d) in pairwise(stations):
        half = (d - b) / 2
        path += f"C{a:g},{b + half:g} {c:g},{d - half:g} {c:g},{d:g}"
    return f'<path d="{path}" marker-end="url(#tip)"/>'


def _ordered_rows(graph: Graph) -> tuple[list[list[str]], list[list[str]]]:
    """The names of each layer in an order with few crossings, and each arrow as a chain of them.

    An arrow over several layers holds an invisible place in each layer between (Sugiyama's method);
    the order is the best of some random starts, each improved by placing names at the mean of
    their neighbours.
    """
    height = layers(graph)
    rows: list[list[str]] = [[] for _ in range(max(height.values()) + 1)]
    for name in sorted(graph):
        rows[height[name]].append(name)
    chains = []
    for name, targets in without_what_follows(graph).items():
        for target in targets:
            between = range(height[name] - 1, height[target], -1)
            places = [f"{name}>{target}@{level}" for level in between]
            for level, place in zip(between, places, strict=True):
                rows[level].append(place)
            chains.append([name, *places, target])
    links = [link for chain in chains for link in pairwise(chain)]
    random, best, fewest = Random(0), rows, float("inf")
    for _ in range(100):
        trial = [random.sample(row, len(row)) for row in rows]
        for _ in range(6):
            _settle(trial, links)
        cost = _crossings(trial, links)
        if cost < fewest:
            best, fewest = [list(row) for row in trial], cost
    return best, chains


def _settle(rows: list[list[str]], links: list[tuple[str, str]]) -> None:
    """One sweep up and one down: each name goes to the mean position of its neighbours."""
    for order, near in (
        (range(1, len(rows)), {a: [y for x, y in links if x == a] for a, _ in links}),
        (range(len(rows) - 2, -1, -1), {b: [x for x, y in links if y == b] for _, b in links}),
    ):
        for level in order:
            place = {name: i / max(len(row) - 1, 1) for row in rows for i, name in enumerate(row)}
            mean = {
                name: sum(place[n] for n in near[name]) / len(near[name])
                if near.get(name)
                else place[name]
                for name in rows[level]
            }
            rows[level].sort(key=mean.__getitem__)


def _crossings(rows: list[list[str]], links: list[tuple[str, str]]) -> float:
    """How many arrows cross, and a little for how far they go sideways."""
    level = {name: i for i, row in enumerate(rows) for name in row}
    place = {name: (i + 0.5) / len(row) for row in rows for i, name in enumerate(row)}
    by_level: dict[int, list[tuple[float, float]]] = {}
    for a, b in links:
        by_level.setdefault(level[a], []).append((place[a], place[b]))
    crossed = sum(
        (a - c) * (b - d) < 0
        for pairs in by_level.values()
        for i, (a, b) in enumerate(pairs)
        for c, d in pairs[:i]
    )
    return crossed + 0.1 * sum(abs(a - b) for pairs in by_level.values() for a, b in pairs)


def _centres(rows: list[list[str]]) -> dict[str, float]:
    """The x of the middle of each box: rows are centred, invisible places take little room."""
    width = {name: 12 if ">" in name else BOX[0] for row in rows for name in row}
    total = [sum(width[name] + GAP for name in row) + GAP for row in rows]
    centres = {}
    for row, length in zip(rows, total, strict=True):
        x = (max(total) - length) / 2 + GAP
        for name in row:
            centres[name] = x + width[name] / 2
            x += width[name] + GAP
    return centres


# ---------------------------------------------------------------------- the page


def sentence(path: Path) -> str:
    """The first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    line = " ".join(text.split("\n\n")[0].split()).partition(". ")[0]
    line = line.replace("``", "`").replace("|", "\\|")
    return line if not line or line[-1] in ".?" else line + "."


def table(package: str) -> str:
    """Each sub-package and root module: what it holds and all that it imports, top layer first."""
    paths, graph = modules(package), drawn(package)
    height = layers(graph)
    lines = ["| | what it holds | imports |", "|---|---|---|"]
    for name in sorted(graph, key=lambda n: (-height[n], n)):
        targets = sorted(graph[name], key=lambda n: (-height[n], n))
        holds = sentence(paths[f"{package}.{name}"])
        lines.append(f"| `{name}` | {holds} | {' '.join(targets) or 'nothing of its package'} |")
        lines += [
            f"| `{inner.removeprefix(package + '.')}` | {sentence(path)} | |"
            for inner, path in paths.items()
            if inner.startswith(f"{package}.{name}.") and path.name == "__init__.py"
        ]
    return "\n".join(lines)


def drawn(package: str) -> Graph:
    """The graph of the picture: sub-packages and root modules without the package's entrances."""
    return {
        name: {target: line for target, line in targets.items() if target not in ENTRANCES}
        for name, targets in sub_package_imports(package).items()
        if name not in ENTRANCES
    }


PAGE = """# Architecture

Written by `python docs/architecture.py` from the imports of the code; a test keeps it up to date.
`trainer` imports `qdlaws`, `qdlaws` never imports `trainer`. Within each package imports only go
down; an arrow that follows from others is left out of the picture, and is in the table.
`tests/test_architecture.py` says who may import whom.

## qdlaws

![The layers of qdlaws](architecture-qdlaws.svg)

{qdlaws}

## trainer

![The layers of trainer](architecture-trainer.svg)

{trainer}
"""


def pages() -> dict[str, str]:
    """The files of this folder that are made here, by name."""
    packages = ("qdlaws", "trainer")
    files = {f"architecture-{p}.svg": picture(drawn(p), f"The layers of {p}") for p in packages}
    return {"architecture.md": PAGE.format(**{p: table(p) for p in packages}), **files}


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
        print(DOCS / name)
