"""Sentences as tasks of Label Studio, in the JSON that its import takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from sitrepbench.annotation.accounts import Accounts
from sitrepbench.annotation.names import (
    AFTER,
    ANNOTATOR,
    BEFORE,
    COMMENT,
    COMMENT_CONTROL,
    CONTEXT_CHOICE,
    CONTEXT_CONTROL,
    FURTHER,
    LABEL_CONTROL,
    NEEDS_CONTEXT,
    SECONDARY_CONTROL,
    SENTENCE_COLUMNS,
    SKIPPED,
    STATUS,
    TEXT_OBJECT,
)
from sitrepbench.annotation.sentences import Sentences

Existing = Literal["annotations", "predictions", "none"]


def tasks_of(
    sentences: Sentences, *, existing: Existing = "annotations", accounts: Accounts | None = None
) -> list[dict[str, Any]]:
    """Return one task per sentence, in the order of the documents.

    ``data`` holds id, document, position and text, the neighbouring sentences under ``before``
    and ``after`` (empty where a document starts, ends or has a gap), and the table's further
    columns under ``columns``.

    Parameters
    ----------
    sentences : Sentences
        As `read_sentences` gives them.
    existing : {"annotations", "predictions", "none"}
        What becomes of labels that are there: annotations of their annotators, suggestions
        under the annotator's name as model version, or nothing (for labelling blind).
    accounts : Accounts, optional
        Which annotator has which account; see `Accounts.of`.

    Raises
    ------
    ConfigError
        When an annotator whose labels go out as annotations has no account.
    """
    answers = sentences.answers
    if existing == "predictions":
        answers = answers[answers[STATUS] != SKIPPED]
    by_sentence: dict[str, list[Mapping[Any, str]]] = {}
    if existing != "none":
        for answer in answers.to_dict("records"):
            by_sentence.setdefault(answer["sentence_id"], []).append(answer)
    completed_by: Mapping[str, Any] = {}
    if existing == "annotations":
        found = accounts or Accounts({})
        completed_by = found.completed_by(sorted(set(answers[ANNOTATOR])))
    tasks = []
    for data in _data(sentences.frame):
        task: dict[str, Any] = {"data": data}
        given = by_sentence.get(data["sentence_id"], [])
        if given and existing == "annotations":
            task["annotations"] = [
                {
                    "completed_by": completed_by[answer[ANNOTATOR]],
                    # Label Studio takes what is imported for the truth unless told.
                    "ground_truth": False,
                    "was_cancelled": answer[STATUS] == SKIPPED,
                    "result": _result(answer),
                }
                for answer in given
            ]
        elif given:
            task["predictions"] = [_prediction(answer, sentences.scores) for answer in given]
        tasks.append(task)
    return tasks


def _data(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records = frame.to_dict("records")
    further = [str(name) for name in frame.columns if name not in SENTENCE_COLUMNS]
    tasks = []
    for at, row in enumerate(records):
        data = {name: row[name] for name in SENTENCE_COLUMNS}
        data["position"] = int(row["position"])
        data[BEFORE] = _neighbour(records, at, -1)
        data[AFTER] = _neighbour(records, at, 1)
        if further:
            data[FURTHER] = {name: _json_value(row[name]) for name in further}
        tasks.append(data)
    return tasks


def _neighbour(records: Sequence[Mapping[Any, Any]], at: int, step: int) -> str:
    if not 0 <= at + step < len(records):
        return ""
    row, other = records[at], records[at + step]
    beside = other["position"] == row["position"] + step
    return str(other["text"]) if beside and other["document_id"] == row["document_id"] else ""


def _json_value(value: object) -> object:
    """Return a value of a table as JSON has it; what JSON lacks becomes text."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | bool | int) else str(value)


def _result(answer: Mapping[Any, str]) -> list[dict[str, Any]]:
    """Return an answer as Label Studio's results, one per control."""
    result = []
    if answer["label"]:
        result.append(_choices(LABEL_CONTROL, [answer["label"]]))
    if answer["secondary"]:
        result.append(_choices(SECONDARY_CONTROL, answer["secondary"].split("|")))
    if answer[NEEDS_CONTEXT] == CONTEXT_CHOICE:
        result.append(_choices(CONTEXT_CONTROL, [CONTEXT_CHOICE]))
    if answer[COMMENT]:
        value = {"text": [answer[COMMENT]]}
        result.append(_control(COMMENT_CONTROL, "textarea", value))
    return result


def _choices(control: str, chosen: list[str]) -> dict[str, Any]:
    return _control(control, "choices", {"choices": chosen})


def _control(control: str, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    names = {"id": control, "from_name": control, "to_name": TEXT_OBJECT}
    return {**names, "type": kind, "value": value}


def _prediction(answer: Mapping[Any, str], scores: Mapping[str, float]) -> dict[str, Any]:
    prediction = {"model_version": answer[ANNOTATOR], "result": _result(answer)}
    score = scores.get(answer["sentence_id"])
    return prediction if score is None else {**prediction, "score": score}
