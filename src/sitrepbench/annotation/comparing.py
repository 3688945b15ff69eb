"""What the agreement of annotators is asked of: any file that holds several people's labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sitrepbench.annotation.accounts import Accounts
from sitrepbench.annotation.answers import Answer, answers_frame, row_answers
from sitrepbench.annotation.exports import read_export
from sitrepbench.annotation.names import ANNOTATOR, ANSWER_COLUMNS, LABELLED, STATUS
from sitrepbench.annotation.problems import REMEDIES
from sitrepbench.annotation.sentences import read_rows_of, read_sentences, sentence_keys
from sitrepbench.data.dataset import COLUMNS
from sitrepbench.data.fields import DEFAULT_NAMES, check_characters, text_values
from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.data.rows import Rows
from sitrepbench.errors import ConfigError, DataError, did_you_mean
from sitrepbench.labels import LABELS


@dataclass(frozen=True)
class Compared:
    """Labels of several annotators, and where their sentences stand.

    Parameters
    ----------
    answers : DataFrame
        ``sentence_id, annotator, label`` and further columns, one row per label given.
    documents, texts : dict of str to str
        The document and the text of each sentence; empty where the file does not tell.
    n_skipped : int
        Answers that say that a sentence was skipped; they are not compared.
    """

    answers: pd.DataFrame
    documents: dict[str, str]
    texts: dict[str, str]
    n_skipped: int


def read_compared(
    path: str | Path,
    *,
    labels: Sequence[str] = LABELS,
    annotators: Sequence[str] | None = None,
    accounts: Accounts | None = None,
    sentences: str | Path | None = None,
) -> Compared:
    """Read the labels of several annotators.

    Parameters
    ----------
    path : str or Path
        Label Studio's JSON; or a table with a column ``annotator`` (one row per sentence and
        annotator); or a table with a column of labels for each annotator.
    labels : sequence of str
        The label set.
    annotators : sequence of str, optional
        The columns of the annotators in a table of the last kind; by default those whose
        values are mostly labels.
    accounts : Accounts, optional
        The annotators' names, for Label Studio's JSON.
    sentences : str or Path, optional
        A table of the sentences, for documents and texts that the file does not have.

    Raises
    ------
    DataError
        With every problem of the file.
    ConfigError
        When an argument does not make sense.
    """
    if Path(path).suffix.casefold() == ".json":
        if annotators is not None:
            raise ConfigError(
                f"--annotators names columns of a table, and {path} is Label Studio's JSON: there "
                "annotators are accounts, which --annotator NAME=ACCOUNT names"
            )
        read = read_export(path, labels=labels, accounts=accounts)
        answers, frame = read.answers, read.sentences
        documents = dict(zip(frame["sentence_id"], frame["document_id"], strict=True))
        texts = dict(zip(frame["sentence_id"], frame["text"], strict=True))
    else:
        answers, documents, texts = _of_table(path, labels, annotators)
    if sentences is not None:
        frame = read_sentences(sentences, labels=labels, label_column=None).frame
        documents = {
            **documents,
            **dict(zip(frame["sentence_id"], frame["document_id"], strict=True)),
        }
        texts = {**texts, **dict(zip(frame["sentence_id"], frame["text"], strict=True))}
    labelled = answers[answers[STATUS] == LABELLED].reset_index(drop=True)
    return Compared(labelled, documents, texts, len(answers) - len(labelled))


def _of_table(
    path: str | Path, labels: Sequence[str], annotators: Sequence[str] | None
) -> tuple[pd.DataFrame, dict[str, str], dict[str, str]]:
    report = ProblemReport(str(path), remedies=REMEDIES)
    rows = read_rows_of(path, report=report, format=None, encoding="utf-8")
    if rows is None:
        report.raise_if_any()
        raise DataError(f"{path}: no rows could be read")
    check_characters(rows, report)
    if not len(rows):
        report.add("empty_file", "there is a header but no row")
    long = ANNOTATOR in rows.columns and annotators is None
    keys = sentence_keys(rows, report, needed=long)
    for index, key in enumerate(keys):
        if not key:
            report.add(
                "missing_value",
                "sentence_id is empty",
                row=rows.numbers[index],
                line=rows.line(index),
            )
    if not long:
        answers = _wide_answers(rows, keys, labels, annotators, report)
    elif "label" in rows.columns:
        answers = row_answers(rows, keys, labels=labels, report=report)
    else:
        answers = []
        report.add("missing_column", "there is a column annotator, but none for label")
    documents, texts = (_by_sentence(rows, keys, name, report) for name in ("document_id", "text"))
    report.raise_if_any()
    return answers_frame(answers), documents, texts


def _wide_answers(
    rows: Rows,
    keys: Sequence[str],
    labels: Sequence[str],
    annotators: Sequence[str] | None,
    report: ProblemReport,
) -> list[Answer]:
    names = list(annotators) if annotators is not None else _label_columns(rows, labels)
    unknown = [name for name in names if name not in rows.columns]
    for name in unknown:
        message = f"there is no column {shown(name)}.{did_you_mean(name, rows.columns)}"
        report.add("missing_column", message)
    if len(set(names)) < 2:
        found = ", ".join(map(shown, names)) or "none"
        message = (
            "expected a column annotator, or at least two columns of labels, found "
            f"{found}: name them with --annotators A,B and their labels with --labels"
        )
        report.add("missing_column", message)
    answers = []
    for name in dict.fromkeys(names):
        if name not in unknown:
            answers += row_answers(
                Rows({name: rows.columns[name]}, rows.numbers, rows.lines),
                keys,
                labels=labels,
                report=report,
                label_column=name,
                annotator=name,
            )
    return answers


def _label_columns(rows: Rows, labels: Sequence[str]) -> list[str]:
    """Return the columns more than half of whose values are labels of the set."""
    known = {name for field in COLUMNS for name in DEFAULT_NAMES[field]} | set(ANSWER_COLUMNS)
    found = []
    for name, values in rows.columns.items():
        given = [value for value in values if isinstance(value, str) and value.strip()]
        legal = sum(value.strip() in labels for value in given)
        if name not in known and 2 * legal > len(given):
            found.append(name)
    return found


def _by_sentence(
    rows: Rows, keys: Sequence[str], field: str, report: ProblemReport
) -> dict[str, str]:
    """Return a field of each sentence that has it."""
    column = next((name for name in DEFAULT_NAMES[field] if name in rows.columns), None)
    if column is None:
        return {}
    values = text_values(rows, column, field, report)
    return {key: value for key, value in zip(keys, values, strict=True) if value}
