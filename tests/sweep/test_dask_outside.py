"""Dask: a scheduler and workers that somebody else has started."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dask_errands import LONG, act, await_file
from dask_outside import Outside, errand, pids, surroundings

from sitrepbench.errors import ConfigError
from sitrepbench.sweep.dask import ClusterLostError, DaskExecutor, DaskPool
from sitrepbench.sweep.pools import WorkerDiedError

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module", autouse=True)
def _dask(require: Callable[[bool, str], None]) -> None:
    require(find_spec("distributed") is not None, "Dask is not installed: sitrepbench[dask]")


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    folder = tmp_path / "outside"
    folder.mkdir()
    started = Outside(folder)
    yield started
    started.end()


@pytest.mark.fault
def test_a_running_scheduler_and_a_worker_killed(
    outside: Outside,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address = outside.start_scheduler()
    outside.start_worker(address, "--nthreads", "1", "--nworkers", "2")
    before = surroundings()
    executor = DaskExecutor(address=address, workers=2)
    assert executor.where == f"in 2 Dask workers at {address}"
    with DaskPool(executor, tmp_path / "pool", work=act) as pool:
        assert pool.where() == f"2 Dask workers at {address}"
        futures = [
            pool.submit(errand(tmp_path, "meet", name, others=[other]), slot)
            for slot, (name, other) in enumerate(("ab", "ba"))
        ]
        homes = [pids(future.result(LONG)) for future in futures]
        assert homes[0] != homes[1]
        future = pool.submit(errand(tmp_path, "stay", "c"), 0)
        bystander = pool.submit(errand(tmp_path, "meet", "d", others=["go"]), 1)
        pid = await_file(tmp_path / "c.pid")
        assert [pid] == homes[0]
        os.kill(int(pid), signal.SIGKILL)
        with pytest.raises(WorkerDiedError, match=r"tcp://127\.0\.0\.1:\d+ ended"):
            future.result(LONG)
        replaced = pids(pool.submit(errand(tmp_path, "answer", "e"), 0).result(LONG))
        assert replaced not in ([pid], homes[1])
        (tmp_path / "go.pid").touch()
        assert pids(bystander.result(LONG)) == homes[1]
    assert surroundings() == before
    assert not [line for line in capfd.readouterr().err.splitlines() if "Waiting" not in line]


@pytest.mark.fault
def test_kill_waits_for_nobody_elses_workers(outside: Outside, tmp_path: Path) -> None:
    address = outside.start_scheduler()
    outside.start_worker(address, "--nthreads", "1", "--nworkers", "1")
    with DaskPool(DaskExecutor(address=address), tmp_path / "pool", work=act) as pool:
        future = pool.submit(errand(tmp_path, "stay", "a"), 0)
        pid = int(await_file(tmp_path / "a.pid"))
        pool.kill()
        with pytest.raises(WorkerDiedError, match="stopped"):
            future.result(LONG)
    assert psutil.pid_exists(pid)


@pytest.mark.fault
def test_a_scheduler_that_goes_away_ends_what_is_under_way(
    outside: Outside,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    address = outside.start_scheduler()
    outside.start_worker(address, "--nthreads", "1", "--nworkers", "1")
    with DaskPool(DaskExecutor(address=address), tmp_path / "pool", work=act) as pool:
        capfd.readouterr()
        future = pool.submit(errand(tmp_path, "stay", "a"), 0)
        await_file(tmp_path / "a.pid")
        outside.processes[0].kill()
        with pytest.raises(WorkerDiedError, match="scheduler at .* is gone"):
            future.result(LONG)
        with pytest.raises(ClusterLostError, match="scheduler at .* is gone"):
            pool.submit(errand(tmp_path, "answer", "b"), 0)
    assert capfd.readouterr() == ("", "")


@pytest.mark.fault
def test_workers_that_all_die_at_once_are_replaced(outside: Outside, tmp_path: Path) -> None:
    address = outside.start_scheduler()
    outside.start_worker(address, "--nthreads", "1", "--nworkers", "2")
    executor = DaskExecutor(address=address, workers=2)
    with DaskPool(executor, tmp_path / "pool", work=act) as pool:
        futures = [
            pool.submit(errand(tmp_path, "stay", name), slot) for slot, name in enumerate("ab")
        ]
        found = [int(await_file(tmp_path / f"{name}.pid")) for name in "ab"]
        for pid in found:
            os.kill(pid, signal.SIGKILL)
        for future in futures:
            with pytest.raises(WorkerDiedError, match="ended"):
                future.result(LONG)
        # Again both at once.
        met = [
            pool.submit(errand(tmp_path, "meet", name, others=[other]), slot)
            for slot, (name, other) in enumerate(("cd", "dc"))
        ]
        assert len({pids(future.result(LONG))[0] for future in met} - set(map(str, found))) == 2


@pytest.mark.fault
def test_workers_that_are_gone_for_good_end_the_wait(outside: Outside, tmp_path: Path) -> None:
    address = outside.start_scheduler()
    outside.start_worker(address, "--nthreads", "1", "--no-nanny")
    executor = DaskExecutor(address=address, wait_for_workers=1)
    with DaskPool(executor, tmp_path / "pool", work=act) as pool:
        future = pool.submit(errand(tmp_path, "stay", "a"), 0)
        os.kill(int(await_file(tmp_path / "a.pid")), signal.SIGKILL)
        with pytest.raises(WorkerDiedError, match=r"tcp://127\.0\.0\.1:\d+ ended"):
            future.result(LONG)
        with pytest.raises(WorkerDiedError, match="no Dask worker is left at tcp"):
            pool.submit(errand(tmp_path, "answer", "b"), 0).result(LONG)
        with pytest.raises(ClusterLostError, match="then the same command"):
            pool.submit(errand(tmp_path, "answer", "b"), 0)


def test_an_address_where_nobody_answers(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = surroundings()
    with socket.socket() as taken:  # bound, but nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        for wrong in (address, "nowhere", "pigeon://127.0.0.1:1"):
            pool = DaskExecutor(address=wrong).pool(tmp_path)
            with (
                pytest.raises(ConfigError, match=f"address={wrong}: no Dask scheduler answers"),
                pool,
            ):
                pass
    assert surroundings() == before
    assert capfd.readouterr() == ("", "")


def test_workers_that_do_not_suit_are_refused(
    outside: Outside, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    address = outside.start_scheduler()
    with (
        pytest.raises(ConfigError, match=f"no worker. Start some with\n  dask worker {address}"),
        DaskExecutor(address=address, wait_for_workers=0.5).pool(tmp_path),
    ):
        pass
    assert "Waiting up to 0.5 s for Dask workers" in capfd.readouterr().err
    other = "import sitrepbench; sitrepbench.__version__ = '0.0.0'"
    lacking = "import sys; sys.modules['sitrepbench'] = None"
    outside.start_worker(address, "--nthreads", "1", "--no-nanny", prelude=other)
    outside.start_worker(address, "--nthreads", "1", "--no-nanny", prelude=lacking)
    executor = DaskExecutor(address=address, workers=2)
    with pytest.raises(ConfigError) as told, executor.pool(tmp_path):
        pass
    assert "has sitrepbench 0.0.0; " in str(told.value)
    assert "cannot import sitrepbench" in str(told.value)
    outside.start_worker(address, "--nthreads", "3", "--no-nanny")
    executor = DaskExecutor(address=address, workers=3)
    with pytest.raises(ConfigError, match=r"tcp://127\.0\.0\.1:\d+: 3 threads") as told:
        executor.pool(tmp_path).__enter__()
    assert f"dask worker {address} --nthreads 1 --nworkers 4" in str(told.value)


def test_a_scheduler_without_sitrepbench_is_named(outside: Outside, tmp_path: Path) -> None:
    address = outside.start_scheduler("import sys; sys.modules['sitrepbench'] = None")
    outside.start_worker(address, "--nthreads", "1", "--no-nanny")
    pool = DaskExecutor(address=address).pool(tmp_path)
    with pytest.raises(ConfigError, match=f"scheduler at {address} cannot import"), pool:
        pass
