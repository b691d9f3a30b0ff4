"""The posterior of a law as ArviZ holds it, for its plots and diagnostics; ArviZ is optional."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from qdlaws.errors import QdlawsError

if TYPE_CHECKING:
    from qdlaws.laws.fitted import FittedLaw

__all__ = ["to_arviz"]


def to_arviz(law: FittedLaw) -> Any:
    """The draws of this run's law and of its errors, its readings, and replicated readings.

    The draws are equally weighted and independent: one chain. An ``InferenceData`` up to ArviZ
    0.x, a ``DataTree`` from 1.0 on.
    """
    try:
        import arviz
    except ImportError:
        raise QdlawsError("to_arviz() needs the package arviz: pip install arviz") from None
    post, draws = law.required_posterior, law.draws
    a, b, c = np.asarray(draws.a), np.asarray(draws.b), np.asarray(draws.c)
    posterior = {"a": a, "b": b, "c": c, "curvature": draws.kappa, "change": draws.q}
    posterior |= {"sigma": post.sigma, "memory": post.memory, "white": post.white}
    if law.kind == "hd":
        slope = draws.q / draws.width
        posterior = {"slope": slope, "intercept": draws.p - slope * draws.x_lo} | posterior
        for name in ("a", "b", "c"):
            del posterior[name]
    curve = draws.value(law.path.mean)
    noise = np.random.default_rng(1).standard_normal(curve.shape)
    replicated = curve + np.std(law.residuals) * noise
    groups = {
        "posterior": {name: np.asarray(values)[None] for name, values in posterior.items()},
        "posterior_predictive": {law.y_name: replicated[None]},
        "observed_data": {law.y_name: np.asarray(law.y)},
        "constant_data": {"step": np.asarray(law.step), law.x_name: np.asarray(law.x)},
    }
    places = {law.y_name: ["checkpoint"], "step": ["checkpoint"], law.x_name: ["checkpoint"]}
    labels = {"checkpoint": np.asarray(law.step)}
    if int(arviz.__version__.split(".")[0]) >= 1:
        return arviz.from_dict(groups, dims=places, coords=labels)
    return arviz.from_dict(**groups, dims=places, coords=labels)
