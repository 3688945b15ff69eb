"""Which process is meant, on which host, and whether it still lives."""

from __future__ import annotations

import socket

import psutil


def this_host() -> str:
    """Return the host's name, as it is tagged on MLflow runs."""
    return socket.gethostname()


def this_process() -> str:
    """Return this process as ``pid@start``; the start (s since 1970) tells a reused pid apart."""
    process = psutil.Process()
    return f"{process.pid}@{int(process.create_time())}"


def runs(pid: int) -> bool:
    """Return whether a process of this host runs; one that only waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def is_alive(process: str) -> bool:
    """Return whether the process that `this_process` described still runs on this host."""
    pid, _, started = process.partition("@")
    try:
        # Some systems derive the start from the boot time, which wanders by a second or two.
        found = psutil.Process(int(pid))
        same = abs(found.create_time() - int(started)) < 3
        # What ended and was not asked for its exit code yet is still listed.
        return same and found.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError):
        return False
