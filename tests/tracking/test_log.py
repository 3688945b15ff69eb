from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from sitrepbench.errors import TrackingError
from sitrepbench.metrics.summary import Summary, summarise
from sitrepbench.processes import is_alive, this_host, this_process
from sitrepbench.store.record import RunRecord
from sitrepbench.tracking import stores
from sitrepbench.tracking.connection import Connection, open_client, open_experiment
from sitrepbench.tracking.log import forget_runs, log_missing, log_record, reconcile
from sitrepbench.tracking.settings import TrackingSettings, tracking_settings

MakeRecord = Callable[..., RunRecord]
ENDED = "999999999@1"


@pytest.fixture(autouse=True, params=["direct", "client"])
def way(request: pytest.FixtureRequest) -> None:
    """Everything holds for the file written directly and for the one that the client writes."""
    if request.param == "client":
        request.getfixturevalue("by_client")


def summaries(record: RunRecord) -> dict[str, Summary]:
    predictions = record.predictions()
    return {part: summarise(predictions, part) for part in predictions.parts}


def logged(record: RunRecord, settings: TrackingSettings) -> str:
    return log_record(record, summaries(record), settings)


def all_runs(settings: TrackingSettings) -> list[tuple[str, str]]:
    """Return (name, status) of the runs that are not deleted."""
    connection = open_experiment(settings)
    found = connection.client.search_runs([connection.experiment_id])
    return sorted((run.info.run_name, run.info.status) for run in found)


def leave_running(settings: TrackingSettings, key: str, *, process: str, host: str = "") -> str:
    """Do what a process does that is killed while it logs."""
    connection = open_experiment(settings)
    tags = {
        "kind": "run",
        "content_key": key,
        "process": process,
        "host": host or this_host(),
        "logged_since": "0",
    }
    run = connection.client.create_run(connection.experiment_id, tags=tags, run_name="half")
    connection.client.log_metric(run.info.run_id, "macro_f1", 0.99)
    return str(run.info.run_id)


def test_everything_of_a_run_is_there(make_record: MakeRecord, settings: TrackingSettings) -> None:
    record = make_record()
    run = open_client(settings).get_run(logged(record, settings))
    expected = summaries(record)["cv"]
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "svm word_char"
    assert run.info.end_time - run.info.start_time == 12_500
    assert run.data.params["model.C"] == "0.3"
    assert run.data.metrics["macro_f1"] == pytest.approx(expected.metrics["macro_f1"], abs=1e-4)
    assert run.data.tags["content_key"] == record.key
    assert run.data.tags["mlflow.note.content"].startswith("**Macro-F1 0.")
    (dataset,) = run.inputs.dataset_inputs
    assert dataset.dataset.name == "sentences"
    assert dataset.dataset.digest == ("ab" * 32)[:36]
    assert [(tag.key, tag.value) for tag in dataset.tags] == [("mlflow.data.context", "evaluation")]
    client = open_client(settings)
    names = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert names == {
        "config.yaml",
        "environment.json",
        "predictions.parquet",
        "report.html",
        "tables",
    }
    tables = {item.path for item in client.list_artifacts(run.info.run_id, "tables")}
    assert {"tables/cv_per_label.csv", "tables/cv_confusion.csv"} <= tables


def test_artifacts_lie_in_the_results_folder(
    make_record: MakeRecord, settings: TrackingSettings, results: Path
) -> None:
    run_id = logged(make_record(), settings)
    folder = results / "mlartifacts" / "sitrepbench-demo" / run_id / "artifacts"
    assert json.loads((folder / "environment.json").read_text())["python"] == "3.11.7"


