"""The page of molecule scores, ``docs/scoring.md``, written from the code.

python docs/scoring.py
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trainer.algorithms import diversity_filter
from trainer.config.keys import toml_text
from trainer.tasks.molecules.composite import MEANS
from trainer.tasks.molecules.external_scores import TDC
from trainer.tasks.molecules.guacamol import GUACAMOL
from trainer.tasks.molecules.objectives import FINGERPRINTS, OBJECTIVES, Range
from trainer.tasks.molecules.transforms import TRANSFORMS

PAGE = Path(__file__).resolve().parent / "scoring.md"

HEAD = """# Scores of molecules

Written by `python docs/scoring.py` from the code; a test keeps it up to date.

What a run looks for is `task.objective`: a name, a table with options, or several components
under a mean. Every component may have a **transform** to [0, 1], a **weight**, and a **name**
for the log, where `reward/NAME` is its value and `reward/NAME (raw)` the number before the
transform.

## Examples

One property, `qdtrain run molecules --out runs/qed --set task.objective=qed`. Several, in a
file:

```toml
# Drug-like, log P from 1 to 4, easy to make
[policy]
model = "molecules-250k"

[task]
name = "molecules"

[task.objective]
mean = "geometric"

[[task.objective.components]]
objective = "qed"
weight = 2

[[task.objective.components]]
objective = "logp"
transform = {type = "double_sigmoid", low = 1, high = 4}

[[task.objective.components]]
objective = "sa"
transform = {type = "reverse_sigmoid", low = 2, high = 5}
```

A known molecule to stay near, limits of size and polarity, and groups that must not or should
be there. A component with `factor = true` multiplies the mean of the others: a filter where it
is 0, a penalty where it is less than 1.

```toml
# Like celecoxib but not too like, 300 to 450 g/mol, no alerts, a sulfonamide if possible
[task]
name = "molecules"

[task.objective]
mean = "geometric"
floor = 1e-8             # as in REINVENT4: one component of 0 does not make the whole score 0

[[task.objective.components]]
name = "like celecoxib"
objective = "similarity"
query = "CC1=CC=C(C=C1)C1=CC(=NN1C1=CC=C(C=C1)S(N)(=O)=O)C(F)(F)F"
fingerprint = "ecfp4"
transform = {type = "double_sigmoid", low = 0.3, high = 0.7, coef_div = 30}

[[task.objective.components]]
objective = "mw"
transform = {type = "double_sigmoid", low = 300, high = 450, coef_div = 15000}

[[task.objective.components]]
objective = "tpsa"
transform = {type = "reverse_sigmoid", low = 60, high = 140}

[[task.objective.components]]
objective = "alerts"
factor = true

[[task.objective.components]]
name = "sulfonamide"
objective = "smarts"
pattern = "S(=O)(=O)N"
factor = true
transform = {type = "linear", slope = 0.5, offset = 0.5}

[recipe]
name = "reinvent"
reward_scale = 60
filter = "scaffold"
bucket = 25
penalty = "tanh"
```

A published objective as one part, a descriptor of rdkit as another; a budget of scored
molecules.

```toml
# Osimertinib's multi-parameter objective with a low molar refractivity, 10,000 molecules at most
[task]
name = "molecules"
budget = 10000
screen = 0.7

[task.objective]
mean = "arithmetic"

[[task.objective.components]]
objective = "osimertinib_mpo"
weight = 3

[[task.objective.components]]
objective = "descriptor"
descriptor = "MolMR"
transform = {type = "max_gaussian", mu = 90, sigma = 20}
```

A configuration of REINVENT4 is read by `qdtrain import reinvent.toml --out mine.toml`, which
names in a line each what it does not take over.

A function of your own is `objective = "package.module:function"`. It is called with the list of
SMILES and returns a number for each, or with one SMILES where its parameter is annotated as
`str`; None is a score that failed. Its options are `batch` (true or false), `low` and `high`
(the ends of its range, where known).
"""


MEANS_TEXT = """`mean` is one of {}; with weights w that add up to W: geometric
Π cᵢ^(wᵢ/W), arithmetic Σ wᵢcᵢ/W, product Π cᵢ^wᵢ, sum Σ wᵢcᵢ. A component with `factor = true`
has no weight and multiplies the result. In a geometric mean or a product no component counts as
less than `floor` (0 by default). A composite may be a component of another: it has `components` in
place of `objective`.
"""

FILTER_TEXT = """
## Diversity filter of REINVENT

