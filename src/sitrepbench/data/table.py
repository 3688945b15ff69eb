"""A user's own table of labelled sentences: CSV, TSV, JSONL, Parquet or a DataFrame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from sitrepbench.data.dataset import Dataset
from sitrepbench.data.problems import ProblemReport, check_allowed, shown
from sitrepbench.data.readers import format_of, read_bytes, read_rows
from sitrepbench.data.rows import Rows
from sitrepbench.data.validation import TableRules, verified_dataset
from sitrepbench.errors import ConfigError
from sitrepbench.labels import LABELS


def load_table(
    path: str | Path,
    *,
    format: str | None = None,
    encoding: str = "utf-8",
    quoting: str = "standard",
    columns: Mapping[str, str | None] | None = None,
    label_map: Mapping[str, str] | None = None,
    labels: Iterable[str] | None = None,
    name: str | None = None,
    allow: Iterable[str] = (),
) -> Dataset:
    """Read and verify a file of labelled sentences.

    Text, label and document are required. Without sentence ids these are
    ``<document_id>:<position>``; without positions, the order of the rows within a document
    counts, from 0. Values are stripped of white space around them; "NA" and "null" are text.

    Parameters
    ----------
    path : str or Path
        The file; ``~`` is the home folder.
    format : {"csv", "tsv", "jsonl", "parquet"}, optional
        By default what the file's suffix says.
    encoding : str
        A Python codec, for the text formats.
    quoting : {"standard", "none"}
        For CSV and TSV: with ``none`` a quote is a character like any other.
    columns : mapping, optional
        Field (see `sitrepbench.data.dataset.COLUMNS`) to the file's column. What is not
        given is looked for under `sitrepbench.data.fields.DEFAULT_NAMES`.
    label_map : mapping, optional
        Label as the file spells it to label of the set.
    labels : iterable of str, optional
        The label set; by default `sitrepbench.labels.LABELS`.
    name : str, optional
        By default the file's name without suffix.
    allow : iterable of str
        Problems to tolerate; see `sitrepbench.data.problems.TOLERABLE`.

    Raises
    ------
    DataError
        With every problem of the file.
    ConfigError
        When an argument does not make sense.
    """
    found = expanded(path)
    report = ProblemReport(str(found), allow=allow)
    rules = table_rules(columns, label_map, labels)
    kind = format_of(found, format)
    data = read_bytes(found, report)
    if data is None:
        rows = None
    else:
        rows = read_rows(data, kind, encoding=encoding, quoting=quoting, report=report)
    return verified_dataset(
        rows, rules=rules, report=report, name=name or found.stem, source=str(found)
    )


def load_frame(
    frame: pd.DataFrame,
    *,
    columns: Mapping[str, str | None] | None = None,
    label_map: Mapping[str, str] | None = None,
    labels: Iterable[str] | None = None,
    name: str = "frame",
    allow: Iterable[str] = (),
) -> Dataset:
    """Verify a DataFrame of labelled sentences under the rules of `load_table`.

    Parameters
    ----------
    frame : DataFrame
        One row per sentence; its index does not count. Rows are numbered from 1 in messages.
    columns, label_map, labels, name, allow
        As in `load_table`.

    Raises
    ------
    DataError
        With every problem of the frame.
    ConfigError
        When an argument does not make sense.
    """
    check_allowed(allow)
    report = ProblemReport(f"DataFrame {name!r}", allow=allow)
    rules = table_rules(columns, label_map, labels)
    values: dict[str, list[object]] = {}
    for place, column in enumerate(frame.columns):
        if str(column) in values:
            message = f"column {place + 1} is named {shown(str(column))} once more"
            report.add("duplicate_column", message)
        else:
            values[str(column)] = frame.iloc[:, place].tolist()
    rows = Rows(values, range(1, len(frame) + 1))
    return verified_dataset(rows, rules=rules, report=report, name=name, source="a DataFrame")


def table_rules(
    columns: Mapping[str, str | None] | None,
    label_map: Mapping[str, str] | None,
    labels: Iterable[str] | None,
) -> TableRules:
    return TableRules(
        # A YAML file may give a name such as 1 as a number.
        columns={
            field: None if column is None else str(column)
            for field, column in (columns or {}).items()
        },
        label_map={str(found): str(label) for found, label in (label_map or {}).items()},
        labels=LABELS if labels is None else tuple(str(label) for label in labels),
    )


def expanded(path: str | Path) -> Path:
    if not str(path):
        raise ConfigError("dataset.path is empty: give the file with dataset.path=FILE")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"dataset.path={path}: {error}") from error
