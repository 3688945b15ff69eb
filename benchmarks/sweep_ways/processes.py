"""Start the processes that are timed, and say on stderr what happens."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

WAYS = Path(__file__).parent
#: A process that takes longer hangs.
LIMIT_SECONDS = 3600
SHOWN_LINES = 30


@dataclass(frozen=True)
class Timed:
    """A finished process: wall time in seconds, and what it printed."""

    seconds: float
    output: str


def tell(text: str) -> None:
    """Print a line of progress."""
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """Return the user's environment with bytecode written and MLflow's telemetry off."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


def timed(command: Sequence[str | Path], *, folder: Path) -> Timed:
    """Run ``python COMMAND`` in a folder and return its wall time, from start to exit.

    A process that fails ends the benchmark.
    """
    arguments = [sys.executable, *map(str, command)]
    started = time.perf_counter()
    done = subprocess.run(
        arguments,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT_SECONDS,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode:
        last = "\n".join(done.stdout.splitlines()[-SHOWN_LINES:])
        shown = " ".join(arguments)
        sys.exit(f"{last}\n\nFAILED with exit code {done.returncode}: {shown[:2000]}")
    return Timed(seconds, done.stdout)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median and, of several values, the range."""
    middle = f"{statistics.median(values):.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):.{digits}f}-{max(values):.{digits}f})"
