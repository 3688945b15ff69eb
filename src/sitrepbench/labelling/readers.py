"""Reading CSV, TSV, JSON Lines, plain text and Parquet block by block, in constant memory.

Every reader yields blocks of sound rows in order, and puts the others into the report: a row is
read or reported, nothing is guessed. Blank lines are no rows.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.data.rows import character_flaws
from sitrepbench.errors import DataError
from sitrepbench.labelling.blocks import (
    BLOCK_CHARACTERS,
    BLOCK_ROWS,
    Block,
    ObjectBlock,
    RecordBlock,
    TableBlock,
)
from sitrepbench.labelling.sources import Format, Source, is_empty, pieces

TEXT_NAMES = ("text",)


def read_blocks(
    source: Source, format: Format, *, report: ProblemReport, same_keys: bool = False
) -> Iterator[Block]:
    """Yield the rows of an input in blocks of at most `BLOCK_ROWS`; at least one, maybe empty.

    Parameters
    ----------
    source : Source
        What is read.
    format : {"text", "csv", "tsv", "jsonl", "parquet"}
        How.
    report : ProblemReport
        Takes the rows that are broken.
    same_keys : bool
        For JSON Lines: whether a key that the first row lacks breaks a row, as it must where
        the output has columns.

    Raises
    ------
    DataError
        When there is nothing to go on with: an empty or damaged file, or an unusable header.
    """
    if is_empty(source):
        raise DataError(f"{source.name}: is empty, expected rows of {format}")
    if format == "parquet":
        return _read_parquet(source)
    if format == "text":
        return _read_text(source)
    if format == "jsonl":
        return _read_jsonl(source, report, same_keys)
    return _read_delimited(source, "," if format == "csv" else "\t", report)


def _read_text(source: Source) -> Iterator[RecordBlock]:
    block = RecordBlock(TEXT_NAMES, [], [], [], [])
    number, characters = 0, 0
    for line, content in enumerate(_lines(source), start=1):
        if not content.strip():
            continue
        number += 1
        characters += len(content)
        _add(block, number, line, content)
        block.records.append((content,))
        if len(block) >= BLOCK_ROWS or characters >= BLOCK_CHARACTERS:
            yield block
            block, characters = RecordBlock(TEXT_NAMES, [], [], [], []), 0
    if len(block) or number == 0:
        yield block


def _lines(source: Source) -> Iterator[str]:
    """Yield lines without their ends; only a line feed ends a line, as in JSON Lines."""
    for piece in pieces(source):
        for line in io.StringIO(piece, newline="\n"):
            yield line.removesuffix("\n").removesuffix("\r")


def _add(block: RecordBlock | ObjectBlock, number: int, line: int, raw: str) -> None:
    block.numbers.append(number)  # type: ignore[attr-defined]
    block.lines.append(line)  # type: ignore[attr-defined]
    block.raw.append(raw)


def _read_delimited(source: Source, delimiter: str, report: ProblemReport) -> Iterator[RecordBlock]:
    # The csv module takes its lines from here; a row's own are looked up again by their numbers.
    window: list[str] = []
    number = passed = dropped = characters = 0

    def fed() -> Iterator[list[str]]:
        nonlocal dropped
        for piece in pieces(source):
            lines = list(io.StringIO(piece, newline=""))
            # The rows up to here are done with; the one that is being read began behind it.
            del window[: passed - dropped]
            dropped = passed
            window.extend(lines)
            yield lines

    reader = csv.reader(chain.from_iterable(fed()), delimiter=delimiter, strict=True)
    names = _header(source, reader, delimiter)
    n_names = len(names)
    passed = reader.line_num
    block = RecordBlock(names, [], [], [], [])
    empty = True
    while True:
        record: list[str] | None
        try:
            record = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            record = None
            number += 1
            _report_csv_error(str(error), number, passed + 1, reader.line_num, report)
        line, passed = passed + 1, reader.line_num
        if not record:
            continue
        number += 1
        if len(record) != n_names:
            _report_ragged(record, number, line, n_names, report)
            continue
        here = line - dropped - 1
        raw = (window[here] if passed == line else "".join(window[here : passed - dropped])).rstrip(
            "\r\n"
        )
        _add(block, number, line, raw)
        block.records.append(record)
        characters += len(raw)
        if len(block.raw) >= BLOCK_ROWS or characters >= BLOCK_CHARACTERS:
            yield block
            block, characters, empty = RecordBlock(names, [], [], [], []), 0, False
    if len(block) or empty:
        yield block


def _header(source: Source, reader: Any, delimiter: str) -> tuple[str, ...]:
    try:
        found = next((record for record in reader if record), None)
    except csv.Error as error:
        raise DataError(f"{source.name}: line 1: the header is not readable: {error}") from error
    if found is None:
        raise DataError(f"{source.name}: has no header and no rows")
    names = tuple(name.strip() for name in found)
    for name in names:
        for _, message in character_flaws(name):
            raise DataError(f"{source.name}: in the header: {message}")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise DataError(
            f"{source.name}: the header names {', '.join(map(shown, doubled))} more than once; "
            "give every column a name of its own"
        )
    other = next((mark for mark in (",", ";", "\t") if mark in names[0]), None)
    if len(names) == 1 and other is not None and other != delimiter:
        raise DataError(
            f"{source.name}: the header is one field, {shown(names[0])}, with {shown(other)} in "
            f"it: expected fields separated by {shown(delimiter)} (--format csv for ',', tsv for "
            "tabs, text for plain sentences)"
        )
    return names


def _report_csv_error(
    error: str, number: int, line: int, last_line: int, report: ProblemReport
) -> None:
    until = "" if last_line <= line else f"; lines {line} to {last_line} are one row by its quotes"
    if "field larger" in error:
        message = f"a field is longer than {csv.field_size_limit():,} characters{until}"
        report.add("long_field", message, row=number, line=line)
    elif "end of data" in error:
        message = f"a quote is never closed; the row runs on to the end, line {last_line}"
        report.add("bad_quoting", message, row=number, line=line)
    else:
        message = f"a quoted field goes on after its closing quote ({error}){until}"
        report.add("bad_quoting", message, row=number, line=line)


def _report_ragged(
    record: list[str], number: int, line: int, n_names: int, report: ProblemReport
) -> None:
    report.add(
        "ragged_row",
        f"{len(record)} field{'s' * (len(record) != 1)}, expected {n_names} as in the header: "
        f"{shown(record[0])} ...",
        row=number,
        line=line,
    )


class _DoubledKeyError(Exception):
    pass


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _DoubledKeyError(shown(next(key for key in keys if keys.count(key) > 1)))
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _read_jsonl(source: Source, report: ProblemReport, same_keys: bool) -> Iterator[ObjectBlock]:
    decode = json.JSONDecoder(
        object_pairs_hook=_unique_keys, parse_constant=_refuse_constant
    ).decode
    names: tuple[str, ...] | None = None
    block = ObjectBlock((), [], [], [], [])
    number, characters, empty = 0, 0, True
    for line, content in enumerate(_lines(source), start=1):
        raw = content.strip()
        if not raw:
            continue
        number += 1
        item = _object(decode, raw, number, line, report)
        if item is None:
            continue
        if names is None:
            names = tuple(item)
            block = ObjectBlock(names, [], [], [], [])
        if same_keys and not _fits(item, names, number, line, report):
            continue
        _add(block, number, line, raw)
        block.objects.append(item)
        characters += len(raw)
        if len(block) >= BLOCK_ROWS or characters >= BLOCK_CHARACTERS:
            yield block
            block, characters, empty = ObjectBlock(names, [], [], [], []), 0, False
    if len(block) or empty:
        yield block


def _object(
    decode: Any, raw: str, number: int, line: int, report: ProblemReport
) -> dict[str, object] | None:
    try:
        value = decode(raw)
    except _DoubledKeyError as error:
        report.add("duplicate_key", f"the key {error} stands twice", row=number, line=line)
    except RecursionError:
        report.add("invalid_json", "is nested too deeply", row=number, line=line)
    except ValueError as error:
        report.add("invalid_json", f"{error}: {shown(raw)}", row=number, line=line)
    else:
        if isinstance(value, dict):
            return value
        message = f"expected an object in braces, found {shown(value)}"
        report.add("invalid_json", message, row=number, line=line)
    return None


def _fits(
    item: dict[str, object], names: tuple[str, ...], number: int, line: int, report: ProblemReport
) -> bool:
    """Return whether an object can become a row of a table with the first row's keys."""
    unknown = [key for key in item if key not in names]
    if unknown:
        message = f"the key {shown(unknown[0])} is not one of the first row's"
        report.add("unknown_key", message, row=number, line=line)
        return False
    # Half a surrogate pair can be written in JSON only.
    flaw = next(character_flaws(json.dumps(item, ensure_ascii=False)), None)
    if flaw is not None:
        report.add(*flaw, row=number, line=line)
        return False
    return True


def _read_parquet(source: Source) -> Iterator[TableBlock]:
    try:
        file = pq.ParquetFile(source.stream, buffer_size=2**20, pre_buffer=False)
        names = file.schema_arrow.names
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise DataError(
                f"{source.name}: has more than one column named "
                f"{', '.join(map(shown, doubled))}; give every column a name of its own"
            )
        done = 0
        for batch in file.iter_batches(batch_size=BLOCK_ROWS):
            table = pa.Table.from_batches([batch])
            yield TableBlock(table, range(done + 1, done + len(table) + 1))
            done += len(table)
        if not done:
            yield TableBlock(file.schema_arrow.empty_table(), range(0))
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{source.name}: not a readable Parquet file: {reason}") from error
