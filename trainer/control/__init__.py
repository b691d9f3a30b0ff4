"""Controllers: pure functions of a run's log. No torch.

    controller = make_controller("law_guided", recipe, start=knobs, goal=Goal(min_diversity=.8))
    decision = controller(log, knobs)      # decision.knobs from now on; .advice with the reasons
    replay(controller, log, start=knobs)   # the same decisions from the saved log

``log`` holds the evaluations; ``run_log(lines)`` makes it from those of ``metrics.jsonl``. A line
carries ``step``, ``quality``, ``diversity``, ``entropy``, their ``_se``, ``kl``, and the knobs that
were in force over the steps before it as ``kl_coef``, ``reward_scale``, ``entropy_coef``
(:func:`knob_columns`); an unknown number is null, and its line is still written.
"""

from __future__ import annotations

from qdlaws.core.run_rows import run_log
from trainer.control.classic import entropy_target, fixed, kl_target, stepped_entropy
from trainer.control.controllers import CONTROLLERS, make_controller
from trainer.control.decision import Controller, Decision, knobs_in, replay
from trainer.control.knob_dial import Dial, Recipe, knob_columns, make_dial, refusal
from trainer.control.knobs_file import KnobsFile
from trainer.control.law_controller import law_guided

__all__ = [
    "CONTROLLERS",
    "Controller",
    "Decision",
    "Dial",
    "KnobsFile",
    "Recipe",
    "entropy_target",
    "fixed",
    "kl_target",
    "knob_columns",
    "knobs_in",
    "law_guided",
    "make_controller",
    "make_dial",
    "refusal",
    "replay",
    "run_log",
    "stepped_entropy",
]
