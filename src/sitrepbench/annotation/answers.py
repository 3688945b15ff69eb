"""From the rows of a long table to answers: who labelled which sentence how."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from sitrepbench.annotation.names import (
    ANNOTATOR,
    ANSWER_COLUMNS,
    COMMENT,
    LABELLED,
    NEEDS_CONTEXT,
    OPEN,
    SKIPPED,
    STATUS,
    STATUSES,
)
from sitrepbench.data.agreement import ADJUDICATOR
from sitrepbench.data.fields import problem_at, text_values
from sitrepbench.data.problems import Problem, ProblemReport, shown
from sitrepbench.data.rows import Rows
from sitrepbench.data.validation import BACKGROUND
from sitrepbench.errors import did_you_mean


@dataclass(frozen=True)
class Answer:
    """What one annotator said about one sentence."""

    sentence_id: str
    annotator: str
    status: str
    label: str = ""
    secondary: str = ""
    needs_context: str = ""
    comment: str = ""


def answers_frame(answers: Sequence[Answer]) -> pd.DataFrame:
    """Return answers as a table: ``sentence_id`` and `names.ANSWER_COLUMNS`, all text."""
    columns = ("sentence_id", *ANSWER_COLUMNS)
    return pd.DataFrame(
        [tuple(getattr(answer, name) for name in columns) for answer in answers],
        columns=list(columns),
        dtype="str",
    )


def row_answers(
    rows: Rows,
    sentence_ids: Sequence[str],
    *,
    labels: Sequence[str],
    report: ProblemReport,
    label_column: str = "label",
    annotator: str | None = None,
) -> list[Answer]:
    """Return the answers in the rows of a table; rows without any give none.

    Parameters
    ----------
    rows : Rows
        With an ``annotator`` column, or with ``annotator`` given for all rows.
    sentence_ids : sequence of str
        The sentence of each row.
    labels : sequence of str
        The label set.
    report : ProblemReport
        Takes unknown labels, rows without an annotator, and what one annotator labelled twice.
    label_column : str
        The column of the primary label.
    annotator : str, optional
        Whose labels they are where the table has no such column.
    """
    # In a table of one row per sentence only the labels are answers: a comment may be the file's.
    read = (ANNOTATOR, STATUS, "secondary", NEEDS_CONTEXT, COMMENT) if annotator is None else ()
    own = {*read, "secondary"} if label_column == "label" else {*read}
    columns = {
        name: text_values(rows, name, name, report)
        if name in own and name in rows.columns
        else [""] * len(rows)
        for name in (ANNOTATOR, STATUS, "secondary", NEEDS_CONTEXT, COMMENT)
    }
    columns["label"] = text_values(rows, label_column, "label", report)
    if annotator is not None:
        columns[ANNOTATOR] = [annotator] * len(rows)
    answers: list[Answer] = []
    first: dict[tuple[str, str], int] = {}
    for index, sentence_id in enumerate(sentence_ids):
        values = {name: column[index] for name, column in columns.items()}
        answer = _answer(rows, index, sentence_id, values, labels, report, label_column)
        if answer is None:
            continue
        pair = (sentence_id, answer.annotator)
        # A correction of what was settled is one more row of the adjudicator.
        if sentence_id and answer.annotator != ADJUDICATOR and pair in first:
            message = (
                f"{shown(answer.annotator)} labelled {shown(sentence_id)} before, in "
                f"{rows.place(first[pair])}"
            )
            _flag(rows, index, "doubled_annotation", message, ANNOTATOR, report)
        first.setdefault(pair, index)
        answers.append(answer)
    return answers


def _answer(
    rows: Rows,
    index: int,
    sentence_id: str,
    values: dict[str, str],
    labels: Sequence[str],
    report: ProblemReport,
    label_column: str,
) -> Answer | None:
    """Return a row's answer, None where it has none."""
    label, who, status = values["label"], values[ANNOTATOR], values[STATUS]
    if status and status not in STATUSES:
        message = f"{shown(status)}.{did_you_mean(status, STATUSES)}"
        _flag(rows, index, "unknown_status", message, STATUS, report)
    elif status == SKIPPED:
        label = ""
    elif status == OPEN or (not label and (not who or not status)):
        return None
    elif not label:
        message = f"{shown(who)} gave {shown(sentence_id)} no label"
        _flag(rows, index, "missing_label", message, label_column, report)
    if not who:
        message = f"{shown(sentence_id)} has a label, and nobody gave it"
        _flag(rows, index, "missing_annotator", message, ANNOTATOR, report)
    for name in filter(None, (label, *secondary_parts(values["secondary"]))):
        if name not in labels:
            message = unknown_label(name, labels)
            _flag(rows, index, "unknown_label", message, label_column, report)
    secondary = join_secondary(secondary_parts(values["secondary"]), label, labels)
    status = SKIPPED if status == SKIPPED else LABELLED
    return Answer(
        sentence_id, who, status, label, secondary, values[NEEDS_CONTEXT], values[COMMENT]
    )


def secondary_parts(value: str) -> list[str]:
    """Return the labels of a ``secondary`` cell."""
    return [part.strip() for part in re.split("[|;]", value) if part.strip()]


def join_secondary(found: Sequence[str], label: str, labels: Sequence[str]) -> str:
    """Return secondary labels in the order of the set, without the primary one and background.

    >>> join_secondary(["background", "b", "a"], "c", ["a", "b", "c"])
    'a|b'
    """
    return "|".join(name for name in labels if name in found and name not in (label, BACKGROUND))


def unknown_label(name: str, labels: Sequence[str]) -> str:
    """Return the message about a label that is not of the set."""
    expected = ", ".join(labels)
    return f"unknown label {shown(name)}, expected one of {expected}.{did_you_mean(name, labels)}"


def _flag(
    rows: Rows, index: int, code: str, message: str, column: str, report: ProblemReport
) -> None:
    def describe(at: int) -> Problem:
        return problem_at(rows, at, code, message, column=column)

    report.add_rows(code, [index], describe)
