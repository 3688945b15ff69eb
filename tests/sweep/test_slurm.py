"""Slurm jobs on a real Slurm of one host, without accounting."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import slurm_work
from slurm_cluster import SlurmCluster, missing_parts, until

from sitrepbench.errors import ConfigError
from sitrepbench.sweep.jobs import Reply, State
from sitrepbench.sweep.pools import WorkerDiedError
from sitrepbench.sweep.slurm import SlurmExecutor

pytestmark = [pytest.mark.slow]

#: Until when what should happen within a few seconds must have happened, on a busy machine.
SECONDS = 60.0
#: Until when a processor must be free again.
FREE_SECONDS = 200.0
QUICK = {"poll": 0.1, "grace": 0.6}


@pytest.fixture(scope="module")
def own_cluster(
    tmp_path_factory: pytest.TempPathFactory, require: Callable[[bool, str], None]
) -> Iterator[SlurmCluster]:
    require(find_spec("submitit") is not None, "submitit is not installed: sitrepbench[slurm]")
    missing = missing_parts()
    require(not missing, f"Slurm is not installed (slurm-wlm, munge): no {', '.join(missing)}")
    with SlurmCluster(tmp_path_factory.mktemp("slurm"), cpus=2) as cluster:
        yield cluster


@pytest.fixture
def cluster(
    own_cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[SlurmCluster]:
    """The cluster, its commands on the path, and a ``sacct`` that tells when it is called."""
    for name, value in own_cluster.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    sacct = tmp_path / "bin" / "sacct"
    sacct.parent.mkdir()
    sacct.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(tmp_path / 'sacct-called'))}\nexit 1\n")
    sacct.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sacct.parent}:{os.environ['PATH']}")
    yield own_cluster
    assert not (tmp_path / "sacct-called").exists(), "something asked sacct"
    # The next test counts on free processors, and a job that completes still holds its own: after
    # the controller was away, until slurmd has told it once more.
    until(own_cluster.is_free, FREE_SECONDS)


def executor(**settings: Any) -> SlurmExecutor:
    return SlurmExecutor(**{**QUICK, "jobs": 2, **settings})


def started(folder: Path, key: str) -> dict[str, Any]:
    """Wait until a job has started, and return its process and number."""
    file = folder / f"{key}.started"
    until(file.exists, SECONDS)
    said: dict[str, Any] = json.loads(file.read_text())
    return said


def death(future: Future[list[Reply]]) -> str:
    error = future.exception(SECONDS)
    assert isinstance(error, WorkerDiedError), error
    return str(error)


def is_running(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_runs_come_back_in_order_and_leave_no_files(cluster: SlurmCluster, tmp_path: Path) -> None:
    with executor().pool(tmp_path / "pool", work=slurm_work.answer) as pool:
        replies = pool.submit(slurm_work.errand(tmp_path, "b", "a"), 0).result(SECONDS)
    assert [(reply.key, reply.state) for reply in replies] == [("b", State.done), ("a", State.done)]
    assert int(replies[0].where) != os.getpid()
    assert not list((tmp_path / "pool").iterdir())


def test_job_has_its_settings(cluster: SlurmCluster, tmp_path: Path) -> None:
    settings = executor(
        cpus=2,
        blas_threads=2,
        memory_gb=0.5,
        setup=["export FROM_SETUP='a b'"],
        python=f"env FROM_PYTHON=1 {shlex.quote(sys.executable)}",
        additional={"nice": 5},
    )
    folder = tmp_path / "sweeps" / "0f3a9c51d2e4" / "a folder's pool"
    with settings.pool(folder, work=slurm_work.tell_environment) as pool:
        reply = pool.submit(slurm_work.errand(tmp_path, "a"), 0).result(SECONDS)[0]
        job = cluster.ask("scontrol", "show", "job", "--oneliner")
    assert json.loads(reply.where) == {
        "OMP_NUM_THREADS": "2",
        "OPENBLAS_NUM_THREADS": "2",
        "SLURM_CPUS_PER_TASK": "2",
        "SLURM_JOB_NAME": "sitrepbench-0f3a9c51d2e4",
        "FROM_SETUP": "a b",
        "FROM_PYTHON": "1",
    }
    mine = next(line for line in job.splitlines() if "0f3a9c51d2e4" in line)
    for said in ("MinMemoryNode=512M", "TimeLimit=01:00:00", "Partition=main", "Nice=5"):
        assert said in mine


def test_two_jobs_run_at_once(cluster: SlurmCluster, tmp_path: Path) -> None:
    with executor().pool(tmp_path, work=slurm_work.wait_for_other) as pool:
        left = pool.submit(slurm_work.errand(tmp_path, "left"), 0)
        right = pool.submit(slurm_work.errand(tmp_path, "right"), 1)
        assert [reply.key for future in (left, right) for reply in future.result(SECONDS)] == [
            "left",
            "right",
        ]


def test_a_sweep_can_be_started_inside_an_allocation(
    cluster: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_MEM_PER_CPU", "100")
    monkeypatch.setenv("SLURM_NTASKS", "7")
    with executor(memory_gb=0.5).pool(tmp_path, work=slurm_work.answer) as pool:
        assert pool.submit(slurm_work.errand(tmp_path, "a"), 0).result(SECONDS)


@pytest.mark.fault
def test_a_killed_job_is_noticed_and_its_slot_used_again(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    with executor().pool(tmp_path, work=slurm_work.wait_for_go) as pool:
        future = pool.submit(slurm_work.errand(tmp_path, "a", "b"), 0)
        job = started(tmp_path, "a")
        os.kill(job["pid"], signal.SIGKILL)
        said = death(future)
        assert f"Slurm job {job['job']} was killed by signal 9 (SIGKILL)" in said
        assert "Killed" in said.splitlines()[2]  # the end of the job's log
        for key in ("a", "b"):
            (tmp_path / f"{key}.go").touch()
        again = pool.submit(slurm_work.errand(tmp_path, "a", "b"), 0)
        assert [reply.key for reply in again.result(SECONDS)] == ["a", "b"]


@pytest.mark.fault
def test_scancel_ends_a_job(cluster: SlurmCluster, tmp_path: Path) -> None:
    with executor().pool(tmp_path, work=slurm_work.wait_for_go) as pool:
        future = pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        job = started(tmp_path, "a")
        cluster.ask("scancel", job["job"])
        assert f"Slurm job {job['job']} was cancelled" in death(future)
        until(lambda: not is_running(job["pid"]))


@pytest.mark.fault
def test_a_job_that_cannot_start_python_tells_why(cluster: SlurmCluster, tmp_path: Path) -> None:
    settings = executor(python="/no/such/python")
    with settings.pool(tmp_path, work=slurm_work.answer) as pool:
        said = death(pool.submit(slurm_work.errand(tmp_path, "a"), 0))
    assert "ended with exit code 2" in said
    assert "/no/such/python" in said


@pytest.mark.fault
def test_an_error_of_the_errand_itself_is_told(cluster: SlurmCluster, tmp_path: Path) -> None:
    with executor().pool(tmp_path, work=slurm_work.raise_error) as pool:
        said = death(pool.submit(slurm_work.errand(tmp_path, "key"), 0))
    assert "raised LookupError: no key here" in said.splitlines()[0]
    assert "slurm_work.py" in said


@pytest.mark.fault
def test_a_requeued_job_is_waited_for(cluster: SlurmCluster, tmp_path: Path) -> None:
    with executor().pool(tmp_path, work=slurm_work.wait_for_go) as pool:
        future = pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        first = started(tmp_path, "a")
        (tmp_path / "a.started").unlink()
        cluster.ask("scontrol", "requeue", first["job"])
        second = started(tmp_path, "a")
        assert second["job"] == first["job"]
        assert second["pid"] != first["pid"]
        (tmp_path / "a.go").touch()
        assert future.result(SECONDS)[0].key == "a"


@pytest.mark.fault
def test_a_controllers_restart_ends_no_job(cluster: SlurmCluster, tmp_path: Path) -> None:
    with executor().pool(tmp_path, work=slurm_work.wait_for_go) as pool:
        left = pool.submit(slurm_work.errand(tmp_path, "left"), 0)
        right = pool.submit(slurm_work.errand(tmp_path, "right"), 1)
        for key in ("left", "right"):
            started(tmp_path, key)
        cluster.stop_controller()
        try:
            (tmp_path / "left.go").touch()
            # An answer needs no controller.
            assert left.result(SECONDS)[0].key == "left"
            later = pool.submit(slurm_work.errand(tmp_path, "left"), 0)
        finally:
            cluster.start_controller()
        assert not right.done()
        (tmp_path / "right.go").touch()
        assert right.result(SECONDS)[0].key == "right"
        assert later.result(SECONDS)[0].key == "left"


def test_an_unknown_partition_is_refused_in_slurms_words(
    cluster: SlurmCluster, tmp_path: Path
) -> None:
    pool = executor(partition="mian").pool(tmp_path / "pool", work=slurm_work.answer)
    with pytest.raises(ConfigError, match=r"(?s)mian.*Invalid partition name.*executor\.partition"):
        pool.__enter__()
    assert not list((tmp_path / "pool").iterdir())


def test_waiting_jobs_show_their_reason(cluster: SlurmCluster, tmp_path: Path) -> None:
    with executor(jobs=2, cpus=2).pool(tmp_path, work=slurm_work.wait_for_go) as pool:
        pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        started(tmp_path, "a")
        pool.submit(slurm_work.errand(tmp_path, "b"), 1)
        until(lambda: pool.where() == "2 Slurm jobs (1 running, 1 waiting: Resources)", SECONDS)


@pytest.mark.fault
def test_kill_empties_the_queue(cluster: SlurmCluster, tmp_path: Path) -> None:
    with executor(cpus=2).pool(tmp_path, work=slurm_work.wait_for_go) as pool:
        running = pool.submit(slurm_work.errand(tmp_path, "a"), 0)
        pid = started(tmp_path, "a")["pid"]
        waiting = pool.submit(slurm_work.errand(tmp_path, "b"), 1)
        until(lambda: len(cluster.queue()) == 2, SECONDS)
        pool.kill()
        assert "stopped" in death(running)
        assert "stopped" in death(waiting)
        until(lambda: not cluster.queue(), SECONDS)
        until(lambda: not is_running(pid), SECONDS)
        assert pool.where() == "2 Slurm jobs"


@pytest.mark.fault
def test_an_error_in_the_parent_leaves_no_job(cluster: SlurmCluster, tmp_path: Path) -> None:
    pool = executor().pool(tmp_path, work=slurm_work.wait_for_go)
    with contextlib.suppress(ZeroDivisionError), pool:
        # The second one is on its way to the queue, or has not been sent.
        futures = [pool.submit(slurm_work.errand(tmp_path, key), 0) for key in ("a", "b")]
        started(tmp_path, "a")
        raise ZeroDivisionError
    assert not cluster.queue()
    assert all("stopped" in death(future) for future in futures)


_PARENT = """
import sys
from pathlib import Path
import slurm_work
from sitrepbench.sweep.slurm import SlurmExecutor

