"""Dask workers: those of a running scheduler, or a cluster of processes on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from sitrepbench.errors import ConfigError, SitrepBenchError
from sitrepbench.sweep.dask_cluster import (
    await_workers,
    check_workers,
    connection,
    kill_workers,
    load_distributed,
    messages_to,
    own_cluster,
    place,
)
from sitrepbench.sweep.dask_worker import do_errand, is_usable
from sitrepbench.sweep.executors import Limits
from sitrepbench.sweep.jobs import Errand, Reply
from sitrepbench.sweep.local import available_processors
from sitrepbench.sweep.pools import WorkerDiedError

Answer = TypeVar("Answer")
ErrandFunction = Callable[[Errand], list[Reply]]

#: How long an address may stay silent before it is called wrong, and a lost scheduler gone.
CONNECT_SECONDS = 5.0
#: How long a slot whose worker died waits for a new one before it shares another slot's.
REPLACEMENT_SECONDS = 10.0
#: How often a waiting pool looks which workers there are.
LOOK_SECONDS = 0.2
WATCH_SECONDS = 1.0


class ClusterLostError(SitrepBenchError):
    """The scheduler or all its workers are gone for good; nothing more can be handed out."""


@dataclass(frozen=True)
class DaskExecutor(Limits):
    """Compute in Dask workers of one thread each.

    Parameters
    ----------
    address : str or None
        Of a running scheduler, such as ``tcp://10.0.0.5:8786``; None starts a cluster of worker
        processes on this machine and ends it with the sweep.
    workers : int or None
        How many workers are used at most; None for as many as there are: processors here, workers
        at the scheduler.
    runs_per_task : int
        How many runs a Dask task has at most. Fitted features are kept from task to task.
    wait_for_workers : float
        Seconds to wait for workers to come or to come back.
    blas_threads, time_limit, retries, reuse_mb
        As in `Limits`.
    """

    address: str | None = None
    workers: int | None = None
    runs_per_task: int = 4
    wait_for_workers: float = 60.0

    def __post_init__(self) -> None:
        super().__post_init__()
        problems = []
        if self.workers is not None and self.workers < 1:
            problems.append(f"executor.workers={self.workers}: at least 1 is expected")
        if self.runs_per_task < 1:
            problems.append(f"executor.runs_per_task={self.runs_per_task}: at least 1 is expected")
        if self.wait_for_workers < 0:
            problems.append(
                f"executor.wait_for_workers={self.wait_for_workers:g}: seconds, 0 or more, "
                "are expected"
            )
        if problems:
            raise ConfigError("\n".join(problems))

    @property
    def elsewhere(self) -> bool:
        """Yes: whoever names a cluster means it."""
        return True

    @property
    def slots(self) -> int:
        """The number of workers; 1 where only the scheduler knows."""
        return self.workers or (available_processors() if self.address is None else 1)

    @property
    def where(self) -> str:
        """Such as ``in 2 Dask workers on this machine``."""
        if self.address is not None and self.workers is None:
            return f"in the Dask workers at {self.address}"
        return f"in {_workers(self.slots, self.address)}"

    def pool(self, folder: Path) -> DaskPool:
        """Return a pool of Dask workers; Dask's own messages go to ``folder/dask.log``."""
        load_distributed()
        return DaskPool(self, folder)


