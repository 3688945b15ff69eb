"""What a worker does: it prepares, computes and stores runs, and says what became of each.

It never touches MLflow, prints nothing, and is the same in this process, in one beside it, in a
Slurm job and in a Dask task.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from sitrepbench.config.run_config import RunConfig
from sitrepbench.environment import thread_pools
from sitrepbench.errors import ConfigError, ModelError, SitrepBenchError, StoreError
from sitrepbench.preparing import prepare
from sitrepbench.processes import this_host
from sitrepbench.reuse.memory import FittedFeatures
from sitrepbench.runs import BusyError, Obtained, obtain
from sitrepbench.store.failures import FailedRun, FailedRuns
from sitrepbench.store.looks import now
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep.jobs import Errand, Failure, Job, Reply, State
from sitrepbench.sweep.marks import Marks

#: How a failure is kept for the store; the message and the traceback are cut there.
MAX_DETAILS = 20_000


def run_errand(errand: Errand) -> list[Reply]:
    """Run the jobs of an errand one after the other; one reply each, in order.

    A job that was finished, or failed, earlier in the same attempt is not run again: a scheduler
    may hand an errand out anew when a worker dies.
    """
    marks = Marks(errand.attempt_dir)
    _limit_threads(errand.blas_threads)
    return [_settled(job, errand, marks) or _run(job, errand, marks) for job in errand.jobs]


def _settled(job: Job, errand: Errand, marks: Marks) -> Reply | None:
    said = marks.reply(job.key)
    if said is not None:
        return said
    if not marks.died_here(job.key):
        return None
    reply = marks.settle(
        job,
        retries=errand.retries,
        cause="its process is gone",
        time_limit=errand.time_limit,
        stored=errand.results_dir / "runs" / job.key,
    )
    if reply is not None:
        keep_failure(job, reply, errand.results_dir)
    return reply


def _run(job: Job, errand: Errand, marks: Marks) -> Reply:
    started = time.perf_counter()
    where = f"{this_host()}:{os.getpid()}"

    def reply(state: State, failure: Failure | None = None) -> Reply:
        return Reply(job.key, state, time.perf_counter() - started, where, failure)

    try:
        marks.begin(job.key)
    except OSError as error:
        # Where a mark cannot be written, a record cannot either.
        return reply(State.failed, _failure(_no_room(error, errand.results_dir), started, where))
    try:
        with _time_limit(errand.time_limit, marks.stack_file(job.key)):
            obtained = _obtain(job, errand)
            state = State.cached if obtained.cached else State.done
            made = replace(reply(state), summaries=obtained.summaries)
    except BusyError:
        marks.clear(job.key)
        return reply(State.busy)
    except (Exception, SystemExit) as error:  # a model is anybody's code
        made = reply(State.failed, _failure(error, started, where))
        keep_failure(job, made, errand.results_dir)
    marks.finish(made)
    return made


def _obtain(job: Job, errand: Errand) -> Obtained:
    """Take a run from the store, or compute and store it."""
    config = RunConfig(job.tree, job.names, job.overrides)
    prepared = prepare(config, reason=job.reason)
    if prepared.key != job.key:
        raise ConfigError(
            f"this worker comes to the key {prepared.key} where the program that sent the run has "
            f"{job.key}: its code, its data or its library versions differ. Give every worker "
            "the same environment and the same files."
        )
    fitted = _fitted(errand.reuse_mb, errand.results_dir)
    return obtain(prepared, _store(errand.results_dir), fitted=fitted, wait=False)


@lru_cache(maxsize=1)
def _fitted(limit_mb: int, results_dir: Path) -> FittedFeatures:
    """Return this process's fitted features, kept for the next run."""
    return FittedFeatures(limit_mb, folder=results_dir)


@lru_cache(maxsize=2)
def _store(folder: Path) -> ResultsStore:
    return ResultsStore(folder)


@lru_cache(maxsize=1)
def _limit_threads(blas_threads: int) -> None:
    """Limit the linear algebra libraries of this process from now on."""
    thread_pools().limit(limits=blas_threads)


@contextlib.contextmanager
def _time_limit(seconds: float | None, stack: Path) -> Iterator[None]:
    """End this process, also in the middle of compiled code, when the time is up.

    The stack at that moment goes to a file, by which others see what happened.
    """
    if seconds is None:
        yield
        return
    try:
        opened = stack.open("w", encoding="utf-8")
    except OSError as error:
        raise _no_room(error, stack.parent) from error
    with opened as file:
        faulthandler.dump_traceback_later(seconds, exit=True, file=file)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
    stack.unlink(missing_ok=True)


def _failure(error: BaseException, started: float, where: str) -> Failure:
    try:
        message = str(error)
    except Exception:  # an exception is anybody's code, too
        message = ""
    if not isinstance(error, SitrepBenchError):
        message = f"{type(error).__name__}: {message}" if message else type(error).__name__
    details = "".join(traceback.format_exception(error))
    return Failure(
        type(error).__name__,
        _printable(message),
        _printable(details[-MAX_DETAILS:]),
        time.perf_counter() - started,
        where,
    )


def _printable(text: str) -> str:
    """Replace lone surrogates, which no file and no terminal takes."""
    return text.encode(errors="replace").decode()


def _no_room(error: OSError, results_dir: Path) -> StoreError:
    return StoreError(
        f"{results_dir}: cannot be written: {error.strerror or error}. Free some space or choose "
        "another place with results_dir=FOLDER, and run the same command again."
    )


def keep_failure(job: Job, reply: Reply, results_dir: Path) -> None:
    """Keep a failed reply in the results store; a full disk loses the note, not more."""
    if reply.failure is None:
        return
    codes = {kind.__name__: kind.exit_code for kind in _kinds(SitrepBenchError)}
    with contextlib.suppress(StoreError):
        FailedRuns(results_dir).put(
            FailedRun(
                key=job.key,
                run_name=job.name,
                study=str(job.tree.get("study") or "adhoc"),
                command=job.command,
                kind=reply.failure.kind,
                message=reply.failure.message,
                details=reply.failure.details,
                time=now(),
                seconds=round(reply.failure.seconds, 3),
                where=reply.failure.where,
                exit_code=codes.get(reply.failure.kind, ModelError.exit_code),
            )
        )


def _kinds(kind: type[SitrepBenchError]) -> Iterator[type[SitrepBenchError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
