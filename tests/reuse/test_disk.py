"""The disk cache gives back what was written, or nothing; and it never fails a run."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from scipy import sparse

from sitrepbench.reuse import DiskCache, Transformed
from sitrepbench.reuse import disk as disk_module

KIB = 1 / 1024


def made(fill: float = 1.0, *, kib: int = 20) -> Transformed:
    return Transformed(np.full((kib, 64), fill), np.full((kib, 64), -fill), 2.5, 0.25, ("W: x",))


def odd_sparse() -> Any:
    """Unsorted, with a double entry, a stored zero and wide indices."""
    matrix = sparse.csr_matrix((3, 4))
    matrix.data = np.array([1.0, 2.0, 0.0, 4.0])
    matrix.indices = np.array([3, 1, 1, 0], dtype=np.int64)
    matrix.indptr = np.array([0, 3, 3, 4], dtype=np.int64)
    return matrix


@pytest.mark.parametrize(
    "matrix",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6.0, dtype=np.float32).reshape(2, 3)),
        np.zeros((0, 3)),
        np.array([[np.nan, -0.0, np.inf]]),
        np.array([[True, False]]),
        sparse.random(7, 5, 0.4, format="csr", random_state=1),
        sparse.csc_array(sparse.random(7, 5, 0.4, random_state=1)),
        sparse.csr_array((2, 3), dtype=np.float32),
        odd_sparse(),
    ],
    ids=["c", "fortran", "empty", "special", "bool", "csr", "csc_array", "nothing", "odd"],
)
def test_what_comes_back_is_what_was_written(tmp_path: Path, matrix: Any) -> None:
    cache = DiskCache(tmp_path / "made" / "here")
    assert cache.keep("a", Transformed(matrix, matrix, 2.5, 0.25, ("W: x", "W: ü"))) == ""
    found = cache.find("a")
    assert found is not None
    assert (found.fit_seconds, found.transform_seconds) == (2.5, 0.25)
    assert found.notes == ("W: x", "W: ü")
    for back in (found.train, found.test):
        assert type(back) is type(matrix)
        assert back.shape == matrix.shape
        pairs = (
            [(back, matrix)]
            if isinstance(matrix, np.ndarray)
            else [(getattr(back, part), getattr(matrix, part)) for part in disk_module.SPARSE_PARTS]
        )
        for one, other in pairs:
            assert one.dtype == other.dtype
            assert one.tobytes() == other.tobytes()
            assert one.flags.f_contiguous == other.flags.f_contiguous
    assert cache.find("b") is None


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other_array(path: Path) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["train.values"] = arrays["train.values"] + 1e-12
    np.savez(path, **arrays)


def other_seconds(path: Path) -> None:
    with np.load(path) as stored:
        arrays = dict(stored)
    about = arrays["about"].tobytes().replace(b"2.5", b"9.5")
    arrays["about"] = np.frombuffer(about, dtype=np.uint8)
    np.savez(path, **arrays)


def other_entry(path: Path) -> None:
    DiskCache(path.parent).keep("other", made(7.0))
    shutil.move(path.with_name("other.npz"), path)


def other_program(path: Path) -> None:
    np.savez(path, x=np.ones(3))


def pickled(path: Path) -> None:
    np.savez(path, about=np.array([{"format": 1}], dtype=object), allow_pickle=True)


def plain_array(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def no_zip(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 and nothing else")


def huge_header(path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999,), }"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(path, "w") as file:
        length = len(header).to_bytes(2, "little")
        file.writestr("about.npy", b"\x93NUMPY\x01\x00" + length + header)


DAMAGES: list[Callable[[Path], None]] = [
    cut,
    empty,
    other_array,
    other_seconds,
    other_entry,
    other_program,
    pickled,
    plain_array,
    no_zip,
    huge_header,
]


@pytest.mark.fault
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damage_counts_as_absent_and_is_replaced(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    cache = DiskCache(tmp_path)
    cache.keep("a", made())
    damage(tmp_path / "a.npz")
    assert cache.find("a") is None
    assert cache.keep("a", made(3.0)) == ""
    found = cache.find("a")
    assert found is not None
    assert found.train[0, 0] == 3.0


@pytest.mark.fault
def test_any_flipped_bit_is_noticed_or_harmless(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    matrix = np.arange(6.0).reshape(2, 3)
    cache.keep("a", Transformed(matrix, matrix, 2.5, 0.25))
    whole = (tmp_path / "a.npz").read_bytes()
    noticed = 0
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 1 << position % 8
        (tmp_path / "a.npz").write_bytes(changed)
        found = cache.find("a")
        noticed += found is None
        if found is not None:
            assert found.train.tobytes() == found.test.tobytes() == matrix.tobytes()
            assert (found.fit_seconds, found.transform_seconds) == (2.5, 0.25)
    assert noticed > 100


def test_an_older_layout_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DiskCache(tmp_path)
    cache.keep("a", made())
    monkeypatch.setattr(disk_module, "FORMAT", disk_module.FORMAT + 1)
    assert cache.find("a") is None


def entries(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.npz"))


def test_the_size_is_bounded_and_the_longest_unused_go_first(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit_mb=60 * KIB)  # two of 20 KiB, with room to write one
    for number, digest in enumerate("ab"):
        cache.keep(digest, made())
        os.utime(tmp_path / f"{digest}.npz", (number, number))
    assert entries(tmp_path) == ["a", "b"]
    assert cache.find("a") is not None  # used just now
    cache.keep("c", made())
    assert entries(tmp_path) == ["a", "c"]
    os.utime(tmp_path / "a.npz", (0, 0))
    cache.keep("a", made(2.0))  # takes its own place, not another's
    assert entries(tmp_path) == ["a", "c"]
    cache.keep("d", made(kib=45))
    assert entries(tmp_path) == ["d"]


def test_an_entry_larger_than_the_cache_is_a_note(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, limit_mb=100 * KIB)
    cache.keep("a", made())
    note = cache.keep("b", made(kib=200))
    assert note.startswith("features are not kept on disk: a cell takes 0.2")
    assert entries(tmp_path) == ["a"]


def test_what_cannot_be_written_as_it_lies_is_a_note(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path)
    strided = np.arange(12.0).reshape(3, 4)[:, ::2]
    assert "neither an array in one piece" in cache.keep("a", Transformed(strided, strided, 1, 1))
    assert "a list is neither" in cache.keep("a", Transformed([1], [2], 1.0, 1.0))
    assert entries(tmp_path) == []


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "gone.partial").write_bytes(b"x" * 1000)
    DiskCache(tmp_path).keep("a", made())
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["a.npz"]


@contextmanager
def files_of_at_most(n_bytes: int) -> Iterator[None]:
    """Let writes beyond a size fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.fault
