"""Logging while runs are still being computed: a thread with a queue, and nothing is lost.

The results store has every record before it is handed over here. So whatever happens to MLflow,
its server or this process costs a view that the next start makes good, and never a run.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from sitrepbench.errors import SitrepBenchError, TrackingError
from sitrepbench.metrics.summary import Summary
from sitrepbench.store.record import RunRecord
from sitrepbench.sweep.jobs import Failure, Job
from sitrepbench.tracking.attempts import attempt_entry
from sitrepbench.tracking.database import AwayError
from sitrepbench.tracking.entries import CONTENT_KEY, Entry, run_entry
from sitrepbench.tracking.log import summaries_of
from sitrepbench.tracking.session import TrackingSession
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.tracking.sweeps import SweepInfo, SweepOutcome
from sitrepbench.tracking.tasks import Check, Follow, Task, TrackingReport, tasks_of
from sitrepbench.tracking.training_curves import CurveWatch

#: How long `Tracker.close` waits for an MLflow that is away, from its last sign of life on.
CLOSE_SECONDS = 30.0
NOTHING_LOST = "Nothing is lost: the runs are in the results store, and the next run logs them."

#: The thread asks often and briefly, so that it can be closed at any time.
_PATIENCE_SECONDS = 2.0
#: How long runs are gathered before they are written together.
_GATHER_SECONDS = 0.5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 3.0
#: How often the curves of runs under way are looked at.
_FOLLOW_SECONDS = 2.0
#: How often a run is offered to an MLflow that is there and refuses it.
_TRIES = 3
#: A hanging request may outlast the thread's own patience by this.
_GRACE_SECONDS = 5.0

Value = TypeVar("Value")


class _GivenUpError(Exception):
    """MLflow stayed away for too long after the tracker was closed."""


class Tracker:
    """A thread that logs what it is given; a context manager.

    `log`, `log_missing` and `fail` return at once and may be called from any thread. While MLflow
    is away the queue grows; nothing that the thread meets escapes from it unseen, and it never
    keeps the interpreter from ending.

    Parameters
    ----------
    settings : TrackingSettings
        Where to log to; with tracking off, nothing is done.
    sweep : SweepInfo or None
        The sweep that the runs belong to; it gets a parent run.
    on_logged : callable or None
        Told the content key and the MLflow run id of every run that is written, in the thread.
    """

    def __init__(
        self,
        settings: TrackingSettings,
        sweep: SweepInfo | None = None,
        *,
        on_logged: Callable[[str, str], None] | None = None,
    ) -> None:
        hasty = replace(
            settings, patience_seconds=min(settings.patience_seconds, _PATIENCE_SECONDS)
        )
        self._session = TrackingSession(hasty, sweep)
        self._enabled = settings.enabled
        self._local = settings.database is not None
        self._on_logged = on_logged
        self._study = sweep.study if sweep else ""
        self._queue: deque[Task | Check] = deque()
        self._under_way: list[Task] = []
        self._watch: CurveWatch | None = None
        self._refused: list[Entry] = []
        self._unlogged: dict[str, str] = {}
        self._outcome: SweepOutcome | None = None
        self._changed = threading.Condition()
        self._closing: float | None = None
        self._close_seconds = CLOSE_SECONDS
        self._progress = time.monotonic()
        self._started = self._progress
        self._problem: TrackingError | None = None
        self._details = ""
        self._pause_seconds = _FIRST_PAUSE
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Start the thread, which takes up contact with MLflow at once."""
        if self._enabled and self._thread.ident is None:
            self._thread.start()

    @property
    def pending(self) -> int:
        """How many runs and attempts wait for being logged."""
        return len(self._queue) + len(self._under_way) + len(self._refused)

    def log(self, record: RunRecord, summaries: Mapping[str, Summary] | None = None) -> None:
        """Log a finished run; without its ``summaries`` they are computed anew, in the thread."""

        def make() -> Entry:
            return run_entry(record, summaries_of(record) if summaries is None else summaries)

        self._put(Task(record.key, make))

    def log_missing(self, keys: Iterable[str], load: Callable[[str], RunRecord | None]) -> None:
        """Log those of the runs that are not in MLflow yet; see `log.log_missing`."""
        self._put(Check(tuple(keys), load))

    def fail(self, job: Job, failure: Failure) -> None:
        """Log a failed attempt; the same one told twice is logged once."""
        self._put(Task(job.key, lambda: attempt_entry(job, failure, study=self._study)))

    def follow(self, watch: CurveWatch) -> None:
        """Show the curves of runs under way as they grow; what cannot be shown now is later."""
        with self._changed:
            self._watch = watch
            self._changed.notify_all()

    def replan(self, sweep: SweepInfo) -> None:
        """Take note that the sweep has more runs than it was said to have."""
        self._session.sweep = sweep

    def finish(self, outcome: SweepOutcome) -> None:
        """Say how the sweep ended; without this, `close` ends it as interrupted."""
        self._outcome = outcome

    def close(self, seconds: float = CLOSE_SECONDS) -> TrackingReport:
        """Log what is left, end the sweep's parent run, stop the thread and report.

        Parameters
        ----------
        seconds : float
            How long to wait for an MLflow that is away, counted from its last sign of life; as
            long as it takes runs, all of them are logged. Where waiting cannot help, as with a
            damaged database, it is not waited for.
        """
        if not self._enabled:
            return TrackingReport()
        with self._changed:
            self._close_seconds = seconds
            if self._closing is None:
                self._closing = time.monotonic()
            self._changed.notify_all()
        while self._thread.is_alive():
            self._thread.join(0.1)
            if self._waited() > self._close_seconds + _GRACE_SECONDS:
                break
        return self._report()

    def _put(self, task: Task | Check) -> None:
        if self._enabled:
            with self._changed:
                self._queue.append(task)
                self._changed.notify_all()

    # From here on in the thread.

    def _work(self) -> None:
        try:
            self._serve()
        except _GivenUpError:
            pass
        except BaseException as error:
            self._note_bug(error)
        finally:
            self._session.drop()

    def _serve(self) -> None:
        try:
            # Early, while the first runs are still being computed.
            self._session.open()
        except TrackingError as error:
            self._problem = error
        while group := self._take():
            if isinstance(group[0], Check):
                self._check(group[0])
            elif isinstance(group[0], Follow):
                self._follow()
            else:
                self._under_way = [item for item in group if isinstance(item, Task)]
                self._write(self._entries(self._under_way))
                self._under_way = []
        again, self._refused = self._refused, []
        for entry in again:
            self._write([entry], tries=1)
        ended = self._insist(lambda: self._session.finish(self._ended()))
        if ended and not (self._refused or self._unlogged or self._details):
            self._problem = None

    def _follow(self) -> None:
        if self._watch is None:
            return
        try:
            for run, points in self._watch.fresh():
                self._session.follow(run, points)
                self._watch.sent(run, points)
        except (TrackingError, OSError):
            # The finished run has all its points; until then, the next look makes it good.
            self._session.drop()

    def _take(self) -> Sequence[Task | Check | Follow]:
        """Wait for something to do; nothing is returned where nothing more will come."""
        with self._changed:
            while not (self._queue or self._closing is not None):
                seconds = None if self._watch is None else _FOLLOW_SECONDS
                if not self._changed.wait(seconds):
                    return [Follow()]
            if self._local:
                # One commit for several runs; a server takes them one by one anyway.
                self._changed.wait_for(
                    lambda: len(self._queue) >= self._session.group or self._closing is not None,
                    _GATHER_SECONDS,
                )
            group: list[Task | Check] = []
            while self._queue and len(group) < self._session.group:
                if isinstance(self._queue[0], Check) and group:
                    break
                group.append(self._queue.popleft())
                if isinstance(group[0], Check):
                    break
            return group

    def _check(self, check: Check) -> None:
        missing = self._insist(lambda: self._session.missing(check.keys))
        if missing is None:
            # What MLflow has of them is not known; the next start asks again.
            self._unlogged.update(dict.fromkeys(check.keys, "MLflow could not be asked about it"))
            return
        with self._changed:
            self._queue.extend(tasks_of(check, missing))

    def _entries(self, tasks: Sequence[Task]) -> list[Entry]:
        """Read the records; one that cannot be read keeps nobody else from being logged."""
        entries: dict[tuple[str, str], Entry] = {}
        for task in tasks:
            try:
                entry = task.make()
            except (SitrepBenchError, OSError) as error:
                self._unlogged[task.key] = str(error)
                self._problem = TrackingError(f"run {task.key} cannot be logged: {error}")
            except Exception as error:
                self._unlogged[task.key] = repr(error)
                self._note_bug(error)
            else:
                if entry is not None:
                    entries[entry.kind, entry.identity] = entry
        return list(entries.values())

    def _write(self, entries: Sequence[Entry], *, tries: int = _TRIES) -> None:
        """Log entries; what is refused by itself is set aside, and offered again at the end."""
        if not entries:
            return
        try:
            fresh = self._insist(
                lambda: self._session.log(entries), tries=1 if len(entries) > 1 else tries
            )
        except _GivenUpError:
            self._refused += entries
            raise
        if fresh is not None:
            for key in fresh:
                self._tell(key)
        elif len(entries) > 1:
            for number, entry in enumerate(entries):
                try:
                    self._write([entry])
                except _GivenUpError:
                    self._refused += entries[number + 1 :]
                    raise
        else:
            self._refused += entries

    def _insist(self, action: Callable[[], Value], *, tries: int = _TRIES) -> Value | None:
        """Return what ``action`` returns; None where MLflow is there, but refuses it.

        Raises
        ------
        _GivenUpError
            When MLflow is away, and the tracker was closed long enough ago.
        """
        refusals = 0
        while True:
            try:
                self._session.open()
            except TrackingError as error:
                self._problem = error
                if self._gives_up(error):
                    raise _GivenUpError from error
                self._pause()
                continue
            try:
                value = action()
            except Exception as error:
                # A server that dies in the middle is found out when the session is opened anew.
                self._session.drop()
                if isinstance(error, TrackingError):
                    self._problem = error
                else:
                    self._note_bug(error)
                if isinstance(error, AwayError) and self._local:
                    # Another process has its turn, or a browser holds the file.
                    if self._gives_up(error):
                        raise _GivenUpError from error
                else:
                    refusals += 1
                    if refusals >= tries:
                        return None
                self._pause()
                continue
            self._progress = time.monotonic()
            self._pause_seconds = _FIRST_PAUSE
            return value

    def _gives_up(self, error: TrackingError) -> bool:
        if self._closing is None:
            return False
        return not isinstance(error, AwayError) or self._waited() > self._close_seconds

    def _waited(self) -> float:
        """Return for how long (s) a closed tracker has waited for MLflow."""
        return time.monotonic() - max(self._closing or 0.0, self._progress)

    def _pause(self) -> None:
        with self._changed:
            if self._closing is not None:
                # Not past the moment at which it is given up.
                left = max(0.01, self._close_seconds - self._waited())
                self._changed.wait(min(self._pause_seconds, left))
            else:
                self._changed.wait_for(lambda: self._closing is not None, self._pause_seconds)
        self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE)

    def _tell(self, key: str) -> None:
        if self._on_logged is not None:
            try:
                self._on_logged(key, self._session.run_ids[key])
            except Exception as error:
                self._note_bug(error)

    def _note_bug(self, error: BaseException) -> None:
        self._problem = TrackingError(f"logging failed ({type(error).__name__}: {error})")
        self._details = "".join(traceback.format_exception(error))

    def _ended(self) -> SweepOutcome | None:
        sweep = self._session.sweep
        if self._outcome is not None or sweep is None:
            return self._outcome
        return SweepOutcome(
            state="interrupted",
            done=len(self._session.logged),
            failed=self._session.attempts,
            cached=sweep.n_cached,
            n_runs=sweep.n_runs,
            seconds=time.monotonic() - self._started,
        )

    def _report(self) -> TrackingReport:
        why = str(self._problem or "it was not logged in time")
        with self._changed:
            waiting = [item.key for item in self._queue if isinstance(item, Task)]
        waiting += [item.key for item in self._under_way]
        waiting += [entry.tags[CONTENT_KEY] for entry in list(self._refused)]
        session = self._session
        left = [key for key in waiting if key not in session.run_ids]
        unlogged = {**dict.fromkeys(left, why), **self._unlogged}
        error = self._problem
        if error is None and self._thread.is_alive():
            error = TrackingError(f"MLflow at {session.settings.shown_uri} takes too long")
        if error is not None:
            error = TrackingError(f"{error}\n{NOTHING_LOST}")
        return TrackingReport(
            logged=tuple(session.logged),
            unlogged=unlogged,
            attempts=session.attempts,
            experiment_id=session.experiment_id,
            parent_id=session.parent.run_id if session.parent else "",
            error=error,
            details=self._details,
        )
