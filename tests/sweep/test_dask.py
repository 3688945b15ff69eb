"""Dask: the settings, and a cluster of processes of this machine."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dask_errands import LONG, act, await_file
from dask_outside import errand, own_children, pids, surroundings

from sitrepbench.config.compose import compose
from sitrepbench.config.run_config import check_config
from sitrepbench.errors import ConfigError
from sitrepbench.preparing import prepare
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep.dask import DaskExecutor, DaskPool
from sitrepbench.sweep.dask_worker import installation_problem
from sitrepbench.sweep.jobs import Errand, Job, State
from sitrepbench.sweep.pools import WorkerDiedError


@pytest.fixture(scope="module")
def dask(require: Callable[[bool, str], None]) -> None:
    require(find_spec("distributed") is not None, "Dask is not installed: sitrepbench[dask]")


@pytest.fixture(scope="module")
def pool(dask: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskPool]:
    """Two processes of a cluster of our own, for tests that leave them alive."""
    folder = tmp_path_factory.mktemp("pool")
    with DaskPool(DaskExecutor(workers=2), folder, work=act) as opened:
        yield opened


# Settings


def test_all_settings_that_make_no_sense_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as told:
        DaskExecutor(workers=0, runs_per_task=0, wait_for_workers=-1)
    for name in ("workers=0", "runs_per_task=0", "wait_for_workers=-1"):
        assert f"executor.{name}: " in str(told.value)


def test_where_is_told_before_a_pool_is_open() -> None:
    address = "tcp://10.0.0.5:8786"
    assert DaskExecutor(workers=1).where == "in 1 Dask worker on this machine"
    assert DaskExecutor(address=address).where == f"in the Dask workers at {address}"
    assert (DaskExecutor(workers=3).slots, DaskExecutor(address=address).slots) == (3, 1)


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'sitrepbench\[dask\]'"):
        DaskExecutor().pool(tmp_path)


def test_importing_the_executor_imports_no_dask() -> None:
    script = "import sys, sitrepbench.sweep.dask; sys.exit('distributed' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_a_worker_that_sees_other_files_is_told_to() -> None:
    ours = {"sitrepbench": "1.0", "Python": "3.12", "sees": True}
    assert installation_problem("the worker", ours, ours) is None
    assert "share" in str(installation_problem("the worker", {**ours, "sees": False}, ours))


# A cluster of our own


@pytest.mark.slow
def test_errands_come_back_in_order(pool: DaskPool, tmp_path: Path) -> None:
    asked = {slot: errand(tmp_path, "answer", *(f"{slot}{n}" for n in range(3))) for slot in (0, 1)}
    futures = {slot: pool.submit(asked[slot], slot) for slot in (0, 1)}
    for slot, future in futures.items():
        assert [reply.key for reply in future.result(LONG)] == [j.key for j in asked[slot].jobs]
    assert (pool.slots, pool.errand_jobs) == (2, 4)
    assert pool.where() == "2 Dask workers on this machine"


@pytest.mark.slow
def test_two_errands_are_under_way_at_once(pool: DaskPool, tmp_path: Path) -> None:
    futures = [
        pool.submit(errand(tmp_path, "meet", name, others=[other]), slot)
        for slot, (name, other) in enumerate(("ab", "ba"))
    ]
    first, second = (pids(future.result(LONG)) for future in futures)
    assert first != second


def test_a_slot_keeps_to_its_worker(pool: DaskPool, tmp_path: Path) -> None:
    seen = {
        slot: {
            pids(pool.submit(errand(tmp_path, "answer", "a"), slot).result(LONG))[0]
            for _ in range(4)
        }
        for slot in (0, 1)
    }
    assert len(seen[0]) == len(seen[1]) == 1
    assert seen[0] != seen[1]


def test_linear_algebra_is_limited_from_the_start(pool: DaskPool, tmp_path: Path) -> None:
    assert pids(pool.submit(errand(tmp_path, "threads", "a"), 0).result(LONG)) == ["[1]"]


def test_only_this_machine_can_reach_the_cluster(pool: DaskPool) -> None:
    processes = [psutil.Process(), *own_children()]
    listening = [
        connection.laddr.ip
        for process in processes
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 3  # the scheduler and two workers
    assert set(listening) == {"127.0.0.1"}


def test_an_errand_that_raises_hands_its_error_over(pool: DaskPool, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="x cannot be done"):
        pool.submit(errand(tmp_path, "raise", "x"), 0).result(LONG)


def test_a_function_that_workers_cannot_import_is_refused_at_once(
    pool: DaskPool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pool, "_work", lambda errand: [])
    with pytest.raises((AttributeError, pickle.PicklingError)):
        pool.submit(errand(tmp_path, "answer", "a"), 0)


@pytest.mark.fault
def test_workers_leave_an_interruption_to_the_parent(pool: DaskPool, tmp_path: Path) -> None:
    future = pool.submit(errand(tmp_path, "meet", "a", others=["go"]), 0)
    pid = await_file(tmp_path / "a.pid")
    os.kill(int(pid), signal.SIGINT)
    (tmp_path / "go.pid").touch()
    assert pids(future.result(LONG)) == [pid]


@pytest.mark.fault
def test_a_killed_worker_is_told_and_replaced(
    pool: DaskPool,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    future = pool.submit(errand(tmp_path, "stay", "a"), 0)
    bystander = pool.submit(errand(tmp_path, "meet", "b", others=["go"]), 1)
    pid = await_file(tmp_path / "a.pid")
    os.kill(int(pid), signal.SIGKILL)
    with pytest.raises(WorkerDiedError, match=r"tcp://127\.0\.0\.1:\d+ ended"):
        future.result(LONG)
    # The other slot is busy, so this needs a new worker.
    assert pids(pool.submit(errand(tmp_path, "answer", "c"), 0).result(LONG)) != [pid]
    (tmp_path / "go.pid").touch()
    assert bystander.result(LONG)
    assert capfd.readouterr() == ("", "")


@pytest.mark.fault
def test_a_run_over_its_time_takes_only_its_worker(pool: DaskPool, tmp_path: Path) -> None:
    with pytest.raises(WorkerDiedError):
        pool.submit(errand(tmp_path, "overrun", "a"), 1).result(LONG)
    assert "_act" in (tmp_path / "a.stack").read_text()
    assert pool.submit(errand(tmp_path, "answer", "b"), 1).result(LONG)


@pytest.mark.slow
@pytest.mark.usefixtures("dask")
def test_real_runs_end_in_the_store(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    said = {"negotiation": "talks held", "denial": "denied false", "evacuation": "left the town"}
    rows = [f"d{n},{text} {n},{label}" for n in range(20) for label, text in said.items()]
    table.write_text("\n".join(["doc_id,text,label", *rows]) + "\n", encoding="utf-8")
    chosen = [f"dataset.path={table}", "features=word", f"results_dir={tmp_path / 'results'}"]
    jobs = []
    for model in ("complement_nb", "linear_svm"):
        config = check_config(compose([*chosen, f"model={model}", "executor=dask"]))
        key = prepare(config).key
        jobs.append(Job(key, model, dict(config.tree), dict(config.names), config.overrides))
    executor: DaskExecutor = config.build("executor")
    assert executor == DaskExecutor()
    attempt = tmp_path / "attempt"
    attempt.mkdir()
    # Local clusters are also for those who call Python; what is relative is so to their folder.
    results = Path(os.path.relpath(tmp_path / "results"))
    with DaskPool(DaskExecutor(workers=1), tmp_path / "pool") as pool:
        errand = Errand(tuple(jobs), results, Path(os.path.relpath(attempt)))
        replies = [pool.submit(errand, 0).result(LONG) for _ in range(2)]
    assert [reply.state for reply in replies[0]] == [State.done, State.done]
    assert replies[0] == replies[1]  # an errand that is handed out anew does nothing twice
    assert ResultsStore(tmp_path / "results").finished() == {job.key for job in jobs}


@pytest.mark.fault
@pytest.mark.usefixtures("dask")
def test_kill_ends_everything_at_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = surroundings()
    with DaskPool(DaskExecutor(workers=2), tmp_path / "pool", work=act) as pool:
        futures = [
            pool.submit(errand(tmp_path, "stay", name), slot) for slot, name in enumerate("ab")
        ]
        workers = [psutil.Process(int(await_file(tmp_path / f"{n}.pid"))) for n in "ab"]
        assert set(workers) <= own_children()
        pool.kill()
        for future in futures:
            with pytest.raises(WorkerDiedError, match="stopped"):
                future.result(LONG)
        psutil.wait_procs(workers, timeout=LONG)
        with pytest.raises(WorkerDiedError, match="stopped"):
            pool.submit(errand(tmp_path, "answer", "c"), 0).result(LONG)
    assert surroundings() == before
    assert capfd.readouterr() == ("", "")
    assert [file.name for file in (tmp_path / "pool").iterdir()] == ["dask.log"]


@pytest.mark.fault
@pytest.mark.usefixtures("dask")
def test_an_error_in_mid_sweep_leaves_nothing_behind(tmp_path: Path) -> None:
    before = surroundings()
    with (
        contextlib.suppress(KeyError),
        DaskPool(DaskExecutor(workers=1), tmp_path / "pool", work=act) as pool,
    ):
        future = pool.submit(errand(tmp_path, "stay", "a"), 0)
        await_file(tmp_path / "a.pid")
        raise KeyError("something else")
    with pytest.raises(WorkerDiedError, match="stopped"):
        future.result(LONG)
    assert surroundings() == before


PARENT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import dask_errands
from dask_outside import errand
from sitrepbench.sweep.dask import DaskExecutor, DaskPool

if __name__ == "__main__":
    folder = Path(sys.argv[2])
    with DaskPool(DaskExecutor(workers=1), folder, work=dask_errands.act) as pool:
        pool.submit(errand(folder, "stay", "a"), 0).result()
"""


@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.usefixtures("dask")
def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(command) as parent:
        worker = psutil.Process(int(await_file(tmp_path / "a.pid")))
        below = psutil.Process(parent.pid).children(recursive=True)
        assert worker in below
        parent.kill()
    _, alive = psutil.wait_procs(below, timeout=LONG)
    assert not alive
