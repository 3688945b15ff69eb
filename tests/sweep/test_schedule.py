"""The scheduler: which job goes where, and what happens when a worker dies; with scripted pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest
from errands import job

from sitrepbench.errors import ConfigError
from sitrepbench.store.failures import FAILED_FOLDER
from sitrepbench.sweep import schedule
from sitrepbench.sweep.executors import SerialExecutor
from sitrepbench.sweep.jobs import Errand, Failure, Job, Reply, State
from sitrepbench.sweep.marks import Marks
from sitrepbench.sweep.pools import WorkerDiedError
from sitrepbench.sweep.schedule import Queue, Scheduler, Settings

Answer = Callable[[Errand], list[Reply]]


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(schedule, "BUSY_SECONDS", 0.01)


def done(errand: Errand) -> list[Reply]:
    """Do what a worker does where all goes well."""
    marks = Marks(errand.attempt_dir)
    replies = []
    for one in errand.jobs:
        marks.begin(one.key)
        replies.append(Reply(one.key, State.done, 0.1, "host:1"))
        marks.finish(replies[-1])
    return replies


class ScriptedPool:
    """Answers errands by what a script says of their first job's key, one errand per look.

    The lowest busy slot answers first unless ``pace`` says how many looks a slot takes.
    """

    def __init__(self, slots: int, errand_jobs: int = 1, pace: Sequence[int] = ()) -> None:
        self.slots = slots
        self.errand_jobs = errand_jobs
        self.script: dict[str, list[Answer]] = {}
        self.handed: list[tuple[int, list[str]]] = []
        self._pace = list(pace) or [1] * slots
        self._open: dict[int, tuple[int, Errand, Future[list[Reply]]]] = {}

    def submit(self, errand: Errand, slot: int) -> Future[list[Reply]]:
        assert slot not in self._open, "the slot is busy"
        self.handed.append((slot, [one.key for one in errand.jobs]))
        future: Future[list[Reply]] = Future()
        self._open[slot] = (self._pace[slot], errand, future)
        return future

    def turn(self) -> None:
        """Let some time go by."""
        for slot, (looks, errand, future) in list(self._open.items()):
            if looks > 1:
                self._open[slot] = (looks - 1, errand, future)
                continue
            del self._open[slot]
            waiting = self.script.get(errand.jobs[0].key) or [done]
            try:
                future.set_result(waiting.pop(0)(errand))
            except Exception as error:
                future.set_exception(error)

    def of_slot(self, slot: int) -> list[str]:
        return [key for where, keys in self.handed if where == slot for key in keys]


class Listener:
    """Writes down what it is told, and lets the pool's time go by."""

    def __init__(self, pool: ScriptedPool) -> None:
        self.pool = pool
        self.replies: dict[str, Reply] = {}
        self.again: list[tuple[str, str]] = []
        self.back: list[str] = []
        self.others: list[str] = []
        self.log: list[str] = []
        self.on_look: Callable[[], None] = lambda: None

    def handed_out(self, jobs: Sequence[Job], slot: int) -> None:
        self.log += [f"out {one.key}" for one in jobs]

    def replied(self, job: Job, reply: Reply) -> None:
        assert job.key not in self.replies, "told twice"
        self.replies[job.key] = reply
        self.log.append(f"end {job.key}")

    def tried_again(self, job: Job, cause: str) -> None:
        self.again.append((job.key, cause))

    def put_back(self, job: Job) -> None:
        self.back.append(job.key)

    def busy(self, job: Job) -> None:
        self.others.append(job.key)

    def looked(self) -> None:
        self.pool.turn()
        self.on_look()

    def states(self) -> dict[str, State]:
        return {key: reply.state for key, reply in self.replies.items()}


class Case:
    """A scheduler with its pool and its listener."""

    def __init__(self, folder: Path, pool: ScriptedPool, retries: int = 1) -> None:
        self.pool = pool
        self.told = Listener(pool)
        self.kept: list[str] = []
        self.folder = folder
        settings = Settings(folder, folder, 1, None, retries, 0)
        self.scheduler = Scheduler(
            pool, settings, self.told, keep_failure=lambda one, *_: self.kept.append(one.key)
        )

    def run(self, *jobs: Job) -> list[str]:
        return [left.key for left in self.scheduler.run(jobs)]


def dies(errand: Errand) -> list[Reply]:
    """Die in the first job."""
    Marks(errand.attempt_dir).begin(errand.jobs[0].key)
    raise WorkerDiedError("killed by signal 9")


