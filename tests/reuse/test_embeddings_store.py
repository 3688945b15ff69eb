"""Vectors are encoded once, whoever asks, and what is damaged is encoded anew."""

from __future__ import annotations

import multiprocessing
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from filelock import FileLock

from sitrepbench.reuse import embeddings
from sitrepbench.reuse.embeddings import (
    EMBEDDINGS_CACHE,
    embeddings_counted,
    embeddings_kept_in,
    encoding_told,
    vectors_of,
)
from sitrepbench.reuse.vector_stores import MemoryStore

TEXTS = ["a truce", "a long sentence about a truce", "a truce", "a convoy left"]


class Encoder:
    """Gives every text a vector of its own, and notes what it was asked."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.asked: list[list[str]] = []
        self.seconds = seconds

    def __call__(self, texts: list[str]) -> npt.NDArray[np.float32]:
        self.asked.append(texts)
        time.sleep(self.seconds)
        return np.array([[len(text), sum(map(ord, text)) / 7, 1.0] for text in texts], np.float32)


def asked(texts: list[str], encoder: Encoder, dtype: str = "float32") -> npt.NDArray[np.floating]:
    return vectors_of(texts, name="one", encode=encoder, dtype=dtype, batch_size=2)


def file_of(folder: Path) -> Path:
    return folder / EMBEDDINGS_CACHE / "one.sqlite"


def test_the_second_time_nothing_is_computed(tmp_path: Path) -> None:
    with embeddings_kept_in(tmp_path) as first:
        one = asked(TEXTS, Encoder())
    idle = Encoder()
    with embeddings_kept_in(tmp_path) as second:
        two = asked(list(reversed(TEXTS)), idle)
    assert idle.asked == []
    np.testing.assert_array_equal(one, two[::-1])
    np.testing.assert_array_equal(one, Encoder()(TEXTS))
    assert (first.computed, first.taken) == (3, 0)
    assert (second.computed, second.taken) == (0, 3)
    assert second.lines() == ["embeddings: 0 computed, 3 taken from the store"]


def test_only_new_texts_are_computed_each_once_and_the_longest_first(tmp_path: Path) -> None:
    encoder = Encoder()
    with embeddings_kept_in(tmp_path) as tally:
        asked(TEXTS[:1], encoder)
        asked([*TEXTS, *TEXTS], encoder)
    assert encoder.asked == [["a truce"], ["a long sentence about a truce", "a convoy left"]]
    assert (tally.computed, tally.taken) == (3, 1)


def test_what_the_disk_refuses_is_held_for_the_rest_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    encoder = Encoder()
    for _ in range(2):
        with embeddings_kept_in(tmp_path):
            asked(TEXTS, encoder)
    assert len(encoder.asked) == 1


def test_a_table_of_another_shape_is_set_aside(tmp_path: Path) -> None:
    with embeddings_kept_in(tmp_path):
        asked(TEXTS, Encoder())
    file = file_of(tmp_path)
    file.unlink()
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE vectors (text BLOB PRIMARY KEY, other REAL)")
    for computed in (3, 0):
        with embeddings_kept_in(tmp_path) as tally:
            asked(TEXTS, Encoder())
        assert tally.computed == computed
        assert not tally.notes
    assert list(file.parent.glob("*.damaged-*"))


def test_parts_of_a_slow_encoder_stay_small_and_are_kept_when_it_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "PART_SECONDS", 0.0)
    texts = [f"sentence {number}" for number in range(200)]
    sizes: list[int] = []

    def slow(some: list[str]) -> npt.NDArray[np.float32]:
        if len(sizes) == 3:
            raise KeyboardInterrupt
        sizes.append(len(some))
        return np.ones((len(some), 3), np.float32)

    with embeddings_kept_in(tmp_path), pytest.raises(KeyboardInterrupt):
        vectors_of(texts, name="one", encode=slow, dtype="float32", batch_size=8)
    assert sizes == [32, 32, 32]
    with embeddings_kept_in(tmp_path) as tally:
        vectors_of(texts, name="one", encode=Encoder(), dtype="float32", batch_size=8)
    assert (tally.taken, tally.computed) == (96, 104)


def test_who_waits_tells_what_others_encode_and_does_not_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "_LOOK_SECONDS", 0.01)
    monkeypatch.setattr(embeddings, "PATIENCE_SECONDS", 0.1)
    with embeddings_kept_in(tmp_path):
        asked(TEXTS[:1], Encoder())
    told: list[tuple[int, int]] = []
    # Another process that has stopped, and holds the lock.
    with (
        FileLock(file_of(tmp_path).with_suffix(".lock")),
        embeddings_kept_in(tmp_path) as tally,
        encoding_told(lambda *so: told.append(so)),
    ):
        asked(TEXTS, Encoder())
    assert (tally.taken, tally.computed) == (1, 2)
    assert told[0] == (0, 2)
    assert told[-1] == (2, 2)


def test_parts_hold_whole_batches(tmp_path: Path) -> None:
    encoder = Encoder()
    texts = [f"sentence {number}" for number in range(1000)]
    with embeddings_kept_in(tmp_path):
        vectors_of(texts, name="one", encode=encoder, dtype="float32", batch_size=48)
    sizes = [len(part) for part in encoder.asked]
    assert sum(sizes) == 1000
    assert len(sizes) > 1
    assert all(size % 48 == 0 for size in sizes[:-1])


def test_encoders_do_not_share_vectors(tmp_path: Path) -> None:
    with embeddings_kept_in(tmp_path) as tally:
        asked(TEXTS, Encoder())
        vectors_of(TEXTS, name="two", encode=Encoder(), dtype="float32", batch_size=2)
    assert tally.computed == 6


def test_float16_is_kept_as_such_and_takes_half(tmp_path: Path) -> None:
    with embeddings_kept_in(tmp_path):
        found = asked(TEXTS, Encoder(), "float16")
        again = asked(TEXTS, Encoder(), "float16")
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, again)
    with sqlite3.connect(file_of(tmp_path)) as database:
        ((raw,), *_) = database.execute("SELECT vector FROM vectors").fetchall()
    database.close()
    assert len(raw) == 3 * 2


def test_a_vector_that_changed_on_the_disk_is_computed_anew(tmp_path: Path) -> None:
    with embeddings_kept_in(tmp_path):
        one = asked(TEXTS, Encoder())
    database = sqlite3.connect(file_of(tmp_path))
    with database:
        database.execute("UPDATE vectors SET vector = zeroblob(12) WHERE rowid = 2")
    database.close()
    with embeddings_kept_in(tmp_path) as tally:
        np.testing.assert_array_equal(asked(TEXTS, Encoder()), one)
    assert (tally.computed, tally.taken) == (1, 2)
    with embeddings_kept_in(tmp_path) as tally:
        asked(TEXTS, Encoder())
    assert tally.computed == 0


@pytest.mark.parametrize("keep", [0, 100, 5000])
def test_a_damaged_file_is_set_aside_and_made_anew(tmp_path: Path, keep: int) -> None:
    with embeddings_kept_in(tmp_path):
        one = asked(TEXTS, Encoder())
    file = file_of(tmp_path)
    content = file.read_bytes()
    file.write_bytes(content[:keep].ljust(len(content), b"\xff"))
    with embeddings_kept_in(tmp_path) as tally:
        np.testing.assert_array_equal(asked(TEXTS, Encoder()), one)
    assert tally.computed >= 1
    idle = Encoder()
    with embeddings_kept_in(tmp_path):
        asked(TEXTS, idle)
    assert idle.asked == []
    assert list(file.parent.glob("*.damaged-*"))


def test_a_folder_that_cannot_be_written_costs_nothing_but_a_note(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    with embeddings_kept_in(tmp_path) as tally:
        np.testing.assert_array_equal(asked(TEXTS, Encoder()), Encoder()(TEXTS))
    assert any("not kept on disk" in line for line in tally.lines())


def test_a_failed_encoder_loses_nothing_that_was_kept(tmp_path: Path) -> None:
    def broken(texts: list[str]) -> npt.NDArray[np.float32]:
        raise RuntimeError("no memory")

    with embeddings_kept_in(tmp_path) as tally:
        asked(TEXTS[:1], Encoder())
        with pytest.raises(RuntimeError, match="no memory"):
            vectors_of(TEXTS, name="one", encode=broken, dtype="float32", batch_size=2)
        idle = Encoder()
        asked(TEXTS[:1], idle)
    assert idle.asked == []
    assert tally.computed == 1


def encode_in_process(folder: Path, counts: multiprocessing.Queue[int]) -> None:
    with embeddings_kept_in(folder) as tally:
        asked([f"sentence {number}" for number in range(40)], Encoder(seconds=0.3))
    counts.put(tally.computed)


@pytest.mark.slow
def test_processes_that_ask_at_once_encode_together_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    counts = context.Queue()
    workers = [context.Process(target=encode_in_process, args=(tmp_path, counts)) for _ in range(3)]
    for worker in workers:
        worker.start()
    computed = [counts.get(timeout=120) for _ in workers]
    for worker in workers:
        worker.join()
    assert sorted(computed) == [0, 0, 40]


def test_the_time_of_found_vectors_is_told_as_it_was(tmp_path: Path) -> None:
    with embeddings_kept_in(tmp_path):
        asked(TEXTS, Encoder(seconds=0.3))
    with embeddings_kept_in(tmp_path) as tally:
        asked(TEXTS, Encoder())
    assert tally.spared_seconds >= 0.3


def test_a_vector_that_is_taken_twice_spares_its_time_once(tmp_path: Path) -> None:
    with embeddings_kept_in(tmp_path) as begun:
        for _ in range(2):
            asked(TEXTS, Encoder(seconds=0.3))
    assert begun.taken == 3
    assert begun.spared_seconds <= 0  # a run by itself has its own vectors, too
    with embeddings_kept_in(tmp_path) as once:
        asked(TEXTS, Encoder())
    with embeddings_kept_in(tmp_path) as twice:
        asked(TEXTS, Encoder())
        asked(TEXTS[:1], Encoder())
    assert (once.taken, twice.taken) == (3, 4)
    assert twice.spared_seconds == pytest.approx(once.spared_seconds)


def test_without_a_store_vectors_are_held_in_memory_within_bounds() -> None:
    encoder = Encoder()
    with embeddings_counted() as tally:
        for _ in range(2):
            vectors_of(TEXTS, name="nowhere", encode=encoder, dtype="float32", batch_size=2)
    assert len(encoder.asked) == 1
    assert (tally.computed, tally.taken) == (3, 3)
    store = MemoryStore(limit=24)
    store.keep([b"a", b"b"], np.ones((2, 3), np.float32), 0.1)
    store.keep([b"c"], np.ones((1, 3), np.float32), 0.1)
    assert [key for key, *_ in store.find([b"a", b"b", b"c"])] == [b"c"]
    store.keep([b"d", b"e", b"f"], np.ones((3, 3), np.float32), 0.1)
    assert list(store.find([b"c", b"d"])) == []


def test_encoding_tells_how_it_gets_on(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    texts = [f"sentence {number}" for number in range(1000)]
    with embeddings_kept_in(tmp_path), encoding_told(lambda done, of: told.append((done, of))):
        asked(texts, Encoder())
        asked(texts, Encoder())
    assert told[-1] == (1000, 1000)
    assert told == sorted(told)


def test_no_text_and_strange_texts() -> None:
    assert asked([], Encoder()).shape == (0, 3)
    assert asked(["", "\ud800"], Encoder()).shape == (2, 3)
