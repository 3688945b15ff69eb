"""Processes of this machine: each a worker by itself, so that one may die without the others."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from sitrepbench.errors import ConfigError
from sitrepbench.sweep.executors import THREAD_VARIABLES, Limits
from sitrepbench.sweep.jobs import Errand, Reply
from sitrepbench.sweep.pools import WorkerDiedError

#: What the workers' parent imports once; every worker is a copy of it.
_PRELOADED = ["sitrepbench.sweep.preloaded"]
_JOIN_SECONDS = 5.0

ErrandFunction = Callable[[Errand], list[Reply]]


@dataclass(frozen=True)
class LocalExecutor(Limits):
    """Compute in processes of this machine.

    Parameters
    ----------
    workers : int or None
        How many; None for as many as there are processors to use.
    blas_threads, time_limit, retries, reuse_mb
        As in `Limits`.
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers is not None and self.workers < 1:
            raise ConfigError(f"executor.workers={self.workers}: at least 1 is expected")

    @property
    def slots(self) -> int:
        """The number of processes."""
        return self.workers or available_processors()

    @property
    def where(self) -> str:
        """Such as ``in 2 processes``."""
        return f"in {self.slots} process{'' if self.slots == 1 else 'es'}"

    def warm_up(self) -> None:
        """Start the process that workers are forked from: its imports take seconds."""
        start_server(multiprocessing.get_context("forkserver"), self.blas_threads)

    def pool(self, folder: Path) -> LocalPool:
        """Return a pool of `workers` processes; it keeps no files."""
        return LocalPool(self.slots, blas_threads=self.blas_threads)


def available_processors() -> int:
    """Return how many processors this process may use, as affinity and cgroups allow."""
    from joblib import cpu_count

    return int(cpu_count())


class LocalPool:
    """Worker processes, forked from a server that has imported everything once.

    Parameters
    ----------
    workers : int
        Processes.
    blas_threads : int
        Threads of the linear algebra libraries in each.
    work : callable
        What a worker does with an errand.
    """

    errand_jobs = 1

    def __init__(
        self, workers: int, *, blas_threads: int = 1, work: ErrandFunction | None = None
    ) -> None:
        self.slots = workers
        self._work = work
        self._blas_threads = blas_threads
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._workers: dict[int, _Worker] = {}
        self._lock = threading.Lock()
        self._woken, self._wake = self._context.Pipe(duplex=False)
        self._listener = threading.Thread(target=self._listen, name="workers", daemon=True)
        self._closed = False

    def __enter__(self) -> Self:
        start_server(self._context, self._blas_threads)
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        self._wake.send(None)
        self._listener.join()
        for worker in self._workers.values():
            worker.close()
        self._woken.close()
        self._wake.close()

    def submit(self, errand: Errand, slot: int) -> Future[list[Reply]]:
        """Hand an errand to the slot's worker, which is started where it is missing or dead."""
        with self._lock:
            try:
                worker = self._worker(slot)
            except (OSError, EOFError) as error:  # no memory, too many processes
                refused: Future[list[Reply]] = Future()
                refused.set_exception(WorkerDiedError(f"no process could be started: {error!r}"))
                return refused
            future = worker.send(errand)
        self._wake.send(None)
        return future

    def _worker(self, slot: int) -> _Worker:
        worker = self._workers.get(slot)
        if worker is not None and worker.process.is_alive():
            return worker
        if worker is not None:
            del self._workers[slot]
            worker.close()
        start_server(self._context, self._blas_threads)  # it may have been killed
        return self._workers.setdefault(slot, _Worker(self._context, self._work))

    def kill(self) -> None:
        """End all workers at once."""
        with self._lock:
            for worker in self._workers.values():
                worker.process.kill()

    def where(self) -> str:
        """Return ``2 processes`` or the like."""
        return f"{self.slots} process{'' if self.slots == 1 else 'es'}"

    def _listen(self) -> None:
        """Take answers in until the pool is closed."""
        while not self._closed:
            with self._lock:
                busy = [worker for worker in self._workers.values() if worker.future is not None]
            ends = {worker.pipe: worker for worker in busy}
            for ready in wait([self._woken, *ends]):
                if ready is self._woken:
                    self._woken.recv()
                elif isinstance(ready, Connection):
                    ends[ready].receive()


