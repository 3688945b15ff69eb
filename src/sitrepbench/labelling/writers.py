"""Writing labelled rows in the order and with the columns of the input."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sitrepbench.errors import DataError
from sitrepbench.labelling.blocks import Block, ObjectBlock, RecordBlock, TableBlock
from sitrepbench.labelling.questions import Answers
from sitrepbench.labelling.sources import Format

#: Decimals of probabilities in the text formats.
DECIMALS = 6
#: Rows per row group of a Parquet output.
GROUP_ROWS = 65_536

#: How a cell starts that a spreadsheet takes for a formula (OWASP, "CSV Injection"); also in the
#: full width that some spreadsheets take for the same.
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)*|\.\d+)([eE][+-]?\d+)?%?", re.ASCII)


class Writer(Protocol):
    """Writes blocks with what was said of them."""

    def write(self, block: Block, answers: Answers) -> None:
        """Write a block's rows."""

    def finish(self) -> None:
        """Write what is left."""


def open_writer(
    stream: IO[bytes],
    format: Format,
    *,
    names: Sequence[str],
    added: Sequence[str],
    labels: Sequence[str],
    copied: bool,
    escape_formulas: bool,
) -> Writer:
    """Return a writer; a header, where there is one, is written at once.

    Parameters
    ----------
    stream : binary file
        Where to.
    format : {"text", "csv", "tsv", "jsonl", "parquet"}
        How. As text, it is one label per line.
    names : sequence of str
        The input's columns.
    added : sequence of str
        ``predicted`` and the names of the probabilities.
    labels : sequence of str
        The label set.
    copied : bool
        Whether the input has the same format, so that its rows are copied as they stand.
    escape_formulas : bool
        Whether to put ``'`` before cells that a spreadsheet would compute.
    """
    if format == "text":
        return _LabelWriter(stream, labels)
    if format == "jsonl":
        return _JsonWriter(stream, names, added, labels)
    if format == "parquet":
        return _ParquetWriter(stream, names, added, labels)
    delimiter = "," if format == "csv" else "\t"
    if copied and not escape_formulas:
        return _CopyingWriter(stream, delimiter, names, added, labels)
    return _DelimitedWriter(stream, delimiter, names, added, labels, escape_formulas)


def escaped(cell: str) -> str:
    """Return a cell that no spreadsheet computes; numbers stay as they are.

    Source: OWASP, "CSV Injection".

    >>> escaped("=1+1"), escaped("-0.5"), escaped("- 12 people were killed")
    ("'=1+1", '-0.5', "'- 12 people were killed")
    """
    return f"'{cell}" if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell) else cell


