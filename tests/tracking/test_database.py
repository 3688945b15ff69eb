from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sitrepbench.errors import TrackingError
from sitrepbench.tracking.database import WRITER_TAG, known_revisions, prepare_database


def prepare(path: Path, patience_seconds: float = 5.0) -> None:
    prepare_database(
        path, artifact_root=str(path.parent / "artifacts"), patience_seconds=patience_seconds
    )


def revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as base:
        return str(base.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def execute(path: Path, statement: str, *values: str) -> None:
    with closing(sqlite3.connect(path)) as base, base:
        base.execute(statement, values)


@pytest.fixture
def database(tmp_path: Path, migrated_database: Path) -> Path:
    return Path(shutil.copyfile(migrated_database, tmp_path / "mlflow.db"))


def test_the_scripts_are_read_as_alembic_reads_them() -> None:
    import mlflow.store
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(mlflow.store.__path__[0]) / "db_migrations"))
    assert known_revisions()[0] == scripts.get_current_head()
    assert set(known_revisions()) == {item.revision for item in scripts.walk_revisions()}


def test_created_in_a_folder_that_is_not_there(tmp_path: Path, migrated_database: Path) -> None:
    # The session's database was made by `prepare_database` itself.
    assert revision(migrated_database) == known_revisions()[0]
    assert not migrated_database.with_name("mlflow.db.new").exists()


def test_one_of_the_right_revision_is_left_alone(database: Path) -> None:
    before = database.read_bytes()
    prepare(database)
    assert database.read_bytes() == before
    assert sorted(path.name for path in database.parent.iterdir()) == ["mlflow.db"]


@pytest.mark.fault
@pytest.mark.slow
def test_eight_processes_at_once_on_a_fresh_one(tmp_path: Path) -> None:
    path = tmp_path / "results" / "mlflow.db"
    program = (
        "import sys; from pathlib import Path\n"
        "from sitrepbench.tracking.mlflow_import import import_mlflow\n"
        "from sitrepbench.tracking.connection import open_experiment\n"
        "from sitrepbench.tracking.settings import tracking_settings\n"
        "import_mlflow(); print('ready', flush=True); sys.stdin.readline()\n"
        "print(open_experiment(tracking_settings(Path(sys.argv[1]), 'demo')).experiment_id)\n"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(path.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0] * 8, outputs
    assert len({out for out, _ in outputs}) == 1, "one experiment for all"
    assert revision(path) == known_revisions()[0]


@pytest.mark.fault
def test_creation_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    path.with_name("mlflow.db.new").write_bytes(b"half a database")
    prepare(path)
    assert revision(path) == known_revisions()[0]
    assert not path.with_name("mlflow.db.new").exists()


@pytest.mark.fault
def test_older_one_is_backed_up_then_migrated(
    database: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = downgrade(database)
    prepare(database)
    told = capsys.readouterr().err
    backup = database.with_name(f"mlflow.db.{older}.bak")
    assert revision(database) == known_revisions()[0]
    assert revision(backup) == older
    assert "was written by an older MLflow" in told
    assert str(backup) in told
    assert not database.with_name("mlflow.db.migrating").exists()


@pytest.mark.fault
def test_a_backup_is_never_overwritten(database: Path) -> None:
    older = downgrade(database)
    first = database.with_name(f"mlflow.db.{older}.bak")
    first.write_text("precious")
    prepare(database)
    assert first.read_text() == "precious"
    assert revision(database.with_name(f"mlflow.db.{older}.bak.2")) == older


@pytest.mark.fault
def test_failed_migration_leaves_the_file_as_it_was(database: Path) -> None:
    # A revision from which the next steps cannot work on these tables.
    execute(database, "UPDATE alembic_version SET version_num = '451aebb31d03'")
    before = database.read_bytes()
    with pytest.raises(TrackingError, match=r"migration failed .* It is unchanged"):
        prepare(database)
    assert database.read_bytes() == before


@pytest.mark.fault
def test_newer_one_is_refused_with_both_ways_out(database: Path) -> None:
    execute(database, "UPDATE alembic_version SET version_num = 'feedfacebeef'")
    execute(database, "INSERT INTO experiment_tags VALUES (?, '9.9.9', 0)", WRITER_TAG)
    before = database.read_bytes()
    with pytest.raises(TrackingError) as error:
        prepare(database)
    message = str(error.value)
    assert "was written by MLflow 9.9.9 (revision feedfacebeef)" in message
    assert known_revisions()[0] in message
    assert "pip install mlflow==9.9.9" in message
    assert f"mv {database} {database}.feedfacebeef" in message
    assert database.read_bytes() == before


@pytest.mark.fault
def test_newer_one_without_a_note_of_its_writer(database: Path) -> None:
    execute(database, "UPDATE alembic_version SET version_num = 'feedfacebeef'")
    with pytest.raises(TrackingError, match="written by another, probably newer MLflow"):
        prepare(database)


@pytest.mark.fault
def test_something_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("model,score\nsvm,0.5\n")
    with pytest.raises(TrackingError, match=r"it is not an SQLite file.*No run is lost.*mv "):
        prepare(path)
    assert path.read_text() == "model,score\nsvm,0.5\n"


@pytest.mark.fault
def test_database_of_somebody_else(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    execute(path, "CREATE TABLE songs (title TEXT)")
    with pytest.raises(TrackingError, match="it holds tables, but not MLflow's"):
        prepare(path)


@pytest.mark.fault
@pytest.mark.parametrize("kept", [50, 4096, 100_000])
def test_truncated(database: Path, kept: int) -> None:
    database.write_bytes(database.read_bytes()[:kept])
    with pytest.raises(TrackingError, match="it is cut short"):
        prepare(database)


@pytest.mark.fault
def test_damaged_inside(database: Path) -> None:
    content = bytearray(database.read_bytes())
    content[100:4096] = bytes(3996)
    database.write_bytes(content)
    with pytest.raises(TrackingError, match="cannot be used as MLflow's database"):
        prepare(database)


@pytest.mark.fault
def test_tables_of_a_killed_migration(database: Path) -> None:
    execute(database, "DELETE FROM alembic_version")
    with pytest.raises(TrackingError, match="its tables are incomplete"):
        prepare(database)


@pytest.mark.fault
@pytest.mark.parametrize("mode", ["EXCLUSIVE", "IMMEDIATE"])
def test_locked_by_another_process(database: Path, mode: str) -> None:
    program = (
        "import sqlite3, sys; base = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        f"base.execute('BEGIN {mode}'); print('held', flush=True); sys.stdin.readline()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(database)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(TrackingError, match=r"is locked by another program for more than 0.2"):
            prepare(database, patience_seconds=0.2)
    finally:
        holder.communicate("done\n")
    prepare(database)


def downgrade(path: Path) -> str:
    """Take the newest migration back, as an older MLflow would have left the file."""
    import mlflow.store
    import sqlalchemy
    from alembic import command
    from alembic.config import Config

    config = Config()
    folder = Path(mlflow.store.__path__[0]) / "db_migrations"
    config.set_main_option("script_location", str(folder))
    engine = sqlalchemy.create_engine(f"sqlite:///{path}", poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")
    engine.dispose()
    return revision(path)
