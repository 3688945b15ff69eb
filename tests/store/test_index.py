"""The index: a copy that may be absent, damaged, busy or unwritable, and never is in the way."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sitrepbench.errors import StoreError
from sitrepbench.store import index as index_module
from sitrepbench.store.index import READS_FORMAT, Index, IndexRow
from sitrepbench.store.record import RECORD_FORMAT


def write(runs: Path, key: str, /, **changes: Any) -> None:
    """Write as much of a record as the index reads."""
    (runs / key).mkdir(parents=True, exist_ok=True)
    content = {
        "key": key,
        "run_name": "svm",
        "study": "adhoc",
        "dataset": {"name": "made"},
        "names": {"protocol": "grouped_cv", "features": "word", "model": "svm"},
        "created": "2026-01-01T00:00:00+00:00",
        "seconds": {"total": 1.0},
        "scores": {"cv": {"macro_f1": 0.5, "mcc": float("nan")}},
        "format": READS_FORMAT,
        **changes,
    }
    (runs / key / "record.json").write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for key in ("aa", "bb"):
        write(tmp_path / "runs", key)
    return tmp_path / "runs"


@pytest.fixture
def index(tmp_path: Path, runs: Path) -> Index:
    made = Index(tmp_path / "index.db")
    assert keys(made, runs) == ["aa", "bb"]
    return made


def keys(index: Index, runs: Path) -> list[str]:
    return [row.key for row in index.rows(runs)[0]]


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read: list[str] = []
    real = index_module._read_row

    def reading(folder: Path) -> IndexRow:
        read.append(folder.name)
        return real(folder)

    monkeypatch.setattr(index_module, "_read_row", reading)
    return read


def execute(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_one_format_is_read() -> None:
    assert READS_FORMAT == RECORD_FORMAT


def test_a_record_is_read_once(index, runs, monkeypatch) -> None:
    read = count_reads(monkeypatch)
    write(runs, "cc", created="2026-01-02T00:00:00+00:00")
    for _ in range(2):
        assert keys(Index(index.path), runs) == ["cc", "aa", "bb"]
    assert read == ["cc"]


def test_rows_are_what_was_written_with_undefined_metrics_as_none(index, runs) -> None:
    row = Index(index.path).rows(runs)[0][0]
    assert row == index.rows(runs)[0][0]
    assert row.parts == {"cv": {"macro_f1": 0.5, "mcc": None}}
    assert (row.part, row.score(), row.score("mcc"), row.score("other")) == ("cv", 0.5, None, None)


def test_a_run_without_scores_is_listed(index, runs) -> None:
    write(runs, "cc", scores={})
    (row,) = [row for row in index.rows(runs)[0] if row.key == "cc"]
    assert (row.part, row.score()) == ("", None)


def test_runs_that_are_gone_are_not_listed(index, runs) -> None:
    (runs / "aa" / "record.json").unlink()
    (runs / "aa").rmdir()
    assert keys(index, runs) == ["bb"]
    with closing(sqlite3.connect(index.path)) as database:
        assert database.execute("SELECT key FROM runs").fetchall() == [("bb",)]


def test_the_folder_is_listed_without_asking_for_each_run(index, runs, monkeypatch) -> None:
    asked: list[Path] = []
    real = Path.stat
    monkeypatch.setattr(
        Path, "stat", lambda path, **named: (asked.append(path), real(path, **named))[1]
    )
    assert keys(index, runs) == ["aa", "bb"]
    assert not [path for path in asked if path.parent == runs]


@pytest.mark.fault
@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"this is no database" * 500),
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda path: path.write_bytes(path.read_bytes()[:4096] + b"x" * 8192),
        lambda path: execute(path, "DROP TABLE runs"),
        lambda path: execute(path, "ALTER TABLE runs RENAME COLUMN scores TO points"),
        lambda path: execute(path, "PRAGMA user_version = 99"),
        lambda path: execute(path, "UPDATE runs SET scores = 'no JSON'"),
        lambda path: execute(path, "UPDATE runs SET scores = '[1]'"),
        lambda path: execute(path, """UPDATE runs SET scores = '{"cv": {"macro_f1": "x"}}'"""),
        lambda path: execute(path, "UPDATE runs SET created = NULL"),
        lambda path: execute(path, "UPDATE runs SET seconds = 'long', run_name = x'ff'"),
        lambda path: execute(path, "DROP TABLE runs", "CREATE VIEW runs AS SELECT 1 AS key"),
    ],
)
def test_whatever_garbage_is_repaired(
    index: Index, runs: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    damage(index.path)
    rows, unread = Index(index.path).rows(runs)
    assert [(row.key, row.score()) for row in rows] == [("aa", 0.5), ("bb", 0.5)]
    assert unread == []
    # It is whole again: nothing is read from the records any more.
    read = count_reads(monkeypatch)
    assert keys(Index(index.path), runs) == ["aa", "bb"]
    assert read == []


@pytest.mark.fault
def test_an_index_that_cannot_be_a_file_is_done_without(tmp_path, runs, monkeypatch) -> None:
    (tmp_path / "index.db").mkdir()
    made = Index(tmp_path / "index.db")
    read = count_reads(monkeypatch)
    for _ in range(2):
        assert keys(made, runs) == ["aa", "bb"]
    assert read == ["aa", "bb"]


@pytest.mark.fault
@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR]
)
def test_a_full_or_closed_disk_stops_no_list_and_loses_no_index(
    index, runs, monkeypatch, code
) -> None:
    write(runs, "cc")

    def refuse(database: sqlite3.Connection) -> None:
        error = sqlite3.OperationalError("no")
        error.sqlite_errorcode = code
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(index_module, "_prepare", refuse)
        read = count_reads(patch)
        for _ in range(2):
            assert keys(index, runs) == ["aa", "bb", "cc"]
        assert read == ["cc"]
    assert len(Index(index.path)._read()) == 2
    assert keys(index, runs) == ["aa", "bb", "cc"]  # now it can be written, and is
    assert len(Index(index.path)._read()) == 3


@pytest.mark.fault
def test_a_busy_index_is_waited_for_and_then_done_without(index, runs, monkeypatch) -> None:
    monkeypatch.setattr(index_module, "_WAIT_SECONDS", 0.01)
    write(runs, "cc")
    with closing(sqlite3.connect(index.path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert keys(Index(index.path), runs) == ["aa", "bb", "cc"]
    assert keys(Index(index.path), runs) == ["aa", "bb", "cc"]


def test_several_processes_write_at_once(tmp_path: Path, runs: Path) -> None:
    # Light imports only: the processes are to meet.
    script = """
