"""What a worker does with its jobs: real runs, in this process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sitrepbench.config.run_config import RunConfig
from sitrepbench.errors import ConfigError, DataError, StoreError
from sitrepbench.preparing import prepare
from sitrepbench.processes import this_host
from sitrepbench.store.failures import FailedRuns
from sitrepbench.store.results import ResultsStore
from sitrepbench.sweep import worker
from sitrepbench.sweep.jobs import Errand, Job, Reply, State
from sitrepbench.sweep.marks import Marks
from sitrepbench.sweep.planning import Planner

Compose = Callable[..., RunConfig]
NB = ("model=complement_nb", "features=word")


@pytest.fixture(autouse=True)
def _leave_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep this process's thread limits, which a worker sets for good."""
    monkeypatch.setattr(worker, "_limit_threads", lambda _: None)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results"


@pytest.fixture
def marks(tmp_path: Path) -> Marks:
    folder = tmp_path / "marks"
    folder.mkdir()
    return Marks(folder)


def job_of(config: RunConfig) -> Job:
    made = Planner().prepare(config).job
    assert made is not None
    return made


@pytest.fixture
def do(results: Path, marks: Marks) -> Callable[..., list[Reply]]:
    def call(*jobs: Job, **changes: Any) -> list[Reply]:
        return worker.run_errand(Errand(jobs, results, marks.folder, **changes))

    return call


