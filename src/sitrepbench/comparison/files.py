"""Predictions files of anybody's making: read strictly, against the gold labels, in one report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd

from sitrepbench.comparison.gold import GOLD_COLUMNS as GOLD_COLUMNS
from sitrepbench.comparison.gold import Gold as Gold
from sitrepbench.comparison.gold import find_dataset as find_dataset
from sitrepbench.comparison.gold import gold_of as gold_of
from sitrepbench.comparison.gold import gold_of_dataset as gold_of_dataset
from sitrepbench.data.dataset import LABEL, SENTENCE_ID
from sitrepbench.data.fields import check_characters, is_missing, problem_at, text_values
from sitrepbench.data.problems import REMEDIES, SHOWN, Problem, ProblemReport, shown
from sitrepbench.data.readers import format_of, read_bytes, read_rows
from sitrepbench.data.rows import Rows
from sitrepbench.errors import ConfigError, DataError, did_you_mean
from sitrepbench.predictions import FOLD, KEY_COLUMNS, PART, PREDICTED, REPEAT, PredictionsTable

#: The names under which a column is looked for, in this order.
ID_NAMES = (SENTENCE_ID, "sent_id", "id")
PREDICTED_NAMES = (PREDICTED, "prediction", LABEL)
PROBABILITY = "p_"
#: Probabilities are often rounded before they are written, so their sum is not held to the bit.
SUM_TOLERANCE = 0.01
#: Suffixes that tell a predictions file.
SUFFIXES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", ".pq")

_LARGEST_REPEAT = 10_000
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")

#: What to do about a predictions file; where nothing is said, as for any file.
_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        **REMEDIES,
        "byte_order_mark": "save the file as UTF-8",
        "invalid_utf8": "save the file as UTF-8",
        "invalid_encoding": "save the file as UTF-8",
        "bad_quoting": 'a field with a quote is written "like ""this"""',
        "invalid_parquet": "write the file again, or give it the suffix of its format",
        "unknown_format": f"give the file one of the suffixes {', '.join(SUFFIXES)}",
        "empty_file": "give one row per sentence",
        "missing_column": "a predictions file has a column sentence_id and a column predicted (or "
        "label), and may have part, repeat and, for every label, p_<label>",
        "unknown_column": "correct the column's name, or take it out",
        "wrong_type": "ids and labels are text or whole numbers",
        "unknown_label": "correct the file: labels are spelled as in the dataset",
        "unknown_id": "ids are those of the dataset (sitrepbench data); take other rows out",
        "missing_id": "predict every sentence of the part, or name another part (--part NAME; in a "
        "card: part)",
        "duplicate_id": "predict every sentence once, or number the repeats in a column repeat",
        "unknown_part": "name the part as the dataset does, leave the column out, or name another "
        "part (--part NAME; in a card: part)",
        "invalid_repeat": f"repeats are whole numbers from 0 to {_LARGEST_REPEAT:,}",
        "other_gold": "beside 'predicted', the column 'label' is the gold label; the file was made "
        "for other gold labels, or its columns are mixed up",
        "bad_probability": "probabilities are numbers from 0 to 1, given for all labels in every "
        "row, or for none",
        "bad_sum": f"the probabilities of a row sum to 1, within {SUM_TOLERANCE}",
    }
)


def read_predictions(path: str | Path, gold: Gold, *, name: str | None = None) -> PredictionsTable:
    """Read a predictions file and hold it against the sentences that it has to predict.

    CSV, TSV, JSON Lines or Parquet, told by the suffix, with the columns ``sentence_id`` and
    ``predicted`` (or ``label``, if there is no ``predicted``). Optional are ``part`` (only rows of
    the gold's part are taken), ``repeat`` (from 0) and ``p_<label>`` of every label. Other columns
    are ignored, but for ``label`` beside ``predicted``: it must be the gold label, which is not
    checked on a test split, so that no file can be used to ask for its labels.

    Parameters
    ----------
    path : str or Path
        The file.
    gold : Gold
        The sentences, which must be predicted once in every repeat, and no others.
    name : str, optional
        What messages call the file; by default its path.

    Returns
    -------
    PredictionsTable
        One part; ``fold`` is 0.

    Raises
    ------
    DataError
        With every problem of the file, and the rows in which they stand.
    """
    path = Path(path)
    report = ProblemReport(name or str(path), remedies=_REMEDIES)
    rows = _rows(path, report)
    if rows is not None:
        frame = _frame(rows, gold, report)
    report.raise_if_any()
    if rows is None or frame is None:
        raise DataError(f"{report.source}: cannot be read")
    return PredictionsTable(frame, gold.labels)


