"""Fitted features on disk, for those that are dear to make.

One file per cell, ``<digest>.npz``, of plain arrays: nothing in it is ever unpickled. It is
written beside and renamed into place, and carries a checksum that is compared when it is read;
what is damaged, cut short or of somebody else counts as absent and is written anew. The files
may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import numpy as np
from filelock import FileLock

from sitrepbench.reuse.transformed import (
    SPARSE_CLASSES,
    SPARSE_PARTS,
    Array,
    Matrix,
    Transformed,
    arrays_of,
)

#: Changes when the files' layout does; older ones are then made anew.
FORMAT = 1
DEFAULT_LIMIT_MB = 2048
#: How long to wait for other writers; making the features again is no tragedy.
LOCK_SECONDS = 60.0
_MIB = 2**20
_ABOUT = "about"
#: More than the names and headers of one file's arrays take, bytes.
_OVERHEAD = 8192


class DiskCache:
    """A folder of transformed cells, bounded in size, for any number of processes.

    Parameters
    ----------
    folder : Path
        ``<results>/cache/features``; made on first use.
    limit_mb : float
        Size of all files together, MiB. Those that were used longest ago go first.
    """

    def __init__(self, folder: Path, *, limit_mb: float = DEFAULT_LIMIT_MB) -> None:
        self.folder = folder
        self._limit = int(limit_mb * _MIB)

    def find(self, digest: str) -> Transformed | None:
        """Return an entry; None if it is absent or not what was once written."""
        path = self._path(digest)
        try:
            with path.open("rb") as file:
                found = _read(file, digest)
        except Exception:  # whatever damage makes of the reader, the features are made anew
            return None
        with suppress(OSError):
            os.utime(path)
        return found

    def keep(self, digest: str, made: Transformed) -> str:
        """Write an entry; return why it could not be, in a line for the run's notes, or ``""``."""
        arrays = _named_arrays(made)
        if arrays is None:
            return (
                f"features are not kept on disk: a {type(made.train).__name__} is neither an "
                "array in one piece nor a CSR or CSC matrix"
            )
        stored = {_ABOUT: _about(digest, made, arrays), **arrays}
        size = sum(array.nbytes for array in stored.values()) + _OVERHEAD
        if size > self._limit:
            return (
                f"features are not kept on disk: a cell takes {size / _MIB:.3g} MiB, the whole "
                f"cache may have {self._limit / _MIB:.3g}"
            )
        try:
            self._write(digest, stored, size)
        except OSError as error:
            return f"features are not kept on disk: {self.folder}: {error.strerror or error}"
        return ""

    def _path(self, digest: str) -> Path:
        return self.folder / f"{digest}.npz"

    def _write(self, digest: str, stored: Mapping[str, Array], size: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # One writer at a time: so the bound holds, and room is made before it is needed.
        with FileLock(self.folder / ".lock", timeout=LOCK_SECONDS):
            partial = self.folder / f"{digest}.partial"
            self._make_room(size, replaced=self._path(digest))
            try:
                with partial.open("wb") as file:
                    np.savez(file, allow_pickle=False, **stored)
                partial.replace(self._path(digest))
            except OSError:
                with suppress(OSError):
                    partial.unlink(missing_ok=True)
                raise

    def _make_room(self, size: int, *, replaced: Path) -> None:
        """Remove what killed writers left, then entries until ``size`` bytes fit."""
        for left in self.folder.glob("*.partial"):
            left.unlink(missing_ok=True)
        held = []
        for path in self.folder.glob("*.npz"):
            with suppress(FileNotFoundError):
                status = path.stat()
                held.append((status.st_mtime_ns, path, status.st_size))
        total = sum(size_ for _, path, size_ in held if path != replaced)
        for _, path, size_ in sorted(held):
            if total + size <= self._limit:
                return
            if path != replaced:
                path.unlink(missing_ok=True)
                total -= size_


def _named_arrays(made: Transformed) -> dict[str, Array] | None:
    """Return all arrays by name, None unless each can be written and read back as it lies."""
    arrays = {}
    for role, matrix in (("train", made.train), ("test", made.test)):
        parts = arrays_of(matrix)
        if parts is None:
            return None
        arrays.update({f"{role}.{part}": array for part, array in parts.items()})
    whole = all(a.flags.c_contiguous or a.flags.f_contiguous for a in arrays.values())
    return arrays if whole else None


def _about(digest: str, made: Transformed, arrays: Mapping[str, Array]) -> Array:
    """Return what a file says of itself, as bytes in an array."""
    content = {
        "format": FORMAT,
        "entry": digest,
        "train": [type(made.train).__name__, *made.train.shape],
        "test": [type(made.test).__name__, *made.test.shape],
        "fit_seconds": made.fit_seconds,
        "transform_seconds": made.transform_seconds,
        "notes": list(made.notes),
    }
    content["sha256"] = _checksum(content, arrays)
    return np.frombuffer(json.dumps(content).encode(), dtype=np.uint8)


def _checksum(content: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    plain = {key: value for key, value in content.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(repr((name, array.dtype.str, array.shape, array.flags.fnc)).encode())
        digest.update(array.ravel(order="K").data)
    return digest.hexdigest()


def _read(file: IO[bytes], digest: str) -> Transformed:
    with np.load(file, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    content = json.loads(arrays.pop(_ABOUT).tobytes())
    if content["format"] != FORMAT or content["entry"] != digest:
        raise ValueError("another entry's file")
    if content["sha256"] != _checksum(content, arrays):
        raise ValueError("changed since it was written")
    return Transformed(
        _matrix(content["train"], arrays, "train"),
        _matrix(content["test"], arrays, "test"),
        float(content["fit_seconds"]),
        float(content["transform_seconds"]),
        tuple(content["notes"]),
    )


def _matrix(described: list[Any], arrays: Mapping[str, Array], role: str) -> Matrix:
    kind, *shape = described
    if kind == "ndarray":
        return arrays[f"{role}.values"]
    matrix = SPARSE_CLASSES[kind](tuple(shape), dtype=arrays[f"{role}.data"].dtype)
    # Set, not given to the constructor, which would choose index types of its own.
    for part in SPARSE_PARTS:
        setattr(matrix, part, arrays[f"{role}.{part}"])
    return matrix
