"""Real molecules: the ones that rdkit's own wheel carries."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def smiles() -> list[str]:
    """4,999 strings of the NCI set, some of them invalid."""
    config = pytest.importorskip("rdkit.RDConfig")
    path = Path(config.RDDataDir) / "NCI" / "first_5K.smi"
    if not path.exists():
        pytest.skip("this rdkit carries no data")
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
