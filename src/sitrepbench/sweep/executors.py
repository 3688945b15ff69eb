"""Where runs are computed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class SerialExecutor:
    """Compute in this process, one run after the other.

    Parameters
    ----------
    blas_threads : int
        Threads of the linear algebra libraries, at least 1. Labels do not depend on it;
        probabilities may, in their last bits.
    """

    blas_threads: int = 1

    def call(self, work: Callable[[], Result]) -> Result:
        """Return what ``work`` returns, with the linear algebra libraries limited."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=self.blas_threads):
            return work()
