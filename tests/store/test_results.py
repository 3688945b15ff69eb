"""The results store: whole records only, damage is set aside, the index follows."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sitrepbench.errors import StoreError
from sitrepbench.labels import LABELS
from sitrepbench.predictions import PredictionsTable
from sitrepbench.store.record import PREDICTIONS_FILE, RECORD_FILE, RunRecord
from sitrepbench.store.results import ClaimedError, ResultsStore


def predictions() -> PredictionsTable:
    rows = [
        {
            "sentence_id": f"s{i}",
            "document_id": f"d{i}",
            "domain": "",
            "part": "cv",
            "repeat": 0,
            "fold": 0,
            "label": label,
            "secondary": "",
            "predicted": label,
            **{f"p_{name}": float("nan") for name in LABELS},
        }
        for i, label in enumerate(LABELS)
    ]
    return PredictionsTable(pd.DataFrame(rows), LABELS)


def record(key: str = "a" * 16, **changes: Any) -> RunRecord:
    made = RunRecord(
        key=key,
        key_parts={"config": {"features": {}}},
        names={"dataset": "table", "protocol": "grouped_cv", "features": "word", "model": "svm"},
        run_name="svm word",
        study="adhoc",
        config={},
        overrides=[],
        dataset={
            "name": "made",
            "digest": "0",
            "version": "",
            "source": "",
            "sentences": 5,
            "documents": 5,
        },
        labels=list(LABELS),
        environment={},
        created="2026-01-01T00:00:00+00:00",
        seconds={"total": 1.0, "fit": 0.5, "predict": 0.5},
        peak_memory_mb=100.0,
        looks=[],
        notes=[],
        scores={"cv": {"macro_f1": 0.5}},
        predictions_digest=predictions().digest(),
    )
    return replace(made, **changes)


def put(store: ResultsStore, made: RunRecord) -> RunRecord:
    cells = pd.DataFrame([{"part": "cv", "repeat": 0, "fold": 0}])
    return store.put(made, predictions=predictions(), cells=cells)


@pytest.fixture
def store(tmp_path: Path) -> ResultsStore:
    return ResultsStore(tmp_path / "results")


def test_what_is_put_is_found(store: ResultsStore) -> None:
    stored = put(store, record())
    found = store.find(stored.key)
    assert found is not None
    assert replace(found, files={}) == record()
    assert found.predictions().digest() == found.predictions_digest
    assert [row.run_name for row in store.rows()] == ["svm word"]
    assert store.rows()[0].score() == 0.5
    assert store.find("b" * 16) is None


def test_a_test_part_is_never_taken_for_development(store: ResultsStore) -> None:
    put(store, record(scores={"Test": {"macro_f1": 0.9}, "dev": {"macro_f1": 0.5}}))
    assert store.rows()[0].part == "dev"


def test_a_record_is_replaced_whole(store: ResultsStore) -> None:
    put(store, record())
    put(store, record(run_name="again"))
    assert store.rows()[0].run_name == "again"
    assert not list((store.folder / "partial").iterdir())


@pytest.mark.fault
@pytest.mark.parametrize("name", [RECORD_FILE, PREDICTIONS_FILE, "cells.parquet"])
@pytest.mark.parametrize("keep", [0, 10, -1])
def test_a_truncated_record_is_set_aside_and_never_taken(
    store: ResultsStore, name: str, keep: int
) -> None:
    stored = put(store, record())
    content = (stored.folder / name).read_bytes()
    (stored.folder / name).write_bytes(content[:keep])
    # JSON may bear to lose its last line break; everything else is damage.
    whole = name == RECORD_FILE and content[:keep].strip() == content.strip()
    assert (store.find(stored.key) is not None) == whole
    if not whole:
        assert len(list((store.folder / "damaged").iterdir())) == 1
        assert store.rows() == []
        put(store, record())
        assert store.find(stored.key) is not None


@pytest.mark.fault
def test_a_missing_file_is_damage(store: ResultsStore) -> None:
    stored = put(store, record())
    (stored.folder / PREDICTIONS_FILE).unlink()
    assert store.find(stored.key) is None


@pytest.mark.fault
def test_a_process_killed_while_writing_leaves_nothing_that_counts(tmp_path: Path) -> None:
    script = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from test_results import put, record, ResultsStore
from pathlib import Path
import sitrepbench.store.record as results
store = ResultsStore(Path(sys.argv[1]))
real = results.write_record
def write_then_die(*arguments, **named):
    real(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)
results.write_record = write_then_die
with store.claim("a" * 16):
    put(store, record())
"""
    folder = tmp_path / "results"
    arguments = [sys.executable, "-c", script, str(folder), str(Path(__file__).parent)]
    assert subprocess.run(arguments).returncode == -9
    store = ResultsStore(folder)
    assert len(list((folder / "partial").iterdir())) == 1
    assert store.find("a" * 16) is None
    assert store.rows() == []
    with store.claim("a" * 16, timeout=0):  # the dead process's claim is free
        put(store, record())
    assert store.find("a" * 16) is not None
    assert not list((folder / "partial").iterdir())


def test_a_claim_excludes_other_processes(store: ResultsStore) -> None:
    script = """
import sys
from pathlib import Path
from sitrepbench.errors import StoreError
from sitrepbench.store.results import ResultsStore
try:
    with ResultsStore(Path(sys.argv[1])).claim("k", timeout=0):
        print("claimed")
except StoreError as error:
    print(error)
"""
    arguments = [sys.executable, "-c", script, str(store.folder)]
    with store.claim("k"):
        done = subprocess.run(arguments, capture_output=True, text=True)
    assert "computed by another process" in done.stdout
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.stdout.strip() == "claimed"


