"""The fits of a run as ``qdlaws fit`` prints them: with their certificates and best points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from qdlaws import LawFit, LawFits
from qdlaws.core.interval import show
from qdlaws.core.summary import Summary
from qdlaws.laws.certificate import Certificate
from qdlaws.laws.fitted import LAWS

__all__ = ["CheckedFits", "checked"]


@dataclass(frozen=True, eq=False)
class CheckedFits:
    """The fitted laws of a run with a certificate for each law that the data support."""

    fits: LawFits
    certificates: Mapping[str, Certificate]
    details: bool = False
    classical: bool = False
    price: float | None = None

    def summary(self) -> Summary:
        """The summary of the fits, then the best points at the price and the certificates."""
        laws = self.fits.summary(self.classical, self.details)
        sections = list(laws.sections)
        if self.price is not None:
            points = {k: _best(law, self.price) for k, law in _supported(self.fits) if k != "hd"}
            sections.append(_section(f"best point at a price of {self.price:g}", points))
        if self.certificates:
            title = "intervals, checked on simulated runs"
            sections.append(_section(title, self.certificates))
        return replace(laws, sections=tuple(sections))

    def to_dict(self) -> dict[str, Any]:
        """The fits as plain values, each law with its certificate."""
        out = self.fits.to_dict()
        for kind, law in out["laws"].items():
            if law is not None:
                checked = self.certificates.get(kind)
                law["certificate"] = None if checked is None else checked.to_dict()
        return out


def checked(fits: LawFits, certificate: bool, **options: Any) -> CheckedFits:
    """The fits with or without certificates, which take a second a law."""
    laws = _supported(fits) if certificate else []
    return CheckedFits(fits, {kind: law.certificate() for kind, law in laws}, **options)


def _supported(fits: LawFits) -> list[tuple[str, LawFit]]:
    laws = [(kind, getattr(fits, kind)) for kind in LAWS]
    return [(kind, law) for kind, law in laws if law is not None and law.supported]


def _best(law: LawFit, price: float) -> str:
    """The x that is worth most where a unit of it is worth ``price`` of quality."""
    best = law.operating_point(price)
    if not best.known:
        return f"none: the law is {law.verdict}, only a concave one has a best point"
    outside = ", outside the data" if law.extrapolation(best.mid) > 0 else ""
    return f"{law.x_name} {show(best)}{outside}"


def _section(title: str, lines: Mapping[str, object]) -> Summary:
    rows = [(f"{y} on {x}", str(lines[k])) for k, (x, y) in LAWS.items() if k in lines]
    return Summary(title, rows=tuple(rows))
