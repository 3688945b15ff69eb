"""What a model is asked about a block's rows: plain columns, checked; and what it answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sitrepbench.data.dataset import DOCUMENT_ID, DOMAIN, POSITION, SENTENCE_ID, TEXT
from sitrepbench.data.fields import DEFAULT_NAMES
from sitrepbench.data.problems import ProblemReport, shown
from sitrepbench.data.rows import character_flaws, has_character_flaws
from sitrepbench.errors import DataError, did_you_mean
from sitrepbench.labelling.blocks import Block
from sitrepbench.labelling.sources import MAX_FIELD

if TYPE_CHECKING:
    from sitrepbench.trained import TrainedModel

#: Fields that are made up where an input lacks them: each row is a document of its own.
MADE_UP = (SENTENCE_ID, DOCUMENT_ID, POSITION, DOMAIN)
_WHOLE = re.compile(r"\d{1,15}", re.ASCII)

#: Field to its values, all lists of one length.
Question = dict[str, list[Any]]


@dataclass(frozen=True)
class Answers:
    """What a model says of some rows.

    Parameters
    ----------
    codes : array of int, shape (n_rows,)
        The predicted labels, as places in the model's labels.
    probabilities : array of float, shape (n_rows, n_labels), or None
        None where the model has none, or nobody asked.
    """

    codes: npt.NDArray[np.uint16]
    probabilities: npt.NDArray[np.float64] | None


@dataclass(frozen=True)
class ModelFacts:
    """What must be known of a model to read and write for it; plain values.

    Parameters
    ----------
    name : str
        What people call it.
    labels : tuple of str
        The label set, in order.
    has_probabilities, reads_documents : bool
        As in `sitrepbench.trained.TrainedModel`.
    columns : tuple of str
        What it reads beside ``text``.
    notes : tuple of str
        What whoever uses it should know.
    """

    name: str
    labels: tuple[str, ...]
    has_probabilities: bool
    reads_documents: bool
    columns: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, model: TrainedModel) -> ModelFacts:
        """Return what is to be known of a model."""
        return cls(
            model.name,
            model.labels,
            model.has_probabilities,
            model.reads_documents,
            model.columns,
            model.notes,
        )

    def added(self, *, probabilities: bool) -> tuple[str, ...]:
        """Return the columns that labelling adds."""
        given = self.labels if probabilities and self.has_probabilities else ()
        return ("predicted", *(f"p_{label}" for label in given))


def fields_of(
    names: Sequence[str], facts: ModelFacts, *, source: str, columns: Mapping[str, str]
) -> dict[str, str]:
    """Return which of an input's columns holds which field that the model reads.

    Parameters
    ----------
    names : sequence of str
        The input's columns.
    facts : ModelFacts
        Of the model.
    source : str
        The input, as messages call it.
    columns : mapping
        Field to column, as the user gave it; the others are looked for under `DEFAULT_NAMES`.

    Raises
    ------
    DataError
        When a column that must be there is missing.
    """
    wanted = [TEXT, *(name for name in facts.columns if name != TEXT)]
    if facts.reads_documents:
        wanted = list(dict.fromkeys([TEXT, DOCUMENT_ID, POSITION, *wanted]))
    found: dict[str, str] = {}
    problems = []
    for field in wanted:
        given = columns.get(field)
        tried = (given,) if given is not None else DEFAULT_NAMES.get(field, (field,))
        column = next((name for name in tried if name in names), None)
        if column is not None:
            found[field] = column
        elif given is not None:
            problems.append(f"there is no column {given!r}.{did_you_mean(given, names)}")
        elif field not in MADE_UP:
            problems.append(f"no column for {field}: looked for {', '.join(tried)}.")
    if problems:
        listed = ", ".join(shown(name, limit=30) for name in islice(names, 20)) or "none"
        hint = (
            " Name the column of the sentences with --text-column NAME, or say with --format what "
            "the input is (text: a sentence per line)."
            if TEXT not in found
            else f" The model reads {', '.join(wanted)}."
        )
        raise DataError(f"{source}: {' '.join(problems)} Its columns: {listed}.{hint}")
    return found


def check_rows(block: Block, fields: Mapping[str, str], report: ProblemReport) -> Block:
    """Return the sound rows of a block; the others are put into the report.

    Parameters
    ----------
    block : Block
        As a reader yields it.
    fields : mapping
        As `fields_of` returns it.
    report : ProblemReport
        Takes what is wrong.
    """
    if not len(block):
        return block
    bad: set[int] = set()
    if has_character_flaws(list(block.texts())):
        _report_characters(block, list(block.texts()), "", bad, report)
    for field, column in fields.items():
        if field not in DEFAULT_NAMES:
            continue
        values = block.column(column)
        if field == TEXT:
            _check_text(block, values, column, bad, report)
        else:
            _check_key(block, values, column, bad, report, needed=field != DOMAIN)
        if field == POSITION:
            _check_positions(block, values, column, bad, report)
    if not bad:
        return block
    return block.take([index for index in range(len(block)) if index not in bad])


def question(block: Block, fields: Mapping[str, str], facts: ModelFacts) -> Question:
    """Return what a model is asked about sound rows: text stripped as it is for training.

    Where an input has no documents and the model wants to know, a row's number stands for its own,
    in whatever block it comes.
    """
    asked: Question = {}
    if DOCUMENT_ID not in fields and not set(MADE_UP).isdisjoint(facts.columns):
        asked[DOCUMENT_ID] = [str(number) for number in block.numbers]
    for field, column in fields.items():
        values = block.column(column)
        if field == TEXT:
            asked[field] = [value.strip() for value in values]  # type: ignore[attr-defined]
        elif field == POSITION:
            asked[field] = [int(value) for value in values]  # type: ignore[call-overload]
        elif field in DEFAULT_NAMES:
            asked[field] = ["" if value is None else str(value).strip() for value in values]
        else:
            asked[field] = values
    return asked


def answer(model: TrainedModel, asked: Question, *, probabilities: bool) -> Answers:
    """Return what a model says, as compact arrays."""
    import pandas as pd

    wanted = probabilities and model.has_probabilities
    if not any(asked.values()):
        none = np.empty((0, len(model.labels))) if wanted else None
        return Answers(np.empty(0, np.uint16), none)
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in asked.items()})
    labels, given = model.answer(frame, probabilities=wanted)
    places = {label: place for place, label in enumerate(model.labels)}
    codes = np.fromiter(map(places.__getitem__, labels.tolist()), np.uint16, len(labels))
    return Answers(codes, np.asarray(given, dtype=np.float64) if wanted else None)


def _check_text(
    block: Block, values: list[object], column: str, bad: set[int], report: ProblemReport
) -> None:
    def add(index: int, code: str, message: str) -> None:
        _add(block, index, code, message, column, bad, report)

    if any(type(value) is not str for value in values):
        for index, value in enumerate(values):
            if value is None:
                add(index, "missing_value", "there is no text")
            elif not isinstance(value, str):
                add(index, "wrong_type", f"expected text, found {shown(value)}")
    texts = [value if isinstance(value, str) else "-" for value in values]
    if not all(map(str.strip, texts)):
        for index, text in enumerate(texts):
            if not text.strip():
                add(index, "empty_text", f"the text is empty: {shown(text)}")
    if max(map(len, texts)) > MAX_FIELD:
        for index, text in enumerate(texts):
            if len(text) > MAX_FIELD:
                message = f"the text has {len(text):,} characters, at most {MAX_FIELD:,} are read"
                add(index, "long_field", message)
    if has_character_flaws(texts):
        _report_characters(block, texts, column, bad, report)


def _check_key(
    block: Block,
    values: list[object],
    column: str,
    bad: set[int],
    report: ProblemReport,
    *,
    needed: bool,
) -> None:
    if all(type(value) is str and value for value in values):
        if has_character_flaws(values):  # type: ignore[arg-type]
            _report_characters(block, values, column, bad, report)  # type: ignore[arg-type]
        return
    for index, value in enumerate(values):
        if value is None or (isinstance(value, str) and not value.strip()):
            if needed:
                _add(block, index, "missing_value", "there is no value", column, bad, report)
        elif isinstance(value, bool) or not isinstance(value, str | int):
            message = f"expected text or a whole number, found {shown(value)}"
            _add(block, index, "wrong_type", message, column, bad, report)
        elif isinstance(value, str):
            _report_characters(block, {index: value}, column, bad, report)


def _check_positions(
    block: Block, values: list[object], column: str, bad: set[int], report: ProblemReport
) -> None:
    for index, value in enumerate(values):
        if index not in bad and not _WHOLE.fullmatch(str(value).strip()):
            message = f"expected a whole number from 0, found {shown(value)}"
            _add(block, index, "invalid_position", message, column, bad, report)


def _report_characters(
    block: Block,
    texts: Iterable[str] | Mapping[int, str],
    column: str,
    bad: set[int],
    report: ProblemReport,
) -> None:
    found = texts.items() if isinstance(texts, Mapping) else enumerate(texts)
    for index, text in found:
        if index not in bad:
            for code, message in character_flaws(text):
                _add(block, index, code, message, column or None, bad, report)


def _add(
    block: Block,
    index: int,
    code: str,
    message: str,
    column: str | None,
    bad: set[int],
    report: ProblemReport,
) -> None:
    bad.add(index)
    line = None if block.lines is None else block.lines[index]
    report.add(code, message, row=block.numbers[index], line=line, column=column)
