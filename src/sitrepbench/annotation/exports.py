"""Label Studio's exports (JSON and JSON-MIN), read strictly: every answer is kept or reported."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sitrepbench.annotation.accounts import Accounts
from sitrepbench.annotation.answers import Answer, answers_frame
from sitrepbench.annotation.export_values import (
    Given,
    answer_of,
    full_annotations,
    minimal_annotation,
)
from sitrepbench.annotation.names import (
    FURTHER,
    LABELLED,
    LONG_COLUMNS,
    SECONDARY_CONTROL,
    SENTENCE_COLUMNS,
    SKIPPED,
)
from sitrepbench.annotation.problems import REMEDIES
from sitrepbench.annotation.tables import named_path
from sitrepbench.data.fields import label_set_problems
from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.data.readers import read_bytes
from sitrepbench.data.rows import character_flaws
from sitrepbench.errors import ConfigError
from sitrepbench.labels import LABELS


@dataclass(frozen=True)
class Annotations:
    """What came back from annotators.

    Parameters
    ----------
    sentences : DataFrame
        One row per sentence: ``sentence_id, document_id, position, text``, then further columns;
        sorted by document, position and id.
    answers : DataFrame
        One row per sentence and annotator: ``sentence_id`` and `names.ANSWER_COLUMNS`.
    notes : tuple of str
        What the file holds that is no answer: drafts, suggestions, controls of others.
    """

    sentences: pd.DataFrame
    answers: pd.DataFrame
    notes: tuple[str, ...] = ()


@dataclass
class _Reading:
    """The state of reading one file."""

    labels: tuple[str, ...]
    accounts: Accounts
    report: ProblemReport
    sentences: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[tuple[str, str], tuple[Answer, str]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    minimal: bool = False

    def count(self, what: str, number: int = 1) -> None:
        if number:
            self.counts[what] = self.counts.get(what, 0) + number


def read_export(
    path: str | Path, *, labels: Sequence[str] = LABELS, accounts: Accounts | None = None
) -> Annotations:
    """Read what Label Studio exported as JSON or JSON-MIN, or what was exported to it.

    Skipped tasks are kept as such (JSON-MIN does not have them). Who submitted a task and also
    skipped it, submitted it.

    Parameters
    ----------
    path : str or Path
        The file.
    labels : sequence of str
        The label set.
    accounts : Accounts, optional
        The annotators' names; without one, an annotator is called as their account is.

    Raises
    ------
    DataError
        With every problem of the file.
    ConfigError
        When the label set is none.
    """
    problems = label_set_problems(labels)
    if problems:
        raise ConfigError("\n".join(f"label set: {problem}" for problem in problems))
    report = ProblemReport(str(path), remedies=REMEDIES)
    reading = _Reading(tuple(labels), accounts or Accounts({}), report)
    content = _content(named_path(path), report)
    for place, task in _tasks(content, report):
        _read_task(task, place, reading)
    report.raise_if_any()
    notes = [f"{number:,} {what}" for what, number in reading.counts.items()]
    if reading.minimal:
        notes.append("JSON-MIN does not tell which tasks were skipped; JSON does")
    frame = _sentences_frame(list(reading.sentences.values()))
    answers = answers_frame([answer for answer, _ in reading.answers.values()])
    order = {sentence_id: at for at, sentence_id in enumerate(frame["sentence_id"])}
    answers = answers.assign(order=answers["sentence_id"].map(order))
    answers = answers.sort_values(["order", "annotator"], ignore_index=True)
    return Annotations(frame, answers.drop(columns="order"), tuple(notes))


def _content(path: Path, report: ProblemReport) -> object:
    """Return the value of a JSON file, None with the reason in the report."""
    data = read_bytes(path, report)
    if data is None:
        return None
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError:
        report.add("invalid_json", "is nested too deeply")
    except UnicodeDecodeError as error:
        report.add("invalid_utf8", f"byte {error.start + 1} of the file is not UTF-8")
    except ValueError as error:  # json's own, numbers of too many digits, NaN
        report.add("invalid_json", f"is not JSON: {error}")
    return None


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _tasks(content: object, report: ProblemReport) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each task with what it is called in messages."""
    if report.problems:
        return
    if not isinstance(content, list):
        message = f"expected a list of tasks, found {type(content).__name__} {shown(content)}"
        report.add("not_an_export", message)
        return
    if not content:
        report.add("empty_file", "the list of tasks is empty")
    for number, task in enumerate(content, start=1):
        if isinstance(task, dict):
            own = task.get("id")
            told = isinstance(own, int) and not isinstance(own, bool)
            yield f"item {number}" + (f" (task {shown(own)})" if told else ""), task
        else:
            message = f"expected a task in braces, found {shown(task)}"
            report.add("not_an_export", message, column=f"item {number}")


