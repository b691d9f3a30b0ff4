"""qdlaws inside REINVENT4: a plug-in that ends a run at a floor and adapts σ.

``qdlaws reinvent4 install FOLDER`` writes the one file that REINVENT4 loads (its components are
the modules ``reinvent_plugins.components.comp_*``) and says what a stage needs (:data:`USE`). The
component is a penalty of 1 for every molecule: it changes no score. Making it wraps
``RLReward.__call__``, which gets the batch with its scores and likelihoods and reads σ from
``RLReward._sigma`` at every step; ``QdlawsTerminator`` is asked after each step whether to end.
Every ``every`` steps make one row of ``metrics.jsonl`` and one line of ``advice.jsonl`` in the
folder ``qdlaws`` beside the run (``params.folder`` names another one). In REINVENT4 the loss is
(log prior + σ·score − log agent)², so the ratio of reward to KL is σ.
"""

from __future__ import annotations

import inspect
import logging
import math
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from qdlaws.core.atomic_write import write_atomically
from qdlaws.core.kinds import EntropyKind
from qdlaws.core.run_rows import run_log
from qdlaws.core.serialize import plain
from qdlaws.errors import BadData, QdlawsError
from qdlaws.integrations.batch import Batch, Window
from qdlaws.integrations.online import OnlineAdvisor, advisor
from qdlaws.integrations.run_folder import RunFolder

__all__ = ["TESTED", "Reinvent4Run", "install", "register_terminator", "start"]

TESTED = "4.8.24"
"""The release of REINVENT4 that the tests ran."""
ARGUMENTS = ("orig_smilies", "scores", "agent_nlls", "prior_nlls")
"""Of ``RLReward.__call__``, what is read."""
say = logging.getLogger("qdlaws")


@dataclass
class Reinvent4Run:
    """A run of REINVENT4: the rows measured so far, and what was decided."""

    advisor: OnlineAdvisor
    folder: RunFolder
    stopped: bool = False
    step: int = 0
    """Counted over all stages; REINVENT4 counts each from the start."""
    rows: list[dict[str, Any]] = field(default_factory=list)
    _window: Window = field(default_factory=Window)
    _start: float = math.nan

    def before_update(self, reward: Any, batch: dict[str, Any]) -> None:
        """Measures a batch; at the end of a row advises, and sets the σ of this and later steps."""
        sigma = _sigma(reward)
        if not self.rows and self._window.empty:
            self._start = math.log(sigma)
            self.rows = self.folder.resume(0)
        self.step += 1
        self._window.add(_batch(**batch), "molecules")
        if self.step % self.advisor.every:
            return
        row = self._row(sigma)
        self.rows.append(row)
        self.folder.add_row(row)
        decided = self.advisor.decide(
            run_log(self.rows),
            self._start,
            math.log(sigma),
            lambda factor: f"σ {sigma:.4g} → {sigma * factor:.4g}",
        )
        reward._sigma = sigma * decided.scale_factor
        knobs = {"kl": 1.0, "reward_scale": reward._sigma, "entropy": 0.0}
        self.folder.add_advice(decided.advice.to_line(knobs, decided.stop))
        self.stopped = self.stopped or decided.stop
        if decided.stop:
            say.warning("stopped at step %d: %s", self.step, decided.advice.reasons[0])

    def _row(self, sigma: float) -> dict[str, Any]:
        measured = self._window.record() | {
            "entropy_kind": str(EntropyKind.SEQUENCE_NLL),
            "kl_coef": 1.0,
            "reward_scale": sigma,
            "sigma": sigma,
        }
        self._window = Window()
        values: dict[str, Any] = plain({"step": self.step, "phase": "eval", **measured})
        return values


def _batch(orig_smilies: Any, scores: Any, agent_nlls: Any, prior_nlls: Any) -> Batch:
    """A batch as REINVENT4 has it: NLLs are of whole sequences, a failed score is NaN."""
    smiles = tuple(str(getattr(one, "output", one)) for one in orig_smilies)
    agent, prior = (np.asarray(nlls.detach().cpu(), float) for nlls in (agent_nlls, prior_nlls))
    kl = float(np.mean(prior - agent))
    prompts = ("",) * len(smiles)
    return Batch(prompts, smiles, np.asarray(scores, float), float(agent.mean()), kl)


def _sigma(reward: Any) -> float:
    sigma = getattr(reward, "_sigma", None)
    if not isinstance(sigma, int | float) or not sigma > 0:
        raise _unsupported("a positive number RLReward._sigma")
    return float(sigma)


# ---------------------------------------------------------------------- what REINVENT4 calls

