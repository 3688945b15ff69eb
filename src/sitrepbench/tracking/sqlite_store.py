"""Runs written straight into MLflow's SQLite file, in one transaction.

Through MLflow's client a run takes 35 ms of processor time, five commits and a second and a half
for the import; here it takes 4 ms, one commit for any number of runs and no import, and no run is
ever half there. It is done only for schema revisions whose tables were compared with what the
client writes (see the tests); on any other revision the client is used.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Self

from sitrepbench.errors import TrackingError
from sitrepbench.processes import this_host
from sitrepbench.tracking.connection import describe_deletion
from sitrepbench.tracking.database import WRITER_TAG, prepare_database
from sitrepbench.tracking.entries import (
    IDENTITY_TAGS,
    LIVE_TAG,
    NAME_TAG,
    NOT_LIVE,
    RUN,
    DatasetUse,
    Entry,
    writer_tags,
)
from sitrepbench.tracking.settings import TrackingSettings
from sitrepbench.tracking.stores import FoundRun
from sitrepbench.tracking.training_curves import Point

#: The schema of MLflow 3.17.
VERIFIED_REVISIONS = frozenset({"dc11669786a5"})
#: SQLite takes 999 variables in a statement in its older versions.
_CHUNK = 500
#: With a run's id and more behind it, a run's address fits its column.
_LONGEST_LOCATION = 150

_ACTIVE = "runs.experiment_id = ? AND runs.lifecycle_stage = 'active'"


class SqliteStore:
    """The runs of one experiment in an SQLite file; see `TrackingStore`."""

    group = 32

    def __init__(
        self, base: sqlite3.Connection, experiment: str, experiment_id: int, root: str
    ) -> None:
        self.experiment_id = str(experiment_id)
        self._base = base
        self._experiment = experiment
        self._id = experiment_id
        self._root = root
        #: Of every content key the runs that were there when it was first asked for.
        self._runs: dict[str, list[FoundRun]] | None = None

    @classmethod
    def open(cls, settings: TrackingSettings) -> Self | None:
        """Open the experiment; None where it must be done through MLflow's client.

        Raises
        ------
        TrackingError
            When the database is unfit, or the experiment was deleted.
        """
        database = settings.database
        if database is None:
            return None
        revision = prepare_database(
            database,
            artifact_root=settings.artifact_root or str(database.parent),
            patience_seconds=settings.patience_seconds,
        )
        if revision not in VERIFIED_REVISIONS:
            return None
        base = sqlite3.connect(database, timeout=settings.patience_seconds, isolation_level=None)
        try:
            store = cls._of(base, settings)
        except BaseException:
            base.close()
            raise
        if store is None:
            base.close()
        return store

    @classmethod
    def _of(cls, base: sqlite3.Connection, settings: TrackingSettings) -> Self | None:
        base.execute("PRAGMA foreign_keys = ON")
        row = _experiment(base, settings.experiment)
        location = settings.artifact_location or ""
        if row is None and location.startswith("/") and len(location) <= _LONGEST_LOCATION:
            moment = int(1000 * time.time())
            # Another process may be faster, and then this does nothing.
            base.execute(
                "INSERT OR IGNORE INTO experiments (name, artifact_location, lifecycle_stage, "
                "creation_time, last_update_time) VALUES (?, ?, 'active', ?, ?)",
                (settings.experiment, location, moment, moment),
            )
            row = _experiment(base, settings.experiment)
        if row is None:
            return None
        number, root, stage = row
        if stage == "deleted":
            raise TrackingError(describe_deletion(settings, number))
        if not str(root).startswith("/"):
            return None
        store = cls(base, settings.experiment, int(number), str(root).rstrip("/"))
        if store.experiment_tags().get(WRITER_TAG) != _mlflow_version():
            store.set_experiment_tags({WRITER_TAG: _mlflow_version()})
        return store

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def find(self, kind: str, identities: Collection[str] | None = None) -> list[FoundRun]:
        """Return the runs of a kind; with ``identities`` those alone."""
        if kind != RUN or identities is None:
            return self._select(kind, identities)
        if self._runs is None:
            self._runs = {}
            for run in self._select(RUN, None, all_tags=False):
                self._runs.setdefault(run.tags[IDENTITY_TAGS[RUN]], []).append(run)
        found: list[FoundRun] = []
        for key in dict.fromkeys(identities):
            known = self._runs.get(key, [])
            if not any(run.whole for run in known):
                known = [*known, *self._written_since(key)]
            found += known
        return found

    def _written_since(self, key: str) -> list[FoundRun]:
        """Return the run that another process wrote after this store was opened."""
        run_id, there = self._place(RUN, key)
        return [FoundRun(run_id, "FINISHED", {IDENTITY_TAGS[RUN]: key})] if there else []

    def _place(self, kind: str, identity: str) -> tuple[str, bool]:
        """Return the id for a run, and whether it is there, FINISHED and not deleted."""
        probe = Entry(kind, identity, "", "", 0, 0, {}, {}, {})
        for generation in count():
            run_id = probe.run_id(self._experiment, generation)
            row = self._base.execute(
                "SELECT lifecycle_stage, status FROM runs WHERE run_uuid = ?", (run_id,)
            ).fetchone()
            if row is None or (row[0] == "active" and row[1] in ("FINISHED", "FAILED")):
                return run_id, row is not None
        raise AssertionError("unreachable")

    def _select(
        self, kind: str, identities: Collection[str] | None, *, all_tags: bool = True
    ) -> list[FoundRun]:
        tag = IDENTITY_TAGS[kind]
        rows = self._base.execute(
            "SELECT runs.run_uuid, runs.status, named.value FROM tags AS named "
            "JOIN runs ON runs.run_uuid = named.run_uuid "
            "JOIN tags AS kinds ON kinds.run_uuid = runs.run_uuid AND kinds.key = 'kind' "
            f"WHERE named.key = ? AND kinds.value = ? AND {_ACTIVE} ORDER BY runs.start_time",
            (tag, kind, self._id),
        ).fetchall()
        if identities is not None:
            wanted = set(identities)
            rows = [row for row in rows if row[2] in wanted]
        # A whole run is all that one needs to know of it; what is half there is looked at.
        looked_at = [row[0] for row in rows if all_tags or row[1] != "FINISHED"]
        tags = self._tags_of(looked_at)
        return [
            FoundRun(run_id, status, {tag: value, **tags.get(run_id, {})})
            for run_id, status, value in rows
        ]

    def _tags_of(self, run_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        tags: dict[str, dict[str, str]] = {}
        for some in _chunks(run_ids):
            for run_id, key, value in self._base.execute(
                f"SELECT run_uuid, key, value FROM tags WHERE run_uuid IN ({_marks(some)})", some
            ):
                tags.setdefault(run_id, {})[key] = value
        return tags

    def running(self) -> list[FoundRun]:
        """Return what has the status RUNNING and was begun on this host."""
        rows = self._base.execute(
            f"SELECT run_uuid, status FROM runs WHERE status = 'RUNNING' AND {_ACTIVE}",
            (self._id,),
        ).fetchall()
        tags = self._tags_of([row[0] for row in rows])
        found = [FoundRun(run_id, status, tags.get(run_id, {})) for run_id, status in rows]
        return [run for run in found if run.tags.get("host") == this_host()]

    def write(self, entries: Sequence[Entry]) -> list[str]:
        """Write new runs down in one transaction, and return their ids."""
        placed = [(self._place(entry.kind, entry.identity)[0], entry) for entry in entries]
        for run_id, entry in placed:
            if entry.write_files is not None:
                # Before the run itself, so that a run that is there is whole.
                self.add_files(run_id, entry.write_files)
        mine = writer_tags()
        with self._transaction():
            for run_id, entry in placed:
                self._insert(run_id, entry, {**entry.tags, **mine})
        if any(entry.kind == RUN and entry.status == "RUNNING" for entry in entries):
            self._runs = None
        return [run_id for run_id, _ in placed]

    def _insert(self, run_id: str, entry: Entry, tags: Mapping[str, str]) -> None:
        self._base.execute(
            "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, "
            "user_id, status, start_time, end_time, source_version, lifecycle_stage, "
            "artifact_uri, experiment_id) "
            "VALUES (?, ?, 'UNKNOWN', '', '', ?, ?, ?, ?, '', 'active', ?, ?)",
            (
                *(run_id, entry.name, tags.get("mlflow.user", "unknown"), entry.status),
                *(entry.start, None if entry.status == "RUNNING" else entry.end),
                *(f"{self._root}/{run_id}/artifacts", self._id),
            ),
        )
        self._fill(run_id, entry, tags)

    def _fill(self, run_id: str, entry: Entry, tags: Mapping[str, str]) -> None:
        self._set_tags(run_id, {**tags, NAME_TAG: entry.name})
        self._base.executemany(
            "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
            [(name, value, run_id) for name, value in entry.params.items()],
        )
        self._set_metrics(run_id, entry.metrics, entry.end)
        self._set_history(run_id, entry.history)
        for use in entry.datasets:
            self._insert_use(run_id, use)

    def _insert_use(self, run_id: str, use: DatasetUse) -> None:
        self._base.execute(
            "INSERT OR IGNORE INTO datasets (dataset_uuid, experiment_id, name, digest, "
            "dataset_source_type, dataset_source, dataset_profile) "
            "VALUES (?, ?, ?, ?, 'local', ?, ?)",
            (uuid.uuid4().hex, self._id, use.name, use.digest, use.source, use.profile),
        )
        (dataset,) = self._base.execute(
            "SELECT dataset_uuid FROM datasets WHERE experiment_id = ? AND name = ? AND digest = ?",
            (self._id, use.name, use.digest),
        ).fetchone()
        number = uuid.uuid4().hex
        self._base.execute(
            "INSERT INTO inputs (input_uuid, source_type, source_id, destination_type, "
            "destination_id) VALUES (?, 'DATASET', ?, 'RUN', ?)",
            (number, dataset, run_id),
        )
        self._base.execute(
            "INSERT INTO input_tags (input_uuid, name, value) VALUES (?, ?, ?)",
            (number, "mlflow.data.context", use.context),
        )

    def update(
        self,
        run_id: str,
        *,
        status: str | None = None,
        end: int | None = None,
        tags: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        history: Sequence[Point] = (),
    ) -> None:
        """Change a run in one transaction; what is None stays as it is."""
        with self._transaction():
            self._base.execute(
                "UPDATE runs SET status = coalesce(?, status), end_time = coalesce(?, end_time) "
                "WHERE run_uuid = ?",
                (status, end, run_id),
            )
            self._set_tags(run_id, tags or {})
            if metrics:
                self._set_metrics(run_id, metrics, end or 0)
            self._set_history(run_id, history)

    def complete(self, run_id: str, entry: Entry) -> None:
        """Write a finished run into the one that showed it under way, in one transaction."""
        if entry.write_files is not None:
            self.add_files(run_id, entry.write_files)
        with self._transaction():
            self._base.execute(
                "UPDATE runs SET name = ?, status = ?, start_time = ?, end_time = ? "
                "WHERE run_uuid = ?",
                (entry.name, entry.status, entry.start, entry.end, run_id),
            )
            self._fill(run_id, entry, {**entry.tags, **writer_tags(), LIVE_TAG: NOT_LIVE})
        self._runs = None

    def add_files(self, run_id: str, write: Callable[[Path], None]) -> None:
        """Let ``write`` put artifacts where MLflow looks for them."""
        folder = Path(self._root) / run_id / "artifacts"
        folder.mkdir(parents=True, exist_ok=True)
        write(folder)

    def delete(self, run_ids: Collection[str], *, files: bool = False) -> None:
        """Mark runs as deleted, as MLflow does; with ``files`` remove their artifacts."""
        with self._transaction():
            for some in _chunks(run_ids):
                self._base.execute(
                    "UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = ? "
                    f"WHERE run_uuid IN ({_marks(some)})",
                    [int(1000 * time.time()), *some],
                )
        self._runs = None
        if files:
            for run_id in run_ids:
                shutil.rmtree(Path(self._root) / run_id, ignore_errors=True)

    def experiment_tags(self) -> dict[str, str]:
        """Return the tags of the experiment."""
        return dict(
            self._base.execute(
                "SELECT key, value FROM experiment_tags WHERE experiment_id = ?", (self._id,)
            ).fetchall()
        )

    def set_experiment_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags of the experiment."""
        with self._transaction():
            self._base.executemany(
                "INSERT OR REPLACE INTO experiment_tags (key, value, experiment_id) "
                "VALUES (?, ?, ?)",
                [(key, value, self._id) for key, value in tags.items()],
            )

    def _set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        self._base.executemany(
            "INSERT OR REPLACE INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
            [(key, value, run_id) for key, value in tags.items()],
        )

    def _set_metrics(self, run_id: str, metrics: Mapping[str, float], time_ms: int) -> None:
        rows = [(key, float(value), time_ms, run_id) for key, value in metrics.items()]
        for table in ("metrics", "latest_metrics"):
            self._base.executemany(
                f"INSERT OR REPLACE INTO {table} (key, value, timestamp, run_uuid, step, is_nan) "
                "VALUES (?, ?, ?, ?, 0, 0)",
                rows,
            )

    def _set_history(self, run_id: str, history: Sequence[Point]) -> None:
        """Add points of curves; the latest of each metric is what lists show."""
        rows = [(point.name, point.value, point.time, run_id, point.step) for point in history]
        latest = {row[0]: row for row in sorted(rows, key=lambda row: (row[4], row[2]))}
        for table, some in (("metrics", rows), ("latest_metrics", list(latest.values()))):
            self._base.executemany(
                f"INSERT OR REPLACE INTO {table} (key, value, timestamp, run_uuid, step, is_nan) "
                "VALUES (?, ?, ?, ?, ?, 0)",
                some,
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._base.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._base.execute("COMMIT")
        except BaseException:
            self._base.rollback()
            raise


def _experiment(base: sqlite3.Connection, name: str) -> tuple[int, str, str] | None:
    row: tuple[int, str, str] | None = base.execute(
        "SELECT experiment_id, artifact_location, lifecycle_stage FROM experiments "
        "WHERE name = ? AND workspace = 'default'",
        (name,),
    ).fetchone()
    return row


def _chunks(items: Iterable[str]) -> Iterator[list[str]]:
    everything = list(items)
    for start in range(0, len(everything), _CHUNK):
        yield everything[start : start + _CHUNK]


def _marks(items: Sequence[str]) -> str:
    return ", ".join("?" * len(items))


@lru_cache(maxsize=1)
def _mlflow_version() -> str:
    return version("mlflow")
