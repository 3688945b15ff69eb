"""Blocks that hold whole documents, for models that read a sentence with its neighbours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from sitrepbench.data.problems import shown
from sitrepbench.errors import DataError
from sitrepbench.labelling.blocks import Block, joined, parts

#: Rows of one document at most: they are in memory, and with a worker, all at once.
MAX_DOCUMENT_ROWS = 50_000
#: Documents after which those that were seen are sorted in.
_RECENT = 65_536


def whole_documents(blocks: Iterable[Block], column: str, *, source: str) -> Iterator[Block]:
    """Yield the rows of blocks in blocks that hold all rows of every document in them.

    Parameters
    ----------
    blocks : iterable of Block
        Sound rows in the order of the input.
    column : str
        What tells documents apart.
    source : str
        The input, as messages call it.

    Raises
    ------
    DataError
        When the rows of a document do not stand together, or are more than
        `MAX_DOCUMENT_ROWS`.
    """
    seen = SeenDocuments()
    rest: Block | None = None
    last: str | None = None
    for block in blocks:
        if not len(block):
            # Names the columns, where there is nothing else.
            if rest is None and last is None:
                yield block
            continue
        ids = [str(value).strip() for value in block.column(column)]
        starts = [place for place, name in enumerate(ids) if place == 0 or name != ids[place - 1]]
        begun = [place for place in starts if place or ids[0] != last]
        again = seen.add([ids[place] for place in begun])
        if again is not None:
            _refuse_again(block, begun[again], ids, source)
        last = ids[-1]
        if not begun:
            rest = block if rest is None else joined(rest, block)
        else:
            head, *tail = parts(block, [begun[-1]]) if begun[-1] else (None, block)
            if rest is not None and head is not None:
                yield joined(rest, head)
            elif rest is not None or head is not None:
                yield rest if rest is not None else head  # type: ignore[misc]
            rest = tail[0]
        if rest is not None and len(rest) > MAX_DOCUMENT_ROWS:
            raise DataError(
                f"{source}: the document {shown(last)} has more than {MAX_DOCUMENT_ROWS:,} rows "
                f"(from row {rest.numbers[0]:,}). The model reads sentences with their "
                "neighbours, so that a document is labelled in one piece: split it, or check "
                "which column tells documents apart"
            )
    if rest is not None:
        yield rest


def _refuse_again(block: Block, place: int, ids: Sequence[str], source: str) -> None:
    line = "" if block.lines is None else f" (line {block.lines[place]:,})"
    raise DataError(
        f"{source}: row {block.numbers[place]:,}{line}: the document {shown(ids[place])} comes up "
        "again after other documents. The model reads sentences with their neighbours: sort the "
        "rows by document and position first"
    )


class SeenDocuments:
    """Which documents have come up: eight bytes each, so that millions fit.

    Two of ``n`` documents are taken for one with a chance of about n**2 / 2**65: one in
    35,000 million for 10,000 documents, one in 35,000 for ten million.
    """

    def __init__(self) -> None:
        self._sorted: npt.NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self._recent: set[int] = set()

    def add(self, names: Sequence[str]) -> int | None:
        """Add documents; return the place of the first one that was there, None if none was."""
        digests = [
            int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
            for name in names
        ]
        array = np.array(digests, dtype=np.uint64)
        known = np.zeros(len(array), dtype=bool)
        if len(self._sorted) and len(array):
            places = np.minimum(np.searchsorted(self._sorted, array), len(self._sorted) - 1)
            known = self._sorted[places] == array
        for place, digest in enumerate(digests):
            if known[place] or digest in self._recent:
                return place
            self._recent.add(digest)
        if len(self._recent) >= _RECENT:
            fresh = np.fromiter(self._recent, np.uint64, len(self._recent))
            self._sorted = np.sort(np.concatenate([self._sorted, fresh]))
            self._recent.clear()
        return None
