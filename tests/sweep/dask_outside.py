"""Somebody else's Dask for the tests, and what a pool must leave as it was."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from dask_errands import LONG

from sitrepbench.sweep.jobs import Errand, Job, Reply


def errand(folder: Path, do: str, *names: str, **more: Any) -> Errand:
    """Return an errand: one job per name, all doing the same."""
    jobs = (Job(f"key-{name}", name, {"do": do, **more}, {}) for name in names)
    return Errand(tuple(jobs), folder, folder)


class Outside:
    """A scheduler and workers that somebody else has started.

    Parameters
    ----------
    folder : Path
        For their output and their files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start_scheduler(self, prelude: str = "") -> str:
        """Start a scheduler, after some Python code, and return its address."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._start(prelude, "scheduler", "--host", "127.0.0.1", "--port", str(port))
        return f"tcp://127.0.0.1:{port}"

    def start_worker(self, address: str, *options: str, prelude: str = "") -> None:
        """Start a worker, and wait until its scheduler knows it."""
        limits = ("--memory-limit", "0", "--local-directory", str(self.folder))
        before = self._log("worker").count("Registered to")
        self._start(prelude, "worker", address, "--host", "127.0.0.1", *limits, *options)
        deadline = time.monotonic() + LONG
        while self._log("worker").count("Registered to") == before:
            assert time.monotonic() < deadline, self._log("worker")
            time.sleep(0.05)

    def _log(self, what: str) -> str:
        file = self.folder / f"{what}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def _start(self, prelude: str, what: str, *options: str) -> None:
        script = f"{prelude}\nfrom distributed.cli.dask_{what} import main\nmain()"
        if not prelude:  # a worker's processes import what started them
            command = [sys.executable, "-m", f"distributed.cli.dask_{what}"]
        else:
            command = [sys.executable, "-c", script]
        with (self.folder / f"{what}.log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [*command, *options, "--no-dashboard"],
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                )
            )

    def end(self) -> None:
        """Kill everything."""
        for process in reversed(self.processes):
            for below in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    below.kill()
            process.kill()
            process.wait()


def own_children() -> set[psutil.Process]:
    """Return what runs below this process, but for what multiprocessing keeps until its end."""
    kept = ("resource_tracker", "forkserver", "distributed.cli")
    found = set()
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if not any(name in " ".join(process.cmdline()) for name in kept):
                found.add(process)
    return found


def surroundings() -> tuple[Any, ...]:
    """Return what a pool may touch and must put back."""
    importlib.import_module("distributed")
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client", "tornado")]
    # Dask keeps one idle daemon thread per process for pickling what is large.
    threads = {t.name for t in threading.enumerate() if not t.name.startswith("Dask-Offload")}
    return (
        dict(os.environ),
        sorted(threads),
        own_children(),
        [(list(logger.handlers), logger.propagate) for logger in loggers],
    )


def pids(replies: list[Reply]) -> list[str]:
    """Return the processes that answered."""
    return [reply.where for reply in replies]
