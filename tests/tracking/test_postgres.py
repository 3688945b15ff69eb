"""What is recommended for many hosts, for real: PostgreSQL behind a server that is killed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from servers import MlflowServer, PostgresServer, postgres_missing

from sitrepbench.store.record import RunRecord
from sitrepbench.sweep.jobs import Failure, Job
from sitrepbench.tracking.background import Tracker
from sitrepbench.tracking.connection import Connection, open_experiment
from sitrepbench.tracking.log import forget_runs, log_missing, reconcile, summaries_of
from sitrepbench.tracking.ranking import RankedRow
from sitrepbench.tracking.settings import TrackingSettings, tracking_settings
from sitrepbench.tracking.sweeps import SweepInfo, SweepOutcome

MakeRecord = Callable[..., RunRecord]
SECONDS = 120.0

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(
    require: Callable[[bool, str], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    why = postgres_missing()
    require(not why, why)
    with (
        PostgresServer.start() as database,
        MlflowServer.start(database.uri, tmp_path_factory.mktemp("mlflow")) as running,
    ):
        yield running


@pytest.fixture
def settings(
    server: MlflowServer, tmp_path: Path, request: pytest.FixtureRequest
) -> TrackingSettings:
    """An experiment for each test."""
    return tracking_settings(tmp_path / "results", request.node.name, uri=server.url)


def runs_of(settings: TrackingSettings, kind: str = "run") -> list[tuple[str, str]]:
    connection: Connection = open_experiment(settings)
    found = connection.client.search_runs([connection.experiment_id], f"tags.kind = '{kind}'")
    return sorted((run.info.run_name, run.info.status) for run in found)


def test_records_are_logged_once_found_again_and_forgotten(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    # More than are asked for one by one.
    records = {f"{n:016x}": make_record(key=f"{n:016x}", run_name=f"{n:02}") for n in range(12)}
    first = dict(list(records.items())[:2])
    assert reconcile(first.values(), settings) == list(first)
    assert log_missing(records, records.get, settings) == list(records)[2:]
    assert reconcile(records.values(), settings) == []
    assert runs_of(settings) == [(f"{n:02}", "FINISHED") for n in range(12)]
    assert forget_runs(list(first), settings) == 2
    assert len(runs_of(settings)) == 10


@pytest.mark.fault
def test_a_server_that_is_killed_in_mid_sweep_costs_nothing(
    make_record: MakeRecord,
    settings: TrackingSettings,
    server: MlflowServer,
    capfd: pytest.CaptureFixture[str],
) -> None:
    records = [make_record(key=f"{n:016x}", run_name=f"{n:02}") for n in range(10)]
    found = summaries_of(records[0])
    sweep = SweepInfo("abcdef012345", "demo", "sitrepbench run -m seed=range(11)", n_runs=11)
    some = threading.Semaphore(0)
    with Tracker(settings, sweep, on_logged=lambda *_: some.release()) as tracker:
        for record in records[:6]:
            tracker.log(record, found)
        for _ in range(2):
            assert some.acquire(timeout=SECONDS)
        # In the middle of whatever it is doing for the third.
        server.kill()
        for record in records[6:]:
            tracker.log(record, found)
        job = Job("f" * 16, "bad", records[0].config, records[0].names, ("model=bad",))
        tracker.fail(job, Failure("ModelError", "it raised", "Traceback ...", 1.0, "here:1"))
        server.restart()
        rows = [RankedRow(r.key, r.run_name, "sentences cv", 0.5, 0.4, 0.6) for r in records]
        tracker.finish(SweepOutcome("failed", 10, 1, 0, 11, 9.0, rows))
        report = tracker.close(SECONDS)
    assert report.error is None
    assert capfd.readouterr().out == "", "MLflow prints links, and results go there"
    assert sorted(report.logged) == [record.key for record in records]
    assert runs_of(settings) == [(f"{n:02}", "FINISHED") for n in range(10)]
    assert runs_of(settings, "attempt") == [("bad", "FAILED")]
    assert runs_of(settings, "sweep") == [("sweep abcdef01", "FAILED")]
    connection = open_experiment(settings)
    everything = connection.client.search_runs([connection.experiment_id])
    assert len(everything) == 12, "nothing half logged is left"
    parents = {run.data.tags.get("mlflow.parentRunId") for run in everything}
    assert parents == {None, report.parent_id}
    for run in everything:
        files = {item.path for item in connection.client.list_artifacts(run.info.run_id)}
        assert files & {"report.html", "traceback.txt", "ranking.html"}, run.info.run_name


@pytest.mark.fault
def test_a_server_that_hangs_is_waited_for(
    make_record: MakeRecord, settings: TrackingSettings, server: MlflowServer
) -> None:
    records = [make_record(key=f"{n:016x}", run_name=f"{n:02}") for n in range(4)]
    found = summaries_of(records[0])
    first = threading.Event()
    with Tracker(settings, on_logged=lambda *_: first.set()) as tracker:
        tracker.log(records[0], found)
        assert first.wait(SECONDS)
        server.freeze()
        try:
            for record in records[1:]:
                tracker.log(record, found)
            late = tracker.close(0.1)
        finally:
            server.thaw()
        assert late.error is not None
        assert "Nothing is lost" in str(late.error)
        assert set(late.unlogged) == {record.key for record in records[1:]}
    # What the thread had begun may have gone on; the next start makes it whole, once.
    reconcile(records, replace(settings, patience_seconds=60))
    assert runs_of(settings) == [(f"{n:02}", "FINISHED") for n in range(4)]


@pytest.mark.fault
def test_a_sweep_is_taken_over_by_its_next_start(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    records = [make_record(key=f"{n:016x}", run_name=f"{n:02}") for n in range(2)]
    sweep = SweepInfo("abcdef012345", "demo", "sitrepbench run -m seed=1,2", n_runs=2)
    with Tracker(settings, sweep) as tracker:
        tracker.log(records[0])
        first = tracker.close(SECONDS)
    assert runs_of(settings, "sweep") == [("sweep abcdef01", "KILLED")]
    with Tracker(settings, replace(sweep, n_cached=1)) as tracker:
        tracker.log(records[1])
        tracker.finish(SweepOutcome("done", 1, 0, 1, 2, 3.0))
        second = tracker.close(SECONDS)
    assert second.parent_id == first.parent_id
    assert runs_of(settings, "sweep") == [("sweep abcdef01", "FINISHED")]
    assert len(runs_of(settings)) == 2
