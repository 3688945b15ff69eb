"""Strict reading of CSV, TSV, JSONL and Parquet into rows with their numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.parquet as pq

from sitrepbench.data.classes import is_index, named_classes, stored_classes
from sitrepbench.data.delimited import Quoting, read_delimited
from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.data.rows import Rows, character_flaws, decode
from sitrepbench.errors import ConfigError, did_you_mean

Format = Literal["csv", "tsv", "jsonl", "parquet"]

_SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def read_bytes(path: Path, report: ProblemReport) -> bytes | None:
    """Return the bytes of a file, or None with the reason in the report."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        report.add("missing_file", f"there is no such file{_similar(path)}")
    except IsADirectoryError:
        report.add("unreadable_file", "is a folder, expected a file")
    except (OSError, ValueError) as error:
        report.add("unreadable_file", f"cannot be read: {error}")
    return None


def format_of(path: Path, format: str | None, *, option: str | None = "dataset.format") -> Format:
    """Return the format of a file: as named, else by its suffix.

    Messages name the option that gives it, if there is one.

    Raises
    ------
    ConfigError
        When the name is no format, or the suffix tells none.
    """
    formats = get_args(Format)
    if format is None:
        try:
            return _SUFFIXES[path.suffix.casefold()]
        except KeyError:
            told = f"; give {option}={{{'|'.join(formats)}}}" if option else ""
            raise ConfigError(
                f"{path}: the name tells no format, expected one of {', '.join(_SUFFIXES)}{told}"
            ) from None
    for known in formats:
        if format == known:
            return known  # type: ignore[no-any-return]
    raise ConfigError(
        f"{option or '--format'}: unknown format {shown(format)}."
        f"{did_you_mean(str(format), formats)} Known: {', '.join(formats)}"
    )


def read_rows(
    data: bytes, format: Format, *, encoding: str, quoting: str, report: ProblemReport
) -> Rows | None:
    """Return the rows of a file's bytes, or None where there is nothing to go on with.

    Parameters
    ----------
    data : bytes
        The whole file: what was checked is what is read.
    format : {"csv", "tsv", "jsonl", "parquet"}
        As `format_of` gives it.
    encoding : str
        The name of a Python codec; Parquet has its own.
    quoting : {"standard", "none"}
        For CSV and TSV; see `read_delimited`.
    report : ProblemReport
        Takes what is wrong.

    Raises
    ------
    ConfigError
        When encoding or quoting are not known.
    """
    rule = _known_quoting(quoting)
    if format == "parquet":
        return read_parquet(data, report)
    text = decode(data, encoding, report)
    if text is None:
        return None
    if format == "jsonl":
        return read_jsonl(text, report)
    delimiter = "," if format == "csv" else "\t"
    return read_delimited(text, delimiter=delimiter, quoting=rule, report=report)


def read_jsonl(text: str, report: ProblemReport) -> Rows | None:
    """Return the rows of a JSON Lines text; a key that a row lacks is None there.

    Blank lines are no rows. Only a line feed ends a line: JSON strings may hold the other
    separators of Unicode as they are.
    """
    objects: list[dict[str, object]] = []
    numbers: list[int] = []
    lines: list[int] = []
    number = 0
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        number += 1
        try:
            value = json.loads(
                content, parse_constant=_refuse_constant, object_pairs_hook=_unique_keys
            )
        except _DoubledKeyError as error:
            report.add("duplicate_key", f"the key {error} stands twice", row=number, line=line)
        except RecursionError:
            report.add("invalid_json", "is nested too deeply", row=number, line=line)
        except ValueError as error:
            report.add("invalid_json", f"{error}: {shown(content)}", row=number, line=line)
            for code, message in character_flaws(content):
                report.add(code, message, row=number, line=line)
        else:
            if isinstance(value, dict):
                objects.append(value)
                numbers.append(number)
                lines.append(line)
            else:
                message = f"expected an object in braces, found {shown(value)}"
                report.add("invalid_json", message, row=number, line=line)
    if number == 0:
        report.add("empty_file", "the file has no rows")
    if not objects:
        return None
    names = dict.fromkeys(key for item in objects for key in item)
    columns = {name: [item.get(name) for item in objects] for name in names}
    return Rows(columns, numbers, lines)


def read_parquet(data: bytes, report: ProblemReport) -> Rows | None:
    """Return the rows of a Parquet file; missing values are None.

    Numbers of classes that `datasets` wrote become their names; the index of a DataFrame is no
    column.
    """
    if not data:
        report.add("empty_file", "the file has no bytes at all")
        return None
    try:
        table = pq.read_table(pa.BufferReader(data))
        names = list(table.column_names)
        classes = stored_classes(table.schema.metadata)
        kinds = [str(field.type) for field in table.schema]
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        report.add("invalid_parquet", f"not a readable Parquet file: {reason}")
        return None
    columns: dict[str, list[object]] = {}
    for place, (name, kind) in enumerate(zip(names, kinds, strict=True), start=1):
        if name in columns:
            report.add("duplicate_column", f"column {place} is named {shown(name)} once more")
            continue
        if is_index(name):
            continue
        try:
            columns[name] = named_classes(_values(table.column(place - 1)), classes.get(name))
        except (pa.ArrowException, ValueError, OverflowError) as error:
            report.add("wrong_type", f"values of type {kind} cannot be read: {error}", column=name)
            columns[name] = [None] * table.num_rows
    return Rows(columns, range(1, table.num_rows + 1))


def _values(column: pa.ChunkedArray) -> list[object]:
    """Return a column's values; text that is not UTF-8 as `decode` would give it."""
    try:
        return column.to_pylist()  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        raw = column.cast(pa.large_binary()).to_pylist()
        return [
            None if value is None else value.decode("utf-8", "surrogateescape") for value in raw
        ]


class _DoubledKeyError(Exception):
    pass


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        doubled = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _DoubledKeyError(shown(doubled))
    return found


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _known_quoting(quoting: str) -> Quoting:
    rules: Sequence[Quoting] = get_args(Quoting)
    for rule in rules:
        if quoting == rule:
            return rule
    raise ConfigError(
        f"dataset.quoting: unknown rule {shown(quoting)}.{did_you_mean(str(quoting), rules)} "
        f"Known: {', '.join(rules)}"
    )


def _similar(path: Path) -> str:
    """Return a hint at a file of a like name, or at the folder that is missing as well."""
    folder = path.parent
    try:
        if not folder.is_dir():
            return f", nor a folder {folder}"
        names = sorted(item.name for item in folder.iterdir())
    except OSError:
        return ""
    return "." + hint if (hint := did_you_mean(path.name, names)) else ""
