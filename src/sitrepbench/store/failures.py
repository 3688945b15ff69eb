"""Runs that failed: what the last attempt said, kept until the run is done.

<results>/failed/<key>.json   one failed run each, with the cause and the command that repeats it
"""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sitrepbench.errors import StoreError

FAILED_FOLDER = "failed"


@dataclass(frozen=True)
class FailedRun:
    """The last failed attempt at a run.

    Parameters
    ----------
    key : str
        The content key that the run would have.
    run_name, study : str
        As in a record.
    command : str
        The command line that repeats it.
    kind : str
        The error's class, ``killed`` or ``time limit``.
    message : str
        What a user should read.
    details : str
        The traceback, or where a killed worker stood.
    time : str
        When, ISO 8601 in UTC.
    seconds : float
        Wall time until then.
    where : str
        ``host:pid``.
    attempts : int
        How many attempts have failed so far.
    exit_code : int
        What the program exits with when this run is asked for alone.
    """

    key: str
    run_name: str
    study: str
    command: str
    kind: str
    message: str
    details: str
    time: str
    seconds: float
    where: str
    attempts: int = 1
    exit_code: int = 7


class FailedRuns:
    """The folder of failed runs in a results store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FAILED_FOLDER

    def put(self, failed: FailedRun) -> FailedRun:
        """Write down a failed attempt, and return it with the attempts counted."""
        before = self.find(failed.key)
        counted = FailedRun(
            **{**asdict(failed), "attempts": 1 if before is None else before.attempts + 1}
        )
        beside = self.folder / f".{failed.key}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            beside.write_text(
                json.dumps(asdict(counted), indent=1, ensure_ascii=False) + "\n",
                encoding="utf-8",
                errors="replace",
            )
            beside.replace(self.folder / f"{failed.key}.json")
        except OSError as error:
            with contextlib.suppress(OSError):
                beside.unlink()
            raise StoreError(f"{self.folder}: a failed run cannot be noted: {error}") from error
        return counted

    def find(self, key: str) -> FailedRun | None:
        """Return the last failed attempt at a run; None if there is none, or it is unreadable."""
        try:
            content: Mapping[str, Any] = json.loads(
                (self.folder / f"{key}.json").read_text(encoding="utf-8")
            )
            found = FailedRun(**content)
        except (OSError, ValueError, TypeError):
            return None
        texts = (found.key, found.run_name, found.study, found.kind, found.message, found.time)
        return found if all(isinstance(text, str) for text in texts) else None

    def remove(self, key: str) -> None:
        """Forget the failed attempts at a run, because it is done."""
        with contextlib.suppress(OSError):
            (self.folder / f"{key}.json").unlink()

    def keys(self) -> set[str]:
        """Return the keys of all failed runs."""
        try:
            return {
                entry.name.removesuffix(".json")
                for entry in os.scandir(self.folder)
                if entry.name.endswith(".json") and not entry.name.startswith(".")
            }
        except OSError:
            return set()

    def all(self) -> Iterator[FailedRun]:
        """Yield all failed runs, sorted by key."""
        for key in sorted(self.keys()):
            found = self.find(key)
            if found is not None:
                yield found
