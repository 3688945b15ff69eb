"""What a run ran on: Python, libraries, BLAS, processor, commit; recorded, never an identity."""

from __future__ import annotations

import os
import platform
import resource
import socket
import subprocess
import sys
from contextlib import suppress
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from sitrepbench import __version__

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

#: The libraries whose versions are recorded with every run.
LIBRARIES = ("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "hydra-core", "mlflow")
_PEAK_RESET = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def describe_environment() -> dict[str, Any]:
    """Return the environment as plain values that JSON can hold."""
    pools = [
        {"library": pool["internal_api"], "threads": pool["num_threads"]}
        for pool in thread_pools().info()
    ]
    process = psutil.Process()
    return {
        "sitrepbench": __version__,
        "python": platform.python_version(),
        "platform": _platform(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "thread_pools": pools,
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "host": socket.gethostname(),
        "process": process.pid,
        "process_started": process.create_time(),
        **git_state(),
    }


def thread_pools() -> ThreadpoolController:
    """Return the thread pools of the libraries that this process has loaded."""
    return _pools_with(len(sys.modules))


@lru_cache(maxsize=1)
def _pools_with(_modules: int) -> ThreadpoolController:
    """Look for them, which takes milliseconds, only after something was imported."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def reset_peak_memory() -> None:
    """Let `peak_memory_mb` count from now on, where the system can do that: on Linux."""
    with suppress(OSError):
        _PEAK_RESET.write_text("5")  # proc(5): resets the peak resident set


def peak_memory_mb() -> float:
    """Return the highest resident set of this process since `reset_peak_memory`, MiB.

    It starts at what the process held then: its libraries, data and kept features. Where the
    system cannot count anew, it is the highest of the process's whole life.
    """
    with suppress(OSError):
        for line in _STATUS.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "VmHWM":
                return int(value.split()[0]) / 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


@lru_cache(maxsize=1)
def _platform() -> str:
    return platform.platform()


@lru_cache(maxsize=1)
def cpu_model() -> str:
    """Return the processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@lru_cache(maxsize=1)
def git_state() -> dict[str, Any]:
    """Return ``commit`` and ``dirty`` of the checkout the program runs from, None outside one."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *arguments], capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # Installed into somebody's environment inside somebody's repository is not a checkout of ours.
    top = git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() / "src" / "sitrepbench" != here:
        return {"commit": None, "dirty": None}
    # New files count where they can change what is computed.
    changes = git("status", "--porcelain", "--untracked-files=no")
    changes = changes or git("status", "--porcelain", "--", ":/src", ":/conf", ":/experiments")
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changes)}


@cache
def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
