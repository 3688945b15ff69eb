"""From rows to a verified `Dataset`: every rule that a dataset has to keep."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from sitrepbench.data.dataset import (
    CLUSTER,
    DOCUMENT_ID,
    DOMAIN,
    LABEL,
    POSITION,
    SECONDARY,
    SENTENCE_ID,
    SPLIT,
    TEXT,
    Dataset,
    canonical_frame,
    frame_digest,
)
from sitrepbench.data.fields import (
    ascii_name,
    check_characters,
    extra_columns,
    is_missing,
    label_set_problems,
    problem_at,
    resolve_columns,
    text_values,
)
from sitrepbench.data.problems import Problem, ProblemReport, shown
from sitrepbench.data.rows import Rows
from sitrepbench.errors import ConfigError, DataError, closest, did_you_mean
from sitrepbench.labels import LABELS

#: A text of more characters is not a sentence.
MAX_CHARACTERS = 2000

#: The label that is never a secondary one: it says that a sentence reports nothing else.
BACKGROUND = "background"

#: Nothing to see: white space, and characters that have no width.
_BLANK = re.compile("[\\s\u200b\u200c\u200d\u2060\ufeff]*")
_POSITION = re.compile("[0-9]{1,18}")


@dataclass(frozen=True)
class TableRules:
    """How the rows of a table are to be understood.

    Parameters
    ----------
    columns : mapping of str to str or None
        Field to the file's column; see `resolve_columns`.
    label_map : mapping of str to str
        Label as the file spells it to label of the set.
    labels : tuple of str
        The label set.
    can_map : bool
        Whether whoever reads the messages can give a label map; it is suggested only then.

    Raises
    ------
    ConfigError
        When the label set is none, or the map leads out of it.
    """

    columns: Mapping[str, str | None] = field(default_factory=dict)
    label_map: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = LABELS
    can_map: bool = True

    def __post_init__(self) -> None:
        found = [f"dataset.labels: {problem}" for problem in label_set_problems(self.labels)]
        for source, target in self.label_map.items():
            if target not in self.labels:
                found.append(
                    f"dataset.label_map.{source}: unknown label {shown(target)}, expected one of "
                    f"{', '.join(self.labels)}.{did_you_mean(str(target), self.labels)}"
                )
        if found:
            raise ConfigError("\n".join(found))


@dataclass(frozen=True)
class _Table:
    """The rows with their rules, while they are checked."""

    rows: Rows
    rules: TableRules
    report: ProblemReport
    resolved: Mapping[str, str]

    def flag(
        self, code: str, indices: Sequence[int], message: Callable[[int], str], *, field: str
    ) -> None:
        """Report one problem per index; messages are made for the first ones only."""
        column = self.resolved.get(field, field)

        def describe(index: int) -> Problem:
            return problem_at(self.rows, index, code, message(index), column=column)

        self.report.add_rows(code, indices, describe)

    def blank(self, field: str, values: Sequence[str]) -> list[int]:
        """Return where a field is empty, but for values of a wrong type: these are reported."""
        raw = self.rows.columns[self.resolved[field]]
        return [
            index
            for index, value in enumerate(values)
            if _BLANK.fullmatch(value) and (isinstance(raw[index], str) or is_missing(raw[index]))
        ]

    def texts(self, field: str) -> list[str] | None:
        """Return a field as text, or None where the file does not have it."""
        name = self.resolved.get(field)
        return None if name is None else text_values(self.rows, name, field, self.report)


def verified_dataset(
    rows: Rows | None,
    *,
    rules: TableRules,
    report: ProblemReport,
    name: str,
    source: str,
    version: str = "",
) -> Dataset:
    """Check every rule and return the dataset.

    Raises
    ------
    DataError
        With all problems in ``report``, those of reading included.
    """
    if rows is None:
        report.raise_if_any()
        raise DataError(f"{source}: no rows could be read")
    if not len(rows) and not any(problem.row for problem in report.problems):
        report.add("empty_file", "there is a header but no row")
    check_characters(rows, report)
    resolved = resolve_columns(rows, rules.columns, report)
    table = _Table(rows, rules, report, resolved)
    fields = _fields(table)
    report.raise_if_any()
    frame, notes = _frame(table, fields)
    notes = [*report.notes, *notes, *_map_notes(table)]
    canonical = canonical_frame(frame)
    digest = frame_digest(canonical, rules.labels)
    return Dataset(name, canonical, rules.labels, digest, source, version, tuple(notes))


def _fields(table: _Table) -> dict[str, list[str] | list[int]]:
    """Return every field of `COLUMNS`, checked."""
    n = len(table.rows)
    documents = _filled(table, DOCUMENT_ID)
    positions = _positions(table, documents)
    sentence_ids = _sentence_ids(table, documents, positions)
    texts = _texts(table)
    labels, secondary = _labels(table)
    _check_conflicts(table, texts, labels)
    return {
        SENTENCE_ID: sentence_ids,
        DOCUMENT_ID: documents,
        POSITION: positions if positions is not None else [0] * n,
        TEXT: texts,
        LABEL: labels,
        SECONDARY: secondary,
        DOMAIN: table.texts(DOMAIN) or [""] * n,
        SPLIT: _splits(table),
        CLUSTER: table.texts(CLUSTER) or [""] * n,
    }


def _filled(table: _Table, field: str) -> list[str]:
    """Return a field whose values may not be missing; empty where there is no such column."""
    values = table.texts(field)
    if values is None:
        return [""] * len(table.rows)
    empty = table.blank(field, values)
    table.flag("missing_value", empty, lambda _: f"{field} is empty", field=field)
    return values


def _splits(table: _Table) -> list[str]:
    values = table.texts(SPLIT)
    if values is None or not any(values):
        return [""] * len(table.rows)
    return _filled(table, SPLIT)


def _positions(table: _Table, documents: list[str]) -> list[int] | None:
    """Return the positions of the file, or else the order of the rows within each document.

    None where positions in the file are wrong: then nothing can be derived from them.
    """
    values = table.texts(POSITION)
    if values is None:
        seen: dict[str, int] = {}
        positions = []
        for document in documents:
            position = seen.get(document, 0)
            positions.append(position)
            seen[document] = position + 1
        return positions
    wrong = [
        index for index, value in enumerate(values) if value and not _POSITION.fullmatch(value)
    ]
    wrong = sorted([*wrong, *table.blank(POSITION, values)])
    table.flag(
        "invalid_position",
        wrong,
        lambda index: f"expected a whole number from 0, found {shown(values[index])}",
        field=POSITION,
    )
    if not all(map(_POSITION.fullmatch, values)):
        return None
    return [int(value) for value in values]


def _sentence_ids(table: _Table, documents: list[str], positions: list[int] | None) -> list[str]:
    if SENTENCE_ID in table.resolved:
        ids = _filled(table, SENTENCE_ID)
    elif DOCUMENT_ID in table.resolved and positions is not None:
        ids = [
            f"{document}:{position}"
            for document, position in zip(documents, positions, strict=True)
        ]
    else:
        return [""] * len(documents)
    if len(set(ids)) == len(ids):
        return ids
    first: dict[str, int] = {}
    doubled = []
    for index, name in enumerate(ids):
        if first.setdefault(name, index) != index and name:
            doubled.append(index)
    table.flag(
        "duplicate_id",
        doubled,
        lambda index: (
            f"{shown(ids[index])} is already the id of {table.rows.place(first[ids[index]])}"
        ),
        field=SENTENCE_ID,
    )
    return ids


def _texts(table: _Table) -> list[str]:
    texts = table.texts(TEXT)
    if texts is None:
        return [""] * len(table.rows)
    table.flag(
        "empty_text", table.blank(TEXT, texts), lambda _: "the text is empty or blank", field=TEXT
    )
    long = [index for index, text in enumerate(texts) if len(text) > MAX_CHARACTERS]
    table.flag(
        "long_text",
        long,
        lambda index: (
            f"{len(texts[index]):,} characters, expected a sentence of at most "
            f"{MAX_CHARACTERS:,}: {shown(texts[index])}"
        ),
        field=TEXT,
    )
    return texts


def _labels(table: _Table) -> tuple[list[str], list[str]]:
    """Return labels and secondary labels, mapped and checked."""
    raw = table.texts(LABEL)
    if raw is None:
        empty = [""] * len(table.rows)
        return empty, empty
    rules = table.rules
    mapping = {label: rules.label_map.get(label, label) for label in set(raw)}
    labels = [mapping[label] for label in raw]
    table.flag("missing_value", table.blank(LABEL, raw), lambda _: "label is empty", field=LABEL)
    unknown = {label for label, target in mapping.items() if label and target not in rules.labels}
    if unknown:
        wrong = [index for index, label in enumerate(raw) if label in unknown]
        table.flag("unknown_label", wrong, lambda index: _unknown(raw[index], rules), field=LABEL)
    return labels, _secondary(table, raw, labels)


def _secondary(table: _Table, raw: list[str], labels: list[str]) -> list[str]:
    """Return the secondary labels in the order of the set, joined by ``|``."""
    values = table.texts(SECONDARY)
    if values is None:
        return [""] * len(labels)
    keys = list(zip(raw, labels, values, strict=True))
    read = {key: _read_secondary(*key, table.rules) for key in set(keys)}

    # Messages are made for the rows that are shown, not for every distinct value.
    def unknown(index: int) -> str:
        return " ".join(_unknown(part, table.rules) for part in read[keys[index]][1])

    def misplaced(index: int) -> str:
        why = {BACKGROUND: "never a secondary label"}
        own = "the row's own label"
        parts = read[keys[index]][2]
        return "; ".join(f"{shown(part)} is {why.get(part, own)}" for part in parts)

    wrong = [index for index, key in enumerate(keys) if read[key][1]]
    table.flag("unknown_label", wrong, unknown, field=SECONDARY)
    wrong = [index for index, key in enumerate(keys) if read[key][2]]
    table.flag("bad_secondary", wrong, misplaced, field=SECONDARY)
    return [read[key][0] for key in keys]


def _read_secondary(
    raw: str, label: str, value: str, rules: TableRules
) -> tuple[str, list[str], list[str]]:
    """Return one row's secondary labels, those that are unknown, and those that cannot be one.

    Where the label map merges labels, a secondary label can become the primary one or
    background; then it says nothing any more and is left out.
    """
    found: set[str] = set()
    unknown: list[str] = []
    misplaced: list[str] = []
    for part in _parts(value):
        target = rules.label_map.get(part, part)
        if target not in rules.labels:
            unknown.append(part)
        elif target not in (label, BACKGROUND):
            found.add(target)
        elif part == raw or target == part:
            misplaced.append(part)
    return "|".join(name for name in rules.labels if name in found), unknown, misplaced


def _unknown(label: str, rules: TableRules) -> str:
    message = f"unknown label {shown(label)}, expected one of {', '.join(rules.labels)}."
    near = closest(label, rules.labels)
    if near is None:
        return message
    message += f" Did you mean {near!r}?"
    if not rules.can_map:
        return message
    return f"{message} (+dataset.label_map.{ascii_name(label)}={near})"


def _check_conflicts(table: _Table, texts: list[str], labels: list[str]) -> None:
    """Report rows whose text stands further up with another label."""
    if len(set(texts)) == len(texts) or LABEL not in table.resolved:
        return
    legal = set(table.rules.labels)
    first: dict[str, int] = {}
    clashes = [
        index
        for index, text in enumerate(texts)
        if text
        and labels[index] in legal
        and labels[first.setdefault(text, index)] != labels[index]
    ]
    table.flag(
        "conflicting_labels",
        clashes,
        lambda index: (
            f"labelled {shown(labels[index])}, but {table.rows.place(first[texts[index]])}"
            f" with the same text is {shown(labels[first[texts[index]]])}: {shown(texts[index])}"
        ),
        field=LABEL,
    )


def _frame(
    table: _Table, fields: Mapping[str, list[str] | list[int]]
) -> tuple[pd.DataFrame, list[str]]:
    names, notes = extra_columns(table.rows, table.resolved)
    series: dict[str, pd.Series] = {
        name: pd.Series(values, dtype="int64" if name == POSITION else "str")
        for name, values in fields.items()
    }
    for name, kept in names.items():
        series[kept] = pd.Series(table.rows.columns[name], dtype=object).infer_objects()
    return pd.DataFrame(series), notes


def _map_notes(table: _Table) -> list[str]:
    """Return a note on every entry of the label map that met no row: likely a misspelt name."""
    if not table.rules.label_map:
        return []
    present = set(table.texts(LABEL) or [])
    for value in set(table.texts(SECONDARY) or []):
        present.update(_parts(value))
    unused = [label for label in table.rules.label_map if label not in present]
    return [f"label_map.{label} matched no row" for label in unused]


def _parts(secondary: str) -> list[str]:
    return [part.strip() for part in re.split("[|;]", secondary) if part.strip()]
