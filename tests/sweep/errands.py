"""Jobs and errands for tests, and what workers are told to do with them; workers import it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sitrepbench.sweep.jobs import Errand, Job, Reply, State


def job(key: str, **changes: Any) -> Job:
    """Return a job with no configuration."""
    return Job(key, f"run {key}", {}, {}, **changes)


def errand(folder: Path, *keys: str, **changes: Any) -> Errand:
    """Return an errand whose marks and results go to a folder."""
    return Errand(tuple(map(job, keys)), folder, folder, **changes)


def do(errand: Errand) -> list[Reply]:
    """Do what the first job's key says, such as ``exit 3``; any other key is answered at once."""
    said, _, argument = errand.jobs[0].key.partition(" ")
    if said in _DEEDS:
        _DEEDS[said](argument)
    where = f"{os.getpid()}"
    return [Reply(job.key, State.done, where=where) for job in errand.jobs]


def answer_oddly(errand: Errand) -> list[Any]:
    """Give an answer that cannot be pickled."""
    return [threading.Lock()]


def tell_threads(errand: Errand) -> list[Reply]:
    """Answer with the number of threads that the linear algebra libraries were told."""
    return [Reply(job.key, State.done, where=os.environ["OMP_NUM_THREADS"]) for job in errand.jobs]


def say_and_wait(path: str) -> None:
    """Make a file that says who this is, and wait for a signal."""
    beside = Path(f"{path}.{os.getpid()}")
    beside.write_text(str(os.getpid()), encoding="utf-8")
    beside.replace(path)
    signal.pause()


def stand_in_c(path: str) -> None:
    """Wait in C code that holds the interpreter's lock, so that no Python thread gets on."""
    Path(path).touch()
    ctypes.PyDLL(None).pause()


def _raise(message: str) -> None:
    raise LookupError(message)


_DEEDS: dict[str, Callable[[str], object]] = {
    "exit": lambda code: os._exit(int(code)),
    "leave": lambda code: sys.exit(int(code)),
    "kill": lambda number: os.kill(os.getpid(), int(number)),
    "raise": _raise,
    "wait": say_and_wait,
    "stick": stand_in_c,
}
