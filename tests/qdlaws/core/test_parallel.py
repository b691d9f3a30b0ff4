"""Tasks on several processes: the same results everywhere, and a killed worker costs nothing.

Ray, Dask and submitit are tried where they are installed (``make peers``, family ``cluster``).
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from qdlaws import fit_many
from qdlaws.core.parallel import Place, parse_place, run_tasks
from qdlaws.errors import BadData, QdlawsError, WorkerLost
from tests.helpers.lost_worker import die_if_negative, die_once, refuse, square
from tests.helpers.simulated import log_at_reference

CLUSTERS = {"ray": "ray", "dask": "distributed", "slurm,cluster=local": "submitit"}
CLUSTER = [
    pytest.param(on, marks=[pytest.mark.peers, pytest.mark.slow], id=on.partition(",")[0])
    for on in CLUSTERS
]


@pytest.fixture(params=["local", *CLUSTER])
def on(request):
    """Each place at which tasks can run here."""
    if request.param != "local":
        pytest.importorskip(CLUSTERS[request.param])
    return request.param


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("local", Place()),
        ("ray", Place("ray")),
        ("ray:auto", Place("ray", "auto")),
        ("ray://head:10001", Place("ray", "ray://head:10001")),
        ("ray:auto,num_gpus=0.5", Place("ray", "auto", {"num_gpus": 0.5})),
        ("dask:head:8786,GPU=1", Place("dask", "head:8786", {"GPU": 1})),
        ("dask://head:8786", Place("dask", "tcp://head:8786")),
        ("slurm,partition=gpu", Place("slurm", "", {"partition": "gpu"})),
    ],
)
def test_a_place_is_read_from_its_text(text, place):
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", "mpi", "slurm:head", "local:4", "ray,num_gpus", "ray,=1"])
def test_a_place_that_is_none_is_refused_in_one_line(text):
    with pytest.raises(BadData, match=r"was needed|has no address") as error:
        parse_place(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("engine", ["ray", "dask", "slurm"])
def test_an_engine_that_is_not_installed_is_named_with_its_extra(engine, monkeypatch):
    for package in CLUSTERS.values():
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(QdlawsError, match=rf"pip install 'qdlaws\[{engine}\]'"):
        list(run_tasks(square, [1], on=engine))


def test_every_result_comes_with_the_number_of_its_task(on, tmp_path):
    results = dict(run_tasks(square, [3, 1, 2], on=on, jobs=2, folder=tmp_path))
    assert results == {0: 9, 1: 1, 2: 4}


def test_the_error_of_a_task_is_raised_here(on, tmp_path):
    with pytest.raises(ValueError, match="5 is refused"):
        list(run_tasks(refuse, [5], on=on, jobs=2, folder=tmp_path))


def test_a_task_whose_worker_is_killed_is_done_by_another(on, tmp_path):
    markers = [tmp_path / name for name in ("first", "second")]
    results = dict(run_tasks(die_once, markers, on=on, jobs=2, folder=tmp_path / "logs"))
    assert results == {0: "first", 1: "second"}
    assert all(marker.exists() for marker in markers)


def test_dask_without_a_worker_is_not_waited_for_without_end(monkeypatch):
    """A scheduler whose workers have all gone keeps its tasks for ever."""

    class Client:
        def __init__(self, address, timeout):
            self.asked = 0

        def submit(self, *arguments, **options):
            return object()

        def nthreads(self):
            self.asked += 1
            return {"tcp://worker": 1} if self.asked == 1 else {}

        def close(self):
            closed.append(self.asked)

    def wait(futures, timeout, return_when):
        raise TimeoutError

    closed: list[int] = []
    names = {"Client": Client, "KilledWorker": RuntimeError, "LocalCluster": None, "wait": wait}
    monkeypatch.setitem(sys.modules, "distributed", SimpleNamespace(**names))
    with pytest.raises(QdlawsError, match="no worker for 600 s, tasks left: 2"):
        list(run_tasks(square, [1, 2], on="dask://head:8786"))
    assert closed == [1 + 600 / 5]


@pytest.mark.slow
def test_a_task_that_kills_each_worker_is_given_up_and_the_others_are_done(on, tmp_path):
    results = dict(run_tasks(die_if_negative, [1, -1, 2], on=on, jobs=2, folder=tmp_path))
    assert (results[0], results[2]) == (1, 2)
    assert isinstance(results[1], WorkerLost)
    assert "\n" not in str(results[1])


@pytest.mark.parametrize("on", CLUSTER, indirect=True)
def test_laws_are_the_same_wherever_they_are_fitted(on, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    logs = [log_at_reference(seed=i, n=30) for i in range(3)]
    here, there = fit_many(logs), fit_many(logs, n_jobs=2, on=on)
    for one, other in zip(here, there, strict=True):
        np.testing.assert_array_equal(one.rd.draws.q, other.rd.draws.q)


@pytest.mark.parametrize("jobs", [0, -2])
def test_a_number_of_workers_below_one_is_refused(jobs):
    with pytest.raises(BadData, match="1 or more were needed"):
        run_tasks(square, [1], jobs=jobs)
