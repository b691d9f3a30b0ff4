"""What do the laws of public runs look like? The facts that ``qdlaws atlas`` compares with.

    python benchmarks/atlas.py FOLDER [--quick]

FOLDER holds one CSV a run with the columns step, R, and H, D where there are any, named as in
SOURCES. Written are ``qdlaws/comparison/atlas_runs.csv`` (one row a run and law: verdict,
coefficients, intervals; no readings), the page ``docs/atlas.md`` and its figure. Run it anew when
laws change; it takes a minute. ``--quick`` takes every tenth run and writes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import qdlaws as qd
from qdlaws.comparison.atlas import bend, price, quality_scale
from qdlaws.core.interval import Interval
from qdlaws.core.plot_style import GREY, LAW, MARK, PATH, shared_legend, styled
from qdlaws.laws.fitted import FittedLaw
from qdlaws.laws.verdict import SUPPORTED

ROOT = Path(__file__).resolve().parents[1]
FACTS = ROOT / "qdlaws" / "comparison" / "atlas_runs.csv"
PAGE, PICTURE = ROOT / "docs" / "atlas.md", ROOT / "docs" / "atlas.png"

MATHS, AGENTS, ECONOMY = "mathematics questions", "agent distilled on policy", "economics questions"
SOURCES = {  # first words of a name -> source, tool, task
    "grpo_math": ("grpo_math", "GRPO script", MATHS),
    "verl_agent": ("Agent_On_Policy_Distillation", "verl", AGENTS),
    "verl_econ": ("verl_econ", "verl", ECONOMY),
    "verl_gsm8k": ("verl_gsm8k", "verl", "school mathematics (GSM8K)"),
    "trl_grpo": ("trl_gemma3", "TRL", "text written in a style"),
    "reinvent2re": ("reinvent2re", "REINVENT 2", "molecules, sum of scores"),
    "reinvent4_dasa": ("REINVENT4_photochem", "REINVENT4", "photoswitch molecules"),
    "reinvent4_photoswitch": ("REINVENT4_photochem", "REINVENT4", "photoswitch molecules"),
    "reinvent4_anesthetics": ("anesthetics", "REINVENT4", "drug-like molecules (QED)"),
    "reinvent4_druglike": ("CallieSardina/REINVENT4", "REINVENT4", "drug-like molecules"),
    "libinvent_maize": ("MolecularAI/REINVENT4", "LibInvent", "molecules, docking"),
    "saturn_part1": ("schwallergroup/saturn", "Saturn", "molecules, docking"),
}
"""The eleven repositories; where the author is not stated the source has a name of its own."""

MOLECULE_TOOLS = ("REINVENT 2", "REINVENT4", "LibInvent", "Saturn")
COLOURS = {
    "concave": "#1f4e79",
    "linear": "#4f81b5",
    "falling": "#9cc4ea",
    "convex": "#6a4c93",
    "peaked": "#d9a441",
    "unsupported": "#d8dadd",
}
WORDS = {
    "concave": "trade-off, concave",
    "linear": "trade-off, nearly straight",
    "falling": "trade-off, bend unclear",
    "convex": "trade-off, convex",
    "peaked": "best inside the range",
    "unsupported": "no trade-off",
}


def facts_of(path: Path) -> Iterator[dict[str, Any]]:
    """The facts on one run, a row a law; a run with quality alone has one row without a law."""
    start = next(name for name in SOURCES if path.stem.startswith(name))
    source, tool, task = SOURCES[start]
    frame = pd.read_csv(path).dropna(subset=["R"]).drop_duplicates("step", keep="last")
    names = {"quality": "R", "entropy": "H", "diversity": "D"}
    log = qd.RunLog.from_frame(
        frame.sort_values("step"), **{k: v if v in frame else None for k, v in names.items()}
    )
    run = {"run": path.stem, "source": source, "tool": tool, "task": task}
    molecules = tool in MOLECULE_TOOLS
    measures = {
        "rd": "molecules" if molecules else "text",
        "rh": "sequence" if molecules else "token",
        "hd": "sequence" if molecules else "token",
    }
    try:
        fits = qd.fit(log)
    except qd.QdlawsError:
        yield run | {"law": "none", "measure": "", "n": len(log), "verdict": "no x was logged"}
        return
    scale = quality_scale(log.quality)
    for law in fits.laws():
        yield run | {"law": law.kind, "measure": measures[law.kind]} | _numbers(law, scale)


def _numbers(law: FittedLaw, scale: float) -> dict[str, Any]:
    values: dict[str, Any] = {"n": law.n, "verdict": law.verdict, "probability": law.probability}
    values |= {"r2": law.r2, "x_low": law.range[0], "x_high": law.range[1], "scale": scale}
    if law.kind == "hd":
        return values | _ends("slope", law.params.slope)
    values |= _ends("price", price(law, scale)) | _ends("bend", bend(law))
    return values | _ends("c", law.params.c) | _ends("ceiling", law.ceiling())


def _ends(name: str, value: Interval) -> dict[str, float]:
    return {f"{name}_low": value.low, name: value.mid, f"{name}_high": value.high}


# ---------------------------------------------------------------------- the page


def page(runs: pd.DataFrame) -> str:
    """The page: what the laws of public runs look like."""
    laws = runs[runs["law"].isin(["rd", "rh"])]
    law = laws["verdict"].isin(SUPPORTED)
    n, sources = runs["run"].nunique(), runs["source"].nunique()
    some = laws[law]["run"].nunique()
    most = runs.groupby("source")["run"].nunique().sort_values(ascending=False)
    lines = [
        "# What public runs look like",
        "",
        f"The laws of {n} runs that other people published, of {sources} repositories, fitted by "
        "`qd.fit` as it is now. `qdlaws atlas LOG` and `qd.atlas(log)` set a run beside them. The "
        "package holds these facts and none of the readings. Made by `benchmarks/atlas.py`.",
        "",
        f"**{some} of {n} runs show a trade-off of quality with entropy or diversity.** "
        f"{most.iloc[0]} of the runs are of one source ({most.index[0]}: one author, one model, one "
        "task), so counts over runs say more about it than about the rest: read the counts by "
        "source.",
        "",
        f"![Verdicts and prices of public runs, source by source]({PICTURE.name})",
        "",
        "## Verdicts by source",
        "",
        "Quality on entropy, then quality on diversity; a dash where no run of the source logs it.",
        "",
        "| source | tool | task | runs | rows (median) | R–H: trade-off | R–D: trade-off | R² of those (median) |",
        "|---|---|---|---|---|---|---|---|",
        *(_source_row(name, runs[runs["source"] == name]) for name in most.index),
        "",
        "## How steep, how bent",
        "",
        "The price is the quality that a unit of x costs on average over the range of the run, as a "
        "share of the scale of quality (only where it is 0 to 1, or −1 to 1); the bend is κ = c·range, "
        "above 0 concave (the last units of x bring the least quality), below 0 convex.",
        "",
        "| law | runs with a trade-off | price: quarter, median, three quarters | priced runs | concave / convex / nearly straight / unclear |",
        "|---|---|---|---|---|",
        *(_law_row(kind, measure, laws[law]) for kind, measure in GROUPS),
        "",
        "What this is not: a sample of all runs. People publish runs that worked, most logs here have "
        "no diversity, and a law is an association along one run, not a cause.",
        "",
    ]
    return "\n".join(lines)


GROUPS = (("rh", "token"), ("rh", "sequence"), ("rd", "text"), ("rd", "molecules"))
GROUP_WORDS = {
    ("rh", "token"): "quality on entropy per token",
    ("rh", "sequence"): "quality on entropy of sequences",
    ("rd", "text"): "quality on diversity of texts",
    ("rd", "molecules"): "quality on diversity of molecules",
}


def _source_row(name: str, rows: pd.DataFrame) -> str:
    cells = [name, rows["tool"].iloc[0], rows["task"].iloc[0], str(rows["run"].nunique())]
    cells.append(f"{rows.groupby('run')['n'].max().median():g}")
    for kind in ("rh", "rd"):
        these = rows[rows["law"] == kind]
        law = these["verdict"].isin(SUPPORTED).sum()
        cells.append(f"{law} of {len(these)}" if len(these) else "–")
    found = rows[rows["law"].isin(["rh", "rd"]) & rows["verdict"].isin(SUPPORTED)]
    cells.append(f"{found['r2'].median():.2f}" if len(found) else "–")
    return f"| {' | '.join(cells)} |"


def _law_row(kind: str, measure: str, rows: pd.DataFrame) -> str:
    these = rows[(rows["law"] == kind) & (rows["measure"] == measure)]
    prices = these["price"].dropna()
    middle = "–"
    if len(prices) >= 3:
        middle = ", ".join(f"{v:.2g}" for v in prices.quantile([0.25, 0.5, 0.75]))
    bends = " / ".join(
        str((these["verdict"] == word).sum()) for word in ("concave", "convex", "linear", "falling")
    )
    words = GROUP_WORDS[kind, measure]
    return f"| {words} | {len(these)} | {middle} | {len(prices)} | {bends} |"


def figure(runs: pd.DataFrame) -> Any:
    """Left: verdicts by source; right: prices of the runs with a trade-off."""
    laws = runs[runs["law"].isin(["rd", "rh"])]
    order = runs.groupby("source")["run"].nunique().sort_values().index
    order = [name for name in order if name in set(laws["source"])]
    with styled() as plt:
        drawn, (left, right) = plt.subplots(
            1, 2, figsize=(10.5, 4.4), sharey=True, layout="constrained"
        )
        start = np.zeros(len(order))
        for verdict, colour in COLOURS.items():
            count = [((laws["source"] == s) & (laws["verdict"] == verdict)).sum() for s in order]
            left.barh(order, count, left=start, color=colour, label=WORDS[verdict], height=0.7)
            start += np.array(count)
        left.set_xlabel("laws of quality (on entropy, on diversity), counted")
        left.set_title("Verdicts by source")
        for kind, colour in (("rh", MARK), ("rd", LAW)):
            rows = laws[(laws["law"] == kind) & laws["price"].notna()]
            places = np.array([order.index(s) for s in rows["source"]], float)
            places += 0.25 * np.sin(7.0 * np.arange(len(rows)))
            mid = rows["price"].to_numpy(float)
            low = np.maximum(rows["price_low"].to_numpy(float), mid / 100)
            sides = [mid - low, rows["price_high"].to_numpy(float) - mid]
            x = "entropy (nat)" if kind == "rh" else "diversity"
            look: dict[str, Any] = {"fmt": "o", "ms": 3.5, "lw": 0.6, "alpha": 0.8, "color": colour}
            right.errorbar(mid, places, xerr=sides, label=f"price of a unit of {x}", **look)
        right.set_xscale("log")
        right.axvline(1.0, color=GREY, lw=0.8, ls=":")
        right.set_xlabel("share of the scale of quality, with its 95 % interval")
        right.set_title("How steep those with a trade-off are")
        drawn.suptitle(
            f"{runs['run'].nunique()} public runs of {runs['source'].nunique()} repositories",
            x=0.01, ha="left", fontweight="bold", color=PATH,
        )  # fmt: skip
        shared_legend(drawn, [left, right])
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    paths = sorted(options.folder.glob("*.csv"))
    if not paths:
        parser.error(f"no CSV files in {options.folder}")
    rows = [row for path in paths[:: 10 if options.quick else 1] for row in facts_of(path)]
    runs = pd.DataFrame(rows)
    text = page(runs)
    if options.quick:
        print(text)
        return
    import matplotlib

    matplotlib.use("Agg")
    runs.to_csv(FACTS, index=False, float_format="%.4g")
    PAGE.write_text(text, encoding="utf-8")
    figure(runs).savefig(PICTURE, dpi=110)
    print(f"{len(runs)} laws of {runs['run'].nunique()} runs: {FACTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
