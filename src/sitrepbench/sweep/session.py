"""One start of a sweep: take what the store has, compute the rest, keep the ledger.

Knows neither Hydra, which says what to run, nor MLflow, which is told what became of it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from sitrepbench.config.run_config import RunConfig
from sitrepbench.config.schema import Resume
from sitrepbench.errors import StoreError
from sitrepbench.runs import record_looks
from sitrepbench.store.failures import FailedRuns
from sitrepbench.store.looks import now
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep.interruption import Interruption
from sitrepbench.sweep.jobs import Failure, Job, Reply, State
from sitrepbench.sweep.ledger import (
    ATTEMPTS_FOLDER,
    PlannedRun,
    SweepLedger,
    SweepPlan,
    may_go_on,
    sweep_id,
)
from sitrepbench.sweep.marks import Marks
from sitrepbench.sweep.planning import Planner, SweepRun, check_common, check_looks
from sitrepbench.sweep.pools import Executor, Pool
from sitrepbench.sweep.schedule import Scheduler, Settings
from sitrepbench.sweep.worker import keep_failure


class View(Protocol):
    """Who watches a sweep: a display, MLflow, or both."""

    def preparing(self, done: int, total: int) -> None:
        """So many runs of the batch are prepared."""

    def planned(self, session: SweepSession, todo: Sequence[SweepRun]) -> None:
        """All runs are prepared, and the store was looked at; these are to be computed."""

    def finished(self, run: SweepRun, reply: Reply | None = None) -> None:
        """A run came to its end: done, taken from the store, or failed.

        The reply is that of its worker; a run that is asked for twice has it once.
        """

    def looked(self, session: SweepSession) -> None:
        """Some time went by."""

    def said(self, message: str) -> None:
        """Something that people should read now."""


class SweepSession:
    """A sweep under way; a context manager.

    Hydra's sweepers hand runs over in one batch or in several: each goes through `launch`.

    Parameters
    ----------
    results_dir : Path
        The results store.
    study : str
        The study or ``adhoc``.
    command : str
        The command line of the sweep.
    view : View
        Who watches.
    named : str or None
        What stands for the runs in the sweep's id where they are not known from the start.

    Attributes
    ----------
    runs : list of SweepRun
        All runs so far.
    counts : Counter
        How many of them are in which state.
    plan : SweepPlan or None
        None before the first batch.
    fatal : Failure or None
        Why nothing could be computed any more, such as a full disk.
    """

    def __init__(
        self, results_dir: Path, study: str, command: str, view: View, *, named: str | None = None
    ) -> None:
        self.store = ResultsStore(results_dir)
        self.study = study
        self.command = command
        self.runs: list[SweepRun] = []
        self.counts: Counter[State] = Counter()
        self.plan: SweepPlan | None = None
        self.ledger: SweepLedger | None = None
        self.pool: Pool | None = None
        self.under_way: dict[str, Job] = {}
        self.interrupted = False
        self.fatal: Failure | None = None
        self._view = view
        self._named = named
        self._planner = Planner()
        self._stack = ExitStack()
        self._by_key: dict[str, list[SweepRun]] = {}
        self._attempt: Path | None = None
        self._scheduler: Scheduler | None = None
        self._ledger_failed = False
        self._whole: set[str] = set()
        self._busy: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._stack.__exit__(kind, error, trace)
        finally:
            if self.ledger is not None:
                with contextlib.suppress(StoreError):
                    self.ledger.end("interrupted" if kind is not None else self.how)
            if self._attempt is not None:
                shutil.rmtree(self._attempt, ignore_errors=True)

    @property
    def complete(self) -> bool:
        """Whether every run has its record."""
        return self.counts[State.done] + self.counts[State.cached] == len(self.runs)

    @property
    def how(self) -> str:
        """How it ends: ``done``, ``failed`` or ``interrupted``, as the ledger has it."""
        if self.complete:
            return "done"
        left = self.counts[State.waiting] or self.interrupted or self.fatal is not None
        return "interrupted" if left else "failed"

    def launch(self, configs: Sequence[RunConfig]) -> list[SweepRun]:
        """Bring a batch of runs to its end, and return them in order.

        A run that fails does not stop the others. After an interruption, and where nothing can
        be stored any more, the rest is left waiting.

        Raises
        ------
        ConfigError
            When the runs differ in what a sweep has one of, or the executor cannot be used.
        LockedSplitError
            When several runs would read a test split that no study declares.
        KeyboardInterrupt, Terminated
            When it was told to end at once.
        """
        if not configs:
            return []
        check_common(configs)
        with Interruption(self._interrupt):
            executor: Executor = configs[0].build("executor")
            executor.warm_up()
            batch = self._prepare_all(configs)
            check_looks(self.runs)
            if self.interrupted:
                # Without all keys it would be another sweep's ledger.
                return batch
            unwritable: StoreError | None = None
            try:
                self._open_ledger(batch)
            except StoreError as error:
                unwritable = error
            todo = self._take_from_store(batch)
            if todo and unwritable is not None:
                # A store that may only be read still answers for what it has.
                raise unwritable
            self._view.planned(self, todo)
            if todo and not self.interrupted:
                self._compute(todo, executor)
        return batch

    # What the scheduler tells.

    def handed_out(self, jobs: Sequence[Job], slot: int) -> None:
        """Note that jobs are under way."""
        for job in jobs:
            self.under_way[job.key] = job
            if job.key not in self._busy:
                self._note(job.key, State.running)
        self._view.looked(self)

    def replied(self, job: Job, reply: Reply) -> None:
        """Note what became of a job."""
        self.under_way.pop(job.key, None)
        self._note(
            job.key, reply.state, seconds=reply.seconds, where=reply.where, failure=reply.failure
        )
        self._finish(job.key, reply)

    def tried_again(self, job: Job, cause: str) -> None:
        """Tell that a job goes back into the queue."""
        self.under_way.pop(job.key, None)
        self._view.said(f"{job.name}: its worker ended ({cause}); the run is tried again.")

    def busy(self, job: Job) -> None:
        """Note, once, that another process computes a job."""
        self.under_way.pop(job.key, None)
        if job.key not in self._busy:
            self._busy.add(job.key)
            self._note(job.key, State.busy)

    def put_back(self, job: Job) -> None:
        """Take a job that was not begun as waiting."""
        self.under_way.pop(job.key, None)
        self._note(job.key, State.waiting)

    def looked(self) -> None:
        """Pass on that time went by."""
        if self.interrupted and self._scheduler is not None:
            self._scheduler.stop()
        self._view.looked(self)

    def _interrupt(self) -> None:
        self.interrupted = True
        if self._scheduler is not None:
            self._scheduler.stop()
            n = len(self.under_way)
            what = f"the {n} runs under way end" if n != 1 else "the run under way ends"
            # This is in a signal's handler, which may have come in the middle of printing.
            with contextlib.suppress(RuntimeError):
                self._view.said(f"Stopping when {what}; Ctrl-C again ends at once.")

    def _prepare_all(self, configs: Sequence[RunConfig]) -> list[SweepRun]:
        batch: list[SweepRun] = []
        for number, config in enumerate(configs):
            self._view.preparing(number, len(configs))
            batch.append(self._planner.prepare(config))
            if self.interrupted:
                break
        self._view.preparing(len(configs), len(configs))
        # What there was no time for is left waiting.
        batch += [SweepRun(config) for config in configs[len(batch) :]]
        self.runs += batch
        self.counts.update(run.state for run in batch)
        for run in batch:
            self._by_key.setdefault(run.key, []).append(run)
        return batch

    def _open_ledger(self, batch: Sequence[SweepRun]) -> None:
        planned = {run.key: PlannedRun(run.key, run.name, run.command, run.config.overrides)
                   for run in self.runs}  # fmt: skip
        keys = planned if self._named is None else [self._named]
        created = self.plan.created if self.plan else now()
        self.plan = SweepPlan(
            sweep_id(self.study, keys), self.study, self.command, created, tuple(planned.values())
        )
        if self.ledger is None:
            self.ledger = SweepLedger.open(self.store.folder, self.plan)
            _sweep_attempts(self.ledger.folder / ATTEMPTS_FOLDER)
            # A worker sweeps at its first record only, and there may be none to come.
            for left in self.store.abandoned():
                shutil.rmtree(left, ignore_errors=True)
            self.ledger.start()
            self._attempt = self.ledger.attempt_folder()
        else:
            self.ledger.write_plan(self.plan)

    def _take_from_store(self, batch: Sequence[SweepRun]) -> list[SweepRun]:
        """Settle what need not be computed, and return the rest, each key once."""
        failed_before = FailedRuns(self.store.folder).keys()
        there = self.store.has({run.key for run in batch})
        todo: dict[str, SweepRun] = {}
        for run in batch:
            if run.state is State.failed:
                self._note(run.key, State.failed, failure=run.failure)
                self._view.finished(run)
            elif run.job is None or run.state.finished:
                continue
            elif run.config.resume is not Resume.never and self._is_whole(run.key, there):
                self._take(run)
            elif run.config.resume is Resume.cached_only:
                message = (
                    f"not in {self.store.folder}, and resume=cached_only computes nothing; use "
                    "resume=missing"
                )
                self._set(run, State.failed, Failure(StoreError.__name__, message))
                self._view.finished(run)
            elif run.config.resume is not Resume.failed or run.key in failed_before:
                todo.setdefault(run.key, run)
        return list(todo.values())

    def _is_whole(self, key: str, there: set[str]) -> bool:
        """Return whether a record is there and can be read; a damaged one is set aside."""
        if key in there and key not in self._whole:
            if self.store.find(key) is None:
                there.discard(key)
                return False
            self._whole.add(key)
        return key in there

    def _take(self, run: SweepRun) -> None:
        if run.prepared is not None:
            record_looks(run.prepared, self.store)
        self._set(run, State.cached)
        if self._by_key[run.key][0] is run:
            self._note(run.key, State.cached)
        self._view.finished(run)

    def _compute(self, todo: Sequence[SweepRun], executor: Executor) -> None:
        assert self.ledger is not None
        assert self._attempt is not None
        if self.pool is None:
            folder = self.ledger.folder / "workers"
            self.pool = self._stack.enter_context(executor.pool(folder))
        settings = Settings.of(executor, self.store.folder, self._attempt)
        self._scheduler = Scheduler(self.pool, settings, self, keep_failure=keep_failure)
        if self.interrupted:
            self._scheduler.stop()
        self._scheduler.run([run.job for run in todo if run.job is not None])
        self.fatal = self._scheduler.fatal
        self._scheduler = None

    def _finish(self, key: str, reply: Reply) -> None:
        for number, run in enumerate(self._by_key[key]):
            self._set(run, reply.state, reply.failure)
            self._view.finished(run, reply if number == 0 else None)

    def _set(self, run: SweepRun, state: State, failure: Failure | None = None) -> None:
        self.counts[run.state] -= 1
        self.counts[state] += 1
        run.state, run.failure = state, failure

    def _note(
        self,
        key: str,
        state: State,
        *,
        seconds: float = 0.0,
        where: str = "",
        failure: Failure | None = None,
    ) -> None:
        """Write into the ledger; if that fails, the records are still the truth."""
        if self.ledger is None:
            return
        try:
            self.ledger.note(key, state, seconds=seconds, where=where, failure=failure)
        except StoreError as error:
            if not self._ledger_failed:
                self._view.said(f"The ledger could not be written: {error}")
            self._ledger_failed = True


def _sweep_attempts(folder: Path) -> None:
    """Remove the marks that starts left behind of which no process lives."""
    with contextlib.suppress(OSError):
        for attempt in list(folder.iterdir()):
            marks = Marks(attempt)
            if not may_go_on(attempt) and not any(map(marks.may_live, marks.under_way())):
                shutil.rmtree(attempt, ignore_errors=True)
