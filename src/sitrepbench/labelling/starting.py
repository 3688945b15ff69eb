"""How workers are started: forked, where that can be, from a process that has their imports."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.context import ForkServerContext, SpawnContext

#: What the workers' parent imports once; every worker is a copy of it.
_PRELOADED = ["sitrepbench.labelling.preloaded"]
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def start_server() -> ForkServerContext | SpawnContext:
    """Return what starts workers; its imports begin here, and nobody waits for them.

    Where a server runs already, such as a sweep's, workers are forked from that one.
    """
    if sys.platform != "linux":
        # Elsewhere forks of a process with threads are not safe, or there are none.
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    context = multiprocessing.get_context("forkserver")
    # Where it is started along with the server, it unblocks signals for the server as well.
    resource_tracker.ensure_running()
    context.set_forkserver_preload(_PRELOADED)
    with without_interrupts(), one_thread():
        forkserver.ensure_running()
    return context


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: their parent ends them; nothing is lost here."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def one_thread() -> Iterator[None]:
    """Start processes whose libraries begin with one thread."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
