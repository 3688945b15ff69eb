"""Sentence vectors that are kept: computed once per encoder and text, for all models and runs.

On disk they lie in one SQLite file per encoder, ``<results>/cache/embeddings/<name>.sqlite``. The
name stands for all that decides a vector but the text: the encoder's files, its settings, the
libraries. Every vector carries a checksum; one that does not agree counts as absent, and a file
that is no database is set aside. The files may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

Vectors = npt.NDArray[np.floating]
Encode = Callable[[list[str]], Vectors]
#: Told how many sentences are encoded, of how many that have to be.
OnEncoded = Callable[[int, int], None]

#: Below a results store.
EMBEDDINGS_CACHE = Path("cache") / "embeddings"
#: Sentences in the first part that is encoded; parts grow while they take less than a second.
FIRST_PART = 256
#: How long encoded vectors may wait to be written, seconds: what a kill can lose.
WRITE_SECONDS = 2.0
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


@dataclass
class EmbeddingTally:
    """What became of the sentences that were asked for while it was counted.

    Parameters
    ----------
    computed, taken : int
        Sentences that were encoded, and that were found in a store.
    spared_seconds : float
        What encoding the found ones took when it was done, each counted once, less the time of
        waiting for another process that encoded them: what to add to a wall time to have that of
        a run by itself.
    notes : list of str
        What the disk refused.
    """

    computed: int = 0
    taken: int = 0
    spared_seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    _had: set[tuple[str, bytes]] = field(default_factory=set, init=False, repr=False, compare=False)

    def add(
        self, name: str, found: Mapping[bytes, float], computed: Sequence[bytes], waited: float
    ) -> None:
        """Count the sentences of one encoder that were found, with what each took, and computed.

        One that was had before spares nothing: a run by itself encodes it once as well.
        """
        self.computed += len(computed)
        self.taken += len(found)
        fresh = (took for key, took in found.items() if (name, key) not in self._had)
        self.spared_seconds += sum(fresh) - waited
        self._had.update((name, key) for keys in (found, computed) for key in keys)

    def lines(self) -> list[str]:
        """Return what a run's record says of it; nothing where no embedding was asked for.

        >>> EmbeddingTally(computed=3, taken=1200).lines()
        ['embeddings: 3 computed, 1,200 taken from the store']
        """
        if not self.computed and not self.taken:
            return []
        told = f"embeddings: {self.computed:,} computed, {self.taken:,} taken from the store"
        return [told, *dict.fromkeys(self.notes)]


_FOLDER: ContextVar[Path | None] = ContextVar("embeddings_folder", default=None)
_TALLIES: ContextVar[tuple[EmbeddingTally, ...]] = ContextVar("embeddings_tallies", default=())
_ON_ENCODED: ContextVar[OnEncoded | None] = ContextVar("on_encoded", default=None)


@contextmanager
def embeddings_kept_in(results_dir: Path) -> Iterator[EmbeddingTally]:
    """Keep, and look for, all vectors in a results store meanwhile; yield what comes of it."""
    token = _FOLDER.set(results_dir / EMBEDDINGS_CACHE)
    try:
        with embeddings_counted() as tally:
            yield tally
    finally:
        _FOLDER.reset(token)


@contextmanager
def embeddings_counted() -> Iterator[EmbeddingTally]:
    """Yield a tally of what is asked for meanwhile."""
    tally = EmbeddingTally()
    token = _TALLIES.set((*_TALLIES.get(), tally))
    try:
        yield tally
    finally:
        _TALLIES.reset(token)


@contextmanager
def encoding_told(on_encoded: OnEncoded) -> Iterator[None]:
    """Tell a function meanwhile how encoding gets on."""
    token = _ON_ENCODED.set(on_encoded)
    try:
        yield
    finally:
        _ON_ENCODED.reset(token)


class _Store(Protocol):
    def find(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Vectors, float]]: ...
    def keep(self, keys: Sequence[bytes], vectors: Vectors, seconds: float) -> str: ...
    def encoding(self) -> AbstractContextManager[object]: ...


class VectorStore:
    """The vectors of one encoder on disk, for any number of processes at once.

    Parameters
    ----------
    path : Path
        The file; made on first use.
    dtype : {"float32", "float16"}
        Of the vectors.
    """

    def __init__(self, path: Path, dtype: str) -> None:
        self.path = path
        self._dtype: np.dtype[np.floating] = np.dtype(dtype)

    def find(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, Vectors, float]]:
        """Yield key, vector and seconds of those that are there and whole, in no order."""
        if not self.path.exists():
            return
        try:
            with closing(self._open()) as database:
                for start in range(0, len(keys), _ASKED_AT_ONCE):
                    asked = keys[start : start + _ASKED_AT_ONCE]
                    marks = ",".join("?" * len(asked))
                    found = database.execute(f"{_FIND} ({marks})", asked)
                    for key, raw, seconds, checksum in found:
                        if checksum == _checksum(key, raw):
                            yield key, np.frombuffer(raw, dtype=self._dtype), float(seconds)
        except sqlite3.OperationalError:
            return  # busy, or not to be read: then they are computed
        except (sqlite3.DatabaseError, TypeError, ValueError):
            self._set_aside()

    def keep(self, keys: Sequence[bytes], vectors: Vectors, seconds: float) -> str:
        """Write vectors of shape (n_keys, width); return why it could not be done, or ``""``.

        ``seconds`` is what encoding one of them took.
        """
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
            except (OSError, sqlite3.OperationalError) as error:
                return f"embeddings are not kept on disk: {self.path}: {error}"
            except sqlite3.DatabaseError:
                self._set_aside()
        return f"embeddings are not kept on disk: {self.path} is damaged"

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Let one process at a time encode: who waits finds the vectors when its turn comes."""
        lock = FileLock(self.path.with_suffix(".lock"))
        with ExitStack() as stack:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(lock.acquire())
            except (OSError, Timeout):
                pass  # a folder that takes no lock: two may compute the same, which harms nothing
            yield

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

    def encoding(self) -> AbstractContextManager[None]:
        """Return nothing to wait for."""
        return nullcontext()


