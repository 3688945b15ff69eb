"""What is heard, timed and blamed while anybody's model works; it decides no prediction."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

from sitrepbench.errors import ModelError, SitrepBenchError
from sitrepbench.reuse.embeddings import EmbeddingTally, embeddings_counted

_TOGETHER: ContextVar[EmbeddingTally | None] = ContextVar("timed_together", default=None)


@contextmanager
def blaming(name: str, where: str) -> Iterator[None]:
    """Turn whatever goes wrong into an error that says what failed, and on which cell."""
    try:
        yield
    except SitrepBenchError as error:
        # Whose fault it is stays as it was told, and with it the exit code.
        raise type(error)(f"{where}: {error}") from error
    except (Exception, SystemExit) as error:  # a model is anybody's code
        raise ModelError(f"{name} failed ({where}): {type(error).__name__}: {error}") from error


@contextmanager
def listening() -> Iterator[list[warnings.WarningMessage]]:
    """Gather warnings instead of showing them."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield heard


def texts(heard: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Return what was heard, a line each."""
    lines = ((item.category.__name__, str(item.message).splitlines()) for item in heard)
    return tuple(f"{name}: {said[0] if said else ''}" for name, said in lines)


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Yield a clock, in seconds, for which a vector from the store takes as long as making it.

    So the cost of a run is that of the run by itself, whatever earlier runs have computed.
    """
    together = _TOGETHER.get()
    with embeddings_counted() if together is None else nullcontext(together) as tally:
        yield lambda: time.perf_counter() + tally.spared_seconds


@contextmanager
def timed_together() -> Iterator[None]:
    """Let all stopwatches meanwhile count a text once: the second asks for a vector that is there.

    It may decorate a function.
    """
    with embeddings_counted() as tally:
        token = _TOGETHER.set(tally)
        try:
            yield
        finally:
            _TOGETHER.reset(token)
