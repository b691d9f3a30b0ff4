"""The evidence for a verdict on a law: its readings, and what its posterior says of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from qdlaws.core.interval import median
from qdlaws.core.law import Law
from qdlaws.core.types import Array
from qdlaws.inference.latent_path import LatentPath
from qdlaws.inference.law_posterior import LawPosterior

__all__ = ["Evidence", "evidence"]


class Evidence(NamedTuple):
    """What a verdict is computed from: the readings of a law and its posterior."""

    x_name: str
    y_name: str
    step: Array
    x: Array  # the path of x
    y: Array
    curve: Array  # the posterior mean of the law at every reading
    law: Law  # draws
    sigma: Array  # draws of the size of the errors
    slow: Array  # draws of the share of the errors that lasts for more than a third of the run
    p_falls: float
    p_concave: float
    p_straight: float
    p_steplike: float
    noise: float  # the typical error of a reading of x
    path_error: Array  # standard deviation of the path of x
    weight: Array | None = None


def evidence(
    post: LawPosterior,
    names: tuple[str, str],
    readings: tuple[Array, Array],
    path: LatentPath,
    span: float,
    weight: Array | None = None,
) -> Evidence:
    """The evidence for a verdict: ``names`` of x and y, ``readings`` (step, y), the path of x.

    ``span`` is the length of the run in steps.
    """
    step, y = readings
    return Evidence(
        x_name=names[0],
        y_name=names[1],
        step=step,
        x=path.mean,
        y=y,
        curve=post.curve,
        law=post.law,
        sigma=post.sigma,
        slow=(1 - post.white) * (post.memory > span / 3),
        p_falls=post.p_falls,
        p_concave=post.p_concave,
        p_straight=post.p_straight,
        p_steplike=post.p_steplike,
        noise=median(path.noise),
        path_error=np.sqrt((path.cov_factor**2).sum(1)),
        weight=weight,
    )
