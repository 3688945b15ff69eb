"""A copy of the records' headlines, so that lists need not open thousands of files.

SQLite from the standard library. The records are the truth: the index follows the folder of
runs, what is missing or damaged in it is read from the records again, and where it cannot be
written (a full disk, a store that may only be read) lists still work, only slower.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sitrepbench.errors import StoreError
from sitrepbench.parts import shown_part

if TYPE_CHECKING:
    from sitrepbench.store.record import RunRecord

#: The format of records that are listed; `record.RECORD_FORMAT`, and a test holds them together.
READS_FORMAT = 2
_VERSION = 2
_WAIT_SECONDS = 20.0
#: What keeps an index from being written that is none the worse for it; anything else is damage.
_CLOSED = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOMEM,
    }
)


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

    @cached_property
    def parts(self) -> dict[str, dict[str, float | None]]:
        """Per part the headline metrics; None where a metric is not defined."""
        parts: dict[str, dict[str, float | None]] = json.loads(self.scores)
        return parts

    @cached_property
    def part(self) -> str:
        """The part that lists show: the development part, or a test part if there is no other."""
        return shown_part(self.parts)

    def named(self, run_name: str, study: str) -> IndexRow:
        """Return the row under other names, which are labels only."""
        made = replace(self, run_name=run_name, study=study)
        vars(made)["parts"] = self.parts  # read once: thousands of rows are renamed for a list
        return made

    def score(self, metric: str = "macro_f1") -> float | None:
        """Return a metric of `part`; None if there is none."""
        return self.parts.get(self.part, {}).get(metric)


_COLUMNS = tuple(item.name for item in fields(IndexRow))
_values = attrgetter(*_COLUMNS)


class Index:
    """The index file; every method opens and closes it, so any process may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        # What could not be written down, so that it is read from the records only once.
        self._held: dict[str, IndexRow] = {}

    def add(self, *records: RunRecord) -> None:
        """Add or replace rows; an index that cannot be written is left for later."""
        self._write([row_of(record) for record in records], gone=())

    def remove(self, *keys: str) -> None:
        """Remove rows; an index that cannot be written is left for later."""
        self._write([], gone=keys)

    def rows(self, runs: Path) -> tuple[list[IndexRow], list[str]]:
        """Bring the rows in line with the folder of runs.

        Parameters
        ----------
        runs : Path
            The folder whose subfolders are finished runs.

        Returns
        -------
        rows : list of IndexRow
            Newest first.
        unread : list of str
            What could not be read, one message each.

        Raises
        ------
        StoreError
            When the folder of runs cannot be listed.
        """
        on_disk = folders_in(runs)
        indexed = self._read()
        known = {**indexed, **self._held}
        found = {key: row for key, row in known.items() if key in on_disk}
        fresh, unread = _read_rows(runs, sorted(on_disk - found.keys()))
        found.update((row.key, row) for row in fresh)
        gone = known.keys() - found.keys()
        late = [row for key, row in self._held.items() if key in found]
        if fresh or late or gone:
            self._write([*late, *fresh], gone)
        by_key = sorted(found.values(), key=lambda row: row.key)
        return sorted(by_key, key=lambda row: row.created, reverse=True), unread

    def _read(self) -> dict[str, IndexRow]:
        """Return what the index says; nothing if it is absent, busy, damaged or another's."""
        try:
            with self._open(writing=False) as database:
                if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                    return {}
                found = database.execute(f"SELECT {', '.join(_COLUMNS)} FROM runs").fetchall()
        except (sqlite3.Error, OSError):
            return {}
        rows = map(_row_or_none, found)
        return {row.key: row for row in rows if row is not None}

    def _write(self, rows: list[IndexRow], gone: Collection[str]) -> None:
        """Write what changed, as far as that can be done; the records are the truth."""
        for key in gone:
            self._held.pop(key, None)
        for attempt in range(2):
            try:
                with self._open(writing=True) as database:
                    _prepare(database)
                    database.executemany("DELETE FROM runs WHERE key = ?", [(key,) for key in gone])
                    _insert(database, rows)
                self._held.clear()
                return
            except (sqlite3.Error, OSError) as error:
                if attempt or _is_sound_but_closed(error):
                    break
                with contextlib.suppress(OSError):
                    self.path.unlink()
        self._held.update((row.key, row) for row in rows)

    @contextlib.contextmanager
    def _open(self, *, writing: bool) -> Iterator[sqlite3.Connection]:
        # Without "create", looking at a store that may only be read leaves nothing behind.
        mode = "rwc" if writing else "ro"
        place = f"{self.path.absolute().as_uri()}?mode={mode}"
        database = sqlite3.connect(place, timeout=_WAIT_SECONDS, uri=True)
        try:
            with database:
                # Only a copy: waiting for the disk at every run would cost more than making it
                # anew after a power cut.
                database.execute("PRAGMA synchronous = OFF")
                yield database
        finally:
            database.close()


