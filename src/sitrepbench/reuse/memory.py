"""Fitted features in a worker's memory."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from sitrepbench.reuse.disk import DEFAULT_LIMIT_MB, DiskCache
from sitrepbench.reuse.transformed import CellName, Transformed


class FittedFeatures:
    """What features steps made of cells, up to a limit of memory.

    Runs go through the same cells again and again, in the same order. Throwing away what was
    used longest ago would then always throw away what is needed next; so room is made only at
    the cost of other features keys, the longest unused first, and what does not fit beside the
    cells of its own key is not kept.

    Parameters
    ----------
    limit_mb : float
        Memory for the arrays, MiB; 0 keeps nothing.
    folder : Path or None
        The results store, whose ``cache/features`` is the second level for features that are
        dear to make; None for none.
    disk_mb : float
        Size of that second level, MiB.

    Notes
    -----
    One process, one thread: there is no lock.
    """

    def __init__(
        self,
        limit_mb: float = 1024,
        *,
        folder: Path | None = None,
        disk_mb: float = DEFAULT_LIMIT_MB,
    ) -> None:
        self._limit = int(limit_mb * 2**20)
        self._disk = (
            None if folder is None else DiskCache(folder / "cache" / "features", limit_mb=disk_mb)
        )
        self._entries: OrderedDict[CellName, Transformed] = OrderedDict()
        self._sizes: dict[CellName, int] = {}

    @property
    def nbytes(self) -> int:
        """What is held at present, bytes."""
        return sum(self._sizes.values())

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, name: CellName, *, dear: bool = False) -> Transformed | None:
        """Return what is kept under a name, from memory or, where it is dear, from the disk."""
        found = self._entries.get(name)
        if found is not None:
            self._entries.move_to_end(name)
            return found
        if dear and self._disk is not None:
            found = self._disk.find(name.digest)
            if found is not None:
                self._hold(name, found)
        return found

    def keep(self, name: CellName, made: Transformed, *, dear: bool = False) -> tuple[str, ...]:
        """Keep what was made, if there is room; return notes on what the disk refused.

        The arrays are read-only from then on.
        """
        self._hold(name, made)
        if dear and self._disk is not None:
            note = self._disk.keep(name.digest, made)
            return (note,) if note else ()
        return ()

    def _hold(self, name: CellName, made: Transformed) -> None:
        if made.arrays is None:
            return
        size = made.nbytes
        own = sum(
            held
            for other, held in self._sizes.items()
            if other.features_key == name.features_key and other != name
        )
        if own + size > self._limit:
            return
        self._drop(name)
        for other in [key for key in self._entries if key.features_key != name.features_key]:
            if self.nbytes + size <= self._limit:
                break
            self._drop(other)
        made.freeze()
        self._entries[name] = made
        self._sizes[name] = size

    def _drop(self, name: CellName) -> None:
        self._entries.pop(name, None)
        self._sizes.pop(name, None)
