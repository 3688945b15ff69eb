"""MLflow's UI on this machine alone, opened at a study's leaderboard."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from sitrepbench.errors import TrackingError, did_you_mean
from sitrepbench.tracking.connection import open_client, server_problem, tracking_errors
from sitrepbench.tracking.settings import EXPERIMENT_PREFIX, TrackingSettings
from sitrepbench.tracking.views import leaderboard_url

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_PORT = 5055
HOST = "127.0.0.1"
LOG_FILE = "mlflow-server.log"

#: A busy machine needs half a minute; the server is given up only long after that.
_START_SECONDS = 180.0
_STOP_SECONDS = 10.0
_LOG_LINES = 15


@dataclass(frozen=True)
class UiServer:
    """A running server: its address and its process."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


def serve_ui(
    settings: TrackingSettings,
    *,
    port: int = DEFAULT_PORT,
    study: str | None = None,
    open_browser: bool = False,
) -> None:
    """Serve MLflow's UI on 127.0.0.1 until interrupted, and print the leaderboard's link.

    With a server's address in the settings nothing is started; its link is printed.

    Parameters
    ----------
    settings : TrackingSettings
        Where runs are logged.
    port : int
        The port to listen on; a free one is taken instead where it is in use.
    study : str, optional
        Whose leaderboard to open; by default that of the latest run.
    open_browser : bool
        Whether to open the link in the user's browser.

    Raises
    ------
    TrackingError
        When the database is unfit, the study is not in it, or the server does not come up.
    """
    if settings.database is None:
        _announce(leaderboard_link(settings, settings.shown_uri, study=study), open_browser)
        return
    # Asked before the server starts, so that a wrong study is told at once.
    link = leaderboard_link(settings, "", study=study)
    try:
        with running_server(settings, port=port) as server:
            _announce(server.url + link, open_browser)
            print("Press Ctrl-C to stop.", file=sys.stderr)
            raise TrackingError(_last_words(server, server.process.wait()))
    except KeyboardInterrupt:
        print("MLflow is stopped.", file=sys.stderr)


def leaderboard_link(settings: TrackingSettings, base: str, *, study: str | None) -> str:
    """Return the address of a study's leaderboard below ``base``; without any run, ``base``.

    Raises
    ------
    TrackingError
        When the study has no runs in MLflow.
    """
    with tracking_errors(settings):
        experiment_id = _experiment_of(open_client(settings), study)
    return leaderboard_url(base, experiment_id) if experiment_id else f"{base}/"


@contextlib.contextmanager
def running_server(settings: TrackingSettings, *, port: int = DEFAULT_PORT) -> Iterator[UiServer]:
    """Start MLflow's server on the database, wait until it is healthy, and stop it at the end.

    Raises
    ------
    TrackingError
        When it ends or does not answer; its last lines are in the message.
    """
    database = settings.database
    if database is None:
        raise TrackingError(f"{settings.shown_uri} is a server already")
    with tracking_errors(settings):
        open_client(settings)
    log = database.with_name(LOG_FILE)
    chosen = _free_port(port)
    if chosen != port:
        print(f"Port {port} is in use, taking {chosen}.", file=sys.stderr)
    with log.open("wb") as output, _termination_as_interrupt():
        # Its own session: a Ctrl-C reaches this process alone, which then stops the whole group.
        process = subprocess.Popen(
            _command(settings, chosen),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=database.parent,
            env=_environment(),
            start_new_session=True,
        )
        server = UiServer(f"http://{HOST}:{chosen}", process, log)
        try:
            _wait_until_healthy(server)
            yield server
        finally:
            _stop(process)


def _command(settings: TrackingSettings, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", settings.uri),
        *("--default-artifact-root", settings.artifact_root or str(settings.lock.parent)),
        *("--host", HOST, "--port", str(port)),
        # With several workers uvicorn adds 40 ms to every request.
        *("--workers", "1"),
        # Replaces MLflow's defaults, which let in every private network.
        *("--allowed-hosts", f"{HOST},{HOST}:*,localhost,localhost:*"),
    ]


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }


def _experiment_of(client: MlflowClient, study: str | None) -> str | None:
    if study is not None:
        ids = {item.name: str(item.experiment_id) for item in client.search_experiments()}
        for name in (f"{EXPERIMENT_PREFIX}{study}", study):
            if name in ids:
                return ids[name]
        names = sorted(name.removeprefix(EXPERIMENT_PREFIX) for name in ids)
        raise TrackingError(
            f"no run of the study {study!r} is in MLflow.{did_you_mean(study, names)} "
            f"It holds: {', '.join(names)}"
        )
    experiments = [item.experiment_id for item in client.search_experiments()]
    latest = client.search_runs(
        experiments,
        filter_string="tags.kind = 'run'",
        max_results=1,
        order_by=["attributes.start_time DESC"],
    )
    return str(latest[0].info.experiment_id) if latest else None


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise TrackingError(f"no port is free on {HOST}")


def _wait_until_healthy(server: UiServer) -> None:
    started = time.monotonic()
    shown = -1
    interactive = sys.stderr.isatty()
    if not interactive:
        print("Starting MLflow ...", file=sys.stderr)
    while server_problem(server.url) is not None:
        status = server.process.poll()
        if status is not None:
            raise TrackingError(_last_words(server, status))
        waited = time.monotonic() - started
        if waited > _START_SECONDS:
            raise TrackingError(
                f"MLflow's server did not answer within {_START_SECONDS:g} s; see {server.log}"
            )
        if interactive and int(waited) != shown:
            shown = int(waited)
            print(f"\rStarting MLflow ... {shown} s", end="", file=sys.stderr, flush=True)
        time.sleep(0.1)
    if interactive:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _announce(link: str, open_browser: bool) -> None:
    print(link, flush=True)
    if open_browser and not webbrowser.open(link):
        print("No browser could be started; open the link yourself.", file=sys.stderr)


def _stop(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        # The group outlives its leader where that one died.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        try:
            process.wait(timeout=_STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            # Too slow, or the user is impatient.
            continue
        return


@contextlib.contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM stop the server the way Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        # Handlers can be set in the main thread only; elsewhere the caller stops the server.
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _last_words(server: UiServer, status: int) -> str:
    lines = server.log.read_text(encoding="utf-8", errors="replace").splitlines()
    words = "\n".join(f"  {line}" for line in lines[-_LOG_LINES:]) or "  (it said nothing)"
    return (
        f"MLflow's server ended with status {status}. Its last lines, from {server.log}:\n{words}"
    )
