"""A sweep on processes or on a cluster: a run whose worker is killed goes on to the same numbers.

Ray, Dask and submitit are tried where they are installed (``make peers``, family ``cluster``).
"""

from __future__ import annotations

import pytest

from qdlaws.errors import BadData
from tests.helpers.small_run import config_of, largest_gap, rows, save_model, weights
from trainer.config import with_settings
from trainer.loop import train
from trainer.runs import sweep

CLUSTERS = {"ray": "ray", "dask": "distributed", "slurm,cluster=local": "submitit"}
CLUSTER = [pytest.param(on, marks=pytest.mark.peers, id=on.partition(",")[0]) for on in CLUSTERS]


@pytest.mark.slow
@pytest.mark.parametrize("on", ["local", *CLUSTER])
def test_a_run_whose_worker_is_killed_goes_on_in_another(on, tmp_path):
    if on != "local":
        pytest.importorskip(CLUSTERS[on])
    marker = tmp_path / "killed"
    config = config_of(
        save_model(tmp_path / "model"),
        "task=tests.helpers.letters_of_lost_worker:make",
        f"task.marker={marker}",
        "task.in_process=true",
    )
    runs = sweep(config, {"train.seed": ["0", "1"]}, tmp_path / "sweep", jobs=2, on=on)
    assert [run.error for run in runs] == ["", ""]
    assert marker.exists()
    for seed, run in enumerate(runs):
        unbroken = tmp_path / f"unbroken-{seed}"
        train(with_settings(config, [f"train.seed={seed}"]), unbroken)  # the marker is there
        assert rows(run.folder) == rows(unbroken)
        assert largest_gap(weights(run.folder, 6), weights(unbroken, 6)) == 0


def test_a_packed_sweep_on_a_cluster_is_refused(tmp_path):
    config = config_of(tmp_path / "model")
    with pytest.raises(BadData, match="--on local only"):
        sweep(config, {"train.seed": ["0"]}, tmp_path / "sweep", pack=True, on="ray")
    assert not (tmp_path / "sweep").exists()