def _read_task(task: dict[str, Any], place: str, reading: _Reading) -> None:
    given: list[Given]
    if isinstance(task.get("data"), dict):
        data = task["data"]
        given = full_annotations(task, place, reading.report)
        for what, key in (("unsent draft(s)", "drafts"), ("suggestion(s)", "predictions")):
            listed = task.get(key)
            reading.count(f"{what} left out", len(listed) if isinstance(listed, list) else 0)
    elif "annotation_id" in task or "sentence_id" in task:
        data = task
        given = minimal_annotation(task, place, reading.report)
        reading.minimal = True
    else:
        keys = ", ".join(shown(key, limit=20) for key in list(task)[:8]) or "nothing"
        message = f"neither JSON nor JSON-MIN of Label Studio: a task with {keys}"
        reading.report.add("not_an_export", message, column=place)
        return
    sentence_id = _read_sentence(data, place, reading)
    for one in given:
        where = f"{place}, annotation {shown(one.number)}" if one.number is not None else place
        answer = answer_of(one, sentence_id or "", where, reading.labels, reading.report)
        for name in one.others:
            reading.count(f"answer(s) of {shown(name)}, not a control of ours, left out")
        who = _annotator(one.completed_by, where, reading)
        if answer is not None and _says_nothing(one, answer):
            reading.count(
                "answer(s) whose secondary labels hold background or the label itself: left out"
            )
        if answer is not None and who and sentence_id:
            _keep(answer, sentence_id, who, where, reading)


def _says_nothing(given: Given, answer: Answer) -> bool:
    """Whether secondary labels were chosen that are never secondary."""
    chosen = set(given.values.get(SECONDARY_CONTROL, []))
    return answer.status == LABELLED and chosen != {*filter(None, answer.secondary.split("|"))}


def _keep(answer: Answer, sentence_id: str, who: str, where: str, reading: _Reading) -> None:
    """Take an answer in, unless its annotator gave one for the sentence before."""
    kept = Answer(
        sentence_id,
        who,
        answer.status,
        answer.label,
        answer.secondary,
        answer.needs_context,
        answer.comment,
    )
    before = reading.answers.get((sentence_id, who))
    if before is not None and LABELLED == kept.status == before[0].status:
        message = f"{shown(who)} labelled {shown(sentence_id)} in {before[1]} as well"
        reading.report.add("doubled_annotation", message, column=where)
    elif before is not None:
        reading.count("skipped annotation(s) beside another of the same annotator left out")
        if kept.status == SKIPPED:
            return
    reading.answers[sentence_id, who] = (kept, where)


def _annotator(completed_by: object, where: str, reading: _Reading) -> str | None:
    """Return the annotator's name: from the accounts given, else the address, else the number."""
    known_as: list[str] = []
    if isinstance(completed_by, dict):
        address, number = completed_by.get("email"), completed_by.get("id")
        known_as += [address] if isinstance(address, str) and address.strip() else []
        known_as += [str(number)] if _is_number(number) else []
    elif _is_number(completed_by):
        known_as.append(str(completed_by))
    elif isinstance(completed_by, str) and completed_by.strip() and not _flawed(completed_by):
        known_as.append(completed_by.strip())
    if known_as and not any(map(_flawed, known_as)):
        return reading.accounts.name_of(*known_as)
    message = f"expected an account's number or address, found {shown(completed_by)}"
    reading.report.add("missing_annotator", message, column=where)
    return None


def _read_sentence(data: Mapping[str, Any], place: str, reading: _Reading) -> str | None:
    """Take a task's sentence in and return its id, None where it has a problem."""
    report = reading.report
    sentence: dict[str, Any] = {}
    for name in SENTENCE_COLUMNS:
        value = data.get(name)
        if name == "position":
            good = _is_number(value) and int(value or 0) >= 0
            wanted = "a whole number from 0"
        else:
            value = str(value) if _is_number(value) and name != "text" else value
            good = isinstance(value, str) and bool(value.strip())
            wanted = "text"
        if not good:
            told = f"{name}: expected {wanted}, found "
            told += shown(data[name]) if name in data else "none"
            report.add("missing_id", told, column=place)
        elif isinstance(value, str):
            for code, message in character_flaws(value):
                report.add(code, f"{name}: {message}", column=place)
        sentence[name] = value
    further = data.get(FURTHER)
    if isinstance(further, dict):
        for key, value in further.items():
            for code, message in character_flaws(f"{key}{value if isinstance(value, str) else ''}"):
                report.add(code, f"{FURTHER}: {message}", column=place)
            sentence[f"source_{key}" if key in LONG_COLUMNS else key] = _plain(value)
    sentence_id = sentence["sentence_id"]
    if not isinstance(sentence_id, str) or not sentence_id.strip():
        return None
    before = reading.sentences.setdefault(sentence_id, sentence)
    for name in SENTENCE_COLUMNS:
        if before[name] != sentence[name]:
            message = f"{name} of {shown(sentence_id)} is {shown(sentence[name])}, but an earlier "
            message += f"task has {shown(before[name])}"
            report.add("conflicting_task", message, column=place)
    return sentence_id


def _is_number(value: object) -> bool:
    """Whether a value is a whole number that a database can hold."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _plain(value: object) -> object:
    """Return a further column's value; lists and objects stay as their JSON."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | str) or _is_number(value):
        return value
    try:
        return json.dumps(value)
    except (ValueError, RecursionError):
        return shown(value)


def _flawed(text: str) -> bool:
    return next(character_flaws(text), None) is not None


def _sentences_frame(sentences: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(sentences).astype(dict.fromkeys(("sentence_id", "document_id"), "str"))
    return frame.sort_values(["document_id", "position", "sentence_id"], ignore_index=True)
