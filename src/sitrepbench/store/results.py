"""The results store: the truth about runs, on disk.

<results>/runs/<key>/      one finished run each, renamed into place whole
<results>/partial/         runs being written; what a killed process leaves is swept away
<results>/damaged/         records that could not be read, kept for a look
<results>/locks/<key>      the claim on a run while it is computed
<results>/looks.jsonl      the ledger of looks at test splits
<results>/index.db         a copy of the records' headlines for lists; rebuilt at will
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
from filelock import FileLock, Timeout

from sitrepbench.errors import StoreError, closest
from sitrepbench.predictions import PredictionsTable
from sitrepbench.store.index import Index, IndexRow
from sitrepbench.store.record import RunRecord, UnreadableError, read_record, write_record


class ResultsStore:
    """A folder of run records.

    Parameters
    ----------
    folder : Path
        Made on first use.

    Raises
    ------
    StoreError
        When the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.runs = self.folder / "runs"
        self.unread: list[str] = []
        try:
            for name in ("runs", "partial", "locks"):
                if not (self.folder / name).is_dir():
                    (self.folder / name).mkdir(parents=True, exist_ok=True)
            self.index = Index(self.folder / "index.db")
        except OSError as error:
            raise StoreError(
                f"{self.folder}: cannot be used as a results store: {error}"
            ) from error

    @contextlib.contextmanager
    def claim(self, key: str, *, timeout: float = -1) -> Iterator[None]:
        """Hold the claim on a run, so that no two processes compute it at once.

        Parameters
        ----------
        timeout : float
            Seconds to wait for another holder; forever by default. The claim of a process that
            died is free.

        Raises
        ------
        StoreError
            When another process holds it for longer than ``timeout``.
        """
        lock = FileLock(self.folder / "locks" / key)
        try:
            lock.acquire(timeout=timeout)
        except Timeout as error:
            raise StoreError(f"run {key} is being computed by another process") from error
        try:
            yield
        finally:
            lock.release()

    def find(self, key: str) -> RunRecord | None:
        """Return the record of a finished run, None if there is none.

        A record that is damaged is set aside in ``damaged/``.

        Raises
        ------
        UnreadableError
            When it is of another version's format, or this process may not read it.
        """
        folder = self.runs / key
        if not folder.is_dir():
            return None
        try:
            return read_record(folder)
        except UnreadableError:
            raise
        except StoreError:
            aside = self.folder / "damaged" / f"{key}-{uuid.uuid4().hex[:8]}"
            aside.parent.mkdir(exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                folder.rename(aside)
            self.index.remove(key)
            return None

    def put(
        self, record: RunRecord, *, predictions: PredictionsTable, cells: pd.DataFrame
    ) -> RunRecord:
        """Store a finished run and return its record with its folder.

        A record of the same key is replaced. The caller holds the claim.
        """
        self._sweep_partial()
        mark = f"{record.key}.{_this_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"
        partial = self.folder / "partial" / mark
        final = self.runs / record.key
        try:
            partial.mkdir()
            write_record(record, partial, predictions=predictions, cells=cells)
            if final.exists():
                # A folder cannot be renamed over another; the old one goes aside first.
                old = partial.with_name(partial.name + ".old")
                final.rename(old)
                partial.rename(final)
                shutil.rmtree(old, ignore_errors=True)
            else:
                partial.rename(final)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise StoreError(
                f"run {record.key} could not be stored in {self.folder}: {error}. Free some space "
                "or choose another place with results_dir=FOLDER, and run the same command again."
            ) from error
        stored = replace(record, folder=final)
        self.index.add(stored)
        return stored

    def rows(self) -> list[IndexRow]:
        """Return the headlines of all finished runs, newest first.

        What could not be read is left in ``unread``, one message each.
        """
        self.unread = self.index.follow(self.runs)
        return self.index.rows()

    def resolve(self, name: str) -> RunRecord:
        """Return the one run whose key begins with ``name`` or whose run name it is.

        Raises
        ------
        StoreError
            When there is none, or several.
        """
        rows = self.rows()
        found = [row for row in rows if row.key.startswith(name) or row.run_name == name]
        if not found:
            match = closest(name, [row.run_name for row in rows])
            hint = f" Did you mean {match!r}?" if match else ""
            raise StoreError(f"no run {name!r} in {self.folder}.{hint} See: sitrepbench list")
        if len(found) > 1:
            keys = ", ".join(f"{row.key} ({row.run_name})" for row in found[:5])
            raise StoreError(f"{name!r} could be any of {len(found)} runs: {keys} ...")
        record = self.find(found[0].key)
        if record is None:
            raise StoreError(f"run {found[0].key} is damaged and was set aside; run it again")
        return record

    def _sweep_partial(self) -> None:
        """Remove what killed processes left half written."""
        import psutil

        for left in (self.folder / "partial").iterdir():
            pieces = left.name.split(".")
            if len(pieces) < 4 or pieces[1] != _this_host():
                continue  # another host's, and only it knows whether the process lives
            if not psutil.pid_exists(int(pieces[2])):
                shutil.rmtree(left, ignore_errors=True)


def _this_host() -> str:
    return socket.gethostname().replace(".", "-")
