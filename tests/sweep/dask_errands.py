"""What workers do in the tests of Dask pools; they import it by name."""

from __future__ import annotations

import faulthandler
import os
import threading
import time
from pathlib import Path

from sitrepbench.sweep.jobs import Errand, Job, Reply, State

#: Nothing in these tests takes as long where all is well, seconds.
LONG = 60.0


def act(errand: Errand) -> list[Reply]:
    """Do what each job's configuration says, and answer with this process's number."""
    return [_act(job, errand) for job in errand.jobs]


def _act(job: Job, errand: Errand) -> Reply:
    here = errand.attempt_dir / f"{job.name}.pid"
    match job.tree["do"]:
        case "answer":
            pass
        case "raise":
            raise ValueError(f"{job.name} cannot be done")
        case "meet":
            note(here)
            for name in job.tree["others"]:
                await_file(errand.attempt_dir / f"{name}.pid")
        case "stay":
            note(here)
            threading.Event().wait(LONG)
        case "overrun":
            # What ends a run whose time is up, also in the middle of compiled code.
            with here.with_suffix(".stack").open("w") as file:
                faulthandler.dump_traceback_later(0.1, exit=True, file=file)
                threading.Event().wait(LONG)
        case "threads":
            return Reply(job.key, State.done, where=str(_threads()))
    return Reply(job.key, State.done, where=str(os.getpid()))


def note(file: Path) -> None:
    """Write this process's number into a file, whole or not at all."""
    beside = file.with_suffix(f".{os.getpid()}")
    beside.write_text(str(os.getpid()))
    beside.replace(file)


def await_file(file: Path) -> str:
    """Return what stands in a file once it is there."""
    deadline = time.monotonic() + LONG
    while not file.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{file.name} was not written")
        time.sleep(0.02)
    return file.read_text()


def _threads() -> list[int]:
    import numpy  # noqa: F401  # brings its BLAS along
    from threadpoolctl import threadpool_info

    return sorted({pool["num_threads"] for pool in threadpool_info()})