def breaks_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Have every run fail as a model would."""

    def execute(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("sitrepbench.runs.execute", execute)


def test_runs_are_computed_stored_and_then_taken(
    do, compose: Compose, results: Path, marks: Marks, tmp_path: Path
) -> None:
    jobs = [job_of(compose(*NB, f"model.alpha={alpha}")) for alpha in (0.1, 0.2)]
    replies = do(*jobs)
    assert [reply.key for reply in replies] == [job.key for job in jobs]
    assert [reply.state for reply in replies] == [State.done] * 2
    assert all(reply.seconds > 0 and reply.where.startswith(this_host()) for reply in replies)
    store = ResultsStore(results)
    assert store.finished() == {job.key for job in jobs}
    assert marks.under_way() == {}
    # Within an attempt what was said is said again; in another one the store is asked.
    assert do(*jobs) == replies
    other = tmp_path / "other"
    other.mkdir()
    again = worker.run_errand(Errand(tuple(jobs), results, other))
    assert [reply.state for reply in again] == [State.cached] * 2


def test_one_failure_does_not_stop_the_next(
    do, compose: Compose, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = (job_of(compose(*NB, f"model.alpha={alpha}")) for alpha in (0.1, 0.2))
    real = worker._obtain

    def obtain(job: Job, errand: Errand) -> bool:
        if job is bad:
            raise ValueError("the cause")
        return real(job, errand)

    monkeypatch.setattr(worker, "_obtain", obtain)
    first, second = do(bad, good)
    assert (first.state, second.state) == (State.failed, State.done)
    failed = FailedRuns(results).find(bad.key)
    assert failed is not None
    assert (failed.kind, failed.message) == ("ValueError", "ValueError: the cause")
    assert "in obtain" in failed.details
    assert failed.command == f"sitrepbench run {' '.join(NB)} model.alpha=0.1"
    assert failed.run_name == bad.name
    assert failed.study == "adhoc"
    assert failed.exit_code == 7


class UnsayableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (DataError("rows are missing"), "DataError", "rows are missing"),
        (ValueError("x"), "ValueError", "ValueError: x"),
        (ValueError(), "ValueError", "ValueError"),
        (ValueError("a\ud800b"), "ValueError", "ValueError: a?b"),
        (MemoryError("full"), "MemoryError", "MemoryError: full"),
        (SystemExit(3), "SystemExit", "SystemExit: 3"),
        (UnsayableError(), "UnsayableError", "UnsayableError"),
    ],
)
def test_whatever_a_run_raises_is_told_and_kept(
    do,
    compose: Compose,
    results: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    kind: str,
    message: str,
) -> None:
    breaks_with(monkeypatch, error)
    job = job_of(compose(*NB))
    (reply,) = do(job)
    assert reply.state is State.failed
    assert reply.failure is not None
    assert (reply.failure.kind, reply.failure.message) == (kind, message)
    assert "Traceback" in reply.failure.details
    kept = FailedRuns(results).find(job.key)
    assert kept is not None
    assert (kept.kind, kept.message) == (kind, message)


def test_an_own_error_keeps_its_exit_code(
    do, compose: Compose, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks_with(monkeypatch, DataError("rows are missing"))
    job = job_of(compose(*NB))
    do(job)
    kept = FailedRuns(results).find(job.key)
    assert kept is not None
    assert kept.exit_code == DataError.exit_code


def test_long_tracebacks_are_cut_at_their_beginning(
    do, compose: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks_with(monkeypatch, ValueError("x" * 30_000 + "end"))
    (reply,) = do(job_of(compose(*NB)))
    assert reply.failure is not None
    assert len(reply.failure.details) == worker.MAX_DETAILS
    assert reply.failure.details.rstrip().endswith("end")


def test_a_worker_with_other_code_or_data_says_so(do, compose: Compose, results: Path) -> None:
    job = replace(job_of(compose(*NB)), key="0123456789abcdef")
    (reply,) = do(job)
    assert reply.failure is not None
    assert reply.failure.kind == ConfigError.__name__
    assert "0123456789abcdef" in reply.failure.message
    assert ResultsStore(results).finished() == set()


def test_a_run_that_somebody_has_is_busy(do, compose: Compose, results: Path, marks: Marks) -> None:
    config = compose(*NB)
    job = job_of(config)
    with ResultsStore(results).claim(prepare(config).key):
        (reply,) = do(job)
    assert reply.state is State.busy
    assert marks.under_way() == {}
    assert marks.reply(job.key) is None
    assert FailedRuns(results).keys() == set()
    assert do(job)[0].state is State.done


def test_a_run_that_a_dead_process_left_is_settled_first(
    do, compose: Compose, results: Path, marks: Marks
) -> None:
    """As where a scheduler other than ours hands an errand out anew."""
    code = "from sitrepbench.processes import this_process; print(this_process())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    job = job_of(compose(*NB))
    mark = {"host": this_host(), "process": dead.stdout.strip(), "since": 1.0, "deaths": 0}
    file = marks.folder / f"{job.key}.json"
    file.write_text(json.dumps(mark), encoding="utf-8")
    (reply,) = do(job, retries=0)
    assert reply.failure is not None
    assert reply.failure.kind == "killed"
    assert FailedRuns(results).keys() == {job.key}
    (marks.folder / f"{job.key}.reply").unlink()
    file.write_text(json.dumps(mark), encoding="utf-8")
    assert do(job, retries=1)[0].state is State.done


def test_where_no_mark_can_be_written_nothing_is_computed(
    compose: Compose, results: Path, tmp_path: Path
) -> None:
    errand = Errand((job_of(compose(*NB)),), results, tmp_path / "absent")
    (reply,) = worker.run_errand(errand)
    assert reply.failure is not None
    assert reply.failure.kind == StoreError.__name__
    assert "cannot be written" in reply.failure.message
    assert "run the same command again" in reply.failure.message
    assert not (results / "runs").exists()


def test_a_run_within_its_time_leaves_no_stack(do, compose: Compose, marks: Marks) -> None:
    (reply,) = do(job_of(compose(*NB)), time_limit=600.0)
    assert reply.state is State.done
    assert not list(marks.folder.glob("*.stack"))


def test_keeping_features_for_the_next_run_changes_no_prediction(
    do, compose: Compose, results: Path, marks: Marks
) -> None:
    jobs = [job_of(compose(*NB, f"model.alpha={alpha}")) for alpha in (0.3, 0.4)]
    digests = []
    for reuse_mb in (0, 64):
        do(*jobs, reuse_mb=reuse_mb)
        store = ResultsStore(results)
        records = [store.find(job.key) for job in jobs]
        assert all(records)
        digests.append([record.predictions_digest for record in records if record])
        for job in jobs:
            store.remove(job.key)
            (marks.folder / f"{job.key}.reply").unlink()
    assert digests[0] == digests[1]


def test_a_failure_that_cannot_be_kept_is_still_told(
    do, compose: Compose, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks_with(monkeypatch, ValueError("x"))
    results.mkdir()
    (results / "failed").touch()
    (reply,) = do(job_of(compose(*NB)))
    assert reply.failure is not None
    assert reply.failure.kind == "ValueError"
