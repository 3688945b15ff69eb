"""Where sentence vectors are held: one SQLite file per encoder, or a process's memory.

Every vector carries a checksum; one that does not agree counts as absent, and a file that is no
database, or another program's, is set aside.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

Vectors = npt.NDArray[np.floating]
#: Memory of a process for vectors where there is no results store, bytes.
MEMORY_LIMIT = 64 * 2**20
_BUSY_SECONDS = 60.0
#: Parameters of one query; SQLite's own limit is 999 in old versions.
_ASKED_AT_ONCE = 500
_FIND = "SELECT text, vector, seconds, checksum FROM vectors WHERE text IN"
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS vectors "
    "(text BLOB PRIMARY KEY, vector BLOB, seconds REAL, checksum INTEGER)"
)


class VectorStore:
    """The vectors of one encoder on disk, for any number of processes at once.

    Parameters
    ----------
    path : Path
        The file; made on first use.
    dtype : {"float32", "float16"}
        Of the vectors.
    spare : MemoryStore or None
        Holds what the disk does not take.
    """

    def __init__(self, path: Path, dtype: str, spare: MemoryStore | None = None) -> None:
        self.path = path
        self._spare = MemoryStore() if spare is None else spare
        self._dtype: np.dtype[np.floating] = np.dtype(dtype)

    def find(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Vectors, float]]:
        """Yield key, vector and seconds of those that are there and whole, in no order."""
        yield from self._spare.find(keys)
        if self.path.exists():
            yield from self._on_disk(keys)

    def _on_disk(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Vectors, float]]:
        try:
            with closing(self._open()) as database:
                for start in range(0, len(keys), _ASKED_AT_ONCE):
                    asked = keys[start : start + _ASKED_AT_ONCE]
                    marks = ",".join("?" * len(asked))
                    found = database.execute(f"{_FIND} ({marks})", asked)
                    for key, raw, seconds, checksum in found:
                        if checksum == _checksum(key, raw):
                            yield key, np.frombuffer(raw, dtype=self._dtype), float(seconds)
        except sqlite3.OperationalError as error:
            # Busy, or not to be read: then they are computed. Or it is another program's table.
            if "column" in str(error):
                self._set_aside()
        except (sqlite3.DatabaseError, TypeError, ValueError):
            self._set_aside()

    def keep(self, keys: Sequence[bytes], vectors: Vectors, seconds: float) -> str:
        """Write vectors of shape (n_keys, width); return why it could not be done, or ``""``.

        ``seconds`` is what encoding one of them took.
        """
        refused = self._to_disk(keys, vectors, seconds)
        if refused:
            self._spare.keep(keys, np.asarray(vectors, dtype=self._dtype), seconds)
        return refused

    def _to_disk(self, keys: Sequence[bytes], vectors: Vectors, seconds: float) -> str:
        rows = []
        for key, vector in zip(keys, np.ascontiguousarray(vectors, dtype=self._dtype), strict=True):
            raw = vector.tobytes()
            rows.append((key, raw, seconds, _checksum(key, raw)))
        for _ in range(2):
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with closing(self._open()) as database, database:
                    database.execute(_SCHEMA)
                    database.executemany("INSERT OR REPLACE INTO vectors VALUES (?,?,?,?)", rows)
                return ""
            except (OSError, sqlite3.DatabaseError) as error:
                away = isinstance(error, (OSError, sqlite3.OperationalError))
                if away and "column" not in str(error):
                    return f"embeddings are not kept on disk: {self.path}: {error}"
                self._set_aside()
        return f"embeddings are not kept on disk: {self.path} is damaged"

    def turn(self, held: ExitStack, seconds: float) -> bool:
        """Return whether it is this process's turn to encode, which one does at a time.

        Waits at most so long. ``held`` then holds the lock, and gives it back.
        """
        lock = FileLock(self.path.with_suffix(".lock"))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock.acquire(timeout=seconds))
        except Timeout:
            return False
        except OSError:
            pass  # a folder that takes no lock: two may compute the same, which harms nothing
        return True

    def _open(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=_BUSY_SECONDS)
        # Power that fails may cost vectors, which are computed anew.
        database.execute("PRAGMA synchronous=NORMAL")
        return database

    def _set_aside(self) -> None:
        try:
            self.path.replace(self.path.with_name(f"{self.path.name}.damaged-{time.time_ns()}"))
        except OSError:
            return


class MemoryStore:
    """Vectors in this process's memory, where there is no results store to keep them in."""

    def __init__(self, limit: int = MEMORY_LIMIT) -> None:
        self._limit = limit
        self._held: dict[bytes, tuple[Vectors, float]] = {}
        self._size = 0

    def find(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Vectors, float]]:
        """Yield key, vector and seconds of those that are there."""
        for key in keys:
            if key in self._held:
                yield key, *self._held[key]

    def keep(self, keys: Sequence[bytes], vectors: Vectors, seconds: float) -> str:
        """Hold vectors; when there is no room for them, all that was held before goes."""
        if self._size + vectors.nbytes > self._limit:
            self._held.clear()
            self._size = 0
        if vectors.nbytes <= self._limit:
            self._held.update(
                {key: (row.copy(), seconds) for key, row in zip(keys, vectors, strict=True)}
            )
            self._size += vectors.nbytes
        return ""

    def turn(self, held: ExitStack, seconds: float) -> bool:
        """Return that there is nothing to wait for."""
        return True


def _checksum(key: bytes, raw: bytes) -> int:
    return zlib.crc32(raw, zlib.crc32(key))
