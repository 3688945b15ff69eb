"""What one annotation of Label Studio says, in the form of either export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sitrepbench.annotation.answers import Answer, join_secondary, unknown_label
from sitrepbench.annotation.names import (
    COMMENT_CONTROL,
    CONTEXT_CONTROL,
    CONTROLS,
    LABEL_CONTROL,
    LABELLED,
    SECONDARY_CONTROL,
    SKIPPED,
)
from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.data.rows import character_flaws


@dataclass(frozen=True)
class Given:
    """One annotation, its answers by control, each a list of texts.

    Parameters
    ----------
    number : object
        Its id in Label Studio, None where the file has none.
    completed_by : object
        Who made it, as the file says it.
    skipped : bool
        Whether the task was skipped.
    values : dict of str to list of str
        Control to what was chosen or written.
    others : tuple of str
        Controls that are not ours.
    """

    number: object
    completed_by: object
    skipped: bool
    values: dict[str, list[str]]
    others: tuple[str, ...] = ()


def full_annotations(task: dict[str, Any], place: str, report: ProblemReport) -> list[Given]:
    """Return the annotations of a task of the JSON export."""
    listed = task.get("annotations", [])
    if not isinstance(listed, list):
        message = f"annotations: expected a list, found {shown(listed)}"
        report.add("not_an_export", message, column=place)
        return []
    found = []
    for annotation in listed:
        if not isinstance(annotation, dict):
            message = f"expected an annotation in braces, found {shown(annotation)}"
            report.add("not_an_export", message, column=place)
            continue
        result = annotation.get("result")
        if not isinstance(result, list):
            message = f"result: expected a list, found {shown(result)}"
            report.add("not_an_export", message, column=place)
            continue
        values: dict[str, list[str]] = {}
        others = []
        for control, texts in _results(result, place, report):
            if control in CONTROLS:
                values.setdefault(control, []).extend(texts)
            else:
                others.append(control)
        found.append(
            Given(
                annotation.get("id"),
                annotation.get("completed_by"),
                annotation.get("was_cancelled") is True,
                values,
                tuple(others),
            )
        )
    return found


def _results(
    result: list[object], place: str, report: ProblemReport
) -> Iterator[tuple[str, list[str]]]:
    """Yield control and texts of every part of an annotation's result."""
    for part in result:
        control = part.get("from_name") if isinstance(part, dict) else None
        value = part.get("value") if isinstance(part, dict) else None
        if not isinstance(control, str):
            message = f"expected the answer of a control, found {shown(part)}"
            report.add("bad_answer", message, column=place)
        elif control not in CONTROLS:
            yield control, []
        else:
            texts = _texts(value)
            if texts is None:
                message = f"{control}: expected choices or text, found {shown(value)}"
                report.add("bad_answer", message, column=place)
            else:
                yield control, texts


def minimal_annotation(task: dict[str, Any], place: str, report: ProblemReport) -> list[Given]:
    """Return the annotation in a row of the JSON-MIN export; none where nobody labelled it."""
    if task.get("annotation_id") is None and LABEL_CONTROL not in task:
        return []
    values: dict[str, list[str]] = {}
    for control in CONTROLS:
        if control not in task:
            continue
        texts = _texts(task[control])
        if texts is None:
            message = f"{control}: expected choices or text, found {shown(task[control])}"
            report.add("bad_answer", message, column=place)
        else:
            values[control] = texts
    return [Given(task.get("annotation_id"), task.get("annotator"), False, values)]


def _texts(value: object) -> list[str] | None:
    """Return the texts of a control's value, None where it is none.

    One text stands by itself; several are a list, or lie under ``choices`` or ``text``.
    """
    if isinstance(value, dict):
        value = value.get("choices", value.get("text"))
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return None
    texts: list[str] = []
    for part in value:
        inner = part.get("choices", part.get("text")) if isinstance(part, dict) else part
        listed = inner if isinstance(inner, list) else [inner]
        for text in listed:
            if not isinstance(text, str):
                return None
            texts.append(text)
    return texts


def answer_of(
    given: Given, sentence_id: str, where: str, labels: Sequence[str], report: ProblemReport
) -> Answer | None:
    """Return what an annotation says, checked; None where it cannot be kept.

    The annotator's name is filled in by who knows it.
    """
    values = {name: given.values.get(name, []) for name in CONTROLS}
    for texts in values.values():
        for text in texts:
            for code, message in character_flaws(text):
                report.add(code, message, column=where)
    if given.skipped:
        comment = "\n".join(values[COMMENT_CONTROL])
        return Answer(sentence_id, "", SKIPPED, comment=comment)
    for name in (*values[LABEL_CONTROL], *values[SECONDARY_CONTROL]):
        if name not in labels:
            report.add("unknown_label", unknown_label(name, labels), column=where)
    chosen = values[LABEL_CONTROL]
    if len(chosen) != 1:
        listed = ", ".join(shown(name) for name in chosen)
        message = f"expected one label, found {listed}" if chosen else "it has no label"
        report.add("bad_answer" if chosen else "missing_label", message, column=where)
        return None
    return Answer(
        sentence_id,
        "",
        LABELLED,
        chosen[0],
        join_secondary(values[SECONDARY_CONTROL], chosen[0], labels),
        "yes" if values[CONTEXT_CONTROL] else "no",
        "\n".join(values[COMMENT_CONTROL]),
    )