The recipes `reinvent` and `reinvent_mara` make a molecule worth less where its like has come
before; their options are in [configuration.md](configuration.md). A molecule that has counted is
worth nothing when it repeats. Another that scores at least `minscore` counts in its bucket, its
scaffold say, and `penalty` is by what its score is multiplied, n being the molecules that have
counted in the bucket with this one, and size the option `bucket`. `novelty = true` of `reinvent`
adds REINVENT4's bonus for novelty, from 0 to 1: the larger, the worse a network that learns from
the molecules that have counted foresees what a random network says of this one.
"""


def options_text(make: Callable[..., Any], skip: int = 0) -> str:
    """The parameters of a function with their defaults, as a cell of a table."""
    parameters = list(inspect.signature(make).parameters.values())[skip:]
    cells = []
    for p in parameters:
        if p.default is p.empty:
            cells.append(f"`{p.name}` required")
        else:
            listed = isinstance(p.default, tuple)
            text = f"a list of {len(p.default)}" if listed else toml_text(p.default)
            cells.append(f"`{p.name}` = {text}")
    return ", ".join(cells)


def table_text(options: Mapping[str, Any]) -> str:
    """A table of options on one line, as TOML has it."""
    return "`{" + ", ".join(f"{key} = {toml_text(x)}" for key, x in options.items()) + "}`"


def range_text(values: Range) -> str:
    """0 or 1, 0 … 1, from 0, any."""
    if values.binary:
        return "0 or 1"
    low, high = (None if end is None else f"{end:g}" for end in (values.low, values.high))
    if low is None:
        return "any"
    return f"from {low}" if high is None else f"{low} … {high}"


def first_paragraph(function: Callable[..., Any]) -> str:
    """The first paragraph of a docstring in a line, made safe for a table."""
    text = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return in_cell(text)


def in_cell(text: str) -> str:
    """Text as a cell of a table has it."""
    return " ".join(text.split()).rstrip(".").replace("|", "\\|").replace("``", "`")


def components() -> Iterator[str]:
    """The table of components and what the docstrings say beyond it."""
    yield "| component | measures | range | options | usual transform |"
    yield "| --- | --- | --- | --- | --- |"
    for name, entry in OBJECTIVES.items():
        usual = "" if entry.transform is None else table_text(entry.transform)
        cells = (in_cell(entry.summary), range_text(entry.range), options_text(entry.make), usual)
        yield f"| `{name}` | {' | '.join(cells)} |"
    yield ""
    for name, entry in OBJECTIVES.items():
        rest = (inspect.getdoc(entry.make) or "").partition("\n\n")[2]
        if rest and not entry.meaning:
            yield f"`{name}`: {' '.join(rest.split()).replace('``', '`')}\n"


def transforms() -> Iterator[str]:
    """The table of transforms."""
    yield "| transform | value | parameters |"
    yield "| --- | --- | --- |"
    for name, function in TRANSFORMS.items():
        yield f"| `{name}` | {first_paragraph(function)} | {options_text(function, skip=1)} |"


def penalties() -> Iterator[str]:
    """The table of penalty curves."""
    yield "| penalty | factor |"
    yield "| --- | --- |"
    for name, function in diversity_filter.CURVES.items():
        yield f'| `penalty = "{name}"` | {first_paragraph(function)} |'


def page() -> str:
    """The whole page."""
    published = ", ".join(f"`{name}`" for name in GUACAMOL)
    downloaded = ", ".join(f"`{name}`" for name in TDC)
    parts = [
        HEAD,
        "## Components\n",
        *components(),
        f"Fingerprints of `similarity`: {', '.join(f'`{name}`' for name in FINGERPRINTS)}.\n",
        f"Objectives of GuacaMol, without options: {published}.\n",
        f"Classifiers that PyTDC downloads: {downloaded}.\n",
        "## Means\n",
        MEANS_TEXT.format(", ".join(f"`{name}`" for name in MEANS)),
        "## Transforms\n",
        "`transform = {type = …}` with its parameters; x is the raw score; NaN stays NaN.\n",
        *transforms(),
        FILTER_TEXT,
        *penalties(),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
