"""Sentence vectors that are kept: computed once per encoder and text, for all models and runs.

On disk they lie in one SQLite file per encoder, ``<results>/cache/embeddings/<name>.sqlite``. The
name stands for all that decides a vector but the text: the encoder's files, its settings, the
libraries. The files may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from sitrepbench.reuse.vector_stores import MemoryStore, Vectors, VectorStore

Encode = Callable[[list[str]], Vectors]
#: Told how many sentences are encoded, of how many that have to be.
OnEncoded = Callable[[int, int], None]

#: Below a results store.
EMBEDDINGS_CACHE = Path("cache") / "embeddings"
#: Sentences in the smallest part that is encoded, in whole batches.
FIRST_PART = 32
#: Parts grow while they take less than so long, and shrink from twice of it on.
PART_SECONDS = 1.0
#: How long encoded vectors may wait to be written, seconds: what a kill can lose.
WRITE_SECONDS = 2.0
#: How often a waiting process looks what another one has encoded meanwhile, seconds.
_LOOK_SECONDS = 1.0
#: After so long without any of its sentences a waiting process encodes them itself, seconds.
PATIENCE_SECONDS = 120.0


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
    def turn(self, held: ExitStack, seconds: float) -> bool: ...


#: By folder, name and dtype; a process works with one or two encoders.
_MEMORY: dict[tuple[Path | None, str, str], MemoryStore] = {}


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
    tell = _ON_ENCODED.get() or _told_to_nobody
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
        with ExitStack() as held:
            found |= _waited_for(store, held, rows, places, tell)
            waited = time.perf_counter() - started
            absent = [key for key in places if key not in found]
            absent.sort(key=lambda key: -len(by_key[key]))
            for part, vectors, notes in _encoded(absent, by_key, store, encode, batch_size, tell):
                rows.put([places[key] for key in part], vectors)
                for tally in tallies:
                    tally.notes += notes
    for tally in tallies:
        tally.add(name, found, absent, waited)
    return rows.values[[places[key] for key in keys]]


def _told_to_nobody(done: int, total: int) -> None:
    return


def _waited_for(
    store: _Store, held: ExitStack, rows: _Rows, places: dict[bytes, int], tell: OnEncoded
) -> dict[bytes, float]:
    """Wait for the turn to encode, and take what other processes encode meanwhile.

    Nobody waits for ever: who gets nothing for long encodes what is missing, whoever else does.
    """
    found: dict[bytes, float] = {}
    n_missing = int((~rows.there).sum())
    heard = time.monotonic()
    while True:
        its_turn = store.turn(held, _LOOK_SECONDS)
        absent = [key for key, place in places.items() if not rows.there[place]]
        fresh = rows.fill(places, store.find(absent))
        found |= fresh
        heard = time.monotonic() if fresh else heard
        if its_turn or not rows.missing or time.monotonic() - heard > PATIENCE_SECONDS:
            return found
        tell(len(found), n_missing)


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
    keys: Sequence[bytes],
    texts: dict[bytes, str],
    store: _Store,
    encode: Encode,
    batch_size: int,
    tell: OnEncoded,
) -> Iterator[tuple[Sequence[bytes], Vectors, list[str]]]:
    """Encode and keep, part by part; yield each part with what the disk refused."""
    size = least = -(-FIRST_PART // batch_size) * batch_size
    start, written = 0, time.perf_counter()
    waiting: list[tuple[Sequence[bytes], Vectors, float]] = []
    try:
        while start < len(keys):
            part = keys[start : start + size]
            began = time.perf_counter()
            vectors = np.asarray(encode([texts[key] for key in part]))
            took = time.perf_counter() - began
            start += len(part)
            waiting.append((part, vectors, took / len(part)))
            notes: list[str] = []
            if start >= len(keys) or time.perf_counter() - written > WRITE_SECONDS:
                waiting, kept = [], waiting
                notes, written = _kept(store, kept), time.perf_counter()
            tell(start, len(keys))
            if took < PART_SECONDS:
                size *= 2
            elif took > 2 * PART_SECONDS:
                size = max(least, size // 2 // least * least)
            yield part, vectors, notes
    finally:
        # What was encoded before somebody stopped it, or something failed.
        _kept(store, waiting)


def _kept(store: _Store, parts: Iterable[tuple[Sequence[bytes], Vectors, float]]) -> list[str]:
    return [note for part in parts if (note := store.keep(*part))]


def _store(name: str, dtype: str) -> _Store:
    folder = _FOLDER.get()
    memory = _MEMORY.setdefault((folder, name, dtype), MemoryStore())
    return memory if folder is None else VectorStore(folder / f"{name}.sqlite", dtype, memory)