def _rows(path: Path, report: ProblemReport) -> Rows | None:
    data = read_bytes(path, report)
    if data is None:
        return None
    try:
        kind = format_of(path, None)
    except ConfigError:
        report.add("unknown_format", f"the suffix {shown(path.suffix)} tells no format")
        return None
    if kind != "parquet" and data.startswith(_WIDE_MARKS):
        report.add("byte_order_mark", "starts with the byte-order mark of UTF-16 or UTF-32")
        return None
    # Spreadsheets put a mark before UTF-8, which says nothing; utf-8-sig takes it or leaves it.
    rows = read_rows(data, kind, encoding="utf-8-sig", quoting="standard", report=report)
    if rows is not None and not len(rows) and not report.problems:
        report.add("empty_file", "the file has a header and no rows")
        return None
    return rows


def _frame(rows: Rows, gold: Gold, report: ProblemReport) -> pd.DataFrame | None:
    """Return the predictions table's rows, or None where a needed column is missing."""
    check_characters(rows, report)
    ids_column = _column(rows, ID_NAMES, report)
    said_column = _column(rows, PREDICTED_NAMES, report)
    if ids_column is None or said_column is None:
        return None
    kept = _of_part(rows, gold, report)
    if kept is None:
        return None
    ids = text_values(kept, ids_column, SENTENCE_ID, report)
    said = text_values(kept, said_column, LABEL, report)
    repeat = _repeats(kept, report)
    at = pd.Index(gold.frame[SENTENCE_ID]).get_indexer(pd.Index(ids, dtype=object))
    _check_ids(kept, ids, at, repeat, gold, report, column=ids_column)
    _check_labels(kept, said, gold, report, column=said_column)
    if said_column != LABEL and LABEL in kept.columns and not gold.test_splits:
        _check_gold(kept, at, gold, report)
    probabilities = _probabilities(kept, gold, report)
    if report.problems:
        return None
    frame = gold.frame.iloc[at].reset_index(drop=True)
    frame[PART], frame[REPEAT], frame[FOLD] = gold.part, np.asarray(repeat, dtype=np.int64), 0
    frame[PREDICTED] = said
    frame = frame[list(KEY_COLUMNS)]
    for place, label in enumerate(gold.labels):
        frame[f"{PROBABILITY}{label}"] = probabilities[:, place]
    ordered: pd.DataFrame = frame.sort_values([REPEAT, SENTENCE_ID], ignore_index=True)
    return ordered


def _column(rows: Rows, names: tuple[str, ...], report: ProblemReport) -> str | None:
    found = next((name for name in names if name in rows.columns), None)
    if found is None:
        there = list(rows.columns)
        near = next((hint for name in names if (hint := did_you_mean(name, there))), "")
        listed = ", ".join(shown(name, limit=30) for name in there[:SHOWN])
        report.add(
            "missing_column",
            f"no column {names[0]} (nor {', '.join(names[1:])}); the file has: {listed}.{near}",
        )
    return found


def _of_part(rows: Rows, gold: Gold, report: ProblemReport) -> Rows | None:
    """Return the rows of the gold's part, all where the file names no parts."""
    if PART not in rows.columns:
        return rows
    parts = text_values(rows, PART, PART, report)
    mine = [index for index, part in enumerate(parts) if part == gold.part]
    if not mine:
        there = sorted(set(parts))
        listed = ", ".join(shown(part, limit=30) for part in there[:SHOWN])
        report.add(
            "unknown_part",
            f"no rows of part {gold.part!r}; the file has: {listed}",
            column=PART,
        )
        return None
    if len(mine) == len(parts):
        return rows
    return Rows(
        {name: [values[index] for index in mine] for name, values in rows.columns.items()},
        [rows.numbers[index] for index in mine],
        None if rows.lines is None else [rows.lines[index] for index in mine],
    )


def _repeats(rows: Rows, report: ProblemReport) -> list[int]:
    """Return the repeat of every row; 0 where the file names none, -1 where it is wrong."""
    if REPEAT not in rows.columns:
        return [0] * len(rows)
    values = rows.columns[REPEAT]
    repeats = [_repeat(value) for value in values]
    wrong = [index for index, repeat in enumerate(repeats) if repeat < 0]

    def describe(index: int) -> Problem:
        message = f"expected a whole number from 0, found {shown(values[index])}"
        return problem_at(rows, index, "invalid_repeat", message, column=REPEAT)

    report.add_rows("invalid_repeat", wrong, describe)
    return repeats


def _repeat(value: object) -> int:
    text = str(value).strip() if isinstance(value, str | int) else ""
    if isinstance(value, float) and value.is_integer() and 0 <= value <= _LARGEST_REPEAT:
        return int(value)
    plain = text.isascii() and text.isdecimal() and len(text) < 10
    return int(text) if plain and int(text) <= _LARGEST_REPEAT else -1


