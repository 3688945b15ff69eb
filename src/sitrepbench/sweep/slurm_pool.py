"""Slurm jobs as a pool: one thread submits, one watches all jobs by what they leave and squeue."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sitrepbench.errors import ConfigError, SitrepBenchError
from sitrepbench.sweep.jobs import Errand, Reply
from sitrepbench.sweep.pools import WorkerDiedError
from sitrepbench.sweep.slurm_jobs import Submitter, refusal
from sitrepbench.sweep.slurm_queue import (
    ENDED,
    Queued,
    SlurmCommandError,
    ask_queue,
    cancel,
    jobs_submitted_from,
    say_what_became_of,
)

#: Looks for answers for one question to squeue, which a cluster's administrators watch.
_LOOKS_PER_QUESTION = 5
#: How long a job may wait in the queue before its reason is told.
_WAITING_SECONDS = 120.0
#: How long jobs that answered may take to end, and cancelled ones to leave the queue.
_ENDING_SECONDS = 5.0
_LEAVING_SECONDS = 60.0
_COMPLETING = "COMPLETING"
#: Why a job waits that its node failed to start; it would be held until somebody releases it.
_NOT_STARTED = "launch failed"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """How long what is waited for; seconds, as in `SlurmExecutor`."""

    poll: float
    grace: float
    patience: float


class _SlurmJob:
    """A job under way, as it was seen last."""

    def __init__(self, future: Future[list[Reply]]) -> None:
        self.future = future
        self.state = "PENDING"
        self.reason = ""
        self.since = time.monotonic()  # in this state
        self.gone_since: float | None = None
        self.told = ""
        self.trouble = ""

    def see(self, found: Queued | None, now: float) -> None:
        """Take in what squeue shows of it."""
        state = found.state if found else "unknown"
        if state != self.state:
            self.state, self.since = state, now
        self.reason = found.reason if found else ""
        if found is None or state in ENDED or self.reason.startswith(_NOT_STARTED):
            self.gone_since = self.gone_since or now
        else:
            # A requeued job was ended for a moment.
            self.gone_since = None


class SlurmPool:
    """Slurm jobs, each for one errand.

    Parameters
    ----------
    submitter : Submitter
        Submits, in a folder of its own.
    slots, errand_jobs : int
        Jobs at once, and runs in each.
    minutes : int
        A job's time.
    patience : Patience
        How long what is waited for.
    """

    def __init__(
        self,
        submitter: Submitter,
        *,
        slots: int,
        errand_jobs: int,
        minutes: int,
        patience: Patience,
    ) -> None:
        self.slots = slots
        self.errand_jobs = errand_jobs
        self._submitter = submitter
        self._minutes = minutes
        self._patience = patience
        # Reentrant: a signal's handler may call `kill` where the same thread holds it.
        self._lock = threading.RLock()
        self._open: set[Future[list[Reply]]] = set()
        self._jobs: dict[str, _SlurmJob] = {}
        self._accepted = 0
        self._silent_since: float | None = None
        self._closing = threading.Event()
        self._sbatch = ThreadPoolExecutor(1, thread_name_prefix="sbatch")
        self._watcher = threading.Thread(target=self._watch, name="slurm", daemon=True)

    def __enter__(self) -> Self:
        try:
            jobs_submitted_from(self._submitter.folder)
            objection = self._submitter.open()
        except SlurmCommandError as error:
            raise ConfigError(
                f"executor=slurm: Slurm does not answer here: {error}. See: scontrol ping"
            ) from error
        except ConfigError:
            self._submitter.close()
            raise
        if objection:
            _LOG.warning("Slurm: no node could take such a job now: %s", objection)
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        self._closing.set()
        self._sbatch.shutdown(cancel_futures=True)
        try:
            self._empty_queue()
        except SlurmCommandError as silence:
            _LOG.warning(
                "Slurm jobs may be left, and what they finish is kept (%s). "
                "To end them: scancel --name=%s",
                silence,
                self._submitter.name,
            )
        else:
            self._submitter.close()
        self._watcher.join()

    def submit(self, errand: Errand, slot: int) -> Future[list[Reply]]:
        """Hand an errand to a new job; sbatch is called in another thread."""
        future: Future[list[Reply]] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            self._open.add(future)
        self._sbatch.submit(self._send, errand, future)
        return future

    def kill(self) -> None:
        """Cancel all jobs that have not answered."""
        with self._lock:
            ids = list(self._jobs)
            for future in list(self._open):
                self._end(future, WorkerDiedError("it was stopped"))
            self._jobs.clear()
        try:
            cancel(ids)
        except SlurmCommandError as error:
            _LOG.warning("Slurm jobs %s could not be cancelled: %s", ", ".join(ids), error)

    def where(self) -> str:
        """Return ``4 Slurm jobs (1 running, 3 waiting: Resources)`` or the like."""
        with self._lock:
            jobs = list(self._jobs.values())
        waiting = [job for job in jobs if job.state == "PENDING"]
        said = []
        if len(jobs) > len(waiting):
            said.append(f"{len(jobs) - len(waiting)} running")
        if waiting:
            reasons = Counter(job.reason for job in waiting if job.reason not in ("", "None"))
            most = reasons.most_common(1)
            said.append(f"{len(waiting)} waiting" + (f": {most[0][0]}" if most else ""))
        text = f"{self.slots} Slurm job{'' if self.slots == 1 else 's'}"
        return f"{text} ({', '.join(said)})" if said else text

    def _end(self, future: Future[list[Reply]], outcome: list[Reply] | BaseException) -> None:
        """Give a future its outcome, once."""
        with self._lock:
            if future not in self._open:
                return
            self._open.remove(future)
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    # In the thread that submits.

    def _send(self, errand: Errand, future: Future[list[Reply]]) -> None:
        begun = time.monotonic()
        try:
            while not future.done():
                try:
                    job_id = self._submitter.submit(errand)
                except SlurmCommandError as error:
                    self._bear_refusal(str(error), begun)
                    self._closing.wait(self._patience.poll * _LOOKS_PER_QUESTION)
                    continue
                self._accepted += 1
                with self._lock:
                    if not future.done():
                        self._jobs[job_id] = _SlurmJob(future)
                        return
                cancel([job_id])  # stopped while sbatch was under way
        except Exception as error:
            self._end(future, error)

    def _bear_refusal(self, said: str, begun: float) -> None:
        """Return if it may be for now, such as a limit of jobs at once or a controller's restart.

        Raises
        ------
        SitrepBenchError
            Otherwise.
        """
        if said and not self._accepted and _answers():
            raise refusal(said)
        seconds = time.monotonic() - begun
        if seconds > self._patience.patience:
            raise SitrepBenchError(
                f"Slurm has taken no job for {seconds:.0f} s: {said or 'sbatch was ended'}. "
                "Run the same command again when it does."
            )
        _LOG.warning("Slurm takes no job at the moment, which is tried again: %s", said)

    # In the thread that watches.

    def _watch(self) -> None:
        question = 0.0
        while not self._closing.wait(self._patience.poll):
            try:
                with self._lock:
                    jobs = dict(self._jobs)
                self._take_answers(jobs)
                if jobs and time.monotonic() >= question:
                    self._look_at_queue(jobs)
                    question = time.monotonic() + self._patience.poll * _LOOKS_PER_QUESTION
            except Exception as error:  # nobody else would end what is waited for
                _LOG.exception("The watch over Slurm jobs failed")
                self._give_up(error)

    def _take_answers(self, jobs: dict[str, _SlurmJob]) -> None:
        for job_id in self._submitter.answered() & jobs.keys():
            job = jobs.pop(job_id)
            try:
                answer = self._submitter.read(job_id)
            except Exception as error:
                # Cut short by the shared file system: read again, until the job has long ended.
                job.trouble = f"its answer cannot be read: {type(error).__name__}: {error}"
                jobs[job_id] = job
                continue
            self._forget(job_id)
            if isinstance(answer, str):
                last = answer.strip().rpartition("\n")[2]
                died = WorkerDiedError(f"Slurm job {job_id} raised {last}\n{answer}")
                self._end(job.future, died)
            else:
                self._end(job.future, answer)
                self._submitter.clear(job_id)

    def _look_at_queue(self, jobs: dict[str, _SlurmJob]) -> None:
        now = time.monotonic()
        try:
            queue = ask_queue(jobs)
        except SlurmCommandError as error:
            self._bear_silence(str(error), now)
            return
        if self._silent_since is not None:
            _LOG.warning("Slurm answers again")
        self._silent_since = None
        for job_id, job in jobs.items():
            # If it had ended at an earlier look, the answers were listed again since.
            before = job.gone_since
            job.see(queue.get(job_id), now)
            stuck = job.state == _COMPLETING and now - job.since > self._patience.patience
            if stuck or (before and job.gone_since and now - before >= self._patience.grace):
                self._bury(job_id, job)
            elif job.state == "PENDING" and now - job.since > _WAITING_SECONDS:
                self._tell_reason(job_id, job)

    def _bury(self, job_id: str, job: _SlurmJob) -> None:
        end = say_what_became_of(job_id, minutes=self._minutes)
        trouble = f"; {job.trouble}" if job.trouble else ""
        said = f"Slurm job {job_id} {end}{trouble}{self._submitter.log_tail(job_id)}"
        self._forget(job_id)
        self._end(job.future, WorkerDiedError(said))
        if job.state not in ENDED:
            cancel([job_id])

    def _tell_reason(self, job_id: str, job: _SlurmJob) -> None:
        if job.reason != job.told:
            job.told = job.reason
            _LOG.warning("Slurm job %s waits in the queue: %s", job_id, job.reason)

    def _bear_silence(self, said: str, now: float) -> None:
        if self._silent_since is None:
            self._silent_since = now
            _LOG.warning("Slurm does not answer, which is waited for: %s", said)
        seconds = now - self._silent_since
        if seconds > self._patience.patience:
            self._give_up(
                SitrepBenchError(
                    f"Slurm has not answered for {seconds:.0f} s: {said}. Jobs that still run "
                    "keep what they finish; run the same command again when Slurm answers."
                )
            )

    def _give_up(self, error: BaseException) -> None:
        with self._lock:
            jobs = list(self._jobs.values())
            self._jobs.clear()
        for job in jobs:
            self._end(job.future, error)

    def _forget(self, job_id: str) -> None:
        with self._lock:
            self._jobs.pop(job_id, None)

    # At the end.

    def _empty_queue(self) -> None:
        """Cancel what is left, also a job whose number was never learnt, and see it gone."""
        begun = time.monotonic()
        cancelled: set[str] = set()
        while left := jobs_submitted_from(self._submitter.folder):
            seconds = time.monotonic() - begun
            if seconds > _LEAVING_SECONDS:
                raise SlurmCommandError(f"jobs {', '.join(left)} do not end")
            fresh = [job_id for job_id in left if job_id not in cancelled]
            if fresh and seconds > _ENDING_SECONDS:
                cancel(fresh)
                cancelled.update(fresh)
            time.sleep(min(self._patience.poll, 0.5))


def _answers() -> bool:
    """Return whether the controller answers at all."""
    try:
        ask_queue(["1"])
    except SlurmCommandError:
        return False
    return True
