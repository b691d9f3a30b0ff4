"""How a prior spells molecules: SMILES, or SELFIES where that was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qdlaws.errors import QdlawsError

__all__ = ["from_smiles", "to_smiles"]


def from_smiles(smiles: Iterable[str], representation: str) -> list[str | None]:
    """Each molecule in the representation; None where it cannot be written so."""
    if representation == "smiles":
        return list(smiles)
    selfies = _selfies()
    found: list[str | None] = []
    for text in smiles:
        try:
            found.append(str(selfies.encoder(text)))
        except selfies.EncoderError:
            found.append(None)
    return found


def to_smiles(texts: Iterable[str], representation: str) -> list[str]:
    """SMILES of each text, "" where it says no molecule."""
    if representation == "smiles":
        return list(texts)
    selfies = _selfies()
    found: list[str] = []
    for text in texts:
        try:
            found.append(str(selfies.decoder(text)))
        except selfies.DecoderError:
            found.append("")
    return found


def _selfies() -> Any:
    try:
        import selfies
    except ImportError:
        raise QdlawsError(
            "representation selfies needs the package selfies, which is not installed: "
            "pip install selfies"
        ) from None
    return selfies
