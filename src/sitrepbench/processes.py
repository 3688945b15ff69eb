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


def is_alive(process: str) -> bool:
    """Return whether the process that `this_process` described still runs on this host."""
    pid, _, started = process.partition("@")
    try:
        # Some systems derive the start from the boot time, which wanders by a second or two.
        return abs(psutil.Process(int(pid)).create_time() - int(started)) < 3
    except (psutil.Error, ValueError):
        return False
