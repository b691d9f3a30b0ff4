"""The goal-directed benchmarks of GuacaMol as data: means of transformed scores.

Brown, Fiscato, Segler & Vaucher (J. Chem. Inf. Model. 2019, 59, 1096), version 2 of the suite;
the same objectives are the larger part of PMO (Gao et al. 2022), whose names are used here.
"""

from __future__ import annotations

from typing import Any

__all__ = ["GUACAMOL"]

Spec = dict[str, Any]

OSIMERTINIB = "COc1cc(N(C)CCN(C)C)c(NC(=O)C=C)cc1Nc2nccc(n2)c3cn(C)c4ccccc34"
FEXOFENADINE = "CC(C)(C(=O)O)c1ccc(cc1)C(O)CCCN2CCC(CC2)C(O)(c3ccccc3)c4ccccc4"
RANOLAZINE = "COc1ccccc1OCC(O)CN2CCN(CC(=O)Nc3c(C)cccc3C)CC2"
PERINDOPRIL = "O=C(OCC)C(NC(C(=O)N1C(C(=O)O)CC2CCCCC12)C)CCC"
AMLODIPINE = r"Clc1ccccc1C2C(=C(/N/C(=C2/C(=O)OCC)COCCN)C)\C(=O)OC"
SITAGLIPTIN = "Fc1cc(c(F)cc1F)CC(N)CC(=O)N3Cc2nnc(n2CC3)C(F)(F)F"
SITAGLIPTIN_LOGP, SITAGLIPTIN_TPSA, SITAGLIPTIN_BERTZ = 2.0165, 77.04, 896.3804853871784
ZALEPLON = "O=C(C)N(CC)C1=CC=CC(C2=CC=NC3=C(C=NN23)C#N)=C1"
CAMPHOR, MENTHOL = "CC1(C)C2CCC1(C)C(=O)C2", "CC(C)C1CCC(C)CC1O"
TADALAFIL = "O=C1N(CC(N2C1CC3=C(C2C4=CC5=C(OCO5)C=C4)NC6=C3C=CC=C6)=O)C"
SILDENAFIL = "CCCC1=NN(C2=C1N=C(NC2=O)C3=C(C=CC(=C3)S(=O)(=O)N4CCN(CC4)C)OCC)C"
QUINAZOLINE = "CCCOc1cc2ncnc(Nc3ccc4ncsc4c3)c2cc1S(=O)(=O)C(C)(C)C"
CELECOXIB = "CC1=CC=C(C=C1)C1=CC(=NN1C1=CC=C(C=C1)S(N)(=O)=O)C(F)(F)F"
TROGLITAZONE = "Cc1c(C)c2OC(C)(COc3ccc(CC4SC(=O)NC4=O)cc3)CCc2c(C)c1O"
THIOTHIXENE = "CN(C)S(=O)(=O)c1ccc2Sc3ccccc3C(=CCCN4CCN(C)CC4)c2c1"
ARIPIPRAZOLE = "Clc4cccc(N3CCN(CCCCOc2ccc1c(NC(=O)CC1)c2)CC3)c4Cl"
ALBUTEROL = "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1"
MESTRANOL = "COc1ccc2[C@H]3CC[C@@]4(C)[C@@H](CC[C@@]4(O)C#C)[C@@H]3CCc2c1"


def _part(objective: str, kind: str = "", *numbers: float, name: str = "", **options: Any) -> Spec:
    """One component; ``kind`` is its transform and ``numbers`` that one's parameters."""
    spec: Spec = {"objective": objective, **options}
    if name:
        spec["name"] = name
    if kind == "clipped":
        spec["transform"] = {"type": kind, "upper": numbers[0]}
    elif kind:
        spec["transform"] = {"type": kind, "mu": numbers[0], "sigma": numbers[1]}
    return spec


def _like(query: str, fingerprint: str, kind: str = "", *numbers: float, name: str = "") -> Spec:
    """Similarity to a known molecule."""
    return _part(
        "similarity",
        kind,
        *numbers,
        name=name,
        query=query,
        fingerprint=fingerprint,
    )


def _has(pattern: str, name: str, inverse: bool = False) -> Spec:
    return _part("smarts", name=name, pattern=pattern, inverse=inverse)


def _mean(*components: Spec, mean: str = "geometric") -> Spec:
    return {"mean": mean, "components": list(components)}


