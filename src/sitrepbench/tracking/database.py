"""The SQLite file behind MLflow: made once, never migrated silently, never taken on trust.

MLflow itself creates and migrates its tables on first touch, without a lock and without a copy:
two processes that start together on a fresh file can destroy it, and a newer MLflow converts the
file so that an older one refuses it. So this module looks at the file before MLflow does.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from sitrepbench.errors import TrackingError
from sitrepbench.tracking.mlflow_import import import_mlflow

#: The experiment tag that tells which MLflow last wrote the database; MLflow keeps no such note.
WRITER_TAG = "sitrepbench.mlflow_version"

#: Longer than a slow disk needs to create or migrate the tables.
CREATION_SECONDS = 180.0

_REVISION = re.compile(r"""^revision\b[^=\n]*=\s*["'](\w+)["']""", re.MULTILINE)
_DOWN_REVISION = re.compile(r"""^down_revision\b[^=\n]*=\s*["'](\w+)["']""", re.MULTILINE)


class AwayError(TrackingError):
    """MLflow cannot be reached now, and waiting may help."""


def prepare_database(path: Path, *, artifact_root: str, patience_seconds: float) -> str:
    """Make sure that ``path`` is a database of the installed MLflow's own revision.

    A missing file is created, under a lock and in one step; one of an older revision is copied
    to ``<name>.<revision>.bak`` and migrated; any number of processes may call this at once.

    Returns
    -------
    str
        The schema revision of the file.

    Raises
    ------
    TrackingError
        When the file is no MLflow database, is damaged, stays locked for longer than
        ``patience_seconds``, or was written by a newer MLflow.
    """
    newest = known_revisions()[0]
    if _read_revision(path, patience_seconds) == newest:
        return newest
    with _creation_lock(path):
        revision = _read_revision(path, patience_seconds)
        if revision is None:
            _create(path, artifact_root)
        elif revision not in known_revisions():
            raise TrackingError(_unknown_revision(path, revision))
        elif revision != newest:
            _migrate(path, revision, patience_seconds)
    return newest


@lru_cache(maxsize=1)
def known_revisions() -> tuple[str, ...]:
    """Return the schema revisions that the installed MLflow knows, its own one first.

    Read from the text of MLflow's migration scripts (https://alembic.sqlalchemy.org, "Working
    with branches": the head is what no other revision follows); importing all of them the way
    alembic does costs a second.
    """
    found = find_spec("mlflow")
    if found is None or found.origin is None:
        raise TrackingError("MLflow is not installed. Install it, or run with tracking=none")
    folder = Path(found.origin).parent / "store" / "db_migrations" / "versions"
    names: list[str] = []
    followed: set[str] = set()
    for script in sorted(folder.glob("*.py")):
        text = script.read_text(encoding="utf-8")
        names += _REVISION.findall(text)
        followed.update(_DOWN_REVISION.findall(text))
    heads = [name for name in names if name not in followed]
    if len(heads) != 1:
        raise TrackingError(
            f"MLflow {version('mlflow')} has {len(heads)} newest schema revisions where one was "
            f"expected ({folder}). Its installation may be damaged; install it again"
        )
    return (heads[0], *(name for name in names if name != heads[0]))


def describe_damage(path: Path, what: str) -> str:
    """Return the message for a database that cannot be used as it is."""
    return (
        f"{path} cannot be used as MLflow's database: {what}. No run is lost, the results store "
        f"holds them all. Move the file away (mv {path} {path}.broken) and the next run "
        "makes a new one and logs its study's stored runs again; or put a copy of an earlier day "
        "in its place."
    )


def describe_lock(path: Path, seconds: float) -> str:
    """Return the message for a database that another program does not release."""
    return (
        f"{path} is locked by another program for more than {seconds:g} s. Close what is writing "
        "to it (another run, a database browser, a backup) and start again."
    )


@contextmanager
def _creation_lock(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = path.with_name(f"{path.name}.lock")
    try:
        with FileLock(lock, timeout=CREATION_SECONDS):
            yield
    except Timeout as error:
        raise TrackingError(
            f"{lock} is held for more than {CREATION_SECONDS:g} s by a process that creates or "
            "migrates MLflow's database. If none is running, delete the lock file."
        ) from error


def _read_revision(path: Path, patience_seconds: float) -> str | None:
    """Return the schema revision in the file; None where there is no file yet."""
    try:
        with path.open("rb") as file:
            header = file.read(100)
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TrackingError(f"{path} cannot be read: {error.strerror or error}") from error
    if not header:
        return None
    if not header.startswith(b"SQLite format 3\x00"):
        raise TrackingError(describe_damage(path, "it is not an SQLite file"))
    promised = _promised_size(header)
    if size < promised:
        raise TrackingError(
            describe_damage(path, f"it is cut short ({size} bytes where it says {promised})")
        )
    with _sqlite_errors(path, patience_seconds), closing(_connect(path, patience_seconds)) as base:
        # Taking the write lock for a moment finds out now what MLflow would find out after its
        # own 20 seconds of waiting; it writes nothing.
        base.execute("BEGIN IMMEDIATE")
        base.execute("ROLLBACK")
        return _alembic_version(base, path)


def _alembic_version(base: sqlite3.Connection, path: Path) -> str | None:
    tables = {str(row[0]) for row in base.execute("SELECT name FROM sqlite_master")}
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise TrackingError(describe_damage(path, "it holds tables, but not MLflow's"))
    rows = base.execute("SELECT version_num FROM alembic_version").fetchall()
    if len(rows) != 1 or "experiments" not in tables:
        raise TrackingError(
            describe_damage(path, "its tables are incomplete, as after a migration that was killed")
        )
    return str(rows[0][0])


def _promised_size(header: bytes) -> int:
    """Return the file size in bytes by the header (SQLite file format, sections 1.3.2, 1.3.7)."""
    page = int.from_bytes(header[16:18], "big")
    if len(header) < 100 or header[24:28] != header[92:96]:
        return 100
    return (65536 if page == 1 else page) * int.from_bytes(header[28:32], "big")


def _connect(path: Path, patience_seconds: float) -> sqlite3.Connection:
    # Opened for writing, because only then SQLite can roll back what a killed writer left.
    return sqlite3.connect(
        f"{path.as_uri()}?mode=rw", uri=True, timeout=patience_seconds, isolation_level=None
    )


@contextmanager
def _sqlite_errors(path: Path, patience_seconds: float) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise AwayError(describe_lock(path, patience_seconds)) from error
        raise TrackingError(describe_damage(path, str(error))) from error
    except sqlite3.DatabaseError as error:
        raise TrackingError(describe_damage(path, str(error))) from error


def _tell(message: str) -> None:
    # Not by a logger: alembic disables those that exist when MLflow has it configure logging.
    print(message, file=sys.stderr)


def _create(path: Path, artifact_root: str) -> None:
    """Make the tables in a file beside and move it into place, so that a kill leaves no half."""
    _tell(f"Creating MLflow's database {path} (a few seconds, once) ...")
    import_mlflow()
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    uri = f"sqlite:///{fresh}"
    try:
        store = SqlAlchemyStore(uri, artifact_root)  # type: ignore[no-untyped-call]
        store.engine.dispose()
    except Exception as error:
        raise TrackingError(f"MLflow cannot create its database {path}: {error}") from error
    finally:
        SqlAlchemyStore._engine_map.pop(uri, None)
    fresh.replace(path)


def _migrate(path: Path, revision: str, patience_seconds: float) -> None:
    """Back the file up, migrate a copy, and write that back in one transaction."""
    backup = _free_name(path.with_name(f"{path.name}.{revision}.bak"))
    work = path.with_name(f"{path.name}.migrating")
    for leftover in (work, Path(f"{work}-journal")):
        leftover.unlink(missing_ok=True)
    with _sqlite_errors(path, patience_seconds), closing(_connect(path, patience_seconds)) as live:
        before = _data_version(live)
        with closing(sqlite3.connect(work)) as copy:
            _copy_database(live, copy, patience_seconds)
        work.replace(backup)
        _tell(
            f"{path} was written by an older MLflow (revision {revision}); migrating it for "
            f"MLflow {version('mlflow')}. The file as it was is kept as {backup}"
        )
        shutil.copyfile(backup, work)
        _upgrade(work, path, backup)
        if _data_version(live) != before:
            raise TrackingError(
                f"{path} was written to while it was being migrated, so it was left as it is. "
                "Stop the other programs that use it (mlflow server, other runs) and start again."
            )
        with closing(sqlite3.connect(work)) as migrated:
            _copy_database(migrated, live, patience_seconds)
    work.unlink()


def _upgrade(work: Path, path: Path, backup: Path) -> None:
    import_mlflow()
    import sqlalchemy
    from mlflow.store.db import utils

    engine = sqlalchemy.create_engine(f"sqlite:///{work}", poolclass=sqlalchemy.pool.NullPool)
    try:
        utils._upgrade_db(engine)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise TrackingError(
            describe_damage(path, f"MLflow's migration failed ({str(error).splitlines()[0]})")
            + f" It is unchanged; {backup} is a copy of it."
        ) from error
    finally:
        engine.dispose()


def _data_version(base: sqlite3.Connection) -> int:
    """Return a number that changes when another connection commits to the file."""
    base.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return int(base.execute("PRAGMA data_version").fetchone()[0])


def _copy_database(source: sqlite3.Connection, target: sqlite3.Connection, seconds: float) -> None:
    source.backup(target, progress=_give_up_after(seconds))


def _give_up_after(seconds: float) -> Callable[[int, int, int], None]:
    deadline = time.monotonic() + seconds

    def check(status: int, remaining: int, total: int) -> None:
        # Python repeats a step on a locked database for ever.
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) and time.monotonic() > deadline:
            raise sqlite3.OperationalError("database is locked")

    return check


def _free_name(path: Path) -> Path:
    candidate, number = path, 2
    while candidate.exists():
        candidate, number = path.with_name(f"{path.name}.{number}"), number + 1
    return candidate


def _unknown_revision(path: Path, revision: str) -> str:
    writer = _last_writer(path)
    written = f"MLflow {writer}" if writer else "another, probably newer MLflow"
    install = f"mlflow=={writer}" if writer else "'mlflow>=<the version that wrote it>'"
    return (
        f"{path} was written by {written} (revision {revision}); MLflow {version('mlflow')}, "
        f"which is installed, knows the revisions up to {known_revisions()[0]}. Either install "
        f"that version (pip install {install}), or move the file away "
        f"(mv {path} {path}.{revision}) and the next run makes a new one and logs its "
        "study's stored runs again."
    )


def _last_writer(path: Path) -> str | None:
    with closing(_connect(path, 1.0)) as base:
        try:
            row = base.execute(
                "SELECT value FROM experiment_tags WHERE key = ? ORDER BY experiment_id DESC",
                (WRITER_TAG,),
            ).fetchone()
        except sqlite3.Error:
            return None
    return str(row[0]) if row else None