folder = Path(sys.argv[1])
with SlurmExecutor(poll=0.1, grace=0.6).pool(folder, work=slurm_work.wait_for_go) as pool:
    pool.submit(slurm_work.errand(folder, "a"), 0).result()
"""


@pytest.mark.fault
@pytest.mark.parametrize(("number", "left"), [(signal.SIGINT, 0), (signal.SIGKILL, 1)])
def test_signals_to_the_parent(
    cluster: SlurmCluster, tmp_path: Path, number: signal.Signals, left: int
) -> None:
    command = [sys.executable, "-c", _PARENT, str(tmp_path)]
    # A terminal sends Ctrl-C to all processes of the group.
    parent = subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)
    job = started(tmp_path, "a")
    os.killpg(parent.pid, number)
    try:
        parent.communicate(timeout=SECONDS / 2)
    except subprocess.TimeoutExpired:
        # Python loses an interruption that comes while a destructor runs; people press again.
        os.killpg(parent.pid, number)
        parent.communicate(timeout=SECONDS)
    assert cluster.queue() == [job["job"]] * left
    # What a killed parent left goes on to its end.
    (tmp_path / "a.go").touch()
    until(lambda: not cluster.queue(), SECONDS)
    until(lambda: not is_running(job["pid"]), SECONDS)
    answers = list(tmp_path.glob("slurm-*/*_result.pkl"))
    assert len(answers) == left
