"""Independent tasks on several processes or machines, by an engine that does the scheduling.

``local`` (joblib), ``ray``, ``dask`` and ``slurm`` (submitit) start workers, hand out tasks and
replace workers that die. This module gives all four one call, :func:`run_tasks`, and no scheduler
of its own: a task whose worker was lost is handed out again, and has to go on by itself from what
it wrote before, as the run of a sweep does from its checkpoint.
"""

from __future__ import annotations

import os
import pickle
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from qdlaws.errors import BadData, QdlawsError, WorkerLost

__all__ = ["ENGINES", "Place", "parse_place", "run_tasks"]

T = TypeVar("T")
R = TypeVar("R")
ENGINES = ("local", "ray", "dask", "slurm")
ATTEMPTS = 3
"""So often in a row may workers be lost, without any task having ended, before we give up."""
LOOK_S, ALONE_S = 5.0, 600.0
"""How often Dask is asked whether it has a worker, and how long we wait for one: a cluster that
grows by itself takes minutes."""
OBJECT_STORE = 80 * 2**20
"""Bytes of Ray's object store where we start Ray ourselves (its least is 75 MiB): tasks are small,
and what they give lies in files."""
SLURM_MINUTES = 24 * 60


# ---------------------------------------------------------------------- where


@dataclass(frozen=True)
class Place:
    """An engine, the address of a running cluster, and options that go to the engine as they are.

    Without an address, Ray and Dask are started on this machine and ended afterwards.
    """

    engine: str = "local"
    address: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def parse_place(text: str) -> Place:
    """A place from ``ENGINE[:ADDRESS][,OPTION=VALUE…]``, such as ``ray:auto,num_gpus=1``.

    Also ``ray://host:10001`` and ``dask://host:8786``.
    """
    where, *options = text.split(",")
    engine, _, address = where.partition(":")
    if engine not in ENGINES:
        raise BadData(
            f"{text!r} is no place to run: local, ray[:ADDRESS], dask[:ADDRESS] or slurm was needed"
        )
    if address.startswith("//"):
        address = ("ray:" if engine == "ray" else "tcp:") + address
    if address and engine in ("local", "slurm"):
        raise BadData(f"{text!r}: {engine} has no address; ray and dask have one")
    return Place(engine, address, dict(_option(option, text) for option in options))


def _option(option: str, text: str) -> tuple[str, Any]:
    key, equals, value = option.partition("=")
    if not (key and equals and value):
        raise BadData(f"{text!r}: OPTION=VALUE was needed after the comma, found {option!r}")
    for read in (int, float):
        try:
            return key, read(value)
        except ValueError:
            pass
    return key, value


# ---------------------------------------------------------------------- the one call


def run_tasks(
    function: Callable[[T], R],
    tasks: Sequence[T],
    *,
    on: str | Place = "local",
    jobs: int | None = None,
    threads: bool = False,
    folder: Path | None = None,
) -> Iterator[tuple[int, R | WorkerLost]]:
    """(number, result) of each task, in the order in which they end.

    Parameters
    ----------
    function : callable
        Of one task. Workers import it by its name, from this process's folder and path, which
        workers on other machines must see too.
    tasks : sequence
        Whatever can be pickled.
    on : str or Place
        See :func:`parse_place`.
    jobs : int, optional
        Workers, where they are started here: ``local``, and ``ray`` or ``dask`` without an address.
        By default, one for each core.
    threads : bool
        ``local`` only: threads of this process instead of processes.
    folder : Path, optional
        Where ``slurm`` keeps its scripts and logs: a folder that all machines see.

    Yields
    ------
    tuple of int and result
        The result is a :class:`~qdlaws.errors.WorkerLost` where each worker of the task died. What
        the function itself raises is raised here.
    """
    place = parse_place(on) if isinstance(on, str) else on
    if jobs is not None and jobs != -1 and jobs < 1:
        raise BadData(f"found {jobs} jobs: 1 or more were needed, or -1 for one on each core")
    calls = _Calls.of(function, tasks)
    if place.engine == "ray":
        return _on_ray(calls, place, jobs)
    if place.engine == "dask":
        return _on_dask(calls, place, jobs)
    if place.engine == "slurm":
        logs = folder or Path("slurm-logs")
        return _until_done(calls, lambda left: _on_slurm(calls, left, place, logs))
    return _until_done(calls, lambda left: _on_joblib(calls, left, place, jobs, threads))


