"""The worker's side of Dask: what is sent there by name, so it needs sitrepbench installed."""

from __future__ import annotations

import pickle
import platform
import shlex
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sitrepbench
from sitrepbench.sweep.jobs import Reply


def do_errand(parcel: bytes) -> list[Reply]:
    """Do a pickled errand.

    Parameters
    ----------
    parcel : bytes
        A pair: a function, or None for `run_errand`, and its `Errand`. Only a worker reads it; a
        scheduler, which imports this module, does not import what computes.
    """
    work, errand = pickle.loads(parcel)
    if work is None:
        from sitrepbench.sweep.worker import run_errand as work
    replies: list[Reply] = work(errand)
    return replies


def describe_worker(probe: str) -> dict[str, Any]:
    """Return which versions a worker has, and whether it sees a file of the parent's."""
    return {
        "sitrepbench": sitrepbench.__version__,
        "Python": ".".join(platform.python_version_tuple()[:2]),
        "sees": Path(probe).exists(),
    }


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C, which reaches the whole group, to the parent; Dask calls this in a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def worker_command(address: str | None) -> str:
    """Return the command line that starts workers which suit.

    >>> worker_command("tcp://10.0.0.5:8786")
    'dask worker tcp://10.0.0.5:8786 --nthreads 1 --nworkers 4 --memory-limit 0'
    """
    where = shlex.quote(address or "ADDRESS")
    return f"dask worker {where} --nthreads 1 --nworkers 4 --memory-limit 0"


def is_usable(worker: Mapping[str, Any]) -> bool:
    """Return whether a worker, as its scheduler describes it, can be given an errand."""
    return bool(worker["nthreads"] == 1 and worker.get("status", "running") == "running")


def thread_problems(workers: Mapping[str, Mapping[str, Any]], address: str | None) -> list[str]:
    """Say which workers have several threads, which would share limits and warnings of a run."""
    many = {who: worker["nthreads"] for who, worker in workers.items() if worker["nthreads"] != 1}
    if not many:
        return []
    listed = "\n".join(f"  {who}: {threads} threads" for who, threads in sorted(many.items()))
    return [
        "Dask workers of one thread each are expected, for the time limit and the limits of the "
        f"linear algebra libraries are a process's. Found:\n{listed}\nStart them with\n"
        f"  {worker_command(address)}"
    ]


def installation_problem(who: str, said: object, ours: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a worker's installation, if anything.

    Parameters
    ----------
    who : str
        Who was asked.
    said : object
        The answer to `describe_worker`, or the exception that came instead.
    ours : mapping
        This process's answer.
    """
    if isinstance(said, Exception) and "sitrepbench" in str(said):
        return (
            f"{who} cannot import sitrepbench ({said}). Install "
            f"'sitrepbench[dask]=={ours['sitrepbench']}' in its environment and start it anew"
        )
    if not isinstance(said, Mapping):
        return f"{who} does not say what it has installed: {said!r}"
    other = [name for name in ("sitrepbench", "Python") if said[name] != ours[name]]
    if other:
        theirs = ", ".join(f"{name} {said[name]}" for name in other)
        wanted = ", ".join(f"{name} {ours[name]}" for name in other)
        return f"{who} has {theirs}; {wanted}, as here, is expected"
    if not said["sees"]:
        return (
            f"{who} does not see the results store. Put it on a file system that all hosts share "
            "under the same path: results_dir=FOLDER"
        )
    return None
