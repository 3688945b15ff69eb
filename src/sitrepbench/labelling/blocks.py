"""Some rows of an input, as they came: what is checked, asked about and written again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pyarrow as pa

#: Rows per block. A block is what a worker is handed, and what is in memory some times over.
BLOCK_ROWS = 8_000
#: Characters per block after which it ends early.
BLOCK_CHARACTERS = 4_000_000


@dataclass(frozen=True)
class RecordBlock:
    """Rows of a CSV, TSV or plain text file.

    Parameters
    ----------
    names : tuple of str
        The columns.
    numbers : sequence of int
        The number of each row in the file, from 1, without the header.
    lines : sequence of int
        The line on which each row starts, from 1.
    raw : list of str
        Each row as it stands in the file, without its line end.
    records : list of sequences of str
        The fields of each row, as many as there are names.
    """

    names: tuple[str, ...]
    numbers: Sequence[int]
    lines: Sequence[int]
    raw: list[str]
    records: list[Sequence[str]]

    def __len__(self) -> int:
        return len(self.numbers)

    def column(self, name: str) -> list[object]:
        """Return a column's values."""
        place = self.names.index(name)
        return [record[place] for record in self.records]

    def rows(self, names: Sequence[str]) -> Iterator[Sequence[object]]:
        """Yield the rows' values of the named columns."""
        if tuple(names) == self.names:
            return iter(self.records)
        places = [self.names.index(name) for name in names]
        return ([record[place] for place in places] for record in self.records)

    def take(self, indices: Sequence[int]) -> RecordBlock:
        """Return some of the rows."""
        return RecordBlock(
            self.names,
            [self.numbers[index] for index in indices],
            [self.lines[index] for index in indices],
            [self.raw[index] for index in indices],
            [self.records[index] for index in indices],
        )

    def texts(self) -> Iterator[str]:
        """Yield everything that is written again, to be looked through for flaws."""
        return iter(self.raw)


@dataclass(frozen=True)
class ObjectBlock:
    """Rows of a JSON Lines file; a key that a row lacks is None there.

    Parameters
    ----------
    names : tuple of str
        The keys of the file's first row.
    numbers, lines, raw
        As in `RecordBlock`.
    objects : list of mappings
        The rows.
    """

    names: tuple[str, ...]
    numbers: Sequence[int]
    lines: Sequence[int]
    raw: list[str]
    objects: list[Mapping[str, object]]

    def __len__(self) -> int:
        return len(self.numbers)

    def column(self, name: str) -> list[object]:
        """Return a key's values."""
        return [item.get(name) for item in self.objects]

    def rows(self, names: Sequence[str]) -> Iterator[Sequence[object]]:
        """Yield the rows' values of the named keys."""
        return ([item.get(name) for name in names] for item in self.objects)

    def take(self, indices: Sequence[int]) -> ObjectBlock:
        """Return some of the rows."""
        return ObjectBlock(
            self.names,
            [self.numbers[index] for index in indices],
            [self.lines[index] for index in indices],
            [self.raw[index] for index in indices],
            [self.objects[index] for index in indices],
        )

    def texts(self) -> Iterator[str]:
        """Yield everything that is written again, to be looked through for flaws."""
        return iter(self.raw)


@dataclass(frozen=True)
class TableBlock:
    """Rows of a Parquet file.

    Parameters
    ----------
    table : pyarrow.Table
        All columns, with their types.
    numbers : sequence of int
        The number of each row in the file, from 1.
    """

    table: Any
    numbers: Sequence[int]
    lines: None = None

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns."""
        return tuple(self.table.column_names)

    def column(self, name: str) -> list[object]:
        """Return a column's values; text that is not UTF-8 with a lone surrogate per byte."""
        column = self.table.column(name)
        try:
            return list(column.to_pylist())
        except UnicodeDecodeError:
            raw = column.cast(pa.large_binary()).to_pylist()
            return [
                None if value is None else value.decode("utf-8", "surrogateescape") for value in raw
            ]

    def rows(self, names: Sequence[str]) -> Iterator[Sequence[object]]:
        """Yield the rows' values of the named columns."""
        return zip(*(self.column(name) for name in names), strict=True)

    def take(self, indices: Sequence[int]) -> TableBlock:
        """Return some of the rows."""
        places = pa.array(indices, pa.int64())
        return TableBlock(self.table.take(places), [self.numbers[index] for index in indices])

    def texts(self) -> Iterator[str]:
        """Yield nothing: what is not read is written again without being looked at."""
        return iter(())


Block = RecordBlock | ObjectBlock | TableBlock


def joined(first: Block, second: Block) -> Block:
    """Return the rows of two blocks of the same file in one."""
    numbers = [*first.numbers, *second.numbers]
    if isinstance(first, TableBlock) and isinstance(second, TableBlock):
        return TableBlock(pa.concat_tables([first.table, second.table]), numbers)
    if isinstance(first, RecordBlock) and isinstance(second, RecordBlock):
        return RecordBlock(
            first.names,
            numbers,
            [*first.lines, *second.lines],
            first.raw + second.raw,
            first.records + second.records,
        )
    if isinstance(first, ObjectBlock) and isinstance(second, ObjectBlock):
        return ObjectBlock(
            first.names,
            numbers,
            [*first.lines, *second.lines],
            first.raw + second.raw,
            first.objects + second.objects,
        )
    raise TypeError("blocks of two kinds")


def parts(block: Block, ends: Sequence[int]) -> Iterator[Block]:
    """Yield a block cut before each of the ascending places ``ends``; no part is empty."""
    for start, end in zip(chain([0], ends), chain(ends, [len(block)]), strict=True):
        if start < end:
            yield block if end - start == len(block) else block.take(range(start, end))