@pytest.mark.parametrize("room", [0, 100, 12_000, 20_000])
def test_a_full_disk_is_a_note_and_leaves_nothing(tmp_path: Path, room: int) -> None:
    cache = DiskCache(tmp_path)
    cache.keep("a", made())
    with files_of_at_most(room):
        note = cache.keep("b", made())
    assert note.startswith(f"features are not kept on disk: {tmp_path}: ")
    assert [path.name for path in tmp_path.iterdir() if not path.name.startswith(".")] == ["a.npz"]
    assert cache.find("a") is not None
    assert cache.keep("b", made()) == ""


@pytest.mark.fault
def test_a_folder_that_cannot_be_made_or_a_name_that_is_taken_is_a_note(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    assert "not kept on disk" in DiskCache(tmp_path / "file" / "cache").keep("a", made())
    assert DiskCache(tmp_path / "file" / "cache").find("a") is None
    (tmp_path / "a.npz").mkdir()
    assert "not kept on disk" in DiskCache(tmp_path).keep("a", made())
    assert DiskCache(tmp_path).find("a") is None


@pytest.mark.fault
def test_a_writer_that_holds_the_lock_for_too_long_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_module, "LOCK_SECONDS", 0.0)
    with FileLock(tmp_path / ".lock"):
        note = DiskCache(tmp_path).keep("a", made())
    assert "lock" in note
    assert DiskCache(tmp_path).keep("a", made()) == ""


def _write_and_read(folder: Path, worker: int, failures: Any) -> None:
    cache = DiskCache(folder, limit_mb=200 * KIB)
    for turn in range(25):
        number = (turn * (worker + 1)) % 7
        note = cache.keep(f"e{number}", made(float(number)))
        if note:
            failures.put(note)
        for asked in range(7):
            found = cache.find(f"e{asked}")
            if found is not None and not (found.train == asked).all():
                failures.put(f"e{asked} holds {found.train[0, 0]}")


@pytest.mark.fault
def test_several_processes_write_and_read_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    failures = context.SimpleQueue()
    workers = [
        context.Process(target=_write_and_read, args=(tmp_path, number, failures))
        for number in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert failures.empty()
    assert sum(path.stat().st_size for path in tmp_path.glob("*.npz")) <= 200 * 1024
    assert len(entries(tmp_path)) >= 3
