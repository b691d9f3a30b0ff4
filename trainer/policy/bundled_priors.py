"""The bundled priors: small language models to start from, each by its name."""

from __future__ import annotations

import sysconfig
from difflib import get_close_matches
from pathlib import Path

from qdlaws.errors import BadData

__all__ = ["PRIORS", "model_source", "prior_path"]

PRIORS = (
    "molecules-60k",
    "molecules-250k",
    "molecules-1m",
    "arithmetic",
    "sql",
    "stories",
    "bandit",
)


def prior_path(name: str) -> Path:
    """The folder of a bundled prior: beside the packages in a checkout, else where a wheel puts it.

    ``pip install --target FOLDER`` puts it beside the packages as well, in ``share``.

    Raises
    ------
    BadData
        for a name that is not in ``PRIORS``, with the nearest one, and for a prior not installed.
    """
    if name not in PRIORS:
        near = get_close_matches(name, PRIORS, n=1, cutoff=0.5)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise BadData(f"no prior is called {name!r}{hint}; have {', '.join(PRIORS)}")
    for folder in _folders():
        if (folder / name / "config.json").is_file():
            return folder / name
    where = " nor ".join(str(folder) for folder in _folders())
    raise BadData(
        f"the prior {name} is not in {where}: make it by `qdtrain pretrain`, or reinstall"
    )


def model_source(name: str) -> str | Path:
    """The folder of the bundled prior of this name; any other name, a folder or a hub id, as it is.

    Raises
    ------
    BadData
        at once, without a look at the hub, for what is nearly the name of a prior.
    """
    if name in PRIORS:
        return prior_path(name)
    if "/" not in name and not Path(name).exists():
        near = get_close_matches(name.lower(), PRIORS, n=1, cutoff=0.75)
        if near:
            have = ", ".join(PRIORS)
            raise BadData(
                f"no model is called {name!r} (did you mean {near[0]!r}?); bundled are {have}"
            )
    return name


def _folders() -> tuple[Path, ...]:
    beside, shared = Path(__file__).resolve().parents[2], Path("share", "qdlaws", "priors")
    return beside / "data" / "priors", beside / shared, Path(sysconfig.get_path("data")) / shared
