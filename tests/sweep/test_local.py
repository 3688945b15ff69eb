"""Processes of this machine: real ones, that are killed, exit, get stuck and lose their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import errands
import psutil
import pytest
from errands import errand

from sitrepbench.errors import ConfigError
from sitrepbench.sweep.local import LocalExecutor, LocalPool, available_processors
from sitrepbench.sweep.pools import WorkerDiedError

WAIT = 60.0
Watch = Callable[..., object]


@pytest.fixture
def pool() -> Iterator[LocalPool]:
    with LocalPool(2, work=errands.do) as opened:
        yield opened
    assert workers() == []


def workers() -> list[psutil.Process]:
    """Return the workers of this process: what its server of forks has as children."""
    server = forkserver._forkserver._forkserver_pid
    return psutil.Process(server).children(recursive=True) if server else []


def ask(pool: LocalPool, folder: Path, *keys: str, slot: int = 0) -> str:
    """Hand an errand out, wait, and return the worker's process id."""
    replies = pool.submit(errand(folder, *keys), slot).result(WAIT)
    assert [reply.key for reply in replies] == list(keys)
    return replies[0].where


def cause_of(pool: LocalPool, folder: Path, key: str, slot: int = 0) -> str:
    with pytest.raises(WorkerDiedError) as caught:
        pool.submit(errand(folder, key), slot).result(WAIT)
    return str(caught.value)


@pytest.mark.slow
def test_a_slot_keeps_its_worker_and_answers_come_in_order(pool: LocalPool, tmp_path: Path) -> None:
    first = ask(pool, tmp_path, "a", "b", "c")
    other = ask(pool, tmp_path, "d", slot=1)
    assert first != other
    assert [ask(pool, tmp_path, f"{n}") for n in range(20)] == [first] * 20
    assert {str(worker.pid) for worker in workers()} == {first, other}


def test_slots_work_at_the_same_time(pool: LocalPool, tmp_path: Path, wait_for: Watch) -> None:
    files = [tmp_path / "left", tmp_path / "right"]
    futures = [
        pool.submit(errand(tmp_path, f"wait {file}"), slot) for slot, file in enumerate(files)
    ]
    wait_for(lambda: all(file.exists() for file in files))
    for file, future in zip(files, futures, strict=True):
        os.kill(int(file.read_text(encoding="utf-8")), signal.SIGTERM)
        with pytest.raises(WorkerDiedError, match=r"signal 15 \(SIGTERM\)$"):
            future.result(WAIT)


def test_a_killed_worker_says_so_and_the_slot_works_on(
    pool: LocalPool, tmp_path: Path, wait_for: Watch
) -> None:
    file = tmp_path / "who"
    other = ask(pool, tmp_path, "a", slot=1)
    future = pool.submit(errand(tmp_path, f"wait {file}"), 0)
    wait_for(file.exists)
    os.kill(int(file.read_text(encoding="utf-8")), signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match=r"killed by signal 9 \(SIGKILL\); .* memory"):
        future.result(WAIT)
    assert ask(pool, tmp_path, "b") not in (file.read_text(encoding="utf-8"), other)
    assert ask(pool, tmp_path, "c", slot=1) == other


def test_an_idle_worker_that_was_killed_is_replaced(
    pool: LocalPool, tmp_path: Path, wait_for: Watch
) -> None:
    first = int(ask(pool, tmp_path, "a"))
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(first))
    assert ask(pool, tmp_path, "b") != str(first)


@pytest.mark.parametrize(
    ("deed", "cause"),
    [
        ("exit 0", "exit code 0"),
        ("exit 7", "exit code 7"),
        ("leave 3", "exit code 3"),
        ("kill 11", "signal 11"),
        ("kill 34", "signal 34"),
    ],
)
def test_a_worker_that_ends_itself_says_how(
    pool: LocalPool, tmp_path: Path, deed: str, cause: str
) -> None:
    assert cause in cause_of(pool, tmp_path, deed)
    ask(pool, tmp_path, "next")


def test_an_errand_that_raises_keeps_its_worker(pool: LocalPool, tmp_path: Path) -> None:
    first = ask(pool, tmp_path, "a")
    with pytest.raises(LookupError, match="here"):
        pool.submit(errand(tmp_path, "raise here"), 0).result(WAIT)
    assert ask(pool, tmp_path, "b") == first


@pytest.mark.slow
def test_an_answer_that_cannot_be_sent_is_an_error_and_not_a_dead_worker(tmp_path: Path) -> None:
    with LocalPool(1, work=errands.answer_oddly) as pool:
        with pytest.raises(TypeError, match="pickle"):
            pool.submit(errand(tmp_path, "a"), 0).result(WAIT)
        assert len(workers()) == 1


