"""The ledger of looks: every reading of a locked test split, appended and never rewritten."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from filelock import FileLock

from sitrepbench.errors import StoreError

LEDGER_FILE = "looks.jsonl"


class LookKind(StrEnum):
    """What looks are counted as."""

    by_hand = "by hand"
    study = "declared by a study"
    reproduction = "reproduction"


@dataclass(frozen=True)
class Look:
    """One look at one test split of one dataset.

    Parameters
    ----------
    dataset, digest : str
        What was read.
    split : str
        Which split of it.
    key : str
        The content key of the run that read it.
    reason : str
        As the person or the committed study gave it.
    by : str
        The git name, or the login.
    time : str
        ISO 8601, UTC.
    study : str
        The study that declared it, empty for a look by hand.
    reproduction : bool
        Whether the study's results of this run were committed before: numbers that are known
        are read again.
    """

    dataset: str
    digest: str
    split: str
    key: str
    reason: str
    by: str
    time: str
    study: str = ""
    reproduction: bool = False

    @property
    def kind(self) -> LookKind:
        """What it counts as."""
        if not self.study:
            return LookKind.by_hand
        return LookKind.reproduction if self.reproduction else LookKind.study


class LookLedger:
    """The file of looks in a results store."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / LEDGER_FILE

    def add(self, looks: Sequence[Look], *, same: Callable[[Look], Hashable] | None = None) -> None:
        """Append looks, each a line, under a lock.

        Parameters
        ----------
        looks : sequence of Look
            Taken now.
        same : callable or None
            By what a look was taken before: one whose value the ledger has is not counted again.

        Raises
        ------
        StoreError
            When they cannot be recorded; then they must not be taken.
        """
        # A store that may only be read has no locks, and what it has needs none.
        if not self._new(looks, same):
            return
        try:
            with FileLock(self.path.with_suffix(".lock")):
                # Once more: another process may have taken the same look at the same moment.
                self._append(self._new(looks, same))
        except OSError as error:
            raise StoreError(
                f"{self.path}: the look at a test split cannot be recorded, so it is not taken: "
                f"{error}"
            ) from error

    def _new(
        self, looks: Sequence[Look], same: Callable[[Look], Hashable] | None
    ) -> Sequence[Look]:
        if same is None or not looks:
            return looks
        taken = {same(look) for look in self.read()}
        return [look for look in looks if same(look) not in taken]

    def _append(self, looks: Sequence[Look]) -> None:
        if not looks:
            return
        lines = "".join(json.dumps(asdict(look), ensure_ascii=False) + "\n" for look in looks)
        with self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                # A line that a dying process left unfinished stays alone.
                lines = lines if file.read(1) == b"\n" else "\n" + lines
            file.write(lines.encode())

    def read(self) -> list[Look]:
        """Return all looks in the order in which they were taken.

        Raises
        ------
        StoreError
            When a line is not a look; looks are never dropped.
        """
        if not self.path.exists():
            return []
        looks = []
        for number, line in enumerate(self._content().split(b"\n"), 1):
            if not line:
                continue
            try:
                looks.append(_look(json.loads(line.decode("utf-8"))))
            except (ValueError, TypeError) as error:
                raise StoreError(f"{self.path}, line {number}: not a look: {error}") from error
        return looks

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be read: {error.strerror or error}") from error

    def count(self, digest: str) -> int:
        """Return how many looks were taken at test splits of one dataset."""
        return sum(look.digest == digest for look in self.read())


def _look(content: dict[str, Any]) -> Look:
    """Return a look from a line of the ledger; TypeError where it is none."""
    look = Look(**content)
    for name, value in asdict(look).items():
        wanted = bool if name == "reproduction" else str
        if not isinstance(value, wanted):
            raise TypeError(f"{name} is no {wanted.__name__}")
    return look


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def who() -> str:
    """Return the git name of the person at the keyboard, or the login."""
    try:
        done = subprocess.run(
            ["git", "config", "user.name"], capture_output=True, text=True, timeout=10
        )
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        pass
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
