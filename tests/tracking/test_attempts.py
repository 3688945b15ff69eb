"""Failed attempts in MLflow: the cause, the command, once each, and superseded in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sitrepbench.store.record import RunRecord
from sitrepbench.sweep.jobs import Failure, Job
from sitrepbench.tracking.attempts import attempt_entry, failure_reason
from sitrepbench.tracking.connection import open_client
from sitrepbench.tracking.entries import ATTEMPT, RUN
from sitrepbench.tracking.log import log_entries, reconcile
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.tracking.stores import open_store

MakeRecord = Callable[..., RunRecord]
FAILURE = Failure(
    "ModelError", "LinearSVC failed:\nValueError: no", "Traceback ...\nValueError: no", 2.5, "pc:17"
)


@pytest.fixture(autouse=True, params=["direct", "client"])
def way(request: pytest.FixtureRequest) -> None:
    if request.param == "client":
        request.getfixturevalue("by_client")


@pytest.fixture
def job(make_record: MakeRecord) -> Job:
    record = make_record(key="d" * 16)
    overrides = ("model=linear_svm", "tracking.uri=http://me:hunter2@host:1")
    return Job(record.key, "svm", record.config, record.names, overrides)


@pytest.mark.slow
def test_an_attempt_tells_why_and_how_to_repeat_it(job: Job, settings: TrackingSettings) -> None:
    with open_store(settings) as store:
        done = log_entries([attempt_entry(job, FAILURE, study="demo")], store)
    ((run_id, now),) = done.values()
    assert now
    run = open_client(settings).get_run(run_id)
    assert (run.info.status, run.info.run_name) == ("FAILED", "svm")
    assert run.info.end_time - run.info.start_time == 2500
    assert run.data.tags["reason"] == "ModelError: LinearSVC failed:"
    assert run.data.tags["content_key"] == job.key
    assert run.data.tags["command"].startswith("sitrepbench run model=linear_svm")
    assert run.data.params["model.C"] == "0.3"
    note = run.data.tags["mlflow.note.content"]
    assert "ValueError: no" in note
    assert "2.5 s on pc:17" in note
    assert "hunter2" not in str(run.data)
    path = open_client(settings).download_artifacts(run_id, "traceback.txt")
    assert Path(path).read_text() == FAILURE.details


@pytest.mark.slow
def test_the_same_failure_is_one_attempt_and_another_is_another(
    job: Job, settings: TrackingSettings
) -> None:
    first = attempt_entry(job, FAILURE, study="demo")
    other = attempt_entry(job, replace(FAILURE, where="pc:18"), study="demo")
    with open_store(settings) as store:
        log_entries([first], store)
        log_entries([first, other], store)
        assert len(store.find(ATTEMPT)) == 2


@pytest.mark.slow
def test_attempts_are_superseded_once_the_run_is_done(
    make_record: MakeRecord, job: Job, settings: TrackingSettings
) -> None:
    elsewhere = replace(job, key="e" * 16)
    with open_store(settings) as store:
        log_entries([attempt_entry(j, FAILURE, study="demo") for j in (job, elsewhere)], store)
    reconcile([replace(make_record(run_name="whole"), key=job.key)], settings)
    with open_store(settings) as store:
        superseded = {
            run.tags["content_key"]: run.tags.get("superseded") for run in store.find(ATTEMPT)
        }
        assert [run.status for run in store.find(RUN)] == ["FINISHED"]
    assert superseded == {job.key: "yes", elsewhere.key: None}


def test_a_failure_without_words_has_a_reason() -> None:
    assert failure_reason(Failure("killed", "")) == "killed"
    assert len(failure_reason(Failure("E", "x" * 999))) == 200
