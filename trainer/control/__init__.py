"""Controllers: pure functions of a run's log. No torch.

    controller = make_controller("law_guided", recipe, start=knobs, goal=Goal(min_diversity=.8))
    decision = controller(log, knobs)      # decision.knobs from now on; .advice with the reasons
    replay(controller, log, start=knobs)   # the same decisions from the saved log

``log`` holds the evaluations; ``run_log(lines)`` makes it from those of ``metrics.jsonl``. A line
carries ``step``, ``quality``, ``diversity``, ``entropy``, their ``_se``, ``kl``, and the knobs that
were in force over the steps before it as ``kl_coef``, ``reward_scale``, ``entropy_coef``
(:func:`knob_columns`); an unknown number is null, and its line is still written.

>>> from qdlaws import Goal
>>> from trainer import RECIPES
>>> from trainer.knobs import Knobs
>>> start, recipe = Knobs(kl=0.05), RECIPES["rloo"]()
>>> dial = make_dial(recipe, start)
>>> isinstance(dial, Dial), dial.turn
(True, 'reward_scale')
>>> refusal(RECIPES["grpo"](), "reward_scale")[:42]
'reward_scale is a dead knob of grpo (live:'
>>> rows = [
...     {"step": 10 * k, "phase": "eval", "quality": 0.5 + k / 40, "diversity": 0.9 - k / 40,
...      "entropy": 2 - k / 10, "kl": float(k), **knob_columns(start)}
...     for k in range(8)
... ]
>>> log = run_log(rows)
>>> decision = kl_target(dial, target=2.0)(log, start)
>>> isinstance(decision, Decision), decision.knobs.reward_scale < start.reward_scale
(True, True)
>>> sorted(CONTROLLERS)
['entropy_target', 'fixed', 'kl_target', 'law_guided', 'stepped_entropy']
>>> holds = make_controller("law_guided", recipe, start, Goal(min_diversity=0.8))
>>> len(replay(holds, log, start)), knobs_in(log, 0, start).kl
(8, 0.05)
>>> for controller in (
...     fixed(), law_guided(dial, Goal(min_diversity=0.8)),
...     entropy_target(dial, 1.5), stepped_entropy(dial, 1.5),
... ):
...     assert isinstance(controller(log, start), Decision)

``Controller`` and ``Recipe`` are types: what takes (log, knobs), and what can be steered.
``KnobsFile`` is what a person has turned by hand:

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> with TemporaryDirectory() as folder:
...     _ = (Path(folder) / "knobs.json").write_text('{"kl": 0.1}')
...     KnobsFile(Path(folder)).read(10, start).kl
0.1
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
