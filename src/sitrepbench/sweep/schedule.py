"""Which job goes where and when, and what happens when a worker dies.

Jobs that share fitted features go to one slot, one after the other. A slot without such jobs takes
a group that nobody works on, and if there is none, helps with the largest one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sitrepbench.errors import SitrepBenchError
from sitrepbench.store.failures import FailedRuns
from sitrepbench.sweep.jobs import Errand, Failure, Job, Reply, State
from sitrepbench.sweep.marks import Marks
from sitrepbench.sweep.pools import Executor, Pool, WorkerDiedError

#: How often a waiting parent looks up: for an interruption, and for what long errands finished.
LOOK_SECONDS = 0.2
#: How long a run that another process computes is left alone before it is asked for again.
BUSY_SECONDS = 1.0
MOST_BUSY_SECONDS = 30.0
#: After one of these the others would fail alike: nothing can be stored.
FATAL = frozenset({"StoreError"})


class Observer(Protocol):
    """Who is told what happens; called in the thread that schedules."""

    def handed_out(self, jobs: Sequence[Job], slot: int) -> None:
        """Jobs went to a slot."""

    def replied(self, job: Job, reply: Reply) -> None:
        """A job came to its end."""

    def busy(self, job: Job) -> None:
        """Another process computes a job, which is asked for again later."""

    def tried_again(self, job: Job, cause: str) -> None:
        """A job's worker died, and it is tried again."""

    def put_back(self, job: Job) -> None:
        """A job's worker died before it came to the job."""

    def looked(self) -> None:
        """Some time has gone by."""


@dataclass(frozen=True)
class Settings:
    """What errands carry beside their jobs, from the executor."""

    results_dir: Path
    attempt_dir: Path
    blas_threads: int
    time_limit: float | None
    retries: int
    reuse_mb: int

    @classmethod
    def of(cls, executor: Executor, results_dir: Path, attempt_dir: Path) -> Settings:
        """Take them from an executor."""
        return cls(
            results_dir,
            attempt_dir,
            executor.blas_threads,
            executor.time_limit,
            executor.retries,
            executor.reuse_mb,
        )

    def errand(self, jobs: Sequence[Job]) -> Errand:
        """Return the errand of these jobs."""
        return Errand(
            tuple(jobs),
            self.results_dir,
            self.attempt_dir,
            self.blas_threads,
            self.time_limit,
            self.retries,
            self.reuse_mb,
        )


