"""The direct way into MLflow's SQLite file against MLflow's own client, and what kills do to it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sitrepbench.store.record import RunRecord
from sitrepbench.tracking.connection import open_client, open_experiment
from sitrepbench.tracking.database import known_revisions
from sitrepbench.tracking.entries import RUN, Entry, run_entry
from sitrepbench.tracking.log import log_entries, reconcile, summaries_of
from sitrepbench.tracking.settings import TrackingSettings, tracking_settings
from sitrepbench.tracking.sqlite_store import VERIFIED_REVISIONS, SqliteStore
from sitrepbench.tracking.stores import open_store

MakeRecord = Callable[..., RunRecord]
#: What differs from run to run, whoever writes it.
OWN = ("logged_since", "mlflow.user", "host", "process")


def entry_of(record: RunRecord) -> Entry:
    return run_entry(record, summaries_of(record))


def written(record: RunRecord, settings: TrackingSettings) -> str:
    with open_store(settings) as store:
        return log_entries([entry_of(record)], store)[record.key][0]


def as_mlflow_shows_it(settings: TrackingSettings, run_id: str) -> dict[str, Any]:
    """Everything that MLflow's client tells of a run, without what is the run's own."""
    client = open_client(settings)
    run = client.get_run(run_id)
    info = dict(run.info)
    for name in ("run_id", "run_uuid", "experiment_id", "artifact_uri", "user_id"):
        info.pop(name, None)
    files = {
        item.path: item.file_size
        for folder in (None, "tables")
        for item in client.list_artifacts(run_id, folder)
    }
    return {
        "info": info,
        "params": run.data.params,
        "metrics": run.data.metrics,
        "tags": {name: value for name, value in run.data.tags.items() if name not in OWN},
        "own": sorted(name for name in run.data.tags if name in OWN),
        "history": [plain(item) for item in client.get_metric_history(run_id, "macro_f1")],
        "inputs": [
            (item.dataset.to_dictionary(), [(tag.key, tag.value) for tag in item.tags])
            for item in run.inputs.dataset_inputs
        ],
        "files": files,
    }


def plain(metric: Any) -> tuple[Any, ...]:
    return metric.key, metric.value, metric.timestamp, metric.step


def rows_of(settings: TrackingSettings, table: str) -> list[tuple[Any, ...]]:
    assert settings.database is not None
    with closing(sqlite3.connect(settings.database)) as base:
        return base.execute(f"SELECT * FROM {table}").fetchall()


def test_the_installed_schema_is_one_that_was_verified() -> None:
    assert known_revisions()[0] in VERIFIED_REVISIONS, (
        "MLflow has a new schema: compare what its client writes (the test below), then add it"
    )


@pytest.mark.slow
def test_mlflow_shows_the_same_whoever_wrote_the_run(
    make_record: MakeRecord, settings: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"name": "seeds", "digest": "c" * 64, "source": "s", "sentences": 9, "documents": 2}
    record = make_record(
        parts=("dev", "test"),
        dataset={**data, "trained_on": {**data, "name": "sentences", "digest": "d" * 64}},
        notes=["naïve “quotes”\nand lines"],
    )
    direct = as_mlflow_shows_it(settings, written(record, settings))
    # Of the same experiment, so that datasets which are there already are told as well.
    other = replace(record, key="1" * 16)
    monkeypatch.setattr(SqliteStore, "open", lambda *_: None)
    client = as_mlflow_shows_it(settings, written(other, settings))
    client["tags"]["content_key"] = record.key
    assert direct == client
    assert direct["metrics"]["test/macro_f1"] > 0
    assert len(direct["inputs"]) == 2


def test_no_column_is_filled_otherwise_than_by_the_client(
    make_record: MakeRecord, settings: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_record()
    written(record, settings)
    monkeypatch.setattr(SqliteStore, "open", lambda *_: None)
    written(replace(record, key="1" * 16), settings)
    for table in ("runs", "params", "tags", "metrics", "latest_metrics", "inputs", "input_tags"):
        rows = rows_of(settings, table)
        half = len(rows) // 2
        kinds = [sorted({tuple(map(type, row)) for row in some}, key=str)
                 for some in (rows[:half], rows[half:])]  # fmt: skip
        assert rows, table
        assert kinds[0] == kinds[1], table
    assert len(rows_of(settings, "datasets")) == 1, "the second run found the first one's"


def test_the_file_stays_sound(make_record: MakeRecord, settings: TrackingSettings) -> None:
    reconcile([make_record(key=digit * 16) for digit in "123"], settings)
    assert settings.database is not None
    with closing(sqlite3.connect(settings.database)) as base:
        assert base.execute("PRAGMA foreign_key_check").fetchall() == []
        assert base.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_an_experiment_is_made_as_the_client_makes_it(
    settings: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store(settings):
        pass
    monkeypatch.setattr(SqliteStore, "open", lambda *_: None)
    with open_store(replace(settings, experiment="sitrepbench/other")):
        pass
    direct, client = rows_of(settings, "experiments")[-2:]
    assert [type(value) for value in direct] == [type(value) for value in client]
    assert (direct[1], direct[2].rpartition("/")[2]) == ("sitrepbench/demo", "sitrepbench-demo")
    assert (client[1], client[2].rpartition("/")[2]) == ("sitrepbench/other", "sitrepbench-other")
    assert (direct[0] + 1, direct[3], direct[6]) == (client[0], client[3], client[6])
    assert direct[4] == direct[5]
    keys = [[row[0] for row in rows_of(settings, "experiment_tags") if row[2] == number]
            for number in (direct[0], client[0])]  # fmt: skip
    assert keys[0] == keys[1]


@pytest.mark.slow
def test_mlflow_is_not_even_imported(make_record: MakeRecord, results: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from sitrepbench.store.record import read_record\n"
        "from sitrepbench.tracking.background import Tracker\n"
        "from sitrepbench.tracking.settings import tracking_settings\n"
        "from sitrepbench.tracking.sweeps import SweepInfo, SweepOutcome\n"
        "settings = tracking_settings(Path(sys.argv[1]), 'demo')\n"
        "with Tracker(settings, SweepInfo('ab', 'demo', 'run', 1)) as tracker:\n"
        "    tracker.log(read_record(Path(sys.argv[2])))\n"
        "    tracker.finish(SweepOutcome('done', 1, 0, 0, 1, 1.0))\n"
        "    print(len(tracker.close().logged), 'mlflow' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(results), str(make_record().folder)],
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("1 False\n", "")


def test_mlflow_goes_on_from_there(make_record: MakeRecord, settings: TrackingSettings) -> None:
    run_id = written(make_record(), settings)
    client = open_client(settings)
    client.set_tag(run_id, "comment", "good")
    client.log_metric(run_id, "later", 0.5)
    client.delete_run(run_id)
    client.restore_run(run_id)
    run = client.get_run(run_id)
    assert (run.data.tags["comment"], run.data.metrics["later"]) == ("good", 0.5)
    experiment = open_experiment(settings).experiment_id
    found = client.search_runs([experiment], "metrics.macro_f1 > 0.1 and tags.kind = 'run'")
    assert [item.info.run_id for item in found] == [run_id]


def test_a_run_that_was_deleted_in_mlflow_gets_another_id(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    record = make_record()
    first = written(record, settings)
    open_client(settings).delete_run(first)
    second = written(record, settings)
    assert second != first
    assert written(record, settings) == second


def test_another_writer_of_the_same_run_is_seen_at_once(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    records = [make_record(key=digit * 16) for digit in "12"]
    written(records[0], settings)
    with open_store(settings) as store:
        assert [run.tags["content_key"] for run in store.find(RUN, ["1" * 16])] == ["1" * 16]
        # Between two groups of this process another one has its turn.
        run_id = written(records[1], settings)
        assert log_entries([entry_of(records[1])], store)[records[1].key] == (run_id, False)


@pytest.mark.usefixtures("by_client")
def test_an_unverified_schema_is_left_to_mlflow(settings: TrackingSettings) -> None:
    assert SqliteStore.open(settings) is None


@pytest.mark.fault
def test_what_goes_wrong_within_a_group_leaves_nothing_of_it(
    make_record: MakeRecord, settings: TrackingSettings
) -> None:
    good = entry_of(make_record(key="1" * 16))
    bad = replace(good, identity="2" * 16, metrics={"macro_f1": object()})  # type: ignore[dict-item]
    written(make_record(key="3" * 16), settings)
    with open_store(settings) as store:
        with pytest.raises(TypeError):
            store.write([good, bad])
        assert store.find(RUN, ["1" * 16, "2" * 16]) == []
        log_entries([good], store)
    assert len(rows_of(settings, "runs")) == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from sitrepbench.store.record import read_record
from sitrepbench.tracking.entries import run_entry
from sitrepbench.tracking.log import log_entries, summaries_of
from sitrepbench.tracking.settings import tracking_settings
from sitrepbench.tracking.sqlite_store import SqliteStore
from sitrepbench.tracking.stores import open_store

step, results, *folders = sys.argv[1:]
real = getattr(SqliteStore, step)

def die(self, *args, **kwargs):
    die.calls += 1
    if die.calls == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *args, **kwargs)

die.calls = 0
setattr(SqliteStore, step, die)
records = [read_record(Path(folder)) for folder in folders]
with open_store(tracking_settings(Path(results), "demo")) as store:
    store.find("run", ["x"])
    log_entries([run_entry(record, summaries_of(record)) for record in records], store)
"""


