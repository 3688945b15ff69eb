"""Where runs are logged: the database or server, the artifacts and the experiment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from sitrepbench.errors import ConfigError

DATABASE_FILE = "mlflow.db"
ARTIFACT_FOLDER = "mlartifacts"
LOCK_FILE = "tracking.lock"
EXPERIMENT_PREFIX = "sitrepbench/"

_SQLITE = "sqlite:///"


@dataclass(frozen=True)
class TrackingSettings:
    """Where runs are logged; `tracking_settings` makes one from what a user wrote.

    Parameters
    ----------
    uri : str
        ``sqlite:///`` and an absolute path, or the http(s) address of an MLflow server.
    artifact_root : str or None
        The folder or URI below which a new experiment keeps its artifacts; None leaves it to
        the server.
    experiment : str
        The MLflow experiment, by default ``sitrepbench/<study>``.
    lock : Path
        The file by which the processes of one results store log one after the other.
    enabled : bool
        Whether anything is logged at all.
    patience_seconds : float
        How long to wait for a locked database or a server that does not answer.
    """

    uri: str
    artifact_root: str | None
    experiment: str
    lock: Path
    enabled: bool = True
    patience_seconds: float = 10.0

    @property
    def database(self) -> Path | None:
        """The database file, or None where a server is used."""
        return Path(self.uri.removeprefix(_SQLITE)) if self.uri.startswith(_SQLITE) else None

    @property
    def artifact_location(self) -> str | None:
        """Where the artifacts of the experiment go if it is new; None leaves it to the server."""
        if not self.artifact_root:
            return None
        return f"{self.artifact_root.rstrip('/')}/{self.experiment.replace('/', '-')}"

    @property
    def shown_uri(self) -> str:
        """The URI without user and password, for messages and links."""
        parts = urlsplit(self.uri)
        if "@" not in parts.netloc:
            return self.uri
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def tracking_settings(
    results_dir: Path,
    study: str,
    *,
    uri: str | None = None,
    artifact_root: str | None = None,
    experiment: str | None = None,
    enabled: bool = True,
) -> TrackingSettings:
    """Return settings with every default filled in and every local path absolute.

    Parameters
    ----------
    results_dir : Path
        The results store; the database and the artifacts lie in it unless told otherwise.
    study : str
        The study's name, or ``adhoc``.
    uri : str, optional
        ``sqlite:///path`` (a relative path counts from the current folder) or ``http(s)://...``.
    artifact_root : str, optional
        A folder or URI for the artifacts of new experiments.
    experiment : str, optional
        Another name than ``sitrepbench/<study>``.

    Raises
    ------
    ConfigError
        When the URI is of a kind that cannot be used.

    Examples
    --------
    >>> tracking_settings(Path("/tmp/results"), "baselines").uri
    'sqlite:////tmp/results/mlflow.db'
    >>> tracking_settings(Path("/tmp/results"), "baselines").experiment
    'sitrepbench/baselines'
    """
    results = results_dir.expanduser().absolute()
    absolute = _absolute_uri(uri, results / DATABASE_FILE)
    if artifact_root is None and absolute.startswith(_SQLITE):
        artifact_root = str(results / ARTIFACT_FOLDER)
    elif artifact_root is not None and not re.match(r"[a-z][a-z0-9+.-]+:", artifact_root):
        artifact_root = str(Path(artifact_root).expanduser().absolute())
    return TrackingSettings(
        uri=absolute,
        artifact_root=artifact_root,
        experiment=experiment or f"{EXPERIMENT_PREFIX}{study}",
        lock=results / LOCK_FILE,
        enabled=enabled,
    )


def _absolute_uri(uri: str | None, default: Path) -> str:
    if not uri:
        return _sqlite_uri(default)
    if re.match(r"https?://[^/]", uri):
        return uri.rstrip("/")
    if uri.startswith(_SQLITE) and uri.removeprefix(_SQLITE) not in ("", ":memory:"):
        return _sqlite_uri(Path(uri.removeprefix(_SQLITE)))
    if uri.startswith("file:") or not re.match(r"[a-z][a-z0-9+.-]+:", uri):
        raise ConfigError(
            f"tracking.uri={uri!r}: MLflow no longer keeps runs in a plain folder (it refuses "
            f"one since 3.13). Leave tracking.uri empty for {_sqlite_uri(default)}, or give "
            "sqlite:///<path>/mlflow.db or the http(s) address of a server."
        )
    raise ConfigError(
        f"tracking.uri={uri!r} is not supported: expected sqlite:///<path>/mlflow.db or "
        "http(s)://<server>. For any other database start 'mlflow server' on it and give "
        "the server's address."
    )


def _sqlite_uri(path: Path) -> str:
    absolute = str(path.expanduser().absolute())
    odd = sorted(set(absolute) & set("?#%"))
    if odd:
        raise ConfigError(
            f"{absolute}: MLflow cannot use a path with {' '.join(odd)} in it. Rename the folder, "
            "or give another place by tracking.uri=sqlite:///<path>/mlflow.db"
        )
    return f"{_SQLITE}{absolute}"