import sys
from pathlib import Path
from sitrepbench.store.index import Index
runs, name, content = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
for number in range(20):
    folder = runs / f"{name}{number}"
    folder.mkdir()
    (folder / "record.json").write_text(content.replace('"aa"', f'"{folder.name}"'))
    Index(runs.parent / "index.db").rows(runs)
"""
    content = (runs / "aa" / "record.json").read_text()
    arguments = [sys.executable, "-c", script, str(runs)]
    workers = [subprocess.Popen([*arguments, name, content]) for name in "xyz"]
    assert [worker.wait() for worker in workers] == [0, 0, 0]
    assert len(keys(Index(tmp_path / "index.db"), runs)) == 62
    assert len(Index(tmp_path / "index.db")._read()) == 62


@pytest.mark.fault
@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"format": 1}', "\x00", json.dumps({"format": 99})],
)
def test_what_is_no_record_is_told_and_left_out(index, runs, content) -> None:
    (runs / "cc").mkdir()
    (runs / "cc" / "record.json").write_text(content)
    rows, unread = index.rows(runs)
    assert len(rows) == 2
    assert len(unread) == 1
    assert str(runs / "cc") in unread[0]


@pytest.mark.fault
@pytest.mark.parametrize(
    "changes",
    [
        {"key": "aa"},
        {"created": None},
        {"scores": {"cv": None}},
        {"scores": {"cv": {"macro_f1": "high"}}},
        {"dataset": "made"},
        {"seconds": {"total": "long"}},
        {"run_name": 7},
    ],
)
def test_a_record_of_other_types_is_told_and_left_out(index, runs, changes) -> None:
    write(runs, "cc", **changes)
    rows, unread = index.rows(runs)
    assert [row.key for row in rows] == ["aa", "bb"]
    assert len(unread) == 1


@pytest.mark.fault
def test_a_folder_that_is_gone_is_one_message(index, tmp_path) -> None:
    with pytest.raises(StoreError, match="cannot be listed"):
        index.rows(tmp_path / "absent")
