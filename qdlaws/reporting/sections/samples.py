"""Samples of the last evaluation: the best, and a diverse set; molecules as pictures."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from qdlaws.readers.run_folder import Drawn, RunFiles
from qdlaws.reporting.html import note, of_run, section, table
from qdlaws.reporting.run_data import RunView

__all__ = ["diverse", "samples_section"]

SHOWN = 8


def samples_section(views: Sequence[RunView], files: Sequence[RunFiles]) -> str:
    """The samples of the last evaluation of every run that kept them."""
    body = "".join(
        of_run(i, _samples(run, "" if len(views) == 1 else f"<h3>{escape(view.name)}</h3>"))
        for i, (view, run) in enumerate(zip(views, files, strict=True))
        if run.drawn
    )
    return section("Samples of the last evaluation", body, "samples")


def _samples(files: RunFiles, title: str) -> str:
    if not files.molecules:
        return title + _texts(files.drawn)
    try:
        molecules = _molecules(_distinct(files.drawn))
    except ImportError:
        return title + _texts(files.drawn)
    if not molecules:
        return title + note("No valid molecule was drawn.")
    best, spread = molecules[:SHOWN], diverse(molecules, SHOWN)
    n = len(files.drawn)
    intro = note(f"{n} molecules were drawn, {len(molecules)} of them valid and different.")
    galleries = _gallery("The best", best) + _gallery("A diverse set from the better half", spread)
    return title + intro + galleries


def _distinct(drawn: Sequence[Drawn]) -> list[Drawn]:
    """Every answer once, the best first; failed scores left out."""
    best: dict[tuple[str, str], Drawn] = {}
    for sample in drawn:
        if np.isfinite(sample.score):
            best.setdefault((sample.prompt, sample.text), sample)
    return sorted(best.values(), key=lambda sample: -sample.score)


# ---------------------------------------------------------------------- molecules


def _molecules(samples: Sequence[Drawn]) -> list[tuple[Drawn, Any]]:
    """(sample, rdkit molecule) of the readable ones, each molecule once."""
    from rdkit import Chem, rdBase

    out: dict[str, tuple[Drawn, Any]] = {}
    with rdBase.BlockLogs():
        for sample in samples:
            mol = Chem.MolFromSmiles(sample.text)
            if mol is not None and mol.GetNumAtoms():
                out.setdefault(Chem.MolToSmiles(mol), (sample, mol))
    return list(out.values())


def diverse(molecules: Sequence[tuple[Drawn, Any]], most: int) -> list[tuple[Drawn, Any]]:
    """From the better half, the best and then always the one farthest from those chosen.

    MaxMin picking (Ashton et al. 2002) on Morgan fingerprints by rdkit.
    """
    from rdkit.Chem.rdFingerprintGenerator import GetMorganGenerator
    from rdkit.SimDivFilters.rdSimDivPickers import MaxMinPicker

    half = list(molecules[: max((len(molecules) + 1) // 2, min(most, len(molecules)))])
    if len(half) <= most:
        return half
    make = GetMorganGenerator(radius=2, fpSize=2048)
    prints = [make.GetFingerprint(mol) for _, mol in half]
    chosen = MaxMinPicker().LazyBitVectorPick(prints, len(prints), most, firstPicks=[0], seed=1)
    return [half[i] for i in chosen]


def _gallery(title: str, molecules: Sequence[tuple[Drawn, Any]]) -> str:
    cells = "".join(
        f'<figure><img src="{_picture(mol)}" alt="{escape(sample.text)}" width="220" height="160">'
        f"<figcaption>{sample.score:.3f}<br><code>{escape(sample.text)}</code></figcaption></figure>"
        for sample, mol in molecules
    )
    return f'<h3>{escape(title)}</h3><div class="gallery">{cells}</div>'


def _picture(mol: Any) -> str:
    from rdkit.Chem.Draw.rdMolDraw2D import MolDraw2DSVG

    canvas = MolDraw2DSVG(220, 160)
    options = canvas.drawOptions()
    options.padding = 0.08  # type: ignore[assignment]
    canvas.DrawMolecule(mol)
    canvas.FinishDrawing()
    data = base64.b64encode(canvas.GetDrawingText().encode()).decode()
    return f"data:image/svg+xml;base64,{data}"


# ---------------------------------------------------------------------- texts


def _texts(drawn: Sequence[Drawn]) -> str:
    """The best different texts, with how often each came."""
    count = Counter((sample.prompt, sample.text) for sample in drawn)
    rows = [
        [s.prompt[:200], s.text[:400], f"{s.score:.3g}", str(count[s.prompt, s.text])]
        for s in _distinct(drawn)[: 2 * SHOWN]
    ]
    head = ("prompt", "text", "score", "times drawn")
    caption = f"the best of {len(drawn)} samples, {len(count)} of them different"
    return table(head, rows, caption, numbers=2)