class DaskPool:
    """Dask workers as slots; one errand is one task, for the slot's worker and for no other.

    Dask does not repeat a task whose only worker is gone, but would wait for it for ever; so this
    looks after workers itself.

    Parameters
    ----------
    executor : DaskExecutor
        The settings.
    folder : Path
        For Dask's messages, and for the scratch files of workers on this machine; every worker
        must see it.
    work : callable or None
        What a worker does with an errand, a function that it can import; None for `run_errand`.
    """

    def __init__(
        self, executor: DaskExecutor, folder: Path, *, work: ErrandFunction | None = None
    ) -> None:
        self.slots = executor.slots
        self.errand_jobs = executor.runs_per_task
        self._executor = executor
        self._folder = folder.resolve()
        self._work = work
        self._cluster: Any = None
        self._client: Any = None
        self._stack = ExitStack()
        #: The worker that each slot keeps to; only read and written in the event loop's thread.
        self._homes: dict[int, str] = {}
        self._under_way: set[asyncio.Task[Any]] = set()
        self._watching: asyncio.Task[None] | None = None
        #: Errands that a worker has, and those whose worker is gone.
        self._out: dict[asyncio.Task[Any], str] = {}
        self._bereft: set[asyncio.Task[Any]] = set()
        self._place = place(executor.address)
        self._ended: WorkerDiedError | None = None
        self._lost = ""

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            log = self._folder / "dask.log"
            stack.enter_context(messages_to(log))
            if self._executor.address is None:
                self._cluster = stack.enter_context(
                    own_cluster(
                        self._executor.slots,
                        scratch=self._folder / "dask-workers",
                        blas_threads=self._executor.blas_threads,
                        log=log,
                    )
                )
            self._client = stack.enter_context(
                connection(self._cluster or self._executor.address, CONNECT_SECONDS)
            )
            stack.callback(self._end, WorkerDiedError("its pool was closed"))
            self._take_workers()
            self._spawn(self._start_watching()).result(CONNECT_SECONDS)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._under_way - {self._watching}:
            self.kill()  # to close politely is to wait for the errands
        self._stack.close()

    def submit(self, errand: Errand, slot: int) -> Future[list[Reply]]:
        """Hand an errand to the slot's worker, or to another one where that is dead.

        Raises
        ------
        ClusterLostError
            When the scheduler or all its workers are gone.
        """
        self._check_cluster()
        if self._ended is not None:
            refused: Future[list[Reply]] = Future()
            refused.set_exception(self._ended)
            return refused
        # Other hosts have other working folders.
        errand = replace(
            errand,
            results_dir=errand.results_dir.resolve(),
            attempt_dir=errand.attempt_dir.resolve(),
        )
        # Pickled here, so that the scheduler need not read it and Dask looks for no keys in it.
        parcel = pickle.dumps((self._work, errand))
        return self._spawn(self._carry(parcel, slot))

    def kill(self) -> None:
        """End what is under way.

        Processes of this machine are killed. Somebody else's workers finish the errand that they
        are at, for Dask cannot interrupt a running task; nobody waits for it.
        """
        self._end(WorkerDiedError("it was stopped"))
        if self._cluster is not None:
            kill_workers(self._cluster)

    def where(self) -> str:
        """Return ``2 Dask workers on this machine`` or the like."""
        return _workers(self.slots, self._executor.address)

    def _take_workers(self) -> None:
        try:
            workers = await_workers(
                self._client,
                self._executor.workers or 1,
                address=self._executor.address,
                seconds=self._executor.wait_for_workers,
            )
            if self._executor.address is not None:
                check_workers(self._client, workers, self._executor.address, self._folder)
        except OSError as error:  # a TimeoutError is one, too
            raise ClusterLostError(f"the Dask scheduler {self._place} stopped answering") from error
        self.slots = min(len(workers), self._executor.workers or len(workers))

    def _check_cluster(self) -> None:
        deadline = time.monotonic() + 2 * CONNECT_SECONDS
        while self._client.status == "connecting" and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)  # it was lost, and is being asked for once more
        if not self._ended and self._client.status != "running":
            self._lost = f"the Dask scheduler {self._place} is gone"
        if self._lost:
            raise ClusterLostError(
                f"{self._lost}. Start scheduler and workers anew, then the same command: what is "
                "done is kept"
            )

    # What follows runs in the event loop's thread.

    async def _present(self) -> dict[str, Mapping[str, Any]]:
        """Return the workers that the scheduler knows, by address."""
        identity = await asyncio.wait_for(self._client.scheduler.identity(), CONNECT_SECONDS)
        return dict(identity["workers"])

    async def _carry(self, parcel: bytes, slot: int) -> list[Reply]:
        me = asyncio.current_task()
        assert me is not None
        home = ""
        try:
            home = await self._home(slot)
            task = self._client.submit(
                do_errand,
                parcel,
                key=f"sitrepbench-{uuid.uuid4().hex}",
                pure=False,
                # Strictly: with allow_other_workers Dask repeats the task up to three times, and
                # where all workers died at once it forgets it (2025.1 to 2026.8).
                workers=[home],
            )
            try:
                self._out[me] = home
                replies: list[Reply] = await task
                return replies
            finally:
                self._out.pop(me, None)
                task.release()
        except (asyncio.CancelledError, CancelledError) as error:
            if self._ended is not None:
                raise self._ended from error
            if me in self._bereft:
                self._bereft.discard(me)
                raise _death(home) from error
            lost = f"the Dask scheduler {self._place} is gone, or has given the task up"
            raise WorkerDiedError(lost) from error
        except Exception as error:
            if type(error).__name__ == "KilledWorker":
                raise _death(home) from error
            raise

    async def _home(self, slot: int) -> str:
        """Return the address of the slot's worker, which is replaced where it is gone."""
        started = time.monotonic()
        while True:
            if self._client.status in ("closing", "closed"):
                raise WorkerDiedError(f"the Dask scheduler {self._place} is gone")
            try:
                present = await self._present()
            except (OSError, TimeoutError, AttributeError):
                present = {}
            usable = [address for address, worker in present.items() if is_usable(worker)]
            if self._homes.get(slot) in usable:
                return self._homes[slot]
            others = {home for other, home in self._homes.items() if other != slot}
            waited = time.monotonic() - started
            for address in usable:
                if address not in others:
                    self._homes[slot] = address
                    return address
            if usable and waited > REPLACEMENT_SECONDS:
                return usable[slot % len(usable)]
            if waited > max(self._executor.wait_for_workers, REPLACEMENT_SECONDS):
                self._lost = f"no Dask worker is left {self._place}"
                raise WorkerDiedError(self._lost)
            await asyncio.sleep(LOOK_SECONDS)

    async def _start_watching(self) -> None:
        self._watching = asyncio.create_task(self._watch())
        self._under_way.add(self._watching)

    async def _watch(self) -> None:
        """Take errands back whose worker is gone."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            # Before asking: what is handed out meanwhile may go to a worker that is new.
            out = dict(self._out)
            try:
                present = await self._present()
            except (OSError, TimeoutError, AttributeError):
                continue  # it is the client that notices a lost scheduler
            for task, home in out.items():
                if home not in present and task in self._out:
                    self._bereft.add(task)
                    task.cancel()

    async def _cancel(self, why: WorkerDiedError) -> None:
        self._ended = self._ended or why
        others = self._under_way - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _noted(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            return await work
        finally:
            self._under_way.discard(task)

    # And this in any other thread.

    def _spawn(self, work: Coroutine[Any, Any, Answer]) -> Future[Answer]:
        return asyncio.run_coroutine_threadsafe(self._noted(work), self._client.loop.asyncio_loop)

    def _end(self, why: WorkerDiedError) -> None:
        """Answer all errands with an error, and take no more."""
        self._ended = self._ended or why
        loop = self._client.loop.asyncio_loop
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._cancel(why), loop).result(CONNECT_SECONDS)


def _death(worker: str) -> WorkerDiedError:
    return WorkerDiedError(
        f"the process of the Dask worker {worker} ended; the system does that when memory runs out"
    )


def _workers(number: int, address: str | None) -> str:
    return f"{number} Dask worker{'' if number == 1 else 's'} {place(address)}"
