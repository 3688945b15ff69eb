"""What a features step made of one cell, and how a model is handed it without changing it."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import sparse

#: An array, a sparse matrix or, where a user's features make one, anything else.
Matrix = Any
Result = TypeVar("Result")
Array = npt.NDArray[Any]

#: The sparse classes that can be kept, by name; their values lie in `SPARSE_PARTS`.
SPARSE_CLASSES = {
    kind.__name__: kind
    for kind in (sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array)
}
SPARSE_PARTS = ("data", "indices", "indptr")
_NUMBERS = "biufc"
#: How numpy, scipy, Cython and numba say that an array must not be written.
_READ_ONLY = re.compile(r"read-?only|not writ", re.IGNORECASE)


@dataclass(frozen=True)
class CellName:
    """Which transformed rows are meant.

    Parameters
    ----------
    features_key : str
        What stands for data, rows, features and code; see `sitrepbench.reuse.keys.features_key`.
    part, repeat, fold
        The cell.
    seeds : tuple of (str, int)
        What the random numbers of the features step are seeded with; empty if it draws none.
    """

    features_key: str
    part: str
    repeat: int
    fold: int
    seeds: tuple[tuple[str, int], ...] = ()

    @property
    def digest(self) -> str:
        """The sha256 over all of it."""
        return hashlib.sha256(json.dumps(astuple(self)).encode()).hexdigest()


@dataclass(frozen=True)
class Transformed:
    """The rows of one cell as the features step gives them.

    Parameters
    ----------
    train, test : matrix
        Shapes (n_train, n_features) and (n_test, n_features); ``train`` is None where nothing is
        fitted.
    fit_seconds : float
        Wall time of fitting the step and transforming ``train``, as it was when that was done.
    transform_seconds : float
        Wall time of transforming ``test``.
    notes : tuple of str
        The warnings that were heard.
    """

    train: Matrix
    test: Matrix
    fit_seconds: float
    transform_seconds: float
    notes: tuple[str, ...] = ()

    @property
    def arrays(self) -> tuple[Array, ...] | None:
        """All arrays of both matrices; None if one is of a kind that cannot be kept."""
        train, test = arrays_of(self.train), arrays_of(self.test)
        if train is None or test is None:
            return None
        return (*train.values(), *test.values())

    @property
    def nbytes(self) -> int:
        """What the arrays hold in memory, bytes."""
        return sum(_held_bytes(array) for array in self.arrays or ())

    def freeze(self) -> None:
        """Make the arrays read-only, so that a model that writes into them is noticed."""
        for array in self.arrays or ():
            array.flags.writeable = False


def arrays_of(matrix: Matrix) -> dict[str, Array] | None:
    """Return the arrays that make up a matrix, None for what is neither dense nor sparse numbers.

    Subclasses are left out: what else they hold is not known.
    """
    if type(matrix) is np.ndarray:
        found = {"values": matrix}
    elif type(matrix) in SPARSE_CLASSES.values():
        found = {part: getattr(matrix, part) for part in SPARSE_PARTS}
    else:
        return None
    return found if all(array.dtype.kind in _NUMBERS for array in found.values()) else None


def handed_out(matrix: Matrix) -> Matrix:
    """Return a new object around the same arrays.

    A model may replace the attributes of a sparse matrix that it is given, as scikit-learn's own
    do when they sort its indices; the kept one does not notice.
    """
    if arrays_of(matrix) is None:
        return matrix
    return matrix.view() if isinstance(matrix, np.ndarray) else copy.copy(matrix)


def writeable_copy(matrix: Matrix) -> Matrix:
    """Return a copy of the same memory layout and index types that may be changed."""
    return copy.deepcopy(matrix)


def wants_to_write(error: Exception, matrix: Matrix) -> bool:
    """Return whether an error says that a model tried to change a matrix that is read-only."""
    arrays = arrays_of(matrix) or {}
    frozen = any(not array.flags.writeable for array in arrays.values())
    return frozen and _READ_ONLY.search(str(error)) is not None


def shielded(work: Callable[[Matrix], Result], matrix: Matrix) -> Result:
    """Return what ``work`` makes of a matrix that is kept for others.

    It is called with a copy, a second time, where it has to write into what it is given.
    """
    try:
        return work(handed_out(matrix))
    except Exception as error:
        if not wants_to_write(error, matrix):
            raise
        return work(writeable_copy(matrix))


def _held_bytes(array: Array) -> int:
    """Return the size of what an array keeps alive: a view keeps all that it is a view of."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    return max(array.nbytes, owner.nbytes)