def folders_in(folder: Path) -> set[str]:
    """Return the names of the folders in a folder, without asking the disk about each.

    Raises
    ------
    StoreError
        When it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_dir()}
    except OSError as error:
        raise StoreError(f"{folder}: cannot be listed: {error.strerror or error}") from error


def row_of(record: RunRecord) -> IndexRow:
    """Return the index row of a record.

    Raises
    ------
    StoreError
        When the record lacks what lists show.
    """
    return _row(vars(record), record.folder)


def _row(content: Mapping[str, Any], folder: Path) -> IndexRow:
    try:
        values = (
            content["key"],
            content["run_name"],
            content["study"],
            content["dataset"]["name"],
            *(content["names"][name] for name in ("protocol", "features", "model")),
            content["created"],
            float(content["seconds"]["total"]),
            json.dumps(
                {
                    part: {
                        name: float(value) if math.isfinite(value) else None
                        for name, value in metrics.items()
                    }
                    for part, metrics in content["scores"].items()
                }
            ),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{folder}: not a whole run record: {error!r}") from error
    row = _row_or_none(values)
    if row is None:
        raise StoreError(f"{folder}: not a whole run record: fields of other types")
    return row


def _read_rows(runs: Path, keys: list[str]) -> tuple[list[IndexRow], list[str]]:
    rows, unread = [], []
    for key in keys:
        try:
            rows.append(_read_row(runs / key))
        except StoreError as error:
            if (runs / key).exists():  # else it was removed just now
                unread.append(str(error))
    return rows, unread


def _read_row(folder: Path) -> IndexRow:
    """Read a record's headlines, without its tables, which are checked when it is taken.

    Not by `record.read_record`: that brings pandas along, which loads longer than a list takes.
    """
    path = folder / "record.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: not a readable run record: {error}") from error
    if not isinstance(content, dict):
        raise StoreError(f"{path}: not a run record")
    if content.get("format") != READS_FORMAT:
        raise StoreError(
            f"{path}: of format {content.get('format')!r}, and this program reads {READS_FORMAT}; "
            "it was written by another version of sitrepbench"
        )
    row = _row(content, folder)
    if row.key != folder.name:
        raise StoreError(f"{path}: the record of run {row.key}, in another's place")
    return row


def _row_or_none(values: tuple[Any, ...]) -> IndexRow | None:
    """Return a row as it was written; None if it is damaged, so that its record is read again."""
    *texts, seconds, scores = values
    if not all(isinstance(text, str) for text in (*texts, scores)):
        return None
    row = IndexRow(*values)
    try:
        metrics = [value for part in row.parts.values() for value in part.values()]
    except (ValueError, AttributeError):
        return None
    numbers = (seconds, *metrics)
    return row if all(value is None or isinstance(value, float) for value in numbers) else None


def _is_sound_but_closed(error: Exception) -> bool:
    # The low byte of SQLite's extended error codes is the kind.
    code = getattr(error, "sqlite_errorcode", None)
    return code is None or (code & 0xFF) in _CLOSED


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    if database.execute("PRAGMA user_version").fetchone()[0] == _VERSION:
        return
    columns = ", ".join(f"{name} {'REAL' if name == 'seconds' else 'TEXT'}" for name in _COLUMNS)
    database.execute("DROP TABLE IF EXISTS runs")
    database.execute(f"CREATE TABLE runs ({columns}, PRIMARY KEY (key))")
    database.execute(f"PRAGMA user_version = {_VERSION}")


def _insert(database: sqlite3.Connection, rows: list[IndexRow]) -> None:
    marks = ", ".join("?" for _ in _COLUMNS)
    database.executemany(
        f"INSERT OR REPLACE INTO runs ({', '.join(_COLUMNS)}) VALUES ({marks})",
        [_values(row) for row in rows],
    )