@dataclass(frozen=True)
class _Calls(Generic[T, R]):
    """The tasks with what another process needs to do them as this one would."""

    function: Callable[[T], R]
    tasks: Sequence[T]
    folder: str
    path: tuple[str, ...]

    @classmethod
    def of(cls, function: Callable[[T], R], tasks: Sequence[T]) -> _Calls[T, R]:
        folder = str(Path.cwd())
        return cls(
            function, tasks, folder, tuple(str(Path(p or folder).absolute()) for p in sys.path)
        )

    def packed(self, number: int) -> tuple[str, tuple[str, ...], bytes]:
        """The arguments of :func:`_call_packed`. The task is bytes, so that whatever it names is
        imported only when the worker has the right path."""
        return self.folder, self.path, pickle.dumps((self.function, self.tasks[number]))


def _call_packed(folder: str, path: Sequence[str], packed: bytes) -> Any:
    """In a worker, perhaps on another machine: the task, as if in the folder it was given in."""
    if not Path(folder).is_dir():
        raise QdlawsError(
            f"the worker on {socket.gethostname()} has no folder {folder}: workers on other "
            "machines need the folder in which the command was given, such as by NFS"
        )
    os.chdir(folder)
    sys.path += [each for each in path if each not in sys.path]
    function, task = pickle.loads(packed)
    return function(task)


def _until_done(
    calls: _Calls[T, R], run: Callable[[Sequence[int]], Iterator[tuple[int, R | WorkerLost]]]
) -> Iterator[tuple[int, R | WorkerLost]]:
    """Hands out again what was lost, for engines that do not do so themselves."""
    left = list(range(len(calls.tasks)))
    failures = 0
    while left:
        lost = {}
        before = len(left)
        for number, result in run(tuple(left)):
            if isinstance(result, WorkerLost):
                lost[number] = result
                continue
            left.remove(number)
            yield number, result
        failures = failures + 1 if len(left) == before else 0
        if failures == ATTEMPTS:
            yield from lost.items()
            return


def _missing(engine: str, package: str) -> QdlawsError:
    return QdlawsError(
        f"{engine} needs the package {package}: pip install 'qdlaws[{engine}]', here and where "
        "its workers run"
    )


# ---------------------------------------------------------------------- the engines


def _on_joblib(
    calls: _Calls[T, R], left: Sequence[int], place: Place, jobs: int | None, threads: bool
) -> Iterator[tuple[int, R | WorkerLost]]:
    """Processes of this machine, or those of a backend that joblib was set to by its own means."""
    try:
        import joblib
    except ImportError:
        raise QdlawsError("several processes need the package joblib: pip install joblib") from None
    options = {**({"backend": "threading"} if threads else {}), **place.options}
    parallel = joblib.Parallel(n_jobs=jobs or -1, return_as="generator_unordered", **options)
    waiting = set(left)
    try:
        for number, result in parallel(
            joblib.delayed(_numbered)(number, calls.function, calls.tasks[number])
            for number in left
        ):
            waiting.discard(number)
            yield number, result
    except BrokenProcessPool:  # one that was killed takes the others with it
        for number in waiting:
            yield number, WorkerLost("a process was killed, perhaps for want of memory")


def _numbered(number: int, function: Callable[[T], R], task: T) -> tuple[int, R]:
    return number, function(task)


def _on_ray(
    calls: _Calls[T, R], place: Place, jobs: int | None
) -> Iterator[tuple[int, R | WorkerLost]]:
    """Tasks of Ray, which starts one again whose worker was lost.

    Options are those of ``ray.remote``: ``num_gpus=1`` for a run that is to see a GPU.
    """
    try:
        import ray
    except ImportError:
        raise _missing("ray", "ray") from None
    started = not ray.is_initialized()
    if started:
        kind: dict[str, Any] = {"address": place.address}
        if not place.address:
            cores = jobs if jobs and jobs > 0 else None
            kind = {"num_cpus": cores, "object_store_memory": OBJECT_STORE, "address": "local"}
        try:
            ray.init(
                **kind, include_dashboard=False if not place.address else None,
                log_to_driver=False, logging_level="error",
            )  # fmt: skip
        except Exception as error:  # a bare Exception too, where its start takes too long
            where = f"reach Ray at {place.address}" if place.address else "start Ray"
            raise QdlawsError(f"cannot {where}: {_first_line(error)}") from None
    try:
        remote = ray.remote(_call_packed).options(max_retries=ATTEMPTS, **place.options)
        waiting = {remote.remote(*calls.packed(n)): n for n in range(len(calls.tasks))}
        while waiting:
            ready, _ = ray.wait(list(waiting))
            for reference in ready:
                number = waiting.pop(reference)
                try:
                    yield number, ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                except ray.exceptions.RayError as error:
                    yield number, WorkerLost(_first_line(error))
    finally:
        if started:
            ray.shutdown()


