"""Likelihoods of agent and prior, as REINVENT writes them: the entropy and the KL that they give.

REINVENT 3 writes mean log-likelihoods under ``nll/avg``, below 0, REINVENT 4 their negatives under
``NLL``. The sign of the numbers tells which: no sequence of tokens has a likelihood above 1.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

__all__ = ["AGENT_NLL", "PRIOR_MINUS_AGENT", "with_likelihoods"]

AGENT_NLL, PRIOR_MINUS_AGENT = "agent NLL", "prior − agent NLL"
_LIKELIHOOD = re.compile(r"(?i).*(?:nll|likelihood).*")
_SPREAD = re.compile(r"(?i).*(?:var|std).*")


def with_likelihoods(frame: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The frame with the agent's mean NLL and the prior's less it, and a note on signs."""
    pairs = ((name, _prior(name, frame)) for name in map(str, frame.columns))
    pair = next(((agent, prior) for agent, prior in pairs if prior), None)
    if pair is None:
        return frame, ""
    agent, prior = frame[pair[0]].to_numpy(np.float64), frame[pair[1]].to_numpy(np.float64)
    finite = agent[np.isfinite(agent)]
    logs = bool(len(finite)) and float(np.median(finite)) < 0
    if logs:
        agent, prior = -agent, -prior
    note = f"{pair[0]!r} holds log-likelihoods: the entropy is −1 times it" if logs else ""
    return frame.assign(**{AGENT_NLL: agent, PRIOR_MINUS_AGENT: prior - agent}), note


def _prior(agent: str, frame: pd.DataFrame) -> str | None:
    """The column of the prior's likelihood beside that of the agent's."""
    if not _LIKELIHOOD.fullmatch(agent) or _SPREAD.fullmatch(agent):
        return None
    name = re.sub("(?i)agent", lambda m: "Prior" if m[0][0] == "A" else "prior", agent)
    return name if name != agent and name in frame.columns else None
