"""Limits that every executor has, and the one that computes in this process."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sitrepbench.environment import thread_pools
from sitrepbench.errors import ConfigError
from sitrepbench.sweep.jobs import Errand, Reply

#: By these the linear algebra libraries are told their threads, before they are loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What holds for every run, wherever it is computed.

    Parameters
    ----------
    blas_threads : int
        Threads of the linear algebra libraries, at least 1. Labels do not depend on it;
        probabilities may, in their last bits.
    time_limit : float or None
        Seconds after which a run of a sweep is given up; None for no limit.
    retries : int
        How often a run is tried again whose worker was killed.
    reuse_mb : int
        Memory per worker for fitted features that the next run can use, MiB; 0 keeps none.
    """

    blas_threads: int = 1
    time_limit: float | None = None
    retries: int = 1
    reuse_mb: int = 1024

    def __post_init__(self) -> None:
        problems = []
        if self.blas_threads < 1:
            problems.append(f"executor.blas_threads={self.blas_threads}: at least 1 is expected")
        if self.time_limit is not None and self.time_limit <= 0:
            problems.append(f"executor.time_limit={self.time_limit}: seconds over 0 are expected")
        if self.retries < 0:
            problems.append(f"executor.retries={self.retries}: 0 or more is expected")
        if self.reuse_mb < 0:
            problems.append(f"executor.reuse_mb={self.reuse_mb}: 0 or more is expected")
        if problems:
            raise ConfigError("\n".join(problems))

    @property
    def slots(self) -> int:
        """How many runs are computed at once, as far as known beforehand."""
        return 1

    @property
    def where(self) -> str:
        """Where, in a few words."""
        return "one after the other"

    @property
    def elsewhere(self) -> bool:
        """Whether even a single run, without ``-m``, is computed outside of this machine."""
        return False

    def warm_up(self) -> None:
        """Begin nothing: workers elsewhere are slower to get than what comes before."""

    def call(self, work: Callable[[], Result]) -> Result:
        """Return what ``work`` returns, with the linear algebra libraries limited."""
        with thread_pools().limit(limits=self.blas_threads):
            return work()


@dataclass(frozen=True)
class SerialExecutor(Limits):
    """Compute in this process, one run after the other.

    Nothing can be ended here by force, so there is no time limit; ``executor=local
    executor.workers=1`` has one.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.time_limit is not None:
            raise ConfigError(
                f"executor.time_limit={self.time_limit:g}: a run in this process cannot be ended; "
                "use executor=local executor.workers=1"
            )

    def pool(self, folder: Path) -> SerialPool:
        """Return a pool of one slot; it keeps no files."""
        return SerialPool()


class SerialPool:
    """The program's own process as a pool: an errand is done when `submit` returns."""

    slots = 1
    errand_jobs = 1

    def submit(self, errand: Errand, slot: int) -> Future[list[Reply]]:
        """Do the errand."""
        from sitrepbench.sweep.worker import run_errand

        future: Future[list[Reply]] = Future()
        try:
            future.set_result(run_errand(errand))
        except Exception as error:
            future.set_exception(error)
        return future

    def kill(self) -> None:
        """Do nothing: there is nobody else."""

    def where(self) -> str:
        """Return ``this process``."""
        return "this process"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None
