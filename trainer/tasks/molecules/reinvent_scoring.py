"""A scoring block of REINVENT4, as an objective of this project.

:func:`import_scoring` gives the table and, in one line each, what it left out. Filters (custom
alerts) and penalties (matching substructure) of REINVENT4 multiply the mean of the others; in a
geometric mean no component counts as less than 1e-8 there, which ``floor`` takes over.

Three differences remain. A component whose score is unknown fails the molecule here, where
REINVENT4 averages the others. A molecule that a filter removes scores 0 here and up to 1e-8 there.
REINVENT4 computes transforms in single precision.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qdlaws.errors import BadData
from trainer.tasks.molecules.composite import read_objective
from trainer.tasks.molecules.objectives import FINGERPRINTS, OBJECTIVES
from trainer.tasks.molecules.score_function import score_function

__all__ = ["import_scoring"]

Spec = dict[str, Any]

MEANS = {
    "geometric_mean": "geometric",
    "custom_product": "geometric",
    "arithmetic_mean": "arithmetic",
    "custom_sum": "arithmetic",
}
PLAIN = {
    "qed": "qed",
    "molecularweight": "mw",
    "slogp": "logp",
    "sascore": "sa",
    "hbondacceptors": "hba",
    "hbonddonors": "hbd",
    "numrotbond": "rotatable_bonds",
    "numrings": "rings",
    "numaromaticrings": "aromatic_rings",
    "numaliphaticrings": "aliphatic_rings",
    "largestringsize": "largest_ring",
    "numheavyatoms": "heavy_atoms",
    "numheteroatoms": "hetero_atoms",
    "numsp": "sp_atoms",
    "numsp2": "sp2_atoms",
    "numsp3": "sp3_atoms",
    "csp3": "fraction_csp3",
    "numatomstereocenters": "stereo_centers",
    "graphlength": "graph_length",
}
"""Components without parameters: their names there, letters only, and here."""
FLOOR = 1e-8
STEPS = ("step", "leftstep", "rightstep")
TRANSFORMS = {
    "sigmoid": "sigmoid",
    "reversesigmoid": "reverse_sigmoid",
    "doublesigmoid": "double_sigmoid",
    "step": "step",
    "leftstep": "left_step",
    "rightstep": "right_step",
    "exponentialdecay": "exponential_decay",
}


class _LeftOut(Exception):
    """Why a component has no counterpart here."""


def import_scoring(scoring: Mapping[str, Any]) -> tuple[Spec, list[str]]:
    """The objective that a scoring block describes, and a line for each thing that was left out.

    Parameters
    ----------
    scoring : the table ``[scoring]`` or ``[stage.scoring]``, its ``component`` a list

    Raises
    ------
    BadData
        In one line, where the block is none of REINVENT4's or nothing of it can be taken over.
    """
    mean = str(scoring.get("type", ""))
    if mean not in MEANS:
        raise BadData(f"scoring.type = {mean!r}: one of {', '.join(MEANS)} was needed")
    if scoring.get("use_pumas"):
        raise BadData("scoring.use_pumas: the transforms and means of pumas are not read")
    components, left_out = [], []
    for block in _blocks(scoring):
        for kind, endpoint in _endpoints(block):
            name = str(endpoint.get("name", kind))
            try:
                made = _component(_letters(kind), name, endpoint)
                if made["objective"] == "alerts":
                    lost = [one for one in made["patterns"] if not _is_smarts(one)]
                    left_out += [f"component {kind} ({name}): {one!r} is no SMARTS" for one in lost]
                    made["patterns"] = [one for one in made["patterns"] if one not in lost]
                score_function(read_objective([made]))
                components.append(made)
            except (_LeftOut, BadData) as reason:
                left_out.append(f"component {kind} ({name}): {reason}")
        left_out += _second_references(block)
    if not components:
        reasons = f": {left_out[0]}" if left_out else ""
        raise BadData(f"the scoring block has no component that can be taken over{reasons}")
    objective: Spec = {"mean": MEANS[mean]}
    if objective["mean"] == "geometric":
        objective["floor"] = FLOOR
    return {**objective, "components": components}, left_out


def _is_smarts(pattern: str) -> bool:
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        return Chem.MolFromSmarts(pattern) is not None


def _blocks(scoring: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    blocks = scoring.get("component", [])
    if not isinstance(blocks, Sequence) or not all(isinstance(b, Mapping) for b in blocks):
        raise BadData("scoring.component: a list of tables was needed, [[scoring.component]]")
    return blocks


def _endpoints(block: Mapping[str, Any]) -> Iterator[tuple[str, Spec]]:
    """The endpoints of a component, its own parameters among theirs."""
    for kind, table in block.items():
        if not isinstance(table, Mapping) or not isinstance(table.get("endpoint"), Sequence):
            raise BadData(f"component {kind}: a list of endpoints was needed")
        for endpoint in table["endpoint"]:
            params = {**table.get("params", {}), **endpoint.get("params", {})}
            yield kind, {**endpoint, "params": params}


def _component(kind: str, name: str, endpoint: Spec) -> Spec:
    """One component of ours; ``kind`` in letters only."""
    params, weight = endpoint["params"], endpoint.get("weight", 1.0)
    made: Spec = {"objective": "", "name": name}
    factor = kind in ("customalerts", "matchingsubstructure")
    if factor:
        made["factor"] = True
    elif weight == 0:
        raise _LeftOut("its weight is 0: it is reported there and counts for nothing")
    else:
        made["weight"] = float(weight)
    made |= _objective(kind, params)
    shape = _transform(endpoint.get("transform"))
    if kind == "matchingsubstructure":
        if shape is not None:
            raise _LeftOut("a penalty with a transform of its own")
        shape = {"type": "linear", "slope": 0.5, "offset": 0.5}
    usual = OBJECTIVES[made["objective"]].transform
    if shape is None and usual is not None:
        shape = {"type": "linear"}
    return made if shape is None else {**made, "transform": shape}


def _objective(kind: str, params: Mapping[str, Any]) -> Spec:
    """The objective and its options."""
    if kind in PLAIN:
        return {"objective": PLAIN[kind]}
    if kind == "tpsa":
        more = {"sulphur_and_phosphorus": True} if params.get("includeSandP") else {}
        return {"objective": "tpsa", **more}
    if kind == "customalerts":
        return {"objective": "alerts", "patterns": list(_needed(params, "smarts"))}
    if kind == "matchingsubstructure":
        more = {"chirality": True} if params.get("use_chirality") else {}
        return {"objective": "smarts", "pattern": _needed(params, "smarts"), **more}
    if kind == "groupcount":
        return {"objective": "smarts_count", "pattern": _needed(params, "smarts")}
    if kind == "rdkitdescriptors":
        return {"objective": "descriptor", "descriptor": _needed(params, "descriptor")}
    if kind in ("tanimotosimilarity", "tanimotodistance"):
        print_ = f"{'f' if params.get('use_features') else 'e'}cfp{2 * _needed(params, 'radius')}"
        if print_ not in FINGERPRINTS:
            raise _LeftOut(f"a radius of {params['radius']}; there are 1 to 4")
        query = _needed(params, "smiles")
        more = {} if params.get("use_counts") else {"counts": False}
        query = query if isinstance(query, str) else query[0]
        return {"objective": "similarity", "query": query, "fingerprint": print_, **more}
    raise _LeftOut('no counterpart; write it as a function, objective = "package.module:function"')


def _second_references(block: Mapping[str, Any]) -> Iterator[str]:
    """References after the first: REINVENT4 too reads but one score for each endpoint."""
    for kind, endpoint in _endpoints(block):
        smiles = endpoint["params"].get("smiles")
        if isinstance(smiles, list) and len(smiles) > 1:
            name = endpoint.get("name", kind)
            yield f"component {kind} ({name}): reference molecules after the first of {len(smiles)}"


def _transform(given: Mapping[str, Any] | None) -> Spec | None:
    if not given:
        return None
    kind = _letters(str(given.get("type", "")))
    if kind not in TRANSFORMS:
        raise _LeftOut(f"no transform here is a {given.get('type')}")
    options = {key: value for key, value in given.items() if key != "type"}
    if kind in STEPS:  # where a step is to be is 0 there unless it is said
        needed = {"step": ("low", "high"), "leftstep": ("low",), "rightstep": ("high",)}[kind]
        options = {key: options.get(key, 0.0) for key in needed}
    return {"type": TRANSFORMS[kind], **options}


def _needed(params: Mapping[str, Any], key: str) -> Any:
    if not params.get(key):
        raise _LeftOut(f"params.{key} is missing")
    return params[key]


def _letters(name: str) -> str:
    """A name as REINVENT4 compares it."""
    return name.lower().replace("-", "").replace("_", "")