class _Worker:
    """One process with a pipe of its own: no lock is shared, so a kill can hold none."""

    def __init__(self, context: ForkServerContext, work: ErrandFunction | None) -> None:
        self.pipe, theirs = context.Pipe()
        self.process: ForkServerProcess = context.Process(
            target=_serve, args=(theirs, work), name="sitrepbench-worker", daemon=True
        )
        self.process.start()
        theirs.close()
        self.future: Future[list[Reply]] | None = None

    def send(self, errand: Errand) -> Future[list[Reply]]:
        future: Future[list[Reply]] = Future()
        future.set_running_or_notify_cancel()
        self.future = future
        # A worker that is dead already is found by reading the pipe.
        with contextlib.suppress(OSError):
            self.pipe.send(errand)
        return future

    def receive(self) -> None:
        """Take one answer, or the end of the process, as the future's result."""
        future, self.future = self.future, None
        assert future is not None
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join(_JOIN_SECONDS)
            future.set_exception(WorkerDiedError(_ending(self.process.exitcode)))
            return
        except Exception as error:  # half an answer, written by a dying process
            self.process.kill()
            self.process.join()
            future.set_exception(WorkerDiedError(f"its answer could not be read: {error}"))
            return
        if isinstance(answer, BaseException):
            future.set_exception(answer)
        else:
            future.set_result(answer)

    def close(self) -> None:
        """End the process: by the end of its errands or, if it does not hear, by force."""
        self.pipe.close()
        self.process.join(_JOIN_SECONDS if self.future is None else 0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        if self.future is not None:
            self.future.set_exception(WorkerDiedError("it was stopped"))
            self.future = None
        self.process.close()


def start_server(context: ForkServerContext, blas_threads: int) -> None:
    """Start the process that workers are forked from, with its imports, and do not wait for it.

    Where it runs, nothing happens.
    """
    from multiprocessing import forkserver, resource_tracker

    # Where it is started along with the server, it unblocks signals for the server as well.
    resource_tracker.ensure_running()
    context.set_forkserver_preload(_PRELOADED)
    # Ctrl-C reaches the whole group, and in the middle of its imports the server would die of it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _environment(dict.fromkeys(THREAD_VARIABLES, str(blas_threads))):
            forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, work: ErrandFunction | None) -> None:
    """Do errands until the parent closes the pipe, or is gone."""
    # Ctrl-C reaches the whole group; the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    from sitrepbench.sweep.worker import run_errand

    do = work or run_errand
    while True:
        try:
            errand = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: list[Reply] | Exception = do(errand)
        except Exception as error:
            answer = error
        try:
            _send(pipe, answer)
        except OSError:
            return  # the parent is gone; the records are in the store


def _send(pipe: Connection, answer: list[Reply] | Exception) -> None:
    try:
        pipe.send(answer)
    except OSError:
        raise
    except Exception as error:  # nothing is sent of what cannot be pickled
        pipe.send(TypeError(f"its answer cannot be sent: {error}"))


def _end_with_parent() -> None:
    """End this process, in the middle of a run, when its parent was killed.

    It would keep the claim, and whoever starts the sweep again would wait for it.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _ending(exitcode: int | None) -> str:
    if exitcode is None:
        return "it does not answer"
    if exitcode < 0:
        try:
            name = signal.Signals(-exitcode).name
        except ValueError:
            name = ""
        hint = "; the system does that when memory runs out" if -exitcode == signal.SIGKILL else ""
        return f"killed by signal {-exitcode} ({name}){hint}"
    return f"its process ended with exit code {exitcode}"
