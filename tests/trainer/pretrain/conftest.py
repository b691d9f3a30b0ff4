"""The options of a tiny prior, and that prior."""

import pytest

from tests.helpers.pretraining import Notes
from trainer.pretrain import PretrainOptions, pretrain
from trainer.pretrain.smiles_corpus import bundled_smiles


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    file = tmp_path_factory.mktemp("corpus") / "200.smi"
    file.write_text("\n".join(bundled_smiles()[:200]))
    return PretrainOptions(
        out=file.parent / "prior",
        smiles=file,
        size="32-2-2-64",
        epochs=4,
        batch_tokens=1024,
        rounds=1,
        round_samples=100,
        round_epochs=1,
        polish=2,
        polish_samples=32,
        samples=60,
        seed=5,
        threads=1,
    )


@pytest.fixture(scope="module")
def made(small):
    notes = Notes()
    return pretrain(small, notes), notes
