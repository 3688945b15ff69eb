"""A copy of the records' headlines, so that lists need not open thousands of files.

SQLite from the standard library. The records are the truth: the index follows the folder of
runs, and a damaged or missing index is made anew.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from sitrepbench.errors import StoreError
from sitrepbench.predictions import is_test_part
from sitrepbench.store.record import RunRecord, read_record

_VERSION = 2
_WAIT_SECONDS = 20.0


@dataclass(frozen=True)
class IndexRow:
    """What lists show of a run; ``scores`` is JSON, per part the headline metrics."""

    key: str
    run_name: str
    study: str
    dataset: str
    protocol: str
    features: str
    model: str
    created: str
    seconds: float
    scores: str

    @property
    def part(self) -> str:
        """The part that lists show: the development part, or a test part if there is no other."""
        parts: dict[str, dict[str, float]] = json.loads(self.scores)
        return min(parts, key=lambda name: (is_test_part(name), name))

    def score(self, metric: str = "macro_f1") -> float | None:
        """Return a metric of `part`; None if there is none."""
        parts: dict[str, dict[str, float | None]] = json.loads(self.scores)
        return parts[self.part].get(metric)


_COLUMNS = tuple(item.name for item in fields(IndexRow))


class Index:
    """The index file; every method opens and closes it, so any process may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # A store that may only be read is indexed in memory.
        self._memory: sqlite3.Connection | None = None
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            self._memory = sqlite3.connect(":memory:")
        self._prepare()

    def _prepare(self) -> None:
        try:
            self._create()
        except sqlite3.OperationalError as error:
            # Busy, not broken: another process would lose its index.
            raise StoreError(f"{self.path}: the index cannot be used now: {error}") from error
        except sqlite3.DatabaseError:
            self._start_anew()

    def add(self, record: RunRecord) -> None:
        """Add or replace one run's row."""
        with self._open() as database:
            _insert(database, [row_of(record)])

    def remove(self, key: str) -> None:
        """Remove one run's row."""
        with self._open() as database:
            database.execute("DELETE FROM runs WHERE key = ?", (key,))

    def rows(self) -> list[IndexRow]:
        """Return all rows, newest first."""
        with self._open() as database:
            found = database.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM runs ORDER BY created DESC, key"
            )
            return [IndexRow(*row) for row in found]

    def follow(self, runs: Path) -> list[str]:
        """Bring the rows in line with the folder of runs; return what could not be read."""
        try:
            return self._follow(runs)
        except sqlite3.OperationalError as error:
            raise StoreError(f"{self.path}: the index cannot be used now: {error}") from error
        except sqlite3.DatabaseError:
            self._start_anew()
            return self._follow(runs)

    def _follow(self, runs: Path) -> list[str]:
        unread: list[str] = []
        on_disk = {entry.name for entry in runs.iterdir() if entry.is_dir()}
        with self._open() as database:
            known = {key for (key,) in database.execute("SELECT key FROM runs")}
            gone = [(key,) for key in known - on_disk]
            database.executemany("DELETE FROM runs WHERE key = ?", gone)
            fresh = []
            for key in sorted(on_disk - known):
                try:
                    fresh.append(row_of(read_record(runs / key)))
                except StoreError as error:
                    unread.append(str(error))
            _insert(database, fresh)
        return unread

    def _start_anew(self) -> None:
        """Replace a damaged index, which is only a copy, by an empty one."""
        self.path.unlink(missing_ok=True)
        self._create()

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self._memory is not None:
            with self._memory:
                yield self._memory
            return
        database = sqlite3.connect(self.path, timeout=_WAIT_SECONDS)
        try:
            with database:
                yield database
        finally:
            database.close()

    def _create(self) -> None:
        columns = ", ".join(
            f"{name} {'REAL' if name == 'seconds' else 'TEXT'}" for name in _COLUMNS
        )
        with self._open() as database:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version == _VERSION:
                return
            database.execute("DROP TABLE IF EXISTS runs")
            database.execute(f"CREATE TABLE IF NOT EXISTS runs ({columns}, PRIMARY KEY (key))")
            database.execute(f"PRAGMA user_version = {_VERSION}")


def row_of(record: RunRecord) -> IndexRow:
    """Return the index row of a record."""
    return IndexRow(
        key=record.key,
        run_name=record.run_name,
        study=record.study,
        dataset=record.dataset["name"],
        protocol=record.names["protocol"],
        features=record.names["features"],
        model=record.names["model"],
        created=record.created,
        seconds=record.seconds["total"],
        scores=json.dumps(
            {
                part: {
                    name: value if math.isfinite(value) else None for name, value in all_.items()
                }
                for part, all_ in record.scores.items()
            }
        ),
    )


def _insert(database: sqlite3.Connection, rows: list[IndexRow]) -> None:
    marks = ", ".join("?" for _ in _COLUMNS)
    database.executemany(
        f"INSERT OR REPLACE INTO runs ({', '.join(_COLUMNS)}) VALUES ({marks})",
        [astuple(row) for row in rows],
    )