_running: Reinvent4Run | None = None


def start(options: dict[str, Any]) -> Reinvent4Run:
    """Begins a run with the options of the component, or goes on with the one of an earlier stage.

    A version of REINVENT4 that lacks what the plug-in needs is refused here, before the first step.
    """
    global _running
    options = dict(options)
    folder = Path(options.pop("folder", None) or ".")
    deciding = advisor(options)
    _wrap(_attribute("reinvent.runmodes.RL.reward", "RLReward"))
    if _running is None:
        _running = Reinvent4Run(deciding, RunFolder(folder))
    else:  # the next stage: σ and rows go on, the goal may be another one
        _running.advisor, _running.stopped = deciding, False
    return _running


def register_terminator() -> None:
    """Lets ``termination = "qdlaws"`` name :class:`QdlawsTerminator`."""
    _attribute("reinvent.runmodes.RL.setup.terminators", "SimpleTerminator")
    import_module("reinvent.runmodes.RL.setup.terminators").QdlawsTerminator = QdlawsTerminator  # type: ignore[attr-defined]


class QdlawsTerminator:
    """Ends a stage when advised, or where its mean score exceeds ``max_score`` as usual."""

    def __init__(self, max_score: float, min_steps: float) -> None:
        self.max_score, self.min_steps = max_score, min_steps

    def __call__(self, score: float, step: int) -> bool:
        if _running is not None and _running.stopped:
            return True
        return bool(step > self.min_steps and score >= self.max_score)


def _wrap(reward: Any) -> None:
    """Puts the measuring before ``RLReward.__call__``, once."""
    call = reward.__call__
    if getattr(call, "measures_for_qdlaws", False):
        return
    signature = inspect.signature(call)
    for name in ARGUMENTS:
        if name not in signature.parameters:
            raise _unsupported(f"the argument {name} of RLReward.__call__")

    def measured(self: Any, *values: Any, **named: Any) -> Any:
        given = signature.bind(self, *values, **named).arguments
        if _running is not None:
            _running.before_update(self, {name: given[name] for name in ARGUMENTS})
        return call(self, *values, **named)

    measured.measures_for_qdlaws = True  # type: ignore[attr-defined]
    reward.__call__ = measured


def _attribute(module: str, name: str) -> Any:
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):
        raise _unsupported(f"{module}.{name}") from None


def _unsupported(what: str) -> QdlawsError:
    return BadData(f"this REINVENT4 lacks {what}; the plug-in was tested with {TESTED}")


# ---------------------------------------------------------------------- the file

USE = """\
termination = "qdlaws"

[[stage.scoring.component]]
[stage.scoring.component.qdlaws]
[[stage.scoring.component.qdlaws.endpoint]]
name = "qdlaws"
params.mode = "steer"  # or "stop", "advise"
params.min_diversity = 0.7
params.every = 10
"""
"""What a stage of a configuration needs."""

PLUGIN = '''"""qdlaws in REINVENT4, written by `qdlaws reinvent4 install`."""

from dataclasses import asdict
from typing import List, Optional

import numpy as np
from pydantic.dataclasses import dataclass

from qdlaws.integrations import reinvent4

from .add_tag import add_tag
from .component_results import ComponentResults

reinvent4.register_terminator()
Number = Optional[List[Optional[float]]]
Word = Optional[List[Optional[str]]]


@add_tag("__parameters")
@dataclass
class Parameters:
    """The goal, and how the run is advised; every field is a list, of which the first counts."""

    min_diversity: Number = None
    min_entropy: Number = None
    price: Number = None
    min_gain_per_step: Number = None
    target_quality: Number = None
    budget_steps: Number = None
    mode: Word = None
    every: Optional[List[Optional[int]]] = None
    gain: Number = None
    may_stop: Optional[List[Optional[bool]]] = None
    folder: Word = None


@add_tag("__component", "penalty")
class Qdlaws:
    """Begins the advice on the run; as a penalty of 1 it leaves every score as it is."""

    no_cache = True

    def __init__(self, params: Parameters):
        given = {name: values[0] for name, values in asdict(params).items() if values}
        reinvent4.start(given)

    def __call__(self, smilies: List[str]) -> ComponentResults:
        return ComponentResults([np.ones(len(smilies))])
'''


def install(folder: Path) -> Path:
    """Writes the plug-in below a folder that is to stand on the PYTHONPATH; returns its path."""
    path = folder / "reinvent_plugins" / "components" / "comp_qdlaws.py"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise QdlawsError(f"cannot write {path}: {error}") from None
    write_atomically(path, PLUGIN)
    return path