@pytest.mark.fault
@pytest.mark.parametrize("step", ["add_files", "_insert_use"])
def test_a_kill_leaves_no_half_run_and_the_next_start_logs_all(
    make_record: MakeRecord, settings: TrackingSettings, results: Path, step: str
) -> None:
    open_experiment(settings)
    records = [make_record(key=digit * 16) for digit in "1234"]
    folders = [str(record.folder) for record in records]
    done = subprocess.run([sys.executable, "-c", KILLED, step, str(results), *folders])
    assert done.returncode == -signal.SIGKILL
    assert rows_of(settings, "runs") == []
    assert len(reconcile(records, settings)) == 4
    client = open_client(settings)
    experiment = open_experiment(settings).experiment_id
    assert {run.info.status for run in client.search_runs([experiment])} == {"FINISHED"}
    folder = results / "mlartifacts" / "sitrepbench-demo"
    assert len(list(folder.iterdir())) == 4, "files of the killed try were used again"


MANY = """
import sys
from pathlib import Path
from sitrepbench.store.record import read_record
from sitrepbench.tracking.log import reconcile
from sitrepbench.tracking.settings import tracking_settings

results, *folders = sys.argv[1:]
sys.stdin.readline()
records = [read_record(Path(folder)) for folder in folders]
print(len(reconcile(records, tracking_settings(Path(results), "demo"))))
"""


@pytest.mark.slow
@pytest.mark.fault
def test_eight_processes_on_a_fresh_store_log_every_run_once(
    make_record: MakeRecord, tmp_path: Path
) -> None:
    results = tmp_path / "fresh"
    folders = [str(make_record(key=f"{number:016x}").folder) for number in range(12)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MANY, str(results), *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, told
    assert sum(int(out) for out, _ in told) == 12
    settings = tracking_settings(results, "demo")
    assert len(rows_of(settings, "runs")) == 12


def test_a_full_disk_is_told(
    make_record: MakeRecord, settings: TrackingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    open_experiment(settings)
    record = make_record()
    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "add_files", full)
        with pytest.raises(Exception, match="No space left on device"):
            reconcile([record], settings)
    assert reconcile([record], settings) == [record.key]