def dies_at_once(errand: Errand) -> list[Reply]:
    raise WorkerDiedError("it cannot import")


def busy(errand: Errand) -> list[Reply]:
    return [Reply(one.key, State.busy) for one in errand.jobs]


def shared(group: str, many: int) -> list[Job]:
    return [job(f"{group}{number}", shares=group) for number in range(many)]


# The queue.


def test_the_queue_keeps_a_slot_to_its_group_and_the_order_in_it() -> None:
    queue = Queue([*shared("a", 2), *shared("b", 3)])
    assert len(queue) == 5
    taken = queue.take(1, last="a", taken={"b"})
    assert [one.key for one in taken] == ["a0"]
    assert [one.key for one in queue.take(9, last="b", taken=set())] == ["b0", "b1", "b2"]
    assert [one.key for one in queue.take(9, last="b", taken=set())] == ["a1"]
    assert queue.take(9, last="b", taken=set()) == []


def test_a_free_slot_takes_a_group_that_nobody_has_even_a_small_one() -> None:
    queue = Queue([*shared("a", 5), *shared("b", 2), *shared("c", 3)])
    assert queue.take(1, last=None, taken={"a"})[0].shares == "c"
    assert queue.take(1, last="gone", taken={"a", "c"})[0].shares == "b"


def test_a_slot_without_a_group_helps_with_the_largest() -> None:
    queue = Queue([*shared("a", 2), *shared("b", 4)])
    assert queue.take(1, last=None, taken={"a", "b"})[0].shares == "b"


def test_jobs_that_share_nothing_are_never_taken_by_others() -> None:
    queue = Queue([job("x"), job("y"), job("z"), *shared("a", 2)])
    assert queue.take(1, last=None, taken={"", "a"})[0].key == "x"


def test_a_job_that_was_put_back_comes_last_and_alone() -> None:
    queue = Queue(shared("a", 2))
    queue.put_alone(job("later"), after=1e6)
    queue.put_alone(job("r0", shares="a"))
    queue.put_alone(job("r1", shares="a"))
    taken = [[one.key for one in queue.take(9, last="a", taken=set())] for _ in range(4)]
    assert taken == [["a0", "a1"], ["r0"], ["r1"], []]
    assert len(queue) == 1
    assert [one.key for one in queue.drain()] == ["later"]
    assert len(queue) == 0


# Who gets what.


def test_jobs_that_share_features_go_to_one_slot(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(2))
    assert case.run(*shared("a", 4), *shared("b", 4)) == []
    assert case.pool.of_slot(0) == ["a0", "a1", "a2", "a3"]
    assert case.pool.of_slot(1) == ["b0", "b1", "b2", "b3"]
    assert set(case.told.states().values()) == {State.done}


def test_a_slot_that_is_done_helps_the_other(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(2, pace=(3, 1)))
    case.run(*shared("a", 6), *shared("b", 1))
    assert case.pool.of_slot(1)[0] == "b0"
    assert len(case.pool.of_slot(1)) > 3
    assert sorted(case.told.replies) == ["a0", "a1", "a2", "a3", "a4", "a5", "b0"]


def test_more_groups_than_slots_are_taken_one_after_the_other(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(2))
    case.run(*shared("a", 3), *shared("b", 3), *shared("c", 3), *shared("d", 3))
    for slot in (0, 1):
        groups = [key[0] for key in case.pool.of_slot(slot)]
        assert groups == [groups[0]] * 3 + [groups[3]] * 3


def test_errands_get_smaller_towards_the_end(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(2, errand_jobs=4))
    case.run(*shared("a", 12))
    sizes = [len(keys) for _, keys in case.pool.handed]
    assert sizes == [4, 4, 2, 1, 1]


def test_no_errand_mixes_groups(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(1, errand_jobs=8))
    case.run(*shared("a", 3), *shared("b", 3))
    assert [keys for _, keys in case.pool.handed] == [["a0", "a1", "a2"], ["b0", "b1", "b2"]]


def test_nothing_to_do_is_done(tmp_path: Path) -> None:
    assert Case(tmp_path, ScriptedPool(2)).run() == []


def test_a_pool_that_answers_at_once_lets_others_look_in_between(tmp_path: Path) -> None:
    class Serial(ScriptedPool):
        def submit(self, errand: Errand, slot: int) -> Future[list[Reply]]:
            future = super().submit(errand, slot)
            self.turn()
            return future

    case = Case(tmp_path, Serial(1))
    case.told.on_look = lambda: case.scheduler.stop() if len(case.told.replies) == 2 else None
    assert case.run(*shared("a", 4)) == ["a2", "a3"]
    assert case.told.log == ["out a0", "end a0", "out a1", "end a1"]


