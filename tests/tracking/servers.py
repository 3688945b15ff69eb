"""A real PostgreSQL and a real MLflow server on the loopback, to be stopped and killed at will.

with PostgresServer.start() as database, MlflowServer.start(database.uri, folder) as server:
    ...
    server.kill(); server.restart()
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

#: Where Debian and others keep the programs that are not for everybody's PATH.
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_START_SECONDS = 180.0
_USER = "bench"
_DATABASE = "mlflow"


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def postgres_missing() -> str:
    """Return why PostgreSQL cannot be used; empty if it can."""
    if _postgres("initdb") is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    if find_spec("psycopg") is None:
        return "psycopg is not installed (pip install 'psycopg[binary]')"
    if os.geteuid() == 0 and _unprivileged() is None:
        return "PostgreSQL does not run as root, and there is no user postgres"
    return ""


@dataclass
class PostgresServer:
    """A database server with its own data folder and port; `stop` and `restart` keep the data."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The address, as SQLAlchemy takes it."""
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self.port}/{_DATABASE}"

    @classmethod
    @contextlib.contextmanager
    def start(cls) -> Iterator[PostgresServer]:
        """Make a database cluster, serve it, and remove it at the end."""
        # Not below a folder that only its owner may enter: the server has a user of its own.
        folder = Path(tempfile.mkdtemp(prefix="sitrepbench-pg-", dir="/tmp"))
        user = _unprivileged() if os.geteuid() == 0 else None
        if user is not None:
            os.chown(folder, user.pw_uid, user.pw_gid)
        server = cls(folder, free_port())
        try:
            server._run("initdb", "-D", str(folder / "data"), "-U", _USER, "-A", "trust", "-N")
            server.restart()
            server._run(
                "createdb", "-h", "127.0.0.1", "-p", str(server.port), "-U", _USER, _DATABASE
            )
            yield server
        finally:
            server.stop()
            shutil.rmtree(folder, ignore_errors=True)

    def restart(self) -> None:
        """Start the server, and wait until it answers."""
        command = [
            *(str(_postgres("postgres")), "-D", str(self.folder / "data"), "-p", str(self.port)),
            *("-c", "listen_addresses=127.0.0.1", "-k", str(self.folder), "-c", "fsync=off"),
        ]
        with (self.folder.with_suffix(".log")).open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True, **self._as_user()
            )
        ready = [str(_postgres("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        _wait_until(lambda: subprocess.run(ready).returncode == 0, self.process, "PostgreSQL")

    def stop(self) -> None:
        """Stop the server as its own tools do (fast shutdown)."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(timeout=60)
            self.process = None
        self.folder.with_suffix(".log").unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(_postgres(program)), *arguments], capture_output=True, text=True, **self._as_user()
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")

    def _as_user(self) -> dict[str, object]:
        user = _unprivileged() if os.geteuid() == 0 else None
        where: dict[str, object] = {"cwd": self.folder}
        if user is not None:
            where |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        return where


@dataclass
class MlflowServer:
    """MLflow's server on a database, with its artifacts in a folder; `kill` is SIGKILL to all."""

    database_uri: str
    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address."""
        return f"http://127.0.0.1:{self.port}"

    @classmethod
    @contextlib.contextmanager
    def start(cls, database_uri: str, folder: Path) -> Iterator[MlflowServer]:
        """Serve, and stop at the end."""
        folder.mkdir(parents=True, exist_ok=True)
        server = cls(database_uri, folder)
        try:
            server.restart()
            yield server
        finally:
            server._signal(signal.SIGTERM)

    def restart(self) -> None:
        """Start the server on the same port, and wait until it answers."""
        command = [
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--backend-store-uri", self.database_uri),
            *("--artifacts-destination", str(self.folder / "artifacts")),
            *("--host", "127.0.0.1", "--port", str(self.port)),
        ]
        settings = {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
        }
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **settings},
                start_new_session=True,
            )
        _wait_until(self._answers, self.process, f"MLflow, see {self.folder / 'server.log'}")

    def kill(self) -> None:
        """End the server at once, whatever it is doing."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Have the server hold its breath: connections are taken, and nothing is answered."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the server go on."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGCONT)

    def _signal(self, sign: signal.Signals) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, sign)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=30)
        self.process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


def _postgres(program: str) -> Path | None:
    found = shutil.which(program)
    if found:
        return Path(found)
    for pattern in _PLACES:
        there = sorted(Path("/").glob(f"{pattern[1:]}/{program}"))
        if there:
            return there[-1]
    return None


def _unprivileged() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return None


def _wait_until(ready: object, process: subprocess.Popen[bytes], what: str) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not ready():  # type: ignore[operator]
        if process.poll() is not None:
            raise RuntimeError(f"{what} ended with status {process.returncode}")
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} does not answer")
        time.sleep(0.05)
