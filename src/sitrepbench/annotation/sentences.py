"""A table of sentences, labelled or not, as it goes out to annotators."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from sitrepbench.annotation.answers import Answer, answers_frame, row_answers
from sitrepbench.annotation.names import ANNOTATOR, ANSWER_COLUMNS, SENTENCE_COLUMNS
from sitrepbench.annotation.problems import SENTENCE_REMEDIES
from sitrepbench.annotation.tables import named_path
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
)
from sitrepbench.data.fields import DEFAULT_NAMES, text_values
from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.data.readers import format_of, read_bytes, read_rows
from sitrepbench.data.rows import Rows, check_encoding
from sitrepbench.data.validation import TableRules, verified_dataset
from sitrepbench.errors import ConfigError, DataError, closest, did_you_mean
from sitrepbench.labels import LABELS

#: Whose labels they are where a table has labels but no annotators.
REFERENCE = "reference"

#: Carries the row's place through the verification, which sorts.
_PLACE = "sitrepbench_place"


@dataclass(frozen=True)
class Sentences:
    """Sentences and what is known about them.

    Parameters
    ----------
    frame : DataFrame
        ``sentence_id, document_id, position, text``, then the table's further columns as they
        came; sorted by document, position and id.
    answers : DataFrame
        ``sentence_id`` and `names.ANSWER_COLUMNS`: one row per sentence and annotator, none for
        sentences that nobody labelled.
    scores : dict of str to float
        How sure a model is of a sentence's label, where the table tells (``p_<label>``).
    """

    frame: pd.DataFrame
    answers: pd.DataFrame
    scores: dict[str, float]


def read_rows_of(
    path: str | Path, *, report: ProblemReport, format: str | None, encoding: str
) -> Rows | None:
    """Return the rows of a table file, None where there are none; problems go to the report."""
    found = named_path(path)
    kind = format_of(found, format, option=None)
    data = read_bytes(found, report)
    if data is None:
        return None
    return read_rows(data, kind, encoding=encoding, quoting="standard", report=report)


def read_sentences(
    path: str | Path,
    *,
    labels: Sequence[str] = LABELS,
    label_column: str | None = None,
    annotator: str = REFERENCE,
    format: str | None = None,
    encoding: str = "utf-8",
) -> Sentences:
    """Read sentences from CSV, TSV, JSONL or Parquet, with the labels that they have.

    A table with an ``annotator`` column has one row per sentence and annotator, as
    ``annotation import`` writes it; any other has one row per sentence. The columns' names are
    those of a dataset (`sitrepbench.data.fields.DEFAULT_NAMES`).

    Parameters
    ----------
    path : str or Path
        The file.
    labels : sequence of str
        The label set.
    label_column : str, optional
        Where the labels stand, by default ``label``; ``predicted`` for a model's.
    annotator : str
        Whose labels they are where there is no ``annotator`` column.
    format, encoding
        As in `sitrepbench.data.table.load_table`.

    Raises
    ------
    DataError
        With every problem of the file.
    ConfigError
        When an argument does not make sense.
    """
    check_encoding(encoding, option="--encoding")
    rules = TableRules(labels=tuple(labels))
    report = ProblemReport(str(path), remedies=SENTENCE_REMEDIES)
    rows = read_rows_of(path, report=report, format=format, encoding=encoding)
    if rows is None:
        report.raise_if_any()
        raise DataError(f"{path}: no rows could be read")
    name = _label_column(rows, label_column, path)
    many = ANNOTATOR in rows.columns
    keys = sentence_keys(rows, report, needed=many)
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        first.setdefault(key, index)
    answers: list[Answer] = []
    if name is not None:
        whose = None if many else annotator
        answers = row_answers(
            rows, keys, labels=labels, report=report, label_column=name, annotator=whose
        )
    if many:
        _check_same(rows, keys, first, report)
    check_present(rows, (DOCUMENT_ID, TEXT), report)
    once = _without_answers(rows, list(first.values()) if many else range(len(rows)), name)
    once.columns[LABEL] = [labels[0]] * len(once)  # what is no answer is verified as a dataset
    dataset = verified_dataset(
        once, rules=rules, report=report, name=Path(path).stem, source=str(path)
    )
    ids = dict(zip(dataset.frame[_PLACE].tolist(), dataset.frame[SENTENCE_ID], strict=True))
    named = [replace(answer, sentence_id=ids[first[answer.sentence_id]]) for answer in answers]
    scores = {} if name is None or many else _scores(rows, ids, name)
    return Sentences(_plain(dataset.frame, name), answers_frame(named), scores)


def check_present(rows: Rows, fields: Sequence[str], report: ProblemReport) -> None:
    """Raise what is in the report if a field has no column: nothing more can be told then."""
    missing = [name for name in fields if not set(DEFAULT_NAMES[name]) & set(rows.columns)]
    for name in missing:
        near = [match for known in DEFAULT_NAMES[name] if (match := closest(known, rows.columns))]
        hint = f" Is it {shown(near[0])}?" if near else ""
        wanted = ", ".join(DEFAULT_NAMES[name])
        report.add("missing_column", f"no column for {name}, expected one of {wanted}.{hint}")
    if missing:
        report.raise_if_any()


def sentence_keys(rows: Rows, report: ProblemReport, *, needed: bool) -> list[str]:
    """Return the id of each row's sentence, or else what the row is called.

    Parameters
    ----------
    rows : Rows
        The table.
    report : ProblemReport
        Takes a column of ids that is missing.
    needed : bool
        Whether several rows may be about one sentence: then ids are needed.
    """
    column = next((name for name in DEFAULT_NAMES[SENTENCE_ID] if name in rows.columns), None)
    if column is not None:
        return text_values(rows, column, SENTENCE_ID, report)
    if needed:
        message = "several rows can be about one sentence, but there is no column sentence_id"
        report.add("missing_column", message)
    return [rows.place(index) for index in range(len(rows))]


def _label_column(rows: Rows, given: str | None, path: str | Path) -> str | None:
    if given is None:
        return LABEL if LABEL in rows.columns else None
    if given not in rows.columns:
        raise ConfigError(
            f"{path}: there is no column {shown(given)} to take labels from."
            f"{did_you_mean(given, rows.columns)}"
        )
    return given


def _check_same(
    rows: Rows, keys: Sequence[str], first: dict[str, int], report: ProblemReport
) -> None:
    """Report rows of one sentence that tell different things about it."""
    for name in (DOCUMENT_ID, POSITION, TEXT):
        values = rows.columns.get(name)
        if values is None:
            continue
        for index, key in enumerate(keys):
            if values[index] != values[first[key]]:
                message = f"{shown(values[index])}, but {rows.place(first[key])} of the same "
                message += f"sentence has {shown(values[first[key]])}"
                report.add(
                    "conflicting_rows",
                    message,
                    row=rows.numbers[index],
                    line=rows.line(index),
                    column=name,
                )


def _without_answers(rows: Rows, kept: Sequence[int], label_column: str | None) -> Rows:
    """Return the rows at ``kept`` without the columns that are answers."""
    left_out = {LABEL, SECONDARY, label_column} if label_column else {SECONDARY}
    if ANNOTATOR in rows.columns:
        left_out |= set(ANSWER_COLUMNS)
    columns = {
        name: [values[index] for index in kept]
        for name, values in rows.columns.items()
        if name not in left_out
    }
    columns[_PLACE] = list(kept)
    lines = None if rows.lines is None else [rows.lines[index] for index in kept]
    return Rows(columns, [rows.numbers[index] for index in kept], lines)


def _scores(rows: Rows, ids: Mapping[int, str], label_column: str) -> dict[str, float]:
    """Return the probability of the given label, where the table has it."""
    scores: dict[str, float] = {}
    for place, sentence_id in ids.items():
        label = rows.columns[label_column][place]
        column = rows.columns.get(f"p_{label}")
        try:
            score = math.nan if column is None else float(str(column[place]))
        except ValueError:
            continue
        if math.isfinite(score):
            scores[sentence_id] = score
    return scores


def _plain(frame: pd.DataFrame, label_column: str | None) -> pd.DataFrame:
    """Return the sentences with what the table itself had about them."""
    by_model = label_column not in (None, LABEL)
    probabilities = [name for name in frame.columns if by_model and name.startswith("p_")]
    empty = [name for name in (DOMAIN, SPLIT, CLUSTER) if not frame[name].any()]
    dropped = {LABEL, SECONDARY, _PLACE, *empty, *probabilities}
    kept = [name for name in frame.columns if name not in dropped]
    further = [name for name in kept if name not in SENTENCE_COLUMNS]
    return frame[[*SENTENCE_COLUMNS, *further]]
