"""What is kept in memory stays within its limit, and the cells in use are not pushed out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sitrepbench.reuse import CellName, FittedFeatures, Transformed
from sitrepbench.reuse.transformed import arrays_of, handed_out, wants_to_write, writeable_copy


def name(key: str, fold: int = 0, **seeds: int) -> CellName:
    return CellName(key, "cv", 0, fold, tuple(seeds.items()))


def made(kib: int = 100, *, fill: float = 1.0) -> Transformed:
    """Two dense matrices of together ``kib`` KiB."""
    half = np.full((kib, 64), fill)
    return Transformed(half, half.copy(), 2.0, 0.5)


def test_what_was_kept_is_found_under_its_name_only() -> None:
    fitted = FittedFeatures()
    kept = made()
    assert fitted.keep(name("a"), kept) == ()
    assert fitted.find(name("a")) is kept
    for other in (name("b"), name("a", 1), name("a", s=1), CellName("a", "dev", 0, 0)):
        assert fitted.find(other) is None
    fitted.keep(name("a", s=1), made(fill=2.0))
    assert fitted.find(name("a", s=1)) is not fitted.find(name("a"))


def test_cells_in_use_are_never_pushed_out_by_the_next_of_their_key() -> None:
    # Visited in turn, a cache that dropped the oldest would never hit.
    fitted = FittedFeatures(350 / 1024)
    for _ in range(2):
        for fold in range(5):
            if fitted.find(name("a", fold)) is None:
                fitted.keep(name("a", fold), made())
    assert [fitted.find(name("a", fold)) is not None for fold in range(5)] == [True] * 3 + [
        False
    ] * 2


def test_other_keys_make_room_the_longest_unused_first() -> None:
    fitted = FittedFeatures(350 / 1024)
    for key in "abc":
        fitted.keep(name(key), made())
    fitted.find(name("a"))
    fitted.keep(name("d"), made())
    assert [key for key in "abcd" if fitted.find(name(key)) is not None] == ["a", "c", "d"]
    fitted.keep(name("e"), made(300))
    assert [key for key in "abcde" if fitted.find(name(key)) is not None] == ["e"]
    assert fitted.nbytes == 300 * 1024


def test_what_can_never_fit_pushes_nothing_out() -> None:
    fitted = FittedFeatures(350 / 1024)
    fitted.keep(name("a"), made())
    fitted.keep(name("b"), made(400))
    fitted.keep(name("c", 0), made(200))
    fitted.keep(name("c", 1), made(200))
    assert fitted.find(name("a")) is not None
    assert fitted.find(name("b")) is None
    assert fitted.find(name("c", 1)) is None
    assert fitted.nbytes == 300 * 1024
    assert len(FittedFeatures(0)) == 0


def test_keeping_anew_replaces_and_does_not_add() -> None:
    fitted = FittedFeatures(150 / 1024)
    for _ in range(3):
        fitted.keep(name("a"), made())
    assert len(fitted) == 1
    assert fitted.nbytes == 100 * 1024
    nothing = FittedFeatures(0)
    nothing.keep(name("a"), made())
    assert nothing.find(name("a")) is None


def test_a_view_counts_with_all_that_it_keeps_alive() -> None:
    big = np.ones((1024, 128))  # 1 MiB
    fitted = FittedFeatures()
    fitted.keep(name("a"), Transformed(big[:, :2], np.ones((1, 2)), 1.0, 1.0))
    assert fitted.nbytes == 2**20 + 16


def test_what_is_kept_is_read_only() -> None:
    kept = Transformed(sparse.random(9, 9, 0.5, format="csr"), np.ones((2, 2)), 1.0, 1.0)
    FittedFeatures().keep(name("a"), kept)
    for array in kept.arrays or ():
        with pytest.raises(ValueError, match="read-only") as told:
            array += 1
        assert wants_to_write(told.value, kept.train)
    assert not wants_to_write(RuntimeError("out of luck"), kept.train)
    assert not wants_to_write(ValueError("a read-only file"), np.ones(3))


@pytest.mark.parametrize(
    "matrix",
    [
        pd.DataFrame({"a": [1, 2]}),
        ["a", "b"],
        None,
        np.array([["a"], [None]], dtype=object),
        np.array([["a"]]),
        np.ma.masked_array([[1.0]]),
        sparse.lil_matrix((2, 2)),
    ],
    ids=lambda matrix: type(matrix).__name__,
)
def test_other_kinds_are_not_kept_and_handed_out_as_they_are(matrix: Any) -> None:
    assert arrays_of(matrix) is None
    assert handed_out(matrix) is matrix
    fitted = FittedFeatures()
    fitted.keep(name("a"), Transformed(matrix, np.ones((2, 2)), 1.0, 1.0))
    fitted.keep(name("b"), Transformed(np.ones((2, 2)), matrix, 1.0, 1.0))
    assert len(fitted) == 0


def test_a_sparse_matrix_is_handed_out_without_a_copy_of_its_values() -> None:
    kept = sparse.random(9, 9, 0.5, format="csr")
    given = handed_out(kept)
    assert given is not kept
    assert given.data is kept.data
    given.data = given.data * 2
    assert (given != kept).nnz > 0
    dense = np.ones((3, 3))
    assert np.shares_memory(handed_out(dense), dense)


def test_a_copy_that_may_be_written_keeps_order_and_index_types() -> None:
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    array.flags.writeable = False
    copied = writeable_copy(array)
    assert copied.flags.f_contiguous
    assert copied.flags.writeable
    matrix = sparse.random(9, 9, 0.5, format="csr")
    matrix.indices = matrix.indices.astype(np.int64)
    matrix.data.flags.writeable = False
    copied = writeable_copy(matrix)
    assert copied.indices.dtype == np.int64
    assert copied.data.flags.writeable
    assert not np.shares_memory(copied.indices, matrix.indices)


def test_the_disk_is_asked_for_what_is_dear_only(tmp_path: Path) -> None:
    FittedFeatures(folder=tmp_path).keep(name("cheap"), made())
    assert not (tmp_path / "cache").exists()
    first = FittedFeatures(folder=tmp_path)
    first.keep(name("dear"), made(), dear=True)
    other = FittedFeatures(folder=tmp_path)
    assert other.find(name("dear")) is None
    found = other.find(name("dear"), dear=True)
    assert found is not None
    assert found.fit_seconds == 2.0
    # From now on in memory, and as well guarded there.
    assert other.find(name("dear")) is found
    assert not found.train.flags.writeable


def test_dear_features_outlive_a_memory_that_has_no_room(tmp_path: Path) -> None:
    fitted = FittedFeatures(0, folder=tmp_path)
    fitted.keep(name("dear"), made(), dear=True)
    assert len(fitted) == 0
    assert fitted.find(name("dear"), dear=True) is not None
