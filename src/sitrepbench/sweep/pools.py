"""What an executor must be able to do, whatever it computes on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self, TypeVar

from sitrepbench.sweep.jobs import Errand, Reply

Result = TypeVar("Result")


class WorkerDiedError(Exception):
    """A worker that ended without an answer: killed, out of memory, over its time, or lost.

    Its text says what is known, such as ``killed by signal 9``.
    """


class Pool(Protocol):
    """Open workers; a context manager that leaves no process, job or thread behind.

    ``slots`` errands can be under way at once, numbered from 0; an errand in the same slot as the
    one before goes, where the pool can do so, to the same worker, which keeps fitted features.
    """

    slots: int
    #: How many jobs an errand should have at most.
    errand_jobs: int

    def submit(self, errand: Errand, slot: int) -> Future[list[Reply]]:
        """Hand an errand out.

        The future's result is one reply per job, in order. It raises `WorkerDiedError` where
        the worker ended without an answer, whatever it had finished before; the slot can be used
        again afterwards.
        """

    def kill(self) -> None:
        """End what is under way, at once and without an answer."""

    def where(self) -> str:
        """Say in a few words where runs are computed, such as ``2 processes``."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Executor(Protocol):
    """What ``executor=...`` names: the settings of a pool, and how one run is called."""

    @property
    def time_limit(self) -> float | None:
        """Seconds per run; None for no limit."""

    @property
    def retries(self) -> int:
        """How often a run is tried again whose worker died."""

    @property
    def blas_threads(self) -> int:
        """Threads of the linear algebra libraries."""

    @property
    def reuse_mb(self) -> int:
        """Memory for fitted features per worker, MiB."""

    @property
    def slots(self) -> int:
        """How many runs are computed at once, as far as known beforehand."""

    @property
    def where(self) -> str:
        """Where, in a few words, such as ``in 2 processes``."""

    @property
    def elsewhere(self) -> bool:
        """Whether even a single run, without ``-m``, is computed outside of this machine."""

    def warm_up(self) -> None:
        """Begin what takes a while and will be needed, without waiting for it."""

    def pool(self, folder: Path) -> Pool:
        """Return a pool that is not open yet; ``folder`` is for its own files.

        Raises
        ------
        ConfigError
            When an extra or a scheduler is missing; it names the command that installs it.
        """

    def call(self, work: Callable[[], Result]) -> Result:
        """Return what ``work`` returns, with the linear algebra libraries limited."""