class Queue:
    """The jobs that wait, by the features that they share."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._groups: dict[str, deque[Job]] = {}
        #: Jobs that are run by themselves: a worker died of their errand, or somebody has them.
        self._alone: deque[tuple[float, Job]] = deque()
        for job in jobs:
            # What shares nothing can go anywhere, so it forms no group that waits for its slot.
            self._groups.setdefault(job.shares, deque()).append(job)

    def __len__(self) -> int:
        return sum(map(len, self._groups.values())) + len(self._alone)

    def put_alone(self, job: Job, *, after: float = 0.0) -> None:
        """Put a job back, to be handed out by itself after so many seconds."""
        self._alone.append((time.monotonic() + after, job))

    def take(self, most: int, *, last: str | None, taken: set[str]) -> list[Job]:
        """Take up to ``most`` jobs of one group.

        Parameters
        ----------
        most : int
            How many at most.
        last : str or None
            What the slot did before.
        taken : set of str
            The groups that other slots work on.
        """
        group = self._choose(last, taken)
        if group is None:
            return self._take_alone()
        jobs = self._groups[group]
        # A group that others may want to help with is not taken whole.
        share = max(1, min(most, len(jobs)))
        picked = [jobs.popleft() for _ in range(share)]
        if not jobs:
            del self._groups[group]
        return picked

    def _choose(self, last: str | None, taken: set[str]) -> str | None:
        if last in self._groups:
            return last
        free = [name for name in self._groups if name not in taken or not name]
        return max(free or self._groups, key=lambda name: len(self._groups[name]), default=None)

    def _take_alone(self) -> list[Job]:
        now = time.monotonic()
        for index, (since, job) in enumerate(self._alone):
            if since <= now:
                del self._alone[index]
                return [job]
        return []

    def drain(self) -> list[Job]:
        """Take everything."""
        left = [job for jobs in self._groups.values() for job in jobs]
        left += [job for _, job in self._alone]
        self._groups.clear()
        self._alone.clear()
        return left


class Scheduler:
    """Hands the jobs of one start of a sweep to a pool.

    Parameters
    ----------
    pool : Pool
        Open.
    settings : Settings
        What errands carry.
    observer : Observer
        Who is told.
    keep_failure : callable
        Keeps the failure of a job whose worker could not say so itself.
    """

    def __init__(
        self,
        pool: Pool,
        settings: Settings,
        observer: Observer,
        *,
        keep_failure: Callable[[Job, Reply, Path], None],
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._observer = observer
        self._keep_failure = keep_failure
        self._marks = Marks(settings.attempt_dir)
        self._stopping = False
        self._under_way: dict[Future[list[Reply]], tuple[int, list[Job]]] = {}
        self._last: dict[int, str] = {}
        self._told: set[str] = set()
        self._busy: dict[str, float] = {}
        self.fatal: Failure | None = None

    def stop(self) -> None:
        """Hand nothing more out; what is under way goes on to its end."""
        self._stopping = True

    def run(self, jobs: Sequence[Job]) -> list[Job]:
        """Run all jobs, and return those that were left because of `stop` or a full disk."""
        queue = Queue(jobs)
        while True:
            if not self._stopping:
                self._hand_out(queue)
            if not self._under_way:
                if self._stopping or not len(queue):
                    break
                time.sleep(LOOK_SECONDS)  # all that is left is computed by somebody else
                self._observer.looked()
                continue
            done, _ = wait(self._under_way, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                self._take_in(future, queue)
            if not done:
                self._look_at_errands()
            self._observer.looked()
        return queue.drain()

    def _hand_out(self, queue: Queue) -> None:
        busy = {slot for slot, _ in self._under_way.values()}
        for slot in range(self._pool.slots):
            if slot in busy:
                continue
            taken = {self._last[other] for other in busy if other in self._last and other != slot}
            jobs = queue.take(self._most(queue), last=self._last.get(slot), taken=taken)
            if not jobs:
                return
            self._last[slot] = jobs[0].shares
            busy.add(slot)
            self._observer.handed_out(jobs, slot)
            try:
                future = self._pool.submit(self._settings.errand(jobs), slot)
            except SitrepBenchError as error:
                self._give_up(jobs, error, queue)
                return
            self._under_way[future] = (slot, jobs)
            if future.done():
                # This process computes: let the observer and an interruption in between runs.
                return

    def _most(self, queue: Queue) -> int:
        """Return how many jobs an errand gets: towards the end fewer, so that slots end alike."""
        fair = -(-len(queue) // self._pool.slots)
        return max(1, min(self._pool.errand_jobs, fair))

    def _take_in(self, future: Future[list[Reply]], queue: Queue) -> None:
        _, jobs = self._under_way.pop(future)
        try:
            replies = {reply.key: reply for reply in future.result()}
        except WorkerDiedError as error:
            self._settle(jobs, str(error), queue)
            return
        except SitrepBenchError as error:
            self._give_up(jobs, error, queue)
            return
        except Exception as error:
            # Not a run's failure, which is a reply, but the pool's or the errand's own.
            self._settle(jobs, f"{type(error).__name__}: {error}", queue, blame_all=True)
            return
        for job in jobs:
            reply = replies[job.key]
            if reply.state is State.busy:
                # Asked for again ever more seldom: elsewhere each asking is a job of its own.
                pause = self._busy.get(job.key, BUSY_SECONDS)
                self._busy[job.key] = min(2 * pause, MOST_BUSY_SECONDS)
                queue.put_alone(job, after=pause)
                self._observer.busy(job)
            else:
                self._tell(job, reply)

    def _give_up(self, jobs: list[Job], error: SitrepBenchError, queue: Queue) -> None:
        """Stop, for nobody takes runs any more, such as a batch system that refuses."""
        for job in jobs:
            if job.key not in self._told:
                queue.put_alone(job)
        self.fatal = self.fatal or Failure(type(error).__name__, str(error))
        self.stop()

    def _settle(
        self, jobs: list[Job], cause: str, queue: Queue, *, blame_all: bool = False
    ) -> None:
        """Book what a dead worker finished, what it died of, and what it had not begun."""
        for job in jobs:
            # What a worker says of a run, it has kept itself.
            reply = self._marks.reply(job.key)
            if reply is not None:
                self._tell(job, reply)
                continue
            if not self._marks.has(job.key):
                if len(jobs) > 1 and not blame_all:
                    queue.put_alone(job)
                    self._observer.put_back(job)
                    continue
                # It died before it could say what it was at.
                self._marks.begin_for(job.key)
            reply = self._marks.settle(
                job,
                retries=self._settings.retries,
                cause=cause,
                time_limit=self._settings.time_limit,
                stored=self._settings.results_dir / "runs" / job.key,
            )
            if reply is None:
                queue.put_alone(job)
                self._observer.tried_again(job, cause)
            else:
                self._keep_failure(job, reply, self._settings.results_dir)
                self._tell(job, reply)

    def _tell(self, job: Job, reply: Reply) -> None:
        if job.key in self._told:
            return
        self._told.add(job.key)
        if reply.state.finished:
            FailedRuns(self._settings.results_dir).remove(job.key)
        if reply.failure is not None and reply.failure.kind in FATAL:
            self.fatal = self.fatal or reply.failure
            self.stop()
        self._observer.replied(job, reply)

    def _look_at_errands(self) -> None:
        """Tell what long errands have finished so far, before they come back."""
        for _, jobs in self._under_way.values():
            if len(jobs) > 1:
                for job in jobs:
                    if job.key not in self._told:
                        reply = self._marks.reply(job.key)
                        if reply is not None:
                            self._tell(job, reply)
