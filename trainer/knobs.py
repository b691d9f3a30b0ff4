"""Knobs: what may be turned while a run runs, and how the settled policy answers. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Knobs", "Plant"]

Plant = Literal["tilt", "monotone", "folded", "unsettled"]
"""How the settled policy answers a live knob; computed in :mod:`trainer.analysis.plant`.

``tilt``: it is π_ref·exp(scale·R/β). ``monotone``: one state per knob value, reached from both
ends, H falling as the knob is loosened. ``folded``: the state depends on where the run came from,
or H turns back. ``unsettled``: it never rests.
"""


@dataclass(frozen=True)
class Knobs:
    """What may be turned at every step, from outside too."""

    kl: float = 0.0
    """Strength of the recipe's own divergence: β of a KL, η of DPH, β of KL-Cov."""
    reward_scale: float = 1.0
    """Factor on the reward. Thresholds never see it: they read the raw score."""
    entropy: float = 0.0
    """Weight of the entropy bonus."""
