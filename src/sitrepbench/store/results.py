"""The results store: the truth about runs, on disk.

<results>/runs/<key>/      one finished run each, renamed into place whole
<results>/partial/         what is being written or removed; what a killed process leaves goes
<results>/damaged/         records that could not be read, kept for a look
<results>/failed/          the last failed attempt of runs that are not done
<results>/locks/<key>      the claim on a run while it is computed
<results>/sweeps/          the ledgers of sweeps
<results>/looks.jsonl      the ledger of looks at test splits
<results>/index.db         a copy of the records' headlines for lists; rebuilt at will
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from sitrepbench.errors import StoreError, closest
from sitrepbench.store.index import Index, IndexRow, folders_in

# Records bring pandas along, which takes longer to load than a list to print: see `find`, `put`.
if TYPE_CHECKING:
    import pandas as pd

    from sitrepbench.predictions import PredictionsTable
    from sitrepbench.store.record import RunRecord

RUNS_FOLDER = "runs"
PARTIAL_FOLDER = "partial"
DAMAGED_FOLDER = "damaged"
LOCKS_FOLDER = "locks"


class ClaimedError(StoreError):
    """A run that another process computes at this moment."""


class ResultsStore:
    """A folder of run records.

    Parameters
    ----------
    folder : Path
        Made on first use; one that exists may be read where nothing can be written.

    Raises
    ------
    StoreError
        When there is none and it cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.runs = self.folder / RUNS_FOLDER
        self.unread: list[str] = []
        self._swept = False
        try:
            for name in (RUNS_FOLDER, PARTIAL_FOLDER, LOCKS_FOLDER):
                if not (self.folder / name).is_dir():
                    (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if not self.runs.is_dir():
                raise StoreError(
                    f"{self.folder}: cannot be used as a results store: {error}"
                ) from error
        self.index = Index(self.folder / "index.db")

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
        ClaimedError
            When another process holds it for longer than ``timeout``.
        StoreError
            When the store cannot be written.
        """
        lock = FileLock(self.folder / LOCKS_FOLDER / key)
        try:
            lock.acquire(timeout=timeout)
        except Timeout as error:
            raise ClaimedError(f"run {key} is being computed by another process") from error
        except OSError as error:
            raise StoreError(
                f"run {key} cannot be claimed in {self.folder}: {error}. Free some space or choose "
                "another place with results_dir=FOLDER, and run the same command again."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def finished(self) -> set[str]:
        """Return the keys of all finished runs, by one look at the folder.

        That a record is whole is checked when it is taken, by `find`.

        Raises
        ------
        StoreError
            When the store cannot be listed.
        """
        return folders_in(self.runs)

    def has(self, keys: Iterable[str]) -> set[str]:
        """Return those of the keys whose runs are finished; see `finished`."""
        return self.finished().intersection(keys)

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
        from sitrepbench.store.record import UnreadableError, read_record

        try:
            return read_record(folder)
        except UnreadableError:
            raise
        except StoreError as error:
            self._set_aside(key, error)
            return None

    def put(
        self,
        record: RunRecord,
        *,
        predictions: PredictionsTable,
        cells: pd.DataFrame,
        trials: pd.DataFrame | None = None,
        curves: pd.DataFrame | None = None,
    ) -> RunRecord:
        """Store a finished run and return its record with its folder.

        A record of the same key is replaced. The caller holds the claim.

        Raises
        ------
        StoreError
            When it cannot be written. The index is only a copy: what it cannot take now, it
            takes from the record later.
        """
        from sitrepbench.store.record import write_record

        self._sweep_partial()
        partial = self.folder / PARTIAL_FOLDER / self.partial_name(record.key)
        final = self.runs / record.key
        try:
            partial.mkdir()
            write_record(
                record, partial, predictions=predictions, cells=cells, trials=trials, curves=curves
            )
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

    def remove(self, key: str) -> bool:
        """Remove a finished run, and return whether that was done; one under way is left alone.

        It is renamed away first, so that a record is whole or absent at any moment. The index
        follows with the next list.

        Raises
        ------
        StoreError
            When the store cannot be written.
        """
        final = self.runs / key
        try:
            with self.claim(key, timeout=0):
                away = self.folder / PARTIAL_FOLDER / self.partial_name(key)
                final.rename(away)
        except (FileNotFoundError, ClaimedError):
            return False
        except OSError as error:
            raise StoreError(f"{final}: cannot be removed: {error.strerror or error}") from error
        shutil.rmtree(away, ignore_errors=True)
        return True

    def rows(self) -> list[IndexRow]:
        """Return the headlines of all finished runs, newest first.

        What could not be read is left in ``unread``, one message each.
        """
        rows, self.unread = self.index.rows(self.runs)
        return rows

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
            more = " ..." if len(found) > 5 else ""
            raise StoreError(f"{name!r} could be any of {len(found)} runs: {keys}{more}")
        record = self.find(found[0].key)
        if record is None:
            raise StoreError(f"run {found[0].key} is damaged and was set aside; run it again")
        return record

    def partial_name(self, name: str) -> str:
        """Return a fresh name in ``partial/`` that says whose it is: key, host, process, nonce."""
        return f"{name}.{_this_host()}.{os.getpid()}.{uuid.uuid4().hex[:8]}"

    def abandoned(self) -> list[Path]:
        """Return what killed processes of this host left in ``partial/``."""
        from sitrepbench.processes import runs

        left = []
        with contextlib.suppress(OSError):
            for entry in sorted((self.folder / PARTIAL_FOLDER).iterdir()):
                pieces = entry.name.split(".")
                # Another host's is left alone: only it knows whether the process lives.
                ours = len(pieces) >= 4 and pieces[1] == _this_host() and pieces[2].isdecimal()
                if ours and not runs(int(pieces[2][:10])):
                    left.append(entry)
        return left

    def _sweep_partial(self) -> None:
        """Remove what killed processes left half written; once, for it costs as much as a run."""
        if self._swept:
            return
        self._swept = True
        for left in self.abandoned():
            shutil.rmtree(left, ignore_errors=True)

    def _set_aside(self, key: str, why: StoreError) -> None:
        aside = self.folder / DAMAGED_FOLDER / f"{key}-{uuid.uuid4().hex[:8]}"
        try:
            aside.parent.mkdir(exist_ok=True)
            (self.runs / key).rename(aside)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise StoreError(f"{why}; and it cannot be set aside: {error}") from why
        self.index.remove(key)


def _this_host() -> str:
    return socket.gethostname().replace(".", "-")
