"""What the tests have Slurm jobs do; jobs import it by the PYTHONPATH that they inherit."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from sitrepbench.sweep.jobs import Errand, Job, Reply, State

_SECONDS = 60.0


def errand(folder: Path, *keys: str) -> Errand:
    """Return an errand whose marks go to a folder."""
    jobs = tuple(Job(key, f"run {key}", {}, {}) for key in keys)
    return Errand(jobs, folder, folder)


def answer(errand: Errand) -> list[Reply]:
    """Answer at once."""
    return [Reply(job.key, State.done, where=str(os.getpid())) for job in errand.jobs]


def tell_environment(errand: Errand) -> list[Reply]:
    """Answer with the variables that a job sees."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "SLURM_CPUS_PER_TASK", "SLURM_JOB_NAME")
    seen = {name: os.environ.get(name) for name in (*names, "FROM_SETUP", "FROM_PYTHON")}
    return [Reply(job.key, State.done, where=json.dumps(seen)) for job in errand.jobs]


def wait_for_go(errand: Errand) -> list[Reply]:
    """Say in ``<key>.started`` who this is, and answer when there is a file ``<key>.go``."""
    begin(errand)
    for job in errand.jobs:
        _wait_for(errand.attempt_dir / f"{job.key}.go")
    return answer(errand)


def wait_for_other(errand: Errand) -> list[Reply]:
    """Answer when two jobs have started."""
    begin(errand)
    _wait_for(errand.attempt_dir / "left.started")
    _wait_for(errand.attempt_dir / "right.started")
    return answer(errand)


def raise_error(errand: Errand) -> list[Reply]:
    """Fail in a way that no run does."""
    raise LookupError(f"no {errand.jobs[0].key} here")


def begin(errand: Errand) -> None:
    """Write the first run's ``.started`` file, whole."""
    file = errand.attempt_dir / f"{errand.jobs[0].key}.started"
    beside = file.with_suffix(f".{os.getpid()}")
    text = {"pid": os.getpid(), "job": os.environ["SLURM_JOB_ID"]}
    beside.write_text(json.dumps(text), encoding="utf-8")
    beside.replace(file)


def _wait_for(file: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {file} in {_SECONDS:g} s")
        time.sleep(0.02)