#: By name and dtype; a process works with one or two encoders.
_MEMORY: dict[tuple[str, str], MemoryStore] = {}


def vectors_of(
    texts: Sequence[str], *, name: str, encode: Encode, dtype: str, batch_size: int
) -> Vectors:
    """Return the vector of every text: kept ones, and new ones that are kept from then on.

    Parameters
    ----------
    texts : sequence of str, n_texts
        Equal ones are encoded once.
    name : str
        What stands for the encoder; see the module.
    encode : callable
        From a list of texts to their vectors, shape (n, width).
    dtype : {"float32", "float16"}
        In which they are kept and returned.
    batch_size : int
        Of the encoder. Parts are handed over the longest texts first and hold whole batches, so
        that batches are what they would be if all were handed over at once.

    Returns
    -------
    ndarray, shape (n_texts, width)
    """
    store = _store(name, dtype)
    if not texts:
        return np.asarray(encode([""]), dtype=dtype)[:0]
    keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
    by_key = dict(zip(keys, texts, strict=True))
    places = {key: place for place, key in enumerate(by_key)}
    rows = _Rows(len(places), dtype)
    found = rows.fill(places, store.find(list(by_key)))
    tallies = _TALLIES.get()
    absent: list[bytes] = []
    waited = 0.0
    if rows.missing:
        started = time.perf_counter()
        with store.encoding():
            waited = time.perf_counter() - started
            # Another process may have encoded them while this one waited.
            found |= rows.fill(places, store.find([key for key in places if key not in found]))
            absent = [key for key in places if key not in found]
            absent.sort(key=lambda key: -len(by_key[key]))
            for part, vectors, notes in _encoded(absent, by_key, store, encode, batch_size):
                rows.put([places[key] for key in part], vectors)
                for tally in tallies:
                    tally.notes += notes
    for tally in tallies:
        tally.add(name, found, absent, waited)
    return rows.values[[places[key] for key in keys]]


class _Rows:
    """The vectors of different texts, as they come in."""

    def __init__(self, n_rows: int, dtype: str) -> None:
        self.values: Vectors = np.empty((n_rows, 0), dtype=dtype)
        self.there = np.zeros(n_rows, dtype=bool)

    @property
    def missing(self) -> bool:
        return not bool(self.there.all())

    def put(self, places: Sequence[int], vectors: Vectors) -> None:
        if self.values.shape[1] == 0:
            self.values = np.empty((len(self.there), vectors.shape[1]), dtype=self.values.dtype)
        self.values[places] = vectors
        self.there[places] = True

    def fill(
        self, places: dict[bytes, int], found: Iterable[tuple[bytes, Vectors, float]]
    ) -> dict[bytes, float]:
        """Take in what was found; return the seconds that each took once."""
        took = {}
        for key, vector, seconds in found:
            self.put([places[key]], vector[None, :])
            took[key] = seconds
        return took


def _encoded(
    keys: Sequence[bytes], texts: dict[bytes, str], store: _Store, encode: Encode, batch_size: int
) -> Iterator[tuple[Sequence[bytes], Vectors, list[str]]]:
    """Encode and keep, part by part; yield each part with what the disk refused."""
    tell = _ON_ENCODED.get()
    size = -(-FIRST_PART // batch_size) * batch_size
    start, written = 0, time.perf_counter()
    waiting: list[tuple[Sequence[bytes], Vectors, float]] = []
    while start < len(keys):
        part = keys[start : start + size]
        began = time.perf_counter()
        vectors = np.asarray(encode([texts[key] for key in part]))
        took = time.perf_counter() - began
        start += len(part)
        waiting.append((part, vectors, took / len(part)))
        notes: list[str] = []
        if start >= len(keys) or time.perf_counter() - written > WRITE_SECONDS:
            said = [store.keep(*one) for one in waiting]
            notes, waiting, written = [note for note in said if note], [], time.perf_counter()
        if tell is not None:
            tell(start, len(keys))
        if took < 1.0:
            size *= 2
        yield part, vectors, notes


def _store(name: str, dtype: str) -> _Store:
    folder = _FOLDER.get()
    if folder is not None:
        return VectorStore(folder / f"{name}.sqlite", dtype)
    return _MEMORY.setdefault((name, dtype), MemoryStore())


def _checksum(key: bytes, raw: bytes) -> int:
    return zlib.crc32(raw, zlib.crc32(key))