def test_the_index_is_only_a_copy(store: ResultsStore) -> None:
    put(store, record())
    put(store, record("b" * 16))
    path = store.index.path
    for content in (b"", b"this is no database" * 100):
        path.write_bytes(content)
        assert len(ResultsStore(store.folder).rows()) == 2
    path.unlink()
    assert len(ResultsStore(store.folder).rows()) == 2
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert len(ResultsStore(store.folder).rows()) == 2


def test_runs_are_resolved_by_the_beginning_of_a_key_or_by_name(store: ResultsStore) -> None:
    put(store, record("ab" + "0" * 14, run_name="one"))
    put(store, record("ac" + "0" * 14, run_name="two"))
    assert store.resolve("ab").run_name == "one"
    assert store.resolve("two").key.startswith("ac")
    with pytest.raises(StoreError, match="'a' could be any of 2 runs"):
        store.resolve("a")
    with pytest.raises(StoreError, match="no run 'tow'.*Did you mean 'two'"):
        store.resolve("tow")


def test_a_record_of_another_format_is_told_and_left_alone(store: ResultsStore) -> None:
    stored = put(store, record())
    path = stored.folder / RECORD_FILE
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(StoreError, match="written by another version of sitrepbench"):
        store.find(stored.key)
    assert path.exists()
    store.index.path.unlink()
    fresh = ResultsStore(store.folder)
    assert fresh.rows() == []
    assert "of format 99" in fresh.unread[0]


@pytest.mark.parametrize("field", ["files", "scores", "labels", "run_name", "seconds"])
def test_a_field_of_another_type_is_damage(store: ResultsStore, field: str) -> None:
    stored = put(store, record())
    path = stored.folder / RECORD_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), field: None}))
    assert store.find(stored.key) is None


@pytest.mark.fault
def test_an_index_damaged_in_the_middle_is_made_anew(store: ResultsStore) -> None:
    put(store, record())
    content = bytearray(store.index.path.read_bytes())
    content[4096:] = b"x" * (len(content) - 4096)
    store.index.path.write_bytes(content)
    assert [row.key for row in store.rows()] == ["a" * 16]


@pytest.mark.fault
def test_a_place_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreError, match="cannot be used as a results store"):
        ResultsStore(file / "results")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_many_runs_are_asked_for_at_once(store: ResultsStore) -> None:
    put(store, record())
    assert store.has(["a" * 16, "b" * 16]) == {"a" * 16}
    assert store.finished() == {"a" * 16}


@pytest.mark.fault
@pytest.mark.parametrize("kind", ["folder", "locked"])
def test_a_run_is_stored_where_its_index_cannot_be(
    store: ResultsStore, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("sitrepbench.store.index._WAIT_SECONDS", 0.01)
    if kind == "folder":
        store.index.path.mkdir()
        put(store, record())
    else:
        put(store, record("b" * 16))
        other = sqlite3.connect(store.index.path)
        other.execute("BEGIN EXCLUSIVE")
        put(store, record())
        other.close()
    assert store.find("a" * 16) is not None
    assert "a" * 16 in [row.key for row in store.rows()]
    assert "a" * 16 in [row.key for row in ResultsStore(store.folder).rows()]


@pytest.mark.fault
def test_a_replaced_run_is_listed_anew_where_its_index_was_locked(
    store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sitrepbench.store.index._WAIT_SECONDS", 0.01)
    put(store, record())
    other = sqlite3.connect(store.index.path)
    other.execute("BEGIN EXCLUSIVE")
    put(store, record(run_name="again"))
    other.close()
    assert [row.run_name for row in store.rows()] == ["again"]
    assert [row.run_name for row in ResultsStore(store.folder).rows()] == ["again"]


def test_leftovers_are_looked_for_once(
    store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = []
    real = ResultsStore.abandoned
    monkeypatch.setattr(ResultsStore, "abandoned", lambda self: (looked.append(1), real(self))[1])
    for key in "abc":
        put(store, record(key * 16))
    assert looked == [1]


@pytest.mark.fault
def test_only_leftovers_of_dead_processes_of_this_host_are_abandoned(store: ResultsStore) -> None:
    alive = store.partial_name("a" * 16)
    dead = alive.split(".")
    dead[2] = "999999999"
    elsewhere = [*dead]
    elsewhere[1] = "another"
    for name in (alive, ".".join(dead), ".".join(elsewhere), "a.b", f"a.{dead[1]}.x.y"):
        (store.folder / "partial" / name).mkdir()
    assert [path.name for path in store.abandoned()] == [".".join(dead)]


def test_a_run_is_removed_whole(store: ResultsStore) -> None:
    put(store, record())
    assert store.remove("a" * 16)
    assert store.find("a" * 16) is None
    assert store.rows() == []
    assert not list((store.folder / "partial").iterdir())
    assert not store.remove("a" * 16)


def test_a_run_under_way_is_not_removed(store: ResultsStore) -> None:
    put(store, record())
    with store.claim("a" * 16):
        assert not store.remove("a" * 16)
    assert store.find("a" * 16) is not None


@pytest.mark.fault
def test_a_claim_that_cannot_be_written_is_no_claim_of_another(store: ResultsStore) -> None:
    (store.folder / "locks").rmdir()
    (store.folder / "locks").write_text("")
    with pytest.raises(StoreError, match="cannot be claimed") as caught, store.claim("k"):
        pass
    assert not isinstance(caught.value, ClaimedError)


@pytest.mark.fault
def test_a_store_that_may_only_be_read_is_read(
    store: ResultsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, record())
    (store.folder / "partial").rmdir()

    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    found = ResultsStore(store.folder)
    assert [row.key for row in found.rows()] == ["a" * 16]
    assert found.find("a" * 16) is not None