def _added(answers: Answers, labels: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the label and the rounded probabilities of each row."""
    predicted = [labels[code] for code in answers.codes.tolist()]
    if answers.probabilities is None:
        return ([label] for label in predicted)
    rounded = np.round(answers.probabilities, DECIMALS).tolist()
    return ([label, *row] for label, row in zip(predicted, rounded, strict=True))


def _tails(
    answers: Answers, labels: Sequence[str], starts: Sequence[str], form: Callable[[Any], str]
) -> Iterator[str]:
    """Yield, per row, what labelling adds to its line."""
    heads = [starts[code] for code in answers.codes.tolist()]
    if answers.probabilities is None:
        return iter(heads)
    rows = map(tuple, np.round(answers.probabilities, DECIMALS).tolist())
    return (head + form(row) for head, row in zip(heads, rows, strict=True))


class _LabelWriter:
    def __init__(self, stream: IO[bytes], labels: Sequence[str]) -> None:
        self._stream = stream
        self._lines = [f"{label}\n" for label in labels]

    def write(self, block: Block, answers: Answers) -> None:
        lines = map(self._lines.__getitem__, answers.codes.tolist())
        self._stream.write("".join(lines).encode())

    def finish(self) -> None:
        return


class _CopyingWriter:
    """Adds to the lines of a table as they stand: quoting, spaces and all stay."""

    def __init__(
        self,
        stream: IO[bytes],
        delimiter: str,
        names: Sequence[str],
        added: Sequence[str],
        labels: Sequence[str],
    ) -> None:
        self._stream = stream
        self._labels = labels
        self._starts = [delimiter + _lines([[label]], delimiter)[:-1] for label in labels]
        self._form = (f"{delimiter}%r" * (len(added) - 1)).__mod__
        stream.write(_lines([[*names, *added]], delimiter).encode())

    def write(self, block: Block, answers: Answers) -> None:
        assert isinstance(block, RecordBlock)  # a copy is only made of the same format
        tails = _tails(answers, self._labels, self._starts, self._form)
        lines = (f"{raw}{tail}\n" for raw, tail in zip(block.raw, tails, strict=True))
        self._stream.write("".join(lines).encode())

    def finish(self) -> None:
        return


class _DelimitedWriter:
    def __init__(
        self,
        stream: IO[bytes],
        delimiter: str,
        names: Sequence[str],
        added: Sequence[str],
        labels: Sequence[str],
        escape_formulas: bool,
    ) -> None:
        self._stream = stream
        self._delimiter = delimiter
        self._names = tuple(names)
        self._cell: Callable[[str], str] | None = escaped if escape_formulas else None
        self._labels = self._cells(labels)
        self._write([self._cells([*names, *added])])

    def write(self, block: Block, answers: Answers) -> None:
        rows = zip(block.rows(self._names), _added(answers, self._labels), strict=True)
        self._write(self._cells(row) + added for row, added in rows)

    def finish(self) -> None:
        return

    def _cells(self, row: Sequence[object]) -> list[Any]:
        cells = [value if isinstance(value, str) else _cell(value) for value in row]
        return cells if self._cell is None else list(map(self._cell, cells))

    def _write(self, rows: Any) -> None:
        self._stream.write(_lines(rows, self._delimiter).encode())


def _lines(rows: Iterable[Sequence[object]], delimiter: str) -> str:
    lines = io.StringIO(newline="")
    csv.writer(lines, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return lines.getvalue()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


class _JsonWriter:
    def __init__(
        self,
        stream: IO[bytes],
        names: Sequence[str],
        added: Sequence[str],
        labels: Sequence[str],
    ) -> None:
        self._stream = stream
        self._names, self._labels = tuple(names), labels
        self._starts = [f', "predicted": {json.dumps(label)}' for label in labels]
        # A number as Python writes it is JSON.
        self._form = "".join(
            f", {json.dumps(name).replace('%', '%%')}: %r" for name in added[1:]
        ).__mod__

    def write(self, block: Block, answers: Answers) -> None:
        if isinstance(block, ObjectBlock):
            raw: Sequence[str] = block.raw
        else:
            rows = block.rows(self._names)
            raw = [_dumped(dict(zip(self._names, row, strict=True))) for row in rows]
        tails = _tails(answers, self._labels, self._starts, self._form)
        lines = (f"{row[:-1]}{tail}}}\n" for row, tail in zip(raw, tails, strict=True))
        self._stream.write("".join(lines).encode())

    def finish(self) -> None:
        return


def _dumped(row: dict[str, object]) -> str:
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        # JSON has no NaN.
        finite = {
            name: None if isinstance(value, float) and not np.isfinite(value) else value
            for name, value in row.items()
        }
        return json.dumps(finite, ensure_ascii=False, default=str)


class _ParquetWriter:
    """Row groups of `GROUP_ROWS`; a JSON Lines input's types are those of its first rows."""

    def __init__(
        self,
        stream: IO[bytes],
        names: Sequence[str],
        added: Sequence[str],
        labels: Sequence[str],
    ) -> None:
        self._stream = stream
        self._names, self._added = tuple(names), tuple(added)
        self._labels = pa.array(labels, pa.string())
        self._schema: Any = None
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._n_waiting = 0

    def write(self, block: Block, answers: Answers) -> None:
        table = self._table(block)
        predicted = self._labels.take(pa.array(answers.codes))
        table = table.append_column(self._added[0], predicted)
        if answers.probabilities is not None:
            for name, values in zip(self._added[1:], answers.probabilities.T, strict=True):
                table = table.append_column(name, pa.array(values))
        elif len(self._added) > 1:
            for name in self._added[1:]:
                table = table.append_column(name, pa.nulls(len(table), pa.float64()))
        self._waiting.append(table)
        self._n_waiting += len(table)
        if self._n_waiting >= GROUP_ROWS:
            self._flush()

    def finish(self) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def _table(self, block: Block) -> Any:
        if isinstance(block, TableBlock):
            return block.table
        columns = list(zip(*block.rows(self._names), strict=True)) or [()] * len(self._names)
        if isinstance(block, RecordBlock):
            schema = pa.schema([(name, pa.string()) for name in self._names])
        else:
            schema = self._schema
        try:
            if schema is None:
                arrays = [pa.array(list(values)) for values in columns]
                kinds = [pa.string() if pa.types.is_null(a.type) else a.type for a in arrays]
                schema = self._schema = pa.schema(list(zip(self._names, kinds, strict=True)))
            arrays = [
                pa.array(list(values), kind)
                for values, kind in zip(columns, schema.types, strict=True)
            ]
        except (pa.ArrowException, OverflowError) as error:
            raise DataError(
                f"rows {block.numbers[0]:,} to {block.numbers[-1]:,} do not fit into the columns "
                f"of the first rows: {error}. Write JSON Lines: --output-format jsonl"
            ) from error
        return pa.Table.from_arrays(arrays, schema=schema)

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting)
        self._waiting, self._n_waiting = [], 0
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._stream, table.schema)
        self._writer.write_table(table)