# Workers that die.


def test_a_dead_workers_run_is_tried_again_after_the_others(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(1))
    case.pool.script["a0"] = [dies]
    assert case.run(*shared("a", 3)) == []
    assert case.pool.of_slot(0) == ["a0", "a1", "a2", "a0"]
    assert case.told.again == [("a0", "killed by signal 9")]
    assert set(case.told.states().values()) == {State.done}
    assert case.kept == []


@pytest.mark.parametrize("deed", [dies, dies_at_once])
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_run_that_kills_its_worker_fails_in_the_end(
    tmp_path: Path, deed: Answer, retries: int
) -> None:
    case = Case(tmp_path, ScriptedPool(2), retries)
    case.pool.script["a0"] = [deed] * 9
    assert case.run(*shared("a", 3)) == []
    assert sum(keys == ["a0"] for _, keys in case.pool.handed) == retries + 1
    assert case.told.states() == {"a0": State.failed, "a1": State.done, "a2": State.done}
    failure = case.told.replies["a0"].failure
    assert failure is not None
    assert failure.kind == "killed"
    assert case.kept == ["a0"]


def test_of_a_long_errand_only_what_its_worker_died_of_counts(tmp_path: Path) -> None:
    def dies_in_second(errand: Errand) -> list[Reply]:
        marks = Marks(errand.attempt_dir)
        marks.begin("a0")
        failure = Failure("ModelError", "no")
        marks.finish(Reply("a0", State.failed, failure=failure))
        marks.begin("a1")
        raise WorkerDiedError("killed by signal 9")

    case = Case(tmp_path, ScriptedPool(1, errand_jobs=4), retries=1)
    case.pool.script["a0"] = [dies_in_second]
    assert case.run(*shared("a", 4)) == []
    assert [keys for _, keys in case.pool.handed] == [
        ["a0", "a1", "a2", "a3"],
        ["a1"],
        ["a2"],
        ["a3"],
    ]
    assert case.told.again == [("a1", "killed by signal 9")]
    assert case.told.back == ["a2", "a3"]
    states = case.told.states()
    assert states == {"a0": State.failed, **dict.fromkeys(("a1", "a2", "a3"), State.done)}
    assert case.kept == [], "the worker has kept the failure that it told of"
    assert all(Marks(tmp_path).deaths(key) == 0 for key in states)


def test_a_long_errand_that_dies_before_it_begins_is_tried_one_by_one(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(1, errand_jobs=3), retries=0)
    case.pool.script = {"a0": [dies_at_once, done], "a1": [dies_at_once]}
    assert case.run(*shared("a", 3)) == []
    assert [keys for _, keys in case.pool.handed] == [["a0", "a1", "a2"], ["a0"], ["a1"], ["a2"]]
    assert case.told.states() == {"a0": State.done, "a1": State.failed, "a2": State.done}


def test_an_errand_that_fails_by_itself_is_blamed_on_all_its_jobs(tmp_path: Path) -> None:
    def broken(errand: Errand) -> list[Reply]:
        raise TypeError("cannot pickle")

    case = Case(tmp_path, ScriptedPool(1, errand_jobs=2), retries=1)
    case.pool.script = {"a0": [broken] * 3, "a1": [broken] * 3}
    assert case.run(*shared("a", 2)) == []
    assert case.kept == ["a0", "a1"]
    for reply in case.told.replies.values():
        assert reply.failure is not None
        assert "TypeError: cannot pickle" in reply.failure.message


def test_what_a_dead_worker_finished_is_not_lost(tmp_path: Path) -> None:
    def finishes_and_dies(errand: Errand) -> list[Reply]:
        done(errand)
        raise WorkerDiedError("killed by signal 9")

    case = Case(tmp_path, ScriptedPool(1, errand_jobs=3))
    case.pool.script["a0"] = [finishes_and_dies]
    assert case.run(*shared("a", 3)) == []
    assert len(case.pool.handed) == 1
    assert set(case.told.states().values()) == {State.done}


# What long errands tell before they come back, and what others compute.


