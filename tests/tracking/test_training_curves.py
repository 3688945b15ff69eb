"""Curves of training in MLflow: by steps, live, and in the finished run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sitrepbench.finetuning.curves import CurveFile, read_curves
from sitrepbench.store.record import RunRecord
from sitrepbench.store.waste import FITS, SEARCHES
from sitrepbench.sweep.jobs import Failure, Job
from sitrepbench.tracking import background, training_curves
from sitrepbench.tracking.attempts import attempt_entry
from sitrepbench.tracking.background import Tracker
from sitrepbench.tracking.connection import open_client, open_experiment
from sitrepbench.tracking.entries import run_entry
from sitrepbench.tracking.log import log_entries, reconcile, summaries_of, tidy_up
from sitrepbench.tracking.session import TrackingSession
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.tracking.stores import open_store
from sitrepbench.tracking.training_curves import CurveWatch, LiveRun, curve_points

MakeRecord = Callable[..., RunRecord]
SECONDS = 60.0
RUN = LiveRun("00c0ffee00c0ffee", "finetuned", {"study": "demo", "model": "finetuned"})


def grow(folder: Path, steps: range, *, fit: str = "a") -> Path:
    """Add points to the curve of a fit of `RUN`, and return the folder of its fits."""
    fits = folder / SEARCHES / RUN.key / FITS
    (fits / fit).mkdir(parents=True, exist_ok=True)
    curve = CurveFile(fits / fit)
    for step in steps:
        time.sleep(0.002)  # points of one step have times of their own
        curve.add(step=step, epoch=1, train_loss=1.0 / step, learning_rate=0.5)
    curve.add(step=steps[-1], epoch=1, dev_loss=0.7, dev_macro_f1=0.6)
    return fits


def finished(make_record: MakeRecord, fits: Path) -> RunRecord:
    record = make_record()
    read_curves(fits).to_parquet(record.folder / "curves.parquet", index=False)
    return record


def histories(settings: TrackingSettings, run_id: str) -> dict[str, list[tuple[int, float]]]:
    client = open_client(settings)
    return {
        name: [(item.step, item.value) for item in client.get_metric_history(run_id, name)]
        for name in ("train_loss", "learning_rate", "dev_loss", "dev_macro_f1")
    }


def the_run(settings: TrackingSettings) -> tuple[str, str]:
    connection = open_experiment(settings)
    (run,) = connection.client.search_runs([connection.experiment_id], "tags.kind = 'run'")
    return run.info.run_id, run.info.status


@pytest.fixture(params=["sqlite", "client"])
def _either_store(request: pytest.FixtureRequest) -> None:
    if request.param == "client":
        request.getfixturevalue("by_client")


def test_steps_count_on_from_fit_to_fit(tmp_path: Path) -> None:
    grow(tmp_path, range(1, 4), fit="z")
    points = curve_points(read_curves(grow(tmp_path, range(1, 3), fit="a")))
    steps = {
        name: [p.step for p in points if p.name == name] for name in ("train_loss", "dev_loss")
    }
    # The first fit has the steps 1 to 3, so the second begins at 4 + 1.
    assert steps == {"train_loss": [1, 2, 3, 5, 6], "dev_loss": [3, 6]}
    assert curve_points(pd.DataFrame()) == ()


def test_long_curves_are_thinned_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_curves, "MOST_POINTS", 4)
    points = curve_points(read_curves(grow(tmp_path, range(1, 11))))
    assert [p.step for p in points if p.name == "train_loss"] == [1, 4, 7, 10]


@pytest.mark.usefixtures("_either_store")
def test_a_finished_run_has_its_curves(
    settings: TrackingSettings, make_record: MakeRecord, tmp_path: Path
) -> None:
    record = finished(make_record, grow(tmp_path, range(1, 4)))
    reconcile([record], settings)
    run_id, status = the_run(settings)
    found = histories(settings, run_id)
    assert status == "FINISHED"
    assert found["train_loss"] == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    assert found["dev_macro_f1"] == [(3, 0.6)]
    metrics = open_client(settings).get_run(run_id).data.metrics
    assert metrics["train_loss"] == pytest.approx(1 / 3)


@pytest.mark.usefixtures("_either_store")
def test_a_run_under_way_becomes_the_finished_one(
    settings: TrackingSettings, results: Path, make_record: MakeRecord
) -> None:
    fits = grow(results, range(1, 3))
    watch = CurveWatch(results / SEARCHES, lambda: {RUN.key: RUN})
    session = TrackingSession(settings)

    def look() -> None:
        for run, points in watch.fresh():
            session.follow(run, points)
            watch.sent(run, points)

    look()
    run_id, status = the_run(settings)
    assert status == "RUNNING"
    assert [step for step, _ in histories(settings, run_id)["train_loss"]] == [1, 2]
    grow(results, range(3, 5))
    look()
    assert [step for step, _ in histories(settings, run_id)["train_loss"]] == [1, 2, 3, 4]
    assert list(watch.fresh()) == []
    record = finished(make_record, fits)
    session.log([run_entry(record, summaries_of(record))])
    session.drop()
    assert the_run(settings) == (run_id, "FINISHED")
    shown = open_client(settings).get_run(run_id)
    assert [step for step, _ in histories(settings, run_id)["train_loss"]] == [1, 2, 3, 4]
    assert shown.data.tags["state"] == "done"
    assert shown.data.params["model"] == record.names["model"]
    assert "macro_f1" in shown.data.metrics
    assert shown.info.run_name == record.run_name
    # Logged once: a look back finds it whole.
    assert reconcile([record], settings) == []


def test_a_killed_runs_curves_are_gone_on_with(
    settings: TrackingSettings, results: Path, make_record: MakeRecord
) -> None:
    fits = grow(results, range(1, 3))
    runs = {RUN.key: RUN}
    first = TrackingSession(settings)
    for run, points in CurveWatch(results / SEARCHES, lambda: runs).fresh():
        first.follow(run, points)
    first.drop()
    run_id, _ = the_run(settings)
    with open_store(settings) as store:
        tidy_up(store)
    assert the_run(settings) == (run_id, "KILLED")
    grow(results, range(3, 5))
    second = TrackingSession(settings)
    for run, points in CurveWatch(results / SEARCHES, lambda: runs).fresh():
        second.follow(run, points)
    second.drop()
    assert the_run(settings) == (run_id, "RUNNING")
    record = finished(make_record, fits)
    with open_store(settings) as store:
        assert log_entries([run_entry(record, summaries_of(record))], store) == {
            RUN.key: (run_id, True)
        }


@pytest.mark.usefixtures("_either_store")
def test_a_failed_run_is_not_shown_as_under_way(
    settings: TrackingSettings, results: Path, make_record: MakeRecord
) -> None:
    fits = grow(results, range(1, 3))
    session = TrackingSession(settings)
    watch = CurveWatch(results / SEARCHES, lambda: {RUN.key: RUN})

    def look() -> None:
        for run, points in watch.fresh():
            session.follow(run, points)
            watch.sent(run, points)

    look()
    run_id, status = the_run(settings)
    assert status == "RUNNING"
    job = Job(RUN.key, RUN.name, {}, {"model": "finetuned"}, ())
    session.log([attempt_entry(job, Failure("ModelError", "the loss is nan"), study="demo")])
    assert the_run(settings) == (run_id, "KILLED")
    assert open_client(settings).get_run(run_id).data.tags["state"] == "failed"
    # A retry goes on with it, and what is done by then is written into it.
    grow(results, range(3, 5))
    look()
    assert the_run(settings) == (run_id, "RUNNING")
    record = finished(make_record, fits)
    session.log([run_entry(record, summaries_of(record))])
    session.drop()
    assert the_run(settings) == (run_id, "FINISHED")


def test_the_tracker_shows_curves_while_they_grow(
    settings: TrackingSettings,
    results: Path,
    make_record: MakeRecord,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "_FOLLOW_SECONDS", 0.01)
    fits = grow(results, range(1, 4))
    with Tracker(settings) as tracker:
        tracker.follow(CurveWatch(results / SEARCHES, lambda: {RUN.key: RUN}))
        end = time.monotonic() + SECONDS
        connection = open_experiment(settings)
        query = "attributes.status = 'RUNNING'"
        while time.monotonic() < end:
            if connection.client.search_runs([connection.experiment_id], query):
                break
            time.sleep(0.05)
        else:
            pytest.fail("no run was shown as RUNNING")
        run_id, _ = the_run(settings)
        record = finished(make_record, fits)
        tracker.log(record)
        report = tracker.close()
    assert report.error is None
    assert report.logged == (RUN.key,)
    assert the_run(settings) == (run_id, "FINISHED")