def _on_dask(
    calls: _Calls[T, R], place: Place, jobs: int | None
) -> Iterator[tuple[int, R | WorkerLost]]:
    """Tasks of Dask, whose scheduler hands one out again whose worker was lost.

    Options are resources that a worker must have: ``GPU=1``.
    """
    try:
        from distributed import Client, KilledWorker, LocalCluster, wait
    except ImportError:
        raise _missing("dask", "distributed") from None
    try:
        if place.address:
            client = Client(place.address, timeout=30)
        else:
            workers = jobs if jobs and jobs > 0 else os.cpu_count()
            cluster = LocalCluster(
                n_workers=workers, threads_per_worker=1, dashboard_address=None, protocol="tcp://"
            )
            client = Client(cluster)
    except OSError as error:
        raise QdlawsError(f"no Dask scheduler at {place.address}: {_first_line(error)}") from None
    try:
        futures = {
            client.submit(
                _call_packed, *calls.packed(n), pure=False, resources=place.options or None
            ): n
            for n in range(len(calls.tasks))
        }
        alone = 0.0
        while futures:
            try:
                done, _ = wait(list(futures), timeout=LOOK_S, return_when="FIRST_COMPLETED")
            except TimeoutError:
                alone = 0.0 if client.nthreads() else alone + LOOK_S
                if alone >= ALONE_S:
                    raise QdlawsError(
                        f"Dask has had no worker for {ALONE_S:g} s, tasks left: {len(futures)}; "
                        "start workers and give the same command again"
                    ) from None
                continue
            alone = 0.0
            for future in done:
                number = futures.pop(future)
                try:
                    yield number, future.result()
                except KilledWorker as error:
                    yield number, WorkerLost(_first_line(error))
    finally:
        client.close()
        if not place.address:
            cluster.close()


def _on_slurm(
    calls: _Calls[T, R], left: Sequence[int], place: Place, folder: Path
) -> Iterator[tuple[int, R | WorkerLost]]:
    """Jobs of Slurm by submitit; one that is preempted or out of time is queued again.

    Options are those of sbatch or of submitit: ``partition=gpu,timeout_min=600,gpus_per_node=1``.
    ``cluster=local`` runs the jobs as processes of this machine, to try it.
    """
    try:
        import submitit
    except ImportError:
        raise _missing("slurm", "submitit") from None
    options = {"timeout_min": SLURM_MINUTES, "cpus_per_task": 1, "name": "qdlaws", **place.options}
    kind = options.pop("cluster", "slurm")
    try:
        executor = submitit.AutoExecutor(folder=folder, cluster=kind)
        common = {"timeout_min", "cpus_per_task", "gpus_per_node", "mem_gb", "name", "nodes"}
        executor.update_parameters(
            **{k if k in common or kind == "local" else f"slurm_{k}": v for k, v in options.items()}
        )
    except (RuntimeError, NameError, ValueError) as error:
        raise QdlawsError(f"cannot use {kind}: {_first_line(error)}") from None
    jobs = executor.map_array(_Requeued(), *zip(*(calls.packed(n) for n in left), strict=True))
    numbers = dict(zip(map(id, jobs), left, strict=True))
    for job in submitit.helpers.as_completed(jobs):
        number = numbers[id(job)]
        try:
            result = job.result()
        except submitit.core.utils.FailedJobError as error:
            raise QdlawsError(f"{kind} could not run a job: {_last_line(error)}") from None
        except submitit.core.utils.UncompletedJobError as error:
            result = WorkerLost(_first_line(error))
        if isinstance(result, _Raised):
            raise result.error
        yield number, result


@dataclass(frozen=True)
class _Raised:
    """What a task raised, as the result of its job: submitit would give the text alone."""

    error: Exception


class _Requeued:
    """The call of a task as a job that submitit queues again as it is."""

    def __call__(self, folder: str, path: Sequence[str], packed: bytes) -> Any:
        try:
            return _call_packed(folder, path, packed)
        except Exception as error:
            return _Raised(error)

    def checkpoint(self, folder: str, path: Sequence[str], packed: bytes) -> Any:
        import submitit

        return submitit.helpers.DelayedSubmission(self, folder, path, packed)


def _first_line(error: BaseException) -> str:
    return _lines(error)[0]


def _last_line(error: BaseException) -> str:
    return _lines(error)[-1]


def _lines(error: BaseException) -> list[str]:
    return [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