def test_killing_ends_what_is_under_way_at_once(
    pool: LocalPool, tmp_path: Path, wait_for: Watch
) -> None:
    files = [tmp_path / "left", tmp_path / "right"]
    futures = [
        pool.submit(errand(tmp_path, f"{deed} {file}"), slot)
        for slot, (deed, file) in enumerate(zip(("wait", "stick"), files, strict=True))
    ]
    wait_for(lambda: all(file.exists() for file in files))
    pool.kill()
    for future in futures:
        with pytest.raises(WorkerDiedError, match="signal 9"):
            future.result(WAIT)
    ask(pool, tmp_path, "next")


def test_closing_leaves_nothing_behind_also_in_the_middle(tmp_path: Path, wait_for: Watch) -> None:
    file = tmp_path / "who"
    with LocalPool(2, work=errands.do) as pool:
        idle = ask(pool, tmp_path, "a", slot=1)
        future = pool.submit(errand(tmp_path, f"stick {file}"), 0)
        wait_for(file.exists)
        assert len(workers()) == 2
    assert workers() == []
    assert not psutil.pid_exists(int(idle))
    with pytest.raises(WorkerDiedError, match="it was stopped"):
        future.result(0)


def test_an_unused_pool_closes() -> None:
    with LocalPool(3, work=errands.do):
        assert workers() == []


@pytest.mark.slow
@pytest.mark.fault
def test_the_server_of_forks_may_be_killed(
    pool: LocalPool, tmp_path: Path, wait_for: Watch
) -> None:
    first = ask(pool, tmp_path, "a")
    os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
    wait_for(lambda: ask(pool, tmp_path, "b") != first)
    wait_for(lambda: not psutil.pid_exists(int(first)))


PARENT = """\
import sys
from pathlib import Path
import errands
from sitrepbench.sweep.local import LocalPool
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    with LocalPool(3, work=errands.do) as pool:
        pool.submit(errands.errand(folder, "a"), 0).result()
        pool.submit(errands.errand(folder, f"wait {folder / 'busy'}"), 1)
        pool.submit(errands.errand(folder, f"wait {folder / 'other'}"), 2).result()
"""


@pytest.mark.slow
@pytest.mark.fault
def test_workers_whose_parent_was_killed_end_by_themselves(tmp_path: Path, wait_for: Watch) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(Path(errands.__file__).parent)}
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path)], env=environment)
    try:
        wait_for(lambda: all((tmp_path / name).exists() for name in ("busy", "other")))
        family = psutil.Process(parent.pid).children(recursive=True)
        assert len(family) >= 4
    finally:
        parent.kill()
        parent.wait()
    wait_for(lambda: not [process for process in family if _lives(process)])


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_process_that_cannot_be_started_is_a_dead_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalPool(1, work=errands.do) as pool:
        with monkeypatch.context() as patch:
            patch.setattr(
                "sitrepbench.sweep.local._Worker", _raise(BlockingIOError(11, "no process"))
            )
            assert "no process could be started" in cause_of(pool, tmp_path, "a")
        ask(pool, tmp_path, "a")


def _raise(error: Exception) -> Callable[..., None]:
    def call(*_: object) -> None:
        raise error

    return call


def test_ctrl_c_does_not_reach_the_server_in_its_imports(pool: LocalPool, tmp_path: Path) -> None:
    ask(pool, tmp_path, "a")
    status = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/status")
    (blocked,) = [
        int(line.split()[1], 16)
        for line in status.read_text(encoding="utf-8").splitlines()
        if line.startswith("SigBlk:")
    ]
    assert blocked >> (signal.SIGINT - 1) & 1
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


# The settings.


def test_the_number_of_workers_is_that_of_the_processors_unless_given() -> None:
    assert LocalExecutor().slots == available_processors() >= 1
    assert LocalExecutor(workers=3).slots == 3
    assert LocalExecutor(workers=3).where == "in 3 processes"
    assert LocalExecutor(workers=1).where == "in 1 process"
    assert LocalPool(3).where() == "3 processes"
    assert LocalExecutor(workers=3).pool(Path()).slots == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"workers": 0}, ["executor.workers=0"]),
        ({"blas_threads": 0, "time_limit": 0.0}, ["executor.blas_threads=0", "time_limit=0.0"]),
        ({"retries": -1, "reuse_mb": -5}, ["executor.retries=-1", "executor.reuse_mb=-5"]),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        LocalExecutor(**settings)
    assert all(word in str(caught.value) for word in words)


def test_workers_have_the_threads_that_were_asked_for(tmp_path: Path) -> None:
    before = dict(os.environ)
    with LocalPool(1, work=errands.tell_threads) as pool:
        assert ask(pool, tmp_path, "a") == "1"
    assert dict(os.environ) == before
