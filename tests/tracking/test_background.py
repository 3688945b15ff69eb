"""The thread that logs while runs are computed: nothing lost, nothing double, nothing unseen."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sitrepbench.errors import StoreError, TrackingError
from sitrepbench.store.record import RunRecord
from sitrepbench.sweep.jobs import Failure, Job
from sitrepbench.tracking import background, entries
from sitrepbench.tracking.background import Tracker, TrackingReport
from sitrepbench.tracking.connection import open_client, open_experiment, tracking_lock
from sitrepbench.tracking.database import AwayError
from sitrepbench.tracking.log import reconcile, summaries_of
from sitrepbench.tracking.ranking import RankedRow
from sitrepbench.tracking.session import TrackingSession
from sitrepbench.tracking.settings import TrackingSettings, tracking_settings
from sitrepbench.tracking.sqlite_store import SqliteStore
from sitrepbench.tracking.sweeps import SweepInfo, SweepOutcome

MakeRecord = Callable[..., RunRecord]
SWEEP = SweepInfo("0123456789ab", "demo", "sitrepbench run -m model.C=1,2", n_runs=4)
SECONDS = 60.0


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(background, "_LONGEST_PAUSE", 0.01)


def shown(settings: TrackingSettings, kind: str = "run") -> list[tuple[str, str]]:
    connection = open_experiment(settings)
    found = connection.client.search_runs([connection.experiment_id], f"tags.kind = '{kind}'")
    return sorted((run.info.run_name, run.info.status) for run in found)


def outcome(state: str = "done", *, done: int = 4, failed: int = 0) -> SweepOutcome:
    return SweepOutcome(state, done, failed, 0, 4, 1.0)  # type: ignore[arg-type]


class Away:
    """An MLflow that can be taken away and brought back."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gone = threading.Event()
        self.asked = threading.Event()
        real_open, real_write = SqliteStore.open, SqliteStore.write

        def open_(settings: TrackingSettings) -> SqliteStore | None:
            self._answer()
            return real_open(settings)

        def write(store: SqliteStore, *args: object, **kwargs: object) -> list[str]:
            self._answer()
            return real_write(store, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(SqliteStore, "open", open_)
        monkeypatch.setattr(SqliteStore, "write", write)

    def _answer(self) -> None:
        if self.gone.is_set():
            self.asked.set()
            raise AwayError("the server does not answer")


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Away:
    return Away(monkeypatch)


@pytest.mark.parametrize("way", ["direct", "client"])
def test_all_that_it_is_given_is_logged_as_children_of_the_sweep(
    make_record: MakeRecord,
    settings: TrackingSettings,
    request: pytest.FixtureRequest,
    way: str,
) -> None:
    if way == "client":
        request.getfixturevalue("by_client")
    records = [make_record(key=digit * 16, run_name=digit) for digit in "123"]
    told: dict[str, str] = {}
    job = Job("4" * 16, "4", records[0].config, records[0].names, ("model=x",))
    with Tracker(settings, SWEEP, on_logged=told.__setitem__) as tracker:
        tracker.log(records[0], summaries_of(records[0]))
        tracker.log(records[1])
        tracker.log_missing(["3" * 16], lambda _: records[2])
        tracker.fail(job, Failure("ModelError", "it raised", "Traceback ...", 1.5, "here:1"))
        tracker.finish(outcome("failed", done=3, failed=1))
        report = tracker.close(SECONDS)
    assert sorted(report.logged) == ["1" * 16, "2" * 16, "3" * 16]
    assert (report.unlogged, report.error, report.attempts) == ({}, None, 1)
    assert set(told) == set(report.logged)
    client = open_client(settings)
    for run_id in told.values():
        tags = client.get_run(run_id).data.tags
        assert tags["mlflow.parentRunId"] == report.parent_id
        assert tags["sweep"] == SWEEP.id
    assert client.get_run(report.parent_id).info.status == "FAILED"
    assert shown(settings, "attempt") == [("4", "FAILED")]


def test_what_is_there_is_neither_read_nor_logged_again(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    record = make_record()
    reconcile([record], settings)

    def load(key: str) -> RunRecord | None:
        raise AssertionError(key)

    with Tracker(settings, SWEEP) as tracker:
        tracker.log_missing([record.key], load)
        tracker.log(record)
        report = tracker.close(SECONDS)
    assert (report.logged, report.error) == ((), None)
    assert shown(settings) == [("svm word_char", "FINISHED")]


@pytest.mark.fault
@pytest.mark.parametrize("when", ["before the start", "in the middle"])
def test_while_mlflow_is_away_the_queue_is_kept(
    make_record: MakeRecord, settings: TrackingSettings, away: Away, when: str
) -> None:
    records = [make_record(key=digit * 16, run_name=digit) for digit in "1234"]
    first = threading.Event()
    if when == "before the start":
        away.gone.set()
    with Tracker(settings, SWEEP, on_logged=lambda *_: first.set()) as tracker:
        if when == "in the middle":
            tracker.log(records[0])
            assert first.wait(SECONDS)
            away.gone.set()
        for record in records:
            tracker.log(record)
        assert away.asked.wait(SECONDS)
        away.gone.clear()
        tracker.finish(outcome())
        report = tracker.close(SECONDS)
    assert report.error is None
    assert sorted(report.logged) == [record.key for record in records]
    assert shown(settings) == [(digit, "FINISHED") for digit in "1234"]
    assert shown(settings, "sweep") == [("sweep 01234567", "FINISHED")]


@pytest.mark.fault
def test_an_mlflow_that_stays_away_is_told_and_the_next_start_makes_it_good(
    make_record: MakeRecord, settings: TrackingSettings, away: Away
) -> None:
    records = [make_record(key=digit * 16, run_name=digit) for digit in "12"]
    away.gone.set()
    with Tracker(settings, SWEEP) as tracker:
        for record in records:
            tracker.log(record)
        report = tracker.close(0.05)
    assert sorted(report.unlogged) == ["1" * 16, "2" * 16]
    assert report.logged == ()
    with pytest.raises(TrackingError, match=r"(?s)does not answer.*Nothing is lost"):
        raise report.error or AssertionError
    away.gone.clear()
    with Tracker(settings, SWEEP) as tracker:
        tracker.log_missing(["1" * 16, "2" * 16], lambda key: records[int(key[0]) - 1])
        assert len(tracker.close(SECONDS).logged) == 2


@pytest.mark.fault
def test_what_waiting_cannot_help_is_not_waited_for(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    connection = open_experiment(settings)
    connection.client.delete_experiment(connection.experiment_id)
    with Tracker(settings) as tracker:
        tracker.log(make_record())
        report = tracker.close(3600)
    assert "was deleted in MLflow" in str(report.error)


@pytest.mark.fault
def test_a_record_that_cannot_be_read_keeps_no_other_from_being_logged(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    records = {digit * 16: make_record(key=digit * 16, run_name=digit) for digit in "123"}
    (records["2" * 16].folder / "predictions.parquet").write_bytes(b"no table")

    def load(key: str) -> RunRecord | None:
        if key == "3" * 16:
            raise StoreError("it is of another format")
        return records.get(key)

    with Tracker(settings, SWEEP) as tracker:
        tracker.log(records["2" * 16])
        tracker.log_missing(["3" * 16, "1" * 16, "gone"], load)
        report = tracker.close(SECONDS)
    assert report.logged == ("1" * 16,)
    assert "not a readable predictions table" in report.unlogged["2" * 16]
    assert "another format" in report.unlogged["3" * 16]
    assert report.error is not None


@pytest.mark.fault
def test_a_run_that_mlflow_refuses_keeps_no_other_from_being_logged(
    make_record: MakeRecord, settings: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = entries.write_artifacts

    def refuse(record: RunRecord, *rest: Any) -> None:
        if record.run_name == "2":
            raise OSError(28, "No space left on device")
        real(record, *rest)

    open_experiment(settings)
    monkeypatch.setattr(entries, "write_artifacts", refuse)
    records = [make_record(key=digit * 16, run_name=digit) for digit in "123"]
    with Tracker(settings, SWEEP) as tracker:
        for record in records:
            tracker.log(record)
        report = tracker.close(SECONDS)
    assert sorted(report.logged) == ["1" * 16, "3" * 16]
    assert "No space left" in report.unlogged["2" * 16]
    assert shown(settings) == [("1", "FINISHED"), ("3", "FINISHED")]
    monkeypatch.undo()
    assert reconcile(records, settings) == ["2" * 16]


@pytest.mark.fault
@pytest.mark.parametrize("where", ["loader", "callback", "writer"])
def test_no_mistake_escapes_unseen(
    make_record: MakeRecord,
    settings: TrackingSettings,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    def mistake(*_: object, **__: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    tracker = Tracker(settings, SWEEP, on_logged=mistake if where == "callback" else None)
    if where == "writer":
        monkeypatch.setattr(SqliteStore, "write", mistake)
    with tracker:
        if where == "loader":
            tracker.log_missing(["1" * 16], mistake)  # type: ignore[arg-type]
        else:
            tracker.log(make_record())
        report = tracker.close(SECONDS)
    assert "nobody thought of this" in str(report.error)
    assert "ZeroDivisionError" in report.details


def test_a_sweep_that_nobody_finished_was_interrupted(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    def work() -> None:
        with Tracker(settings, SWEEP) as tracker:
            tracker.log(make_record())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert shown(settings, "sweep") == [("sweep 01234567", "KILLED")]
    assert shown(settings) == [("svm word_char", "FINISHED")]


def test_runs_of_their_own_have_no_parent(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    with Tracker(settings) as tracker:
        tracker.log(make_record())
        report = tracker.close(SECONDS)
    assert (report.parent_id, report.error) == ("", None)
    assert shown(settings, "sweep") == []
    assert (
        "mlflow.parentRunId"
        not in open_client(settings).get_run(tracker._session.run_ids[report.logged[0]]).data.tags
    )


def test_nothing_happens_where_tracking_is_off(make_record: MakeRecord, tmp_path: Path) -> None:
    settings = tracking_settings(tmp_path / "results", "demo", enabled=False)
    with Tracker(settings, SWEEP) as tracker:
        tracker.log(make_record())
        assert tracker.close() == TrackingReport()
    assert not (tmp_path / "results").exists()


@pytest.mark.fault
def test_several_sweeps_share_a_store(make_record: MakeRecord, settings: TrackingSettings) -> None:
    open_experiment(settings)
    records = [make_record(key=f"{number:016x}", run_name=str(number)) for number in range(9)]
    trackers = [Tracker(settings, replace(SWEEP, id=f"{name * 12}")) for name in "abc"]
    for tracker in trackers:
        tracker.open()
    for record in records:
        for tracker in trackers:
            tracker.log(record, summaries_of(record))
    reports = [tracker.close(SECONDS) for tracker in trackers]
    assert [report.error for report in reports] == [None] * 3
    assert sum(len(report.logged) for report in reports) == 9
    assert shown(settings) == [(str(number), "FINISHED") for number in range(9)]


@pytest.mark.fault
def test_the_interpreter_ends_whatever_the_thread_does(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from sitrepbench.tracking.background import Tracker\n"
        "from sitrepbench.tracking.settings import tracking_settings\n"
        "settings = tracking_settings(Path(sys.argv[1]), 'demo', uri='http://127.0.0.1:9')\n"
        "tracker = Tracker(settings)\n"
        "tracker.open()\n"
        "tracker.log_missing(['1'], lambda key: None)\n"
        "print('end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_ranked_rows_are_linked_wherever_their_runs_came_from(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    old, new = (make_record(key=digit * 16, run_name=digit) for digit in "12")
    reconcile([old], settings)
    rows = [RankedRow(r.key, r.run_name, "sentences cv", 0.5, 0.4, 0.6) for r in (old, new)]
    with Tracker(settings, SWEEP) as tracker:
        tracker.log(new)
        tracker.finish(replace(outcome(done=1), rows=rows))
        report = tracker.close(SECONDS)
    note = open_client(settings).get_run(report.parent_id).data.tags["mlflow.note.content"]
    assert note.count("(#/experiments/") == 2


@pytest.mark.fault
def test_a_long_turn_of_another_process_is_waited_for(
    make_record: MakeRecord, settings: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = threading.Semaphore(0)
    real = Tracker._pause

    def pause(tracker: Tracker) -> None:
        pauses.release()
        real(tracker)

    monkeypatch.setattr(TrackingSession, "_patience", 0.001)
    monkeypatch.setattr(Tracker, "_pause", pause)
    first = threading.Event()
    with Tracker(settings, SWEEP, on_logged=lambda *_: first.set()) as tracker:
        tracker.log(make_record(key="1" * 16, run_name="1"))
        assert first.wait(SECONDS)
        with tracking_lock(settings):
            tracker.log(make_record(key="2" * 16, run_name="2"))
            # More often than a run is offered to an MLflow that refuses it.
            for _ in range(8):
                assert pauses.acquire(timeout=SECONDS)
        report = tracker.close(SECONDS)
    assert report.error is None
    assert shown(settings) == [("1", "FINISHED"), ("2", "FINISHED")]
