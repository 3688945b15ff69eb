"""Which column of a file holds which field of a dataset, and how its values become text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from sitrepbench.data.dataset import (
    CLUSTER,
    COLUMNS,
    DOCUMENT_ID,
    DOMAIN,
    LABEL,
    POSITION,
    SECONDARY,
    SENTENCE_ID,
    SPLIT,
    TEXT,
)
from sitrepbench.data.problems import Problem, ProblemReport, shown
from sitrepbench.data.rows import Rows, character_flaws, has_character_flaws
from sitrepbench.errors import ConfigError, closest, did_you_mean

#: The names under which each field is looked for, in this order, where none is given.
DEFAULT_NAMES = MappingProxyType(
    {
        SENTENCE_ID: ("sentence_id", "sent_id", "id"),
        DOCUMENT_ID: ("document_id", "doc_id", "document", "doc", "article_id", "article"),
        POSITION: ("position",),
        TEXT: ("text", "sentence"),
        LABEL: ("label",),
        SECONDARY: ("secondary", "secondary_labels"),
        DOMAIN: ("domain", "conflict", "event", "topic"),
        SPLIT: ("split",),
        CLUSTER: ("cluster", "cluster_id"),
    }
)

REQUIRED = (TEXT, LABEL, DOCUMENT_ID)

#: A label becomes part of column and metric names.
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def label_set_problems(labels: Iterable[str]) -> list[str]:
    """Return what is wrong with a label set, one sentence each."""
    found = []
    names = list(labels)
    if len(set(names)) < 2:
        found.append(f"expected at least 2 labels, found {len(set(names))}")
    for name in sorted({name for name in names if names.count(name) > 1}):
        found.append(f"label {shown(name)} stands {names.count(name)} times")
    for name in names:
        if not _LABEL.fullmatch(name):
            found.append(f"label {shown(name)}: expected letters, digits, '_' and '-' only")
    return found


def resolve_columns(
    rows: Rows, columns: Mapping[str, str | None] | None, report: ProblemReport
) -> dict[str, str]:
    """Return the column of the file that holds each field that the file has.

    Parameters
    ----------
    rows : Rows
        What was read.
    columns : mapping or None
        Field to column, as the user gave it; a field that is None or absent is looked for
        under `DEFAULT_NAMES`.
    report : ProblemReport
        Takes columns that are missing.

    Raises
    ------
    ConfigError
        When ``columns`` names a field that does not exist.
    """
    given = {field: name for field, name in (columns or {}).items() if name is not None}
    unknown = [field for field in given if field not in COLUMNS]
    if unknown:
        lines = [
            f"dataset.columns: unknown field {shown(field)}.{did_you_mean(str(field), COLUMNS)}"
            for field in unknown
        ]
        raise ConfigError("\n".join([*lines, f"The fields are: {', '.join(COLUMNS)}"]))
    present = list(rows.columns)
    resolved: dict[str, str] = {}
    for field in COLUMNS:
        name = given.get(field)
        if name is None:
            name = next((name for name in DEFAULT_NAMES[field] if name in rows.columns), None)
        if name in rows.columns:
            resolved[field] = name
        elif name is not None:
            report.add(
                "missing_column",
                f"there is no column {shown(name)} for {field}.{did_you_mean(name, present)} "
                f"The file has: {_listed(present)}",
            )
        elif field in REQUIRED:
            report.add("missing_column", _not_found(field, present))
    return resolved


def text_values(rows: Rows, name: str, field: str, report: ProblemReport) -> list[str]:
    """Return a column as stripped text; whole numbers become text, missing values ''.

    Lists of text (secondary labels in JSONL and Parquet) are joined by ``|``. Anything else is
    reported as ``wrong_type`` and becomes ''.
    """
    values = rows.columns[name]
    if all(type(value) is str for value in values):
        return [value.strip() for value in values]  # type: ignore[attr-defined]
    joinable = field == SECONDARY
    texts: list[str] = []
    wrong: list[int] = []
    for index, value in enumerate(values):
        text = _as_text(value, numbers=field != TEXT, lists=joinable)
        if text is None:
            wrong.append(index)
        texts.append(text or "")
    expected = "text" if field == TEXT else "text or a whole number"

    def describe(index: int) -> Problem:
        value = values[index]
        message = f"expected {expected}, found {type(value).__name__} {shown(value)}"
        return problem_at(rows, index, "wrong_type", message, column=name)

    report.add_rows("wrong_type", wrong, describe)
    return texts


def check_characters(rows: Rows, report: ProblemReport) -> None:
    """Report NULs and bytes that are not UTF-8, in every column and in the columns' names."""
    for name, values in rows.columns.items():
        for code, message in character_flaws(name):
            report.add(code, f"in the name of a column: {message}")
        texts = [value if isinstance(value, str) else "" for value in values]
        if not has_character_flaws(texts):
            continue
        for index, text in enumerate(texts):
            for code, message in character_flaws(text):
                line = rows.line(index)
                report.add(
                    code, message, row=rows.numbers[index], line=line, column=ascii_name(name)
                )


def extra_columns(rows: Rows, resolved: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the further columns with the names they get, and a note for each renamed one."""
    used = set(resolved.values())
    names: dict[str, str] = {}
    notes: list[str] = []
    for name in rows.columns:
        if name in used:
            continue
        kept = name
        while kept in COLUMNS or (kept != name and kept in rows.columns):
            kept = f"source_{kept}"
        if kept != name:
            notes.append(f"the file's own column {name!r} is kept as {kept!r}")
        names[name] = kept
    return names, notes


def is_missing(value: object) -> bool:
    """Return whether a value stands for none: None, NaN, NA or NaT, never a text."""
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, float) and value != value


def problem_at(
    rows: Rows, index: int, code: str, message: str, *, column: str | None = None
) -> Problem:
    """Return a problem of the row at ``index``."""
    return Problem(code, message, rows.numbers[index], rows.line(index), column)


def ascii_name(name: str) -> str:
    """Return a column's name as it can be printed anywhere."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _as_text(value: object, *, numbers: bool, lists: bool) -> str | None:
    if isinstance(value, str):
        return value.strip()
    if is_missing(value):
        return ""
    if numbers and isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(value) if abs(int(value)) < 10**40 else None
    if lists and isinstance(value, list | tuple | np.ndarray):
        parts = list(value)
        if all(isinstance(part, str) for part in parts):
            return "|".join(parts)
    return None


def _not_found(field: str, present: list[str]) -> str:
    tried = DEFAULT_NAMES[field]
    near = next((match for name in tried if (match := closest(name, present))), None)
    example = near if near is not None else "NAME"
    suggestion = f" Did you mean {near!r}?" if near is not None else ""
    return (
        f"no column for {field}: looked for {', '.join(tried)}; the file has: "
        f"{_listed(present)}.{suggestion} Give dataset.columns.{field}={example}"
    )


def _listed(names: list[str]) -> str:
    shown_names = ", ".join(shown(name, limit=30) for name in names[:20])
    rest = len(names) - 20
    return shown_names + (f" and {rest} more" if rest > 0 else "")