KEPT_SCAFFOLD = "[#7]-c1n[c;h1]nc2[c;h1]c(-[#8])[c;h0][c;h1]c12"
DECORATION = "[#6]-[#6]-[#6]-[#8]-[#6]~[#6]~[#6]~[#6]~[#6]-[#7]-c1ccc2ncsc2c1"

GUACAMOL: dict[str, Spec] = {
    "osimertinib_mpo": _mean(
        _like(OSIMERTINIB, "fcfp4", "clipped", 0.8, name="like osimertinib"),
        _like(OSIMERTINIB, "ecfp6", "min_gaussian", 0.85, 0.1, name="not too like it"),
        _part("tpsa", "max_gaussian", 100, 10),
        _part("logp", "min_gaussian", 1, 1),
    ),
    "fexofenadine_mpo": _mean(
        _like(FEXOFENADINE, "ap", "clipped", 0.8),
        _part("tpsa", "max_gaussian", 90, 10),
        _part("logp", "min_gaussian", 4, 1),
    ),
    "ranolazine_mpo": _mean(
        _like(RANOLAZINE, "ap", "clipped", 0.7),
        _part("logp", "max_gaussian", 7, 1),
        _part("atoms", "gaussian", 1, 1, name="fluorine", element="F"),
        _part("tpsa", "max_gaussian", 95, 20),
    ),
    "perindopril_mpo": _mean(
        _like(PERINDOPRIL, "ecfp4"), _part("aromatic_rings", "gaussian", 2, 0.5)
    ),
    "amlodipine_mpo": _mean(_like(AMLODIPINE, "ecfp4"), _part("rings", "gaussian", 3, 0.5)),
    "sitagliptin_mpo": _mean(
        _like(SITAGLIPTIN, "ecfp4", "gaussian", 0, 0.1, name="not like sitagliptin"),
        _part("logp", "gaussian", SITAGLIPTIN_LOGP, 0.2),
        _part("tpsa", "gaussian", SITAGLIPTIN_TPSA, 5),
        _part("isomers", formula="C16H15F6N5O"),
    ),
    "zaleplon_mpo": _mean(_like(ZALEPLON, "ecfp4"), _part("isomers", formula="C19H17N3O2")),
    "median1": _mean(
        _like(CAMPHOR, "ecfp4", name="like camphor"), _like(MENTHOL, "ecfp4", name="like menthol")
    ),
    "median2": _mean(
        _like(TADALAFIL, "ecfp6", name="like tadalafil"),
        _like(SILDENAFIL, "ecfp6", name="like sildenafil"),
    ),
    "valsartan_smarts": _mean(
        _has("CN(C=O)Cc1ccc(c2ccccc2)cc1", "valsartan core"),
        _part("logp", "gaussian", SITAGLIPTIN_LOGP, 0.2),
        _part("tpsa", "gaussian", SITAGLIPTIN_TPSA, 5),
        _part("bertz", "gaussian", SITAGLIPTIN_BERTZ, 30),
    ),
    "deco_hop": _mean(
        _like(QUINAZOLINE, "phco", "clipped", 0.85),
        _has("CS([#6])(=O)=O", "no sulfone", inverse=True),
        _has("[#7]-c1ccc2ncsc2c1", "no thiazole", inverse=True),
        _has(KEPT_SCAFFOLD, "scaffold"),
        mean="arithmetic",
    ),
    "scaffold_hop": _mean(
        _like(QUINAZOLINE, "phco", "clipped", 0.75),
        _has(DECORATION, "decoration"),
        _has(KEPT_SCAFFOLD, "no scaffold", inverse=True),
        mean="arithmetic",
    ),
    "celecoxib_rediscovery": _mean(_like(CELECOXIB, "ecfp4")),
    "troglitazone_rediscovery": _mean(_like(TROGLITAZONE, "ecfp4")),
    "thiothixene_rediscovery": _mean(_like(THIOTHIXENE, "ecfp4")),
    "aripiprazole_similarity": _mean(_like(ARIPIPRAZOLE, "ecfp4", "clipped", 0.75)),
    "albuterol_similarity": _mean(_like(ALBUTEROL, "fcfp4", "clipped", 0.75)),
    "mestranol_similarity": _mean(_like(MESTRANOL, "ap", "clipped", 0.75)),
    "isomers_c11h24": _mean(_part("isomers", formula="C11H24")),
    "isomers_c7h8n2o2": _mean(_part("isomers", formula="C7H8N2O2")),
    "isomers_c9h10n2o2pf2cl": _mean(_part("isomers", formula="C9H10N2O2PF2Cl")),
}