def _check_ids(
    rows: Rows,
    ids: list[str],
    at: npt.NDArray[np.intp],
    repeat: list[int],
    gold: Gold,
    report: ProblemReport,
    *,
    column: str,
) -> None:
    empty = [index for index, name in enumerate(ids) if not name]
    report.add_rows(
        "missing_value",
        empty,
        lambda index: problem_at(rows, index, "missing_value", "has no id", column=column),
    )
    known = gold.frame[SENTENCE_ID].tolist()
    unknown = [index for index in np.flatnonzero(at < 0).tolist() if ids[index]]

    def describe_unknown(index: int) -> Problem:
        near = did_you_mean(ids[index], known) if len(known) <= 1000 else ""
        message = f"no sentence {shown(ids[index])} in part {gold.part}.{near}"
        return problem_at(rows, index, "unknown_id", message, column=column)

    report.add_rows("unknown_id", unknown, describe_unknown)
    first: dict[tuple[int, str], int] = {}
    doubled = []
    for index, key in enumerate(zip(repeat, ids, strict=True)):
        if ids[index] and first.setdefault(key, index) != index:
            doubled.append(index)

    def describe_doubled(index: int) -> Problem:
        number = rows.numbers[first[repeat[index], ids[index]]]
        message = f"sentence {shown(ids[index])} stands in row {number} already"
        return problem_at(rows, index, "duplicate_id", message, column=column)

    report.add_rows("duplicate_id", doubled, describe_doubled)
    for number in sorted({value for value in repeat if value >= 0}) or [0]:
        there = {name for name, value in zip(ids, repeat, strict=True) if value == number}
        lost = [name for name in known if name not in there]
        if lost:
            listed = ", ".join(shown(name) for name in lost[:5]) + " ..." * (len(lost) > 5)
            where = f" in repeat {number}" if REPEAT in rows.columns else ""
            report.add(
                "missing_id",
                f"{len(lost):,} of {len(known):,} sentences of part {gold.part} are not "
                f"predicted{where}: {listed}",
            )


def _check_labels(
    rows: Rows, said: list[str], gold: Gold, report: ProblemReport, *, column: str
) -> None:
    known = set(gold.labels)
    wrong = [index for index, label in enumerate(said) if label not in known]

    def describe(index: int) -> Problem:
        if not said[index]:
            return problem_at(rows, index, "unknown_label", "has no label", column=column)
        hint = did_you_mean(said[index], gold.labels) or f" Expected: {', '.join(gold.labels)}"
        message = f"unknown label {shown(said[index])}.{hint}"
        return problem_at(rows, index, "unknown_label", message, column=column)

    report.add_rows("unknown_label", wrong, describe)


def _check_gold(rows: Rows, at: npt.NDArray[np.intp], gold: Gold, report: ProblemReport) -> None:
    given = text_values(rows, LABEL, LABEL, report)
    right = gold.frame[LABEL].tolist()
    wrong = [
        index
        for index, place in enumerate(at.tolist())
        if place >= 0 and given[index] and given[index] != right[place]
    ]

    def describe(index: int) -> Problem:
        expected = right[at[index]]
        message = f"has the gold label {shown(given[index])}, expected {shown(expected)}"
        return problem_at(rows, index, "other_gold", message, column=LABEL)

    report.add_rows("other_gold", wrong, describe)


def _probabilities(rows: Rows, gold: Gold, report: ProblemReport) -> npt.NDArray[np.float64]:
    """Return the probabilities, shape (n_rows, n_labels); all NaN where the file has none."""
    nothing = np.full((len(rows), len(gold.labels)), math.nan)
    names = [f"{PROBABILITY}{label}" for label in gold.labels]
    given = [name for name in rows.columns if name.startswith(PROBABILITY)]
    odd = [name for name in given if name not in names]
    for name in odd[:SHOWN]:
        report.add("unknown_column", f"{shown(name)} is of no label.{did_you_mean(name, names)}")
    absent = [name for name in names if name not in rows.columns]
    if not given or absent:
        if given and absent:
            report.add("missing_column", f"probabilities lack {', '.join(absent)}")
        return nothing
    columns = [rows.columns[name] for name in names]
    if all(_is_empty(value) for values in columns for value in values):
        return nothing
    found = np.array([[_number(value) for value in values] for values in columns]).T
    bad = ~((found >= 0) & (found <= 1))  # NaN is bad as well

    def describe(index: int) -> Problem:
        place = int(np.argmax(bad[index]))
        message = f"expected a number from 0 to 1, found {shown(columns[place][index])}"
        return problem_at(rows, index, "bad_probability", message, column=names[place])

    report.add_rows("bad_probability", np.flatnonzero(bad.any(axis=1)).tolist(), describe)
    sums = found.sum(axis=1)
    off = ~bad.any(axis=1) & (np.abs(sums - 1) > SUM_TOLERANCE)
    report.add_rows(
        "bad_sum",
        np.flatnonzero(off).tolist(),
        lambda index: problem_at(
            rows, index, "bad_sum", f"the probabilities sum to {sums[index]:.4g}, expected 1"
        ),
    )
    return found


def _is_empty(value: object) -> bool:
    return is_missing(value) or (isinstance(value, str) and not value.strip())


def _number(value: object) -> float:
    """Return a probability as a number; NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | np.number):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan
