"""Strict reading of CSV and TSV: every row is read or reported, nothing is guessed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Literal, Protocol

from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.data.rows import Rows, character_flaws

Quoting = Literal["standard", "none"]

#: Rows are turned into columns so many at a time: a million small lists slow Python down.
_CHUNK = 20_000


class _CsvReader(Protocol):
    """What `csv.reader` returns: an iterator that knows the line it is on."""

    @property
    def line_num(self) -> int: ...

    def __next__(self) -> list[str]: ...


def read_delimited(
    text: str, *, delimiter: str, quoting: Quoting, report: ProblemReport
) -> Rows | None:
    """Return the rows of a CSV or TSV text, all values as text.

    Blank lines are no rows. Rows of another length than the header are reported and left out.

    Parameters
    ----------
    text : str
        The file, decoded, with its line ends as they are.
    delimiter : str
        One character.
    quoting : {"standard", "none"}
        Whether ``"`` quotes a field or is text like any other.
    report : ProblemReport
        Takes what is wrong.

    Returns
    -------
    Rows or None
        None where there is no usable header.
    """
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        quotechar=None if quoting == "none" else '"',
        quoting=csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL,
        strict=True,
    )
    records = _records(reader, report)
    first = next(records, None)
    if first is None:
        if not report.count("bad_quoting") and not report.count("long_field"):
            report.add("empty_file", "the file has no header and no rows")
        return None
    names = _column_names(first[2], delimiter, report)
    numbers: list[int] = []
    lines: list[int] = []
    columns: dict[str, list[object]] = {name: [] for name in names}
    chunk: list[list[str]] = []
    for number, line, record in records:
        if len(record) != len(names):
            _report_ragged(record, number, line, names, report)
            continue
        numbers.append(number)
        lines.append(line)
        chunk.append(record)
        if len(chunk) == _CHUNK:
            _move(chunk, columns)
    _move(chunk, columns)
    return Rows(columns, numbers, lines)


def _move(chunk: list[list[str]], columns: dict[str, list[object]]) -> None:
    """Append the rows of a chunk to the columns and empty it."""
    for column, values in zip(columns.values(), zip(*chunk, strict=True), strict=False):
        column.extend(values)
    chunk.clear()


def _records(reader: _CsvReader, report: ProblemReport) -> Iterator[tuple[int, int, list[str]]]:
    """Yield row number (0 is the header), first line and fields of every record."""
    number, line = 0, 1
    while True:
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if not _report_csv_error(str(error), number, line, reader.line_num, report):
                return
            record = None
        if record is None and number == 0:
            return
        if record:
            yield number, line, record
        if record is None or record:
            number += 1
        line = reader.line_num + 1


def _report_csv_error(
    error: str, number: int, line: int, last_line: int, report: ProblemReport
) -> bool:
    """Report what the csv module refused; return whether reading on makes sense."""
    if "field larger" in error:
        message = (
            f"a field is longer than {csv.field_size_limit():,} characters, as if a quote were "
            f"never closed; the rows after line {last_line} were not checked"
        )
        report.add("long_field", message, row=number or None, line=line)
        return False
    if "end of data" in error:
        message = f"a quote is never closed; the row runs on to the file's end, line {last_line}"
    else:
        until = "" if last_line == line else f", read up to line {last_line}"
        message = f"a quoted field goes on after its closing quote{until} ({error})"
    report.add("bad_quoting", message, row=number or None, line=line)
    return True


def _column_names(header: list[str], delimiter: str, report: ProblemReport) -> list[str]:
    """Return the names, stripped; unnamed columns are numbered, doubled ones reported."""
    names: list[str] = []
    for place, field in enumerate(header, start=1):
        name = field.strip() or f"unnamed_{place}"
        if name in names:
            first = names.index(name) + 1
            report.add(
                "duplicate_column",
                f"column {place} is named {shown(name)} like column {first}",
                line=1,
            )
            name = f"{name}_{place}"
        while name in names:
            name += "_"
        names.append(name)
    other = next((mark for mark in (",", ";", "\t") if mark in names[0]), None)
    if len(names) == 1 and other is not None and other != delimiter:
        report.add(
            "missing_column",
            f"the header is one field, {shown(names[0])}, with {shown(other)} in it: expected "
            f"fields separated by {shown(delimiter)} (format csv has ',', tsv has tabs)",
            line=1,
        )
    return names


def _report_ragged(
    record: list[str], number: int, line: int, names: list[str], report: ProblemReport
) -> None:
    report.add(
        "ragged_row",
        f"{len(record)} field{'s' * (len(record) != 1)}, expected {len(names)} as in the header: "
        f"{shown(record[0])} ...",
        row=number,
        line=line,
    )
    for value in record:
        for code, message in character_flaws(value):
            report.add(code, message, row=number, line=line)
