"""A client for the store in question, and every failure of MLflow as one `TrackingError`."""

from __future__ import annotations

import sqlite3
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from sitrepbench.errors import TrackingError
from sitrepbench.tracking.database import (
    WRITER_TAG,
    AwayError,
    describe_damage,
    describe_lock,
    prepare_database,
)
from sitrepbench.tracking.mlflow_import import import_mlflow
from sitrepbench.tracking.settings import TrackingSettings

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Logging one record takes well under a second; only a stuck process holds the lock so long.
_LOCK_SECONDS = 120.0
#: The first HTTP status that says that the server, not the request, is at fault.
_SERVER_ERROR = 500


@dataclass(frozen=True)
class Connection:
    """An MLflow client and the experiment that runs are logged to."""

    client: MlflowClient
    experiment_id: str


@contextmanager
def tracking_errors(settings: TrackingSettings) -> Iterator[None]:
    """Turn whatever MLflow, its database or its server raises into a `TrackingError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        # What requests raises when a server cannot be reached is an OSError too.
        raise _explained(settings, error, away=settings.database is None) from error
    except Exception as error:
        # Loaded only where MLflow was: the class is asked for, not imported.
        raised = getattr(sys.modules.get("mlflow.exceptions"), "MlflowException", ())
        if not isinstance(error, raised):
            raise
        status = error.get_http_status_code()
        away = settings.database is None and status >= _SERVER_ERROR
        raise _explained(settings, error, away=away) from error


@contextmanager
def tracking_lock(settings: TrackingSettings, *, seconds: float = _LOCK_SECONDS) -> Iterator[None]:
    """Let the processes of one results store log one after the other."""
    settings.lock.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.lock)
    try:
        lock.acquire(timeout=seconds)
    except Timeout as error:
        raise AwayError(
            f"{settings.lock} is held for more than {seconds:g} s by another process that "
            f"logs to {settings.shown_uri}. If none is running, delete the lock file."
        ) from error
    try:
        yield
    finally:
        lock.release()


def open_client(settings: TrackingSettings) -> MlflowClient:
    """Return a client, after making sure that the database or the server is fit for use.

    Raises
    ------
    TrackingError
        When it is not; see `sitrepbench.tracking.database.prepare_database`.
    """
    database = settings.database
    if database is None:
        _wait_for_server(settings)
    else:
        prepare_database(
            database,
            artifact_root=settings.artifact_root or str(database.parent),
            patience_seconds=settings.patience_seconds,
        )
    return _client(settings.uri)


def open_experiment(settings: TrackingSettings) -> Connection:
    """Return a client and the id of the experiment, which is created where it is missing."""
    from mlflow.entities import LifecycleStage
    from mlflow.exceptions import MlflowException

    client = open_client(settings)
    found = client.get_experiment_by_name(settings.experiment)
    if found is None:
        try:
            made = client.create_experiment(
                settings.experiment,
                artifact_location=settings.artifact_location,
                tags={WRITER_TAG: version("mlflow")},
            )
        except MlflowException:
            # Another process may have been faster.
            found = client.get_experiment_by_name(settings.experiment)
            if found is None:
                raise
        else:
            return Connection(client, str(made))
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise TrackingError(describe_deletion(settings, found.experiment_id))
    if settings.database and found.tags.get(WRITER_TAG) != version("mlflow"):
        client.set_experiment_tag(found.experiment_id, WRITER_TAG, version("mlflow"))
    return Connection(client, str(found.experiment_id))


def describe_deletion(settings: TrackingSettings, experiment_id: object) -> str:
    """Return the message for an experiment that somebody deleted in MLflow."""
    return (
        f"the experiment {settings.experiment!r} was deleted in MLflow. Bring it back with "
        f"MLFLOW_TRACKING_URI={settings.shown_uri} mlflow experiments restore "
        f"--experiment-id {experiment_id}, or choose another name by "
        f"tracking.experiment=NAME."
    )


@lru_cache(maxsize=8)
def _client(uri: str) -> MlflowClient:
    mlflow = import_mlflow()
    client: MlflowClient = mlflow.MlflowClient(tracking_uri=uri)
    return client


def _wait_for_server(settings: TrackingSettings) -> None:
    """Ask the server for its health until it answers or the patience is at its end."""
    deadline = time.monotonic() + settings.patience_seconds
    pause = 0.1
    while True:
        problem = server_problem(settings.uri)
        if problem is None:
            return
        if time.monotonic() + pause > deadline:
            raise AwayError(
                f"the MLflow server {settings.shown_uri} does not answer ({problem}). Start it, "
                f"correct tracking.uri, or use tracking=none."
            )
        time.sleep(pause)
        pause = min(2 * pause, 2.0)


def server_problem(uri: str) -> str | None:
    """Return why the server at ``uri`` cannot be reached, or None if it answers at all."""
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5):
            return None
    except urllib.error.HTTPError as error:
        # Whoever asks for a password is there; a gateway without its server is not.
        return None if error.code < 500 else f"HTTP {error.code}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))


def _explained(settings: TrackingSettings, error: Exception, *, away: bool) -> TrackingError:
    text = str(error).strip() or type(error).__name__
    first = text.splitlines()[0]
    database = settings.database
    if database and "locked" in text:
        return AwayError(describe_lock(database, settings.patience_seconds))
    if database and any(word in text for word in ("malformed", "not a database", "disk image")):
        return TrackingError(describe_damage(database, first))
    return (AwayError if away else TrackingError)(
        f"MLflow at {settings.shown_uri} refused: {first}."
    )