def test_training_data_is_a_second_input(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    data = {"name": "seeds", "digest": "c" * 64, "source": "s", "sentences": 9, "documents": 2}
    data["trained_on"] = {**data, "name": "sentences", "digest": "d" * 64}
    run = open_client(settings).get_run(logged(make_record(dataset=data), settings))
    contexts = {item.dataset.name: item.tags[0].value for item in run.inputs.dataset_inputs}
    assert contexts == {"seeds": "evaluation", "sentences": "training"}


def test_logging_twice_is_logging_once(make_record: MakeRecord, settings: TrackingSettings) -> None:
    record = make_record()
    assert logged(record, settings) == logged(record, settings)
    assert all_runs(settings) == [("svm word_char", "FINISHED")]


def test_nothing_is_done_where_tracking_is_off(make_record: MakeRecord, tmp_path: Path) -> None:
    settings = tracking_settings(tmp_path / "results", "demo", enabled=False)
    record = make_record()
    assert log_record(record, {}, settings) == ""
    assert reconcile([record], settings) == []
    assert not (tmp_path / "results").exists()


@pytest.mark.fault
@pytest.mark.parametrize("process", [ENDED, "own"])
def test_run_that_was_killed_in_mid_logging_is_replaced(
    make_record: MakeRecord, settings: TrackingSettings, process: str
) -> None:
    record = make_record()
    half = leave_running(
        settings, record.key, process=this_process() if process == "own" else process
    )
    whole = logged(record, settings)
    assert whole != half
    assert all_runs(settings) == [("svm word_char", "FINISHED")]


@pytest.mark.fault
@pytest.mark.parametrize(
    "step", ["log_batch", "log_inputs", "log_artifacts", "set_terminated", "create_run"]
)
@pytest.mark.usefixtures("by_client")
def test_killed_at_any_step_the_next_start_makes_it_whole(
    make_record: MakeRecord,
    settings: TrackingSettings,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    record = make_record()
    client = open_experiment(settings).client
    with monkeypatch.context() as patch:
        patch.setattr(client, step, die)
        with pytest.raises(Killed):
            logged(record, settings)
    assert not any(status == "FINISHED" for _, status in all_runs(settings))
    assert reconcile([record], settings) == [record.key]
    assert all_runs(settings) == [("svm word_char", "FINISHED")]


def test_run_that_another_host_logs_just_now_is_left_alone(
    make_record: MakeRecord, settings: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_record()
    leave_running(settings, record.key, process=ENDED, host="elsewhere")
    monkeypatch.setattr(stores.time, "time", lambda: 60.0)
    logged(record, settings)
    assert ("half", "RUNNING") in all_runs(settings)


def test_reconcile_logs_only_what_is_missing(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    records = [make_record(key=digit * 16, run_name=f"run {digit}") for digit in "123"]
    logged(records[1], settings)
    assert reconcile(records, settings) == [records[0].key, records[2].key]
    assert reconcile(records, settings) == []
    assert [name for name, _ in all_runs(settings)] == ["run 1", "run 2", "run 3"]


@pytest.mark.fault
def test_reconcile_closes_what_dead_processes_left(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    leave_running(settings, "unknown", process=ENDED)
    reconcile([make_record()], settings)
    assert all_runs(settings) == [("half", "KILLED"), ("svm word_char", "FINISHED")]


def test_only_a_living_process_with_the_same_start_is_alive() -> None:
    pid, _, started = this_process().partition("@")
    assert is_alive(this_process())
    assert not is_alive(f"{pid}@{int(started) - 100}")
    assert not is_alive("")


@pytest.mark.fault
def test_locked_database_is_told_and_nothing_is_lost(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    record = make_record()
    database = settings.database
    assert database is not None
    hasty = replace(settings, patience_seconds=0.2)
    with closing(sqlite3.connect(database, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TrackingError, match="is locked by another program"):
            logged(record, hasty)
        holder.execute("ROLLBACK")
    assert reconcile([record], hasty) == [record.key]


@pytest.mark.fault
def test_server_that_is_down_is_told_at_once(make_record: MakeRecord, tmp_path: Path) -> None:
    settings = replace(
        tracking_settings(tmp_path, "demo", uri="http://127.0.0.1:9"), patience_seconds=0.2
    )
    with pytest.raises(TrackingError, match=r"does not answer .* use tracking=none"):
        logged(make_record(), settings)


def test_deleted_experiment_is_told_with_the_way_back(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    connection: Connection = open_experiment(settings)
    connection.client.delete_experiment(connection.experiment_id)
    with pytest.raises(TrackingError, match=r"was deleted in MLflow.*experiments restore"):
        logged(make_record(), settings)


@pytest.mark.fault
def test_moved_away_database_is_filled_again_from_the_records(
    make_record: MakeRecord, settings: TrackingSettings, results: Path, migrated_database: Path
) -> None:
    record = make_record()
    logged(record, settings)
    # Another process, for this one holds the old file open.
    (results / "mlflow.db").rename(results / "mlflow.db.broken")
    shutil.copyfile(migrated_database, results / "mlflow.db")
    program = (
        "import sys; from pathlib import Path\n"
        "from sitrepbench.store.record import read_record\n"
        "from sitrepbench.tracking.log import reconcile\n"
        "from sitrepbench.tracking.settings import tracking_settings\n"
        "print(reconcile([read_record(Path(sys.argv[1]))],"
        " tracking_settings(Path(sys.argv[2]), 'demo')))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(record.folder), str(results)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"['{record.key}']\n"
    assert done.stderr == "", "MLflow's loggers are quiet"


@pytest.mark.slow
def test_importing_the_package_does_not_import_mlflow() -> None:
    program = (
        "import sys\n"
        "import sitrepbench.tracking.log, sitrepbench.tracking.views\n"
        "import sitrepbench.tracking.ui, sitrepbench.tracking.background\n"
        "print('mlflow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_records_of_what_is_there_are_not_read(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    records = {digit * 16: make_record(key=digit * 16, run_name=digit) for digit in "123"}
    logged(records["1" * 16], settings)
    asked: list[str] = []

    def load(key: str) -> RunRecord | None:
        asked.append(key)
        return records.get(key)

    keys = [*records, "9" * 16]
    assert log_missing(keys, load, settings) == ["2" * 16, "3" * 16]
    assert asked == keys[1:], "a record that is gone by now is left out"
    asked.clear()
    assert log_missing(list(records), load, settings) == []
    assert asked == []


@pytest.mark.slow
def test_forgotten_runs_are_deleted_and_can_be_logged_again(
    make_record: MakeRecord, settings: TrackingSettings, results: Path
) -> None:
    records = [make_record(key=digit * 16, run_name=digit) for digit in "12"]
    elsewhere = replace(settings, experiment="sitrepbench/other")
    reconcile(records, settings)
    reconcile(records[:1], elsewhere)
    assert forget_runs([records[0].key, "unknown"], settings) == 2, "one in each experiment"
    assert all_runs(settings) == [("2", "FINISHED")]
    assert all_runs(elsewhere) == []
    assert reconcile(records, settings) == [records[0].key]
    assert all_runs(settings) == [("1", "FINISHED"), ("2", "FINISHED")]
    client = open_client(settings)
    experiment = open_experiment(settings).experiment_id
    for run in client.search_runs([experiment]):
        assert "report.html" in {item.path for item in client.list_artifacts(run.info.run_id)}


def test_nothing_is_made_in_order_to_forget(tmp_path: Path) -> None:
    assert forget_runs(["1" * 16], tracking_settings(tmp_path, "demo")) == 0
    assert not (tmp_path / "mlflow.db").exists()