def test_a_long_errand_is_told_of_before_it_comes_back(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(1, errand_jobs=2, pace=(10,)))
    seen: list[int] = []

    def first_is_done() -> None:
        if not seen and not case.told.replies:
            Marks(tmp_path).finish(Reply("a0", State.done))
        seen.append(len(case.told.replies))

    case.told.on_look = first_is_done
    assert case.run(*shared("a", 2)) == []
    assert seen.index(1) < seen.index(2)
    assert seen.count(1) > 2


def test_a_run_that_somebody_else_computes_is_asked_for_again(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(2))
    case.pool.script["a0"] = [busy, busy, busy]
    assert case.run(*shared("a", 3)) == []
    assert sum(keys == ["a0"] for _, keys in case.pool.handed) == 4
    assert case.told.states()["a0"] is State.done
    assert case.told.again == []
    assert case.told.others == ["a0"] * 3


def test_waiting_for_somebody_else_can_be_stopped(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(1))
    case.pool.script["a"] = [busy] * 1000
    looks = iter(range(1000))
    case.told.on_look = lambda: case.scheduler.stop() if next(looks) > 20 else None
    assert case.run(job("a")) == ["a"]
    assert case.told.replies == {}


# Stopping.


def test_stopping_lets_what_is_under_way_end(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(2))
    case.told.on_look = case.scheduler.stop
    assert case.run(*shared("a", 5)) == ["a2", "a3", "a4"]
    assert case.told.states() == {"a0": State.done, "a1": State.done}


def test_a_worker_that_dies_while_stopping_is_left_for_the_next_start(tmp_path: Path) -> None:
    case = Case(tmp_path, ScriptedPool(1))
    case.pool.script["a0"] = [dies]
    case.told.on_look = case.scheduler.stop
    assert sorted(case.run(*shared("a", 2))) == ["a0", "a1"]
    assert case.told.replies == {}


def test_a_store_that_is_full_stops_the_rest(tmp_path: Path) -> None:
    def full(errand: Errand) -> list[Reply]:
        failure = Failure("StoreError", f"no space for {errand.jobs[0].key}")
        return [Reply(errand.jobs[0].key, State.failed, failure=failure)]

    case = Case(tmp_path, ScriptedPool(2))
    case.pool.script = {"a0": [done], "a1": [full]}
    assert case.run(*shared("a", 6)) == ["a2", "a3", "a4", "a5"]
    assert case.scheduler.fatal == Failure("StoreError", "no space for a1")
    assert case.told.states() == {"a0": State.done, "a1": State.failed}


def test_another_failure_stops_nothing(tmp_path: Path) -> None:
    def fails(errand: Errand) -> list[Reply]:
        failure = Failure("ModelError", "no")
        return [Reply(errand.jobs[0].key, State.failed, failure=failure)]

    case = Case(tmp_path, ScriptedPool(1))
    case.pool.script["a0"] = [fails]
    assert case.run(*shared("a", 3)) == []
    assert case.scheduler.fatal is None
    assert list(case.told.states().values()) == [State.failed, State.done, State.done]


def test_a_pool_that_takes_nothing_more_ends_the_sweep_with_its_words(tmp_path: Path) -> None:
    class Refusing(ScriptedPool):
        def submit(self, errand: Errand, slot: int) -> Future[list[Reply]]:
            if len(self.handed) == 2:
                raise ConfigError("sbatch: no such partition")
            return super().submit(errand, slot)

    case = Case(tmp_path, Refusing(2))
    left = case.run(*shared("a", 5))
    assert sorted(left) == ["a2", "a3", "a4"]
    assert case.scheduler.fatal == Failure("ConfigError", "sbatch: no such partition")
    assert case.told.states() == {"a0": State.done, "a1": State.done}


def test_a_run_that_is_done_is_no_failed_one_any_more(tmp_path: Path) -> None:
    folder = tmp_path / FAILED_FOLDER
    folder.mkdir()
    (folder / "a0.json").touch()
    (folder / "a9.json").touch()
    Case(tmp_path, ScriptedPool(1)).run(*shared("a", 1))
    assert [entry.name for entry in folder.iterdir()] == ["a9.json"]


def test_the_settings_come_from_the_executor(tmp_path: Path) -> None:
    executor = SerialExecutor(blas_threads=3, retries=4, reuse_mb=5)
    made = Settings.of(executor, tmp_path, tmp_path / "marks").errand([job("a")])
    assert (made.results_dir, made.attempt_dir) == (tmp_path, tmp_path / "marks")
    assert (made.blas_threads, made.retries, made.reuse_mb, made.time_limit) == (3, 4, 5, None)
    assert [one.key for one in made.jobs] == ["a"]
